"""One HTTP/1.1 reply, over whose every byte and end its handler decides."""

from __future__ import annotations

import asyncio
import http
import json
from typing import Any, Iterable, Mapping, Protocol

from tests.support.http1 import Headers, Request

HeaderPairs = Mapping[str, str] | Iterable[tuple[str, str]]


class ClientGone(ConnectionError):
    """The client left before the end of its reply. handle() may let it pass through."""


class Connection(Protocol):
    """What a reply needs of the connection that it is written to."""

    gone: asyncio.Event     # the client has left

    async def send(self, data: bytes) -> None:
        """Waits while the client does not read; ClientGone when it has left."""

    def close(self) -> None: ...
    def half_close(self) -> None: ...
    def reset(self) -> None: ...


class Reply:
    """One reply, written by handle(). It ends in exactly one of end(), cut(), reset().

    split: when set, all bytes from then on are sent that many at a time.
    """

    def __init__(self, connection: Connection, request: Request) -> None:
        self.split = 0
        self.over = False
        self.started = False
        self._connection = connection
        self._request = request
        self._chunked = False
        self._close_after = _says_close(request.headers)
        self._left: int | None = None   # of the promised Content-Length; None: not promised

    async def start(self, status: int, headers: HeaderPairs = (), chunked: bool = True) -> None:
        """The head. A Content-Length among the headers wins over chunked; with
        neither of them the end of the connection is the end of the body."""
        await self.raw(self._head(status, headers, chunked))

    async def write(self, data: bytes) -> None:
        """A piece of the body, as one chunk if the reply is chunked."""
        if not data:
            return
        if self._left is not None:
            self._left -= len(data)
        await self.raw(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    async def raw(self, data: bytes) -> None:
        """Bytes as they are, even where HTTP forbids them. Waits while the client does not read."""
        step = self.split or len(data) or 1
        for at in range(0, len(data), step):
            await self._connection.send(data[at:at + step])
            if self.split:
                await asyncio.sleep(0)

    async def end(self) -> None:
        """The regular end. The connection is kept, unless a "Connection: close" was
        asked for or told, or nothing but its end can show the end of the body."""
        if self._chunked:
            await self.raw(b"0\r\n\r\n")
        self.over = True
        if self._close_after or (not self._chunked and self._left != 0):
            self._connection.close()

    async def send(self, status: int, headers: HeaderPairs = (), body: bytes = b"") -> None:
        """A whole reply in one write."""
        pairs = _pairs(headers)
        if status not in (204, 304):
            pairs.append(("Content-Length", str(len(body))))
        await self.raw(self._head(status, pairs, False) + body)
        self._left = 0
        await self.end()

    async def json(self, status: int, value: Any, headers: HeaderPairs = ()) -> None:
        """A whole reply with a JSON body; a Content-Type among the headers wins."""
        pairs = _pairs(headers)
        if not any(name.lower() == "content-type" for name, _ in pairs):
            pairs.append(("Content-Type", "application/json; charset=utf-8"))
        await self.send(status, pairs, json.dumps(value, ensure_ascii=False).encode())

    def cut(self) -> None:
        """Close here (FIN), after what was written."""
        self.over = True
        self._connection.close()

    def reset(self) -> None:
        """Break the connection here (RST); bytes not yet delivered may be lost."""
        self.over = True
        self._connection.reset()

    def half_close(self) -> None:
        """Send FIN but go on reading, as a server that waits for the client to close."""
        self._connection.half_close()

    async def client_gone(self) -> None:
        """Returns when the client has closed the connection, at once if it has already."""
        await self._connection.gone.wait()

    async def pause(self, seconds: float) -> None:
        """A delay that ends with ClientGone as soon as the client leaves."""
        try:
            await asyncio.wait_for(self._connection.gone.wait(), seconds)
        except asyncio.TimeoutError:
            return
        raise ClientGone

    def _head(self, status: int, headers: HeaderPairs, chunked: bool) -> bytes:
        self.started = True
        pairs = _pairs(headers)
        self._close_after |= _says_close(Headers(pairs))
        length = Headers(pairs).get("content-length")
        if length is not None:
            self._left = int(length)
        elif status in (204, 304):
            self._left = 0
        elif chunked:
            self._chunked = True
            pairs.append(("Transfer-Encoding", "chunked"))
        lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
        return f"HTTP/1.1 {status} {_phrase(status)}\r\n{lines}\r\n".encode("latin-1")


def _pairs(headers: HeaderPairs) -> list[tuple[str, str]]:
    return list(headers.items() if isinstance(headers, Mapping) else headers)


def _says_close(headers: Headers) -> bool:
    return "close" in headers.get("connection", "").lower()


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"

"""What a test can have the stand-in model answer: well, badly, or not at all."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from typing import Awaitable, Callable

from tests.support.model_request import DATA, Asked, samples
from tests.support.model_stream import End, Output, Piece, Style, output_for
from tests.support.standin import ClientGone, HeaderPairs, Reply, StandIn


class Answer:
    """Gives one reply."""

    async def give(self, asked: Asked, reply: Reply) -> None:
        raise NotImplementedError


@dataclass(kw_only=True)
class Say(Style, Answer):
    """A completion, as a stream or as one JSON object, whichever was asked for."""

    pieces: tuple[Piece, ...] = ()
    end: End = End.DONE
    first_delay: float = 0      # before the status line
    delay: float = 0            # between pieces

    async def give(self, asked: Asked, reply: Reply) -> None:
        output = output_for(asked, reply, self)
        if self.first_delay:
            await reply.pause(self.first_delay)
        await output.start()
        for position, piece in enumerate(self.pieces):
            if position and self.delay:
                await reply.pause(self.delay)
            await output.piece(piece)
        await output.end(self.end)


class Held(Answer):
    """A completion that the test speaks piece by piece, before or after it is
    asked for. The status line leaves with the first word of the test."""

    def __init__(self, model: StandIn, style: Style) -> None:
        self.asked: Asked | None = None
        self._model = model
        self._style = style
        self._orders: deque[Callable[[Output], Awaitable[None]]] = deque()
        self._ordered = asyncio.Event()

    def start(self) -> None:
        """The status line and the first chunk, no text yet."""
        self._order(lambda output: asyncio.sleep(0))

    def send(self, *pieces: Piece) -> None:
        for piece in pieces:
            self._order(lambda output, piece=piece: output.piece(piece))

    def comment(self, text: str = "") -> None:
        self._order(lambda output: output.comment(text))

    def raw(self, data: bytes) -> None:
        """Bytes between the records, as one chunk of the body."""
        self._order(lambda output: output.reply.write(data))

    def finish(self, end: End = End.DONE) -> None:
        """What is ordered after it has no effect."""
        self._order(lambda output: output.end(end))

    def wait_asked(self, timeout: float = 10) -> Asked:
        """Blocks until this answer's request has come."""
        return self._model.wait_for(lambda: self.asked, timeout)

    def wait_gone(self, timeout: float = 10) -> float:
        """Blocks until the client has left; returns when it did, in time.monotonic()."""
        return self._model.wait_for(lambda: self.asked and self.asked.gone_at, timeout)

    async def give(self, asked: Asked, reply: Reply) -> None:
        self.asked = asked
        self._model.notify()
        output = output_for(asked, reply, self._style)
        gone = asyncio.ensure_future(reply.client_gone())
        try:
            order = await self._next(gone)
            await output.start()
            while True:
                await order(output)
                if reply.over:
                    return
                order = await self._next(gone)
        finally:
            gone.cancel()

    def _order(self, order: Callable[[Output], Awaitable[None]]) -> None:
        self._orders.append(order)
        self._model.in_loop(self._ordered.set)

    async def _next(self, gone: asyncio.Future) -> Callable[[Output], Awaitable[None]]:
        while not self._orders:
            self._ordered.clear()
            ordered = asyncio.ensure_future(self._ordered.wait())
            await asyncio.wait((ordered, gone), return_when=asyncio.FIRST_COMPLETED)
            ordered.cancel()
            if gone.done():
                raise ClientGone
        return self._orders.popleft()


@dataclass
class Http(Answer):
    """Any whole HTTP reply."""

    status: int
    headers: HeaderPairs = ()
    body: bytes = b""
    first_delay: float = 0

    async def give(self, asked: Asked, reply: Reply) -> None:
        if self.first_delay:
            await reply.pause(self.first_delay)
        await reply.send(self.status, self.headers, self.body)


def html(status: int) -> Http:
    """A page where JSON is expected."""
    return Http(status, {"Content-Type": "text/html"},
                b"<html><head><title>%d</title></head><body>nginx</body></html>" % status)


def failure(sample_id: str, headers: dict[str, str] | None = None) -> Http:
    """A recorded error response; further headers override its own."""
    sample = samples()[sample_id]
    own = {name.lower(): value for name, value in (headers or {}).items()}
    body = sample["body"]
    text = body if isinstance(body, str) else json.dumps(body)
    return Http(sample["status"], sample["headers"] | own, text.encode())


@dataclass
class Body(Answer):
    """Status 200 and these bytes as the chunked body, whatever they are."""

    data: bytes
    content_type: str = "text/event-stream; charset=utf-8"
    split: int = 0
    end: End = End.DONE     # DONE (a regular end of the body), CUT, RESET or STALL

    async def give(self, asked: Asked, reply: Reply) -> None:
        reply.split = self.split
        await reply.start(200, {"Content-Type": self.content_type})
        await reply.write(self.data)
        await _end(reply, self.end)


def recorded(name: str, **options) -> Body:
    """A stream of tests/data/streams, byte for byte."""
    return Body((DATA / "streams" / f"{name}.sse").read_bytes(), **options)


@dataclass
class Wire(Answer):
    """These bytes instead of an HTTP reply."""

    data: bytes
    end: End = End.CUT      # CUT, RESET or STALL

    async def give(self, asked: Asked, reply: Reply) -> None:
        await reply.raw(self.data)
        await _end(reply, self.end)


class Silence(Answer):
    """Accepts the request and never answers."""

    async def give(self, asked: Asked, reply: Reply) -> None:
        await reply.client_gone()


class EndlessHead(Answer):
    """Header lines until the client has had enough."""

    MAX = 64 * 1024 * 1024

    async def give(self, asked: Asked, reply: Reply) -> None:
        await reply.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        lines = b"".join(b"X-Filler-%d: %b\r\n" % (n, b"x" * 1000) for n in range(16))
        for _ in range(self.MAX // len(lines)):
            await reply.raw(lines)
            await asyncio.sleep(0)
        raise RuntimeError("the client takes header lines without end")


async def _end(reply: Reply, end: End) -> None:
    if end is End.DONE:
        await reply.end()
    elif end is End.CUT:
        reply.cut()
    elif end is End.RESET:
        reply.reset()
    elif end is End.STALL:
        await reply.client_gone()
    else:
        raise ValueError(f"{end} needs a completion")

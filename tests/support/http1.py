"""A strict reader of HTTP/1.1 requests that does no I/O: feed it bytes in
pieces of any size, take whole requests out."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024 * 1024

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rf"({_TOKEN}) (\S+) HTTP/1\.1")
_FIELD_LINE = re.compile(rf"({_TOKEN}):[ \t]*(.*?)[ \t]*")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


class BadRequest(Exception):
    """What the peer sent is not HTTP/1.1; its text says why."""


class Headers(dict):
    """Header fields by name in any case; values of a repeated name are joined by a comma."""

    def __init__(self, pairs=()):
        super().__init__()
        for name, value in pairs:
            self[name] = f"{self[name]}, {value}" if name in self else value

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name.lower(), value)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default=None):
        return super().get(name.lower(), default)


@dataclass(eq=False)
class Request:
    method: str
    target: str              # as sent: path and query
    headers: Headers
    body: bytes = b""
    number: int = 0          # counts the stand-in's requests, from 1
    connection: int = 0      # counts its connections, so that reuse can be seen
    received_at: float = field(default_factory=time.monotonic)
    gone_at: float | None = None   # when the client left before the reply's end

    @property
    def path(self) -> str:
        """The path as sent, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(self.query_list)

    @property
    def query_list(self) -> list[tuple[str, str]]:
        """Every parameter in order, also those that are given twice."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)


class RequestReader:
    """next() gives a whole request, or None until more is fed."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._request: Request | None = None    # its head is read, its body is not
        self._length: int | None = None         # of that body; None when chunked
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    @property
    def waits_for_continue(self) -> bool:
        """The client wants to hear 100 before it sends the body."""
        return (self._request is not None and not self._buffer
                and self._request.headers.get("expect", "").lower() == "100-continue")

    def next(self) -> Request | None:
        if self._request is None and not self._read_head():
            return None
        complete = self._read_chunks() if self._length is None else self._read_length()
        if not complete:
            return None
        request, self._request = self._request, None
        request.body, self._body = bytes(self._body), bytearray()
        return request

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            if len(self._buffer) >= MAX_HEAD:
                raise BadRequest("the head is too long")
            return False
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[:end + 4]
        start = _REQUEST_LINE.fullmatch(lines[0])
        if not start:
            raise BadRequest(f"request line: {lines[0]!r}")
        request = Request(start[1], start[2], _headers(lines[1:]))
        self._length = _body_length(request.headers)
        self._request = request
        return True

    def _read_length(self) -> bool:
        if len(self._buffer) < self._length:
            return False
        self._body = self._buffer[:self._length]
        del self._buffer[:self._length]
        return True

    def _read_chunks(self) -> bool:
        while True:
            line_end = self._buffer.find(b"\r\n")
            if line_end < 0:
                return False
            size_text = bytes(self._buffer[:line_end]).partition(b";")[0]
            if not _CHUNK_SIZE.fullmatch(size_text):
                raise BadRequest(f"chunk size: {size_text[:40]!r}")
            size = int(size_text, 16)
            after = line_end + 2 + size
            if len(self._buffer) < after + 2:
                return False
            if self._buffer[after:after + 2] != b"\r\n":
                raise BadRequest("a chunk is longer than its size, or there are trailers")
            self._body += self._buffer[line_end + 2:after]
            del self._buffer[:after + 2]
            if len(self._body) > MAX_BODY:
                raise BadRequest("the body is too long")
            if size == 0:
                return True


def _headers(lines: list[str]) -> Headers:
    pairs = []
    for line in lines:
        field_line = _FIELD_LINE.fullmatch(line)
        if not field_line or any(c < " " and c != "\t" or c == "\x7f" for c in line):
            raise BadRequest(f"header line: {line[:80]!r}")
        pairs.append((field_line[1], field_line[2]))
    names = [name.lower() for name, _ in pairs]
    for name in ("host", "content-length", "transfer-encoding", "content-type", "authorization"):
        if names.count(name) > 1:
            raise BadRequest(f"header {name} is given twice")
    if "host" not in names:
        raise BadRequest("no Host header")
    return Headers(pairs)


def _body_length(headers: Headers) -> int | None:
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        if coding.lower() != "chunked" or length is not None:
            raise BadRequest("transfer-encoding must be chunked alone")
        return None
    if length is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,12}", length) or int(length) > MAX_BODY:
        raise BadRequest(f"content-length: {length[:40]!r}")
    return int(length)

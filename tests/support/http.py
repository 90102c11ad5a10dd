"""What a client does and sees: requests of any form, replies whole or as they come."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import Any

from tests.support.sse import Event, EventReader

TIMEOUT = 20.0      # seconds of silence after which a test gives up

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Reply:
    """A whole one."""

    status: int
    headers: HTTPMessage
    body: bytes
    seconds: float      # from the first byte sent to the last one received

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json", self
        return json.loads(self.body)

    @property
    def bot_text(self) -> str:
        assert self.status == 200, self
        return self.json["bot_text"]

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """The problem object, after a look at whether this is the expected one."""
        assert self.headers["Content-Type"] == "application/problem+json", self
        return check_problem(json.loads(self.body), status, code,
                             self.status, self.headers["X-Request-Id"])

    def refused(self, field: str) -> None:
        """422 that names this field."""
        problem = self.problem(422, "invalid_field")
        assert problem["field"] == field and field in problem["detail"], problem


def check_problem(problem: dict[str, Any], status: int, code: str, sent_status: int,
                  request_id: str) -> dict[str, Any]:
    """RFC 9457, with our own members."""
    seen = (sent_status, problem["status"], problem["code"])
    assert seen == (status, status, code), problem
    assert problem["type"] == f"/docs#{code}" and problem["title"] and problem["detail"], problem
    assert problem["request_id"] == request_id and _REQUEST_ID.fullmatch(request_id), problem
    return problem


class Stream:
    """A reply that is read as it comes. The request is sent when it is made; whoever asks for
    the status waits for it."""

    def __init__(self, connection: socket.socket, method: str) -> None:
        self._socket = connection
        self._response = HTTPResponse(connection, method=method)
        self._reader = EventReader()
        self._taken = 0         # events that next() has given away
        self._began = False
        self._over = False

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def status(self) -> int:
        return self._head().status

    @property
    def headers(self) -> HTTPMessage:
        return self._head().headers

    @property
    def comments(self) -> list[str]:
        return [comment.text for comment in self._reader.comments]

    def _head(self) -> HTTPResponse:
        if not self._began:
            self._response.begin()
            self._began = True
        return self._response

    def _read(self) -> bool:
        """More bytes; False at the end."""
        if self._over:
            return False
        data = self.read()
        self._over = not data
        self._reader.feed(data)
        return not self._over

    def read(self) -> bytes:
        """The next bytes of the body as they come, instead of events; b"" at its end."""
        return self._head().read1(65536)

    def next(self) -> Event:
        """The next event. EOFError when the stream ends without one."""
        while len(self._reader.events) == self._taken:
            if not self._read():
                self._reader.close()
                raise EOFError("the stream has ended")
        self._taken += 1
        return self._reader.events[self._taken - 1]

    def next_text(self) -> str:
        event = self.next()
        assert event.event == "delta", event
        return event.json["text"]

    def wait_comment(self) -> str:
        """Waits for a comment line that was not seen yet."""
        known = len(self._reader.comments)
        while len(self._reader.comments) == known:
            if not self._read():
                raise EOFError("the stream has ended")
        return self._reader.comments[-1].text

    def all(self) -> list[Event]:
        """Reads on to the end. All events, from the first one on; a stream that ends in the
        middle of one is broken."""
        while self._read():
            pass
        events = self._reader.close()
        self._taken = len(events)
        self.close()
        return events

    @property
    def text(self) -> str:
        """Of all the deltas, read to the end."""
        return "".join(event.json["text"] for event in self.all() if event.event == "delta")

    @property
    def texts(self) -> list[str]:
        return [event.json["text"] for event in self.all() if event.event == "delta"]

    def done(self) -> dict[str, Any]:
        """The data of the done event, with which it ended well."""
        assert self.status == 200, self.whole()
        last = self.all()[-1]
        assert last.event == "done", last
        return last.json

    def error(self, status: int, code: str) -> dict[str, Any]:
        """The problem with which it ended, after the first byte of the reply was sent."""
        assert self.status == 200, self.whole()
        last = self.all()[-1]
        assert last.event == "error", last
        return check_problem(last.json, status, code, status, self.headers["X-Request-Id"])

    def whole(self) -> Reply:
        """The reply as one, when it turned out to be no event stream."""
        began = time.monotonic()
        response = self._head()
        reply = Reply(response.status, response.headers, response.read(),
                      time.monotonic() - began)
        self.close()
        return reply

    def close(self) -> None:
        """Leaves, also in the middle."""
        self._response.close()
        self._socket.close()

    def reset(self) -> None:
        """Leaves with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class Client:
    """Sends each request on a connection of its own."""

    def __init__(self, host: str, port: int, headers: dict[str, str] | None = None) -> None:
        self.host, self.port = host, port
        self.headers = headers or {}    # sent with each request

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def call(self, method: str, path: str, body: Any = None, *,
             headers: dict[str, str | None] | None = None, timeout: float = TIMEOUT) -> Reply:
        """body: bytes as they are, anything else as JSON. A header None is not sent."""
        began = time.monotonic()
        with self.open(method, path, body, headers=headers, timeout=timeout) as stream:
            reply = stream.whole()
        return Reply(reply.status, reply.headers, reply.body, time.monotonic() - began)

    def get(self, path: str, **options: Any) -> Reply:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.call("POST", path, body, **options)

    def open(self, method: str, path: str, body: Any = None, *,
             headers: dict[str, str | None] | None = None, timeout: float = TIMEOUT,
             receive_buffer: int | None = None) -> Stream:
        """receive_buffer: bytes that the kernel takes for a client that does not read."""
        connection = self._connect(timeout, receive_buffer)
        connection.sendall(self._request(method, path, body, headers or {}))
        return Stream(connection, method)

    def raw(self, data: bytes) -> Stream:
        """These bytes as the request."""
        connection = socket.create_connection((self.host, self.port), TIMEOUT)
        connection.sendall(data)
        return Stream(connection, "GET")

    def _connect(self, timeout: float, receive_buffer: int | None) -> socket.socket:
        connection = socket.socket()
        connection.settimeout(timeout)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.connect((self.host, self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _request(self, method: str, path: str, body: Any, headers: dict[str, str | None]) -> bytes:
        sent: dict[str, str | None] = {"Host": f"{self.host}:{self.port}", "Connection": "close"}
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        sent |= self.headers | headers
        lines = [f"{name}: {value}" for name, value in sent.items() if value is not None]
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""])
        return head.encode("latin-1") + data


class UnixClient(Client):
    """The same over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("confab", 80)
        self.path = path

    def _connect(self, timeout: float, receive_buffer: int | None) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(str(self.path))
        return connection

"""What comes in and what goes out: requests as they are checked, replies with their headers, errors
as problem objects (RFC 9457), and one line of the log for each."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from json import JSONDecoder
from json.encoder import encode_basestring as json_text
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MAX_BODY = 1 << 20
MAX_DEPTH = 64
MAX_SESSION = 256
MAX_USER_TEXT = 32 << 10
JSON, PROBLEM, EVENTS = b"application/json", b"application/problem+json", b"text/event-stream"

# By code: the status, the title, and whether the detail is for the client.
FAULTS = {
    "bad_request": (400, "The request is not valid", True),
    "bad_json": (400, "The body is not valid JSON", True),
    "route_not_found": (404, "There is no such route", True),
    "session_not_found": (404, "There is no such session", True),
    "task_not_found": (404, "There is no such task", True),
    "method_not_allowed": (405, "The route has no such method", True),
    "conversation_locked": (409, "Another turn of this session is being answered", True),
    "session_deleted": (409, "The session was deleted meanwhile", True),
    "body_too_large": (413, "The body is too large", True),
    "unsupported_media_type": (415, "The content type is not supported", True),
    "invalid_field": (422, "A field is missing or wrong", True),
    "idempotency_key_reused": (422, "The Idempotency-Key was used with another body", True),
    "cancelled": (499, "The request was cancelled", False),
    "internal_error": (500, "Something went wrong here", False),
    "upstream_failed": (502, "The model could not be asked or its answer was broken", False),
    "upstream_rejected": (502, "The model's server refused the request", False),
    "not_saved": (503, "The answer may not have been saved", False),
    "storage_unavailable": (503, "The conversation store is not available", False),
    "upstream_busy": (503, "The model is busy, try again later", False),
    "upstream_quota": (503, "The model's quota is used up", False),
    "upstream_timeout": (504, "The model did not answer in time", False),
}
_REPEAT_LATER = {"conversation_locked", "not_saved", "storage_unavailable", "upstream_busy"}


class Fault(Exception):
    """Why a request is not answered as it wishes."""

    def __init__(self, code: str, detail: str, *, field: str = "", retry_after: int = 0) -> None:
        super().__init__(detail)
        self.code, self.detail, self.field = code, detail, field
        self.status, self.title, self.shown = FAULTS[code]
        self.retry_after = max(retry_after, 1) if code in _REPEAT_LATER else retry_after

    def problem(self, request_id: bytes) -> bytes:
        members = [("title", self.title), ("status", self.status),
                   ("detail", self.detail if self.shown else self.title), ("code", self.code),
                   ("request_id", request_id.decode())]
        if self.field:
            members.append(("field", self.field))
        said = "".join(f',"{name}":{value if name == "status" else json_text(value)}'
                       for name, value in members)
        return f'{{"type":"/docs#{self.code}"{said}}}'.encode()


class Gone(Exception):
    """The client has left."""


def wrong(field: str, why: str) -> Fault:
    return Fault("invalid_field", f"{field}: {why}", field=field)


# JSON: as strict as the contract, and as fast as the standard library's scanner in C

def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a duplicate key")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number too large")
    return number


_decode = JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant,
                      parse_float=_finite).decode
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def _depth(body: bytes) -> int:
    deepest = depth = 0
    for byte in _STRING.sub(b"", body):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def parse_json(body: bytes) -> dict[str, Any]:
    try:
        if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
            raise ValueError("too deep")
        value = _decode(body.decode())
    except ValueError as why:       # of which a UnicodeDecodeError is one
        raise Fault("bad_json", str(why) if type(why) is ValueError else "syntax error") from None
    if type(value) is not dict:
        raise Fault("invalid_field", "the body is not a JSON object")
    return value


def text_of(value: Any, field: str, most: int) -> bytes:
    if type(value) is not str:
        raise wrong(field, "has to be a string" if value is not None else "is missing")
    try:
        text = value.encode()
    except UnicodeEncodeError:
        raise wrong(field, "holds U+0000 or a lone surrogate") from None
    if not text:
        raise wrong(field, "is empty")
    if len(text) > most:
        raise wrong(field, f"is longer than {most} bytes")
    if b"\0" in text:
        raise wrong(field, "holds U+0000 or a lone surrogate")
    return text


_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")


def session_of(value: Any) -> bytes:
    session = text_of(value, "session_id", MAX_SESSION)
    if _CONTROL.search(value):
        raise wrong("session_id", "must not have control characters")
    if value in (".", ".."):
        raise wrong("session_id", 'must not be "." or ".."')
    return session


# Requests and replies

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_JSON_TYPE = re.compile(
    rb'application/json[ \t]*(;[ \t]*+(?!charset=)|;[ \t]*charset="?utf-?8|$)', re.IGNORECASE)
_ANY_EVENTS = re.compile(rb"(?:^|[, \t])text/event-stream(?=[,; \t]|$)([^,]*)", re.IGNORECASE)
_NO_WEIGHT = re.compile(rb"q=0(\.0*)?([ \t;]|$)")
_PRINTABLE = re.compile(rb"[ -~]{1,255}")


class Asked(Request):
    """One request until it is answered."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self.began = time.perf_counter()
        self.send, self.route = send, getattr(scope.get("route"), "path", "none")
        self.of_header: dict[bytes, bytes] = dict(scope["headers"])
        sent = self.of_header.get(b"x-request-id", b"")
        self.id = sent if _REQUEST_ID.fullmatch(sent) else secrets.token_hex(8).encode()
        self.more_headers: list[tuple[bytes, bytes]] = []
        self.left = False
        self.sent_bytes = 0

    async def read(self) -> bytes:
        body, more = b"", True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            body += message["body"]
            more = message["more_body"]
            if len(body) > MAX_BODY:
                raise Fault("body_too_large", "the body may have at most 1 MiB")
        return body

    async def read_json(self) -> tuple[bytes, dict[str, Any]]:
        body = await self.read()
        if not _JSON_TYPE.match(self.of_header.get(b"content-type", b"")):
            raise Fault("unsupported_media_type", "send application/json in UTF-8")
        return body, parse_json(body)

    def idempotency_key(self) -> bytes | None:
        key = self.of_header.get(b"idempotency-key")
        if key is not None and not _PRINTABLE.fullmatch(key):
            raise wrong("Idempotency-Key", "must have 1 to 255 printable characters")
        return key

    def accepts_events(self) -> bool:
        accept = self.of_header.get(b"accept", b"*/*")
        return accept != b"*/*" and any(not _NO_WEIGHT.search(found[1])
                                        for found in _ANY_EVENTS.finditer(accept))

    async def gone(self) -> None:
        """Returns when the client has left. The request was read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.left = True

    def head(self, status: int, kind: bytes, *more: tuple[bytes, bytes]) -> dict[str, Any]:
        return {"type": "http.response.start", "status": status, "headers": [
            (b"content-type", kind), (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"), (b"x-request-id", self.id),
            *self.more_headers, *more]}

    async def reply(self, status: int, body: bytes, *, kind: bytes = JSON,
                    upstream: float = 0.0, fault: Fault | None = None) -> None:
        """upstream: seconds of the time so far that were the model's."""
        overhead = (time.perf_counter() - self.began - upstream) * 1000
        self.sent_bytes = len(body)
        self.log(status, fault)
        await self.send(self.head(status, kind, (b"x-confab-overhead-ms", b"%.1f" % overhead),
                                  (b"content-length", b"%d" % len(body))))
        await self.send({"type": "http.response.body", "body": body})

    async def fail(self, fault: Fault, upstream: float = 0.0) -> None:
        if fault.retry_after:
            self.more_headers.append((b"retry-after", b"%d" % fault.retry_after))
        await self.reply(fault.status, fault.problem(self.id), kind=PROBLEM, upstream=upstream,
                         fault=fault)

    def log(self, status: int, fault: Fault | None = None) -> None:
        left = " left=yes" if self.left else ""
        why = f' code={fault.code} detail="{fault.detail}"' if fault else ""
        level = ("info" if not fault or fault.status < 500 else
                 "error" if fault.code == "internal_error" else "warn")
        log_line(level, f"req={self.id.decode()} request method={self.method} route={self.route} "
                        f"status={status} ms={(time.perf_counter() - self.began) * 1000:.1f} "
                        f"bytes={self.sent_bytes}{left}{why}")


_second = [0, ""]       # the one that was put into words last


def log_line(level: str, words: str) -> None:
    now = time.time()
    if _second[0] != int(now):
        _second[:] = int(now), time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    os.write(2, f"time={_second[1]}.{int(now % 1 * 1000):03}Z level={level} prog=peer "
                f"pid={os.getpid()} {words}\n".encode("utf-8", "backslashreplace"))


Answers = Callable[["Asked"], Awaitable[None]]


async def answer(asked: Asked, answers: Answers) -> None:
    try:
        await answers(asked)
    except Fault as fault:
        await asked.fail(fault)
    except Gone:
        asked.left = True
        asked.log(499, Fault("cancelled", "the client has left"))
    except asyncio.CancelledError:
        raise
    except Exception as why:    # pylint: disable=broad-except
        sys.excepthook(type(why), why, why.__traceback__)
        await asked.fail(Fault("internal_error", repr(why)))


class Reply(Response):
    """FastAPI calls a route's function, and then what it returns with the request: so replies are
    sent from within, as one piece or as many."""

    def __init__(self, request: Request, answers: Answers) -> None:
        self.request, self.answers, self.background = request, answers, None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(Asked(scope, receive, send), self.answers)

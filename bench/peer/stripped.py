"""The peer with as little of its libraries as it can do with: httpcore's connections without httpx
and its pool, redis-py's without its client and its pool, and FastAPI's router without what it does
for a route. So hardly more is left of them than what reads the wire. Nobody would build so; it
shows how far Python comes with this work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpcore
import httpx
import redis.asyncio as redis
from app import build
from edge import Asked, answer
from fastapi.routing import APIRoute
from model import Model
from network import Network
from redis.exceptions import ConnectionError, ResponseError
from starlette.types import Receive, Scope, Send
from store import REDIS_TIMEOUT, Store


class BareStore(Store):
    def __init__(self, path: str, scripts: dict[str, str]) -> None:
        super().__init__(path, scripts)
        self._path = path
        self._idle: list[redis.UnixDomainSocketConnection] = []

    async def command(self, *words: bytes) -> Any:
        connection = (self._idle.pop() if self._idle else
                      redis.UnixDomainSocketConnection(path=self._path))
        packed = b"*%d\r\n" % len(words) + b"".join(
            [b"$%d\r\n%b\r\n" % (len(word), word) for word in words])
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):      # a limit of its own costs it a task
                await connection.send_packed_command(packed)
                reply = await connection.read_response()
        except ResponseError:
            self._idle.append(connection)
            raise
        except (ConnectionError, OSError) as why:
            await self.forget_connections()
            raise ConnectionError(repr(why)) from None
        self._idle.append(connection)
        return reply

    async def forget_connections(self) -> None:
        dropped, self._idle = self._idle, []
        for connection in dropped:
            await connection.disconnect()

    async def stop(self) -> None:
        await super().stop()
        await self.forget_connections()


class BareReply:
    """What Model asks of an httpx.Response."""

    def __init__(self, reply: httpcore.Response) -> None:
        self.status_code, self.headers = reply.status, httpx.Headers(reply.headers)
        self.aread, self._stream = reply.aread, reply.stream

    def aiter_raw(self) -> AsyncIterator[bytes]:
        return self._stream


class BareModel(Model):
    """The connection that was used last is used next; a pool of httpx looks through all that it has
    for each request."""

    timeouts = httpcore.TimeoutException
    breaks = (httpcore.NetworkError, httpcore.ProtocolError)

    def open(self) -> None:
        self._idle: list[httpcore.AsyncHTTPConnection] = []
        self._trusted = httpx.create_ssl_context()
        self._target = httpcore.URL(scheme=self.url.raw_scheme, host=self.url.raw_host,
                                    port=self.url.port, target=self.url.raw_path)
        self._head = [(b"Host", self.url.netloc)] + [
            (name.encode(), value.encode()) for name, value in self.headers.items()]
        self._extensions = {"timeout": self.timeout.as_dict()}

    async def close(self) -> None:
        for connection in self._idle:
            await connection.aclose()

    @contextlib.asynccontextmanager
    async def post(self, question: bytes) -> AsyncIterator[BareReply]:
        connection = await self._connection()
        try:
            reply = await connection.handle_async_request(httpcore.Request(
                "POST", self._target, content=question, extensions=self._extensions,
                headers=[*self._head, (b"Content-Length", b"%d" % len(question))]))
            try:
                yield BareReply(reply)
            finally:
                await reply.aclose()
        finally:
            if connection.is_idle():
                self._idle.append(connection)
            else:
                await connection.aclose()

    async def _connection(self) -> httpcore.AsyncHTTPConnection:
        while self._idle:
            kept = self._idle.pop()
            if not kept.has_expired():
                return kept
            await kept.aclose()
        return httpcore.AsyncHTTPConnection(self._target.origin, ssl_context=self._trusted,
                                            keepalive_expiry=60, network_backend=Network())


class BareRoute(APIRoute):
    """Calls its function with what was asked, and nothing in between."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.app = self.answer

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(Asked(scope, receive, send), self.endpoint)


app = build(BareStore, BareModel, BareRoute, lambda answers: answers)

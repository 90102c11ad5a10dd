"""The base of the stand-ins: an HTTP/1.1 server in a thread of its own, whose
handlers decide over every byte of a reply and over the end of its connection.

A stand-in is a subclass with one coroutine:

    class Teapot(StandIn):
        async def handle(self, request, reply):
            await reply.send(418, {"Content-Type": "text/plain"}, b"short and stout")

    with Teapot() as teapot:
        urlopen(teapot.url)

handle() runs in the stand-in's thread, tests in theirs: they meet in wait_for().
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import socket
import ssl
import struct
import threading
import time
import traceback
from typing import Any, Callable

from tests.support.http1 import BadRequest, Headers, Request, RequestReader
from tests.support.reply import ClientGone, HeaderPairs, Reply

__all__ = ["BadRequest", "ClientGone", "HeaderPairs", "Headers", "Reply", "Request", "StandIn",
           "main", "serve"]


class StandIn:
    """A server on 127.0.0.1. The port is chosen at the first start() and kept,
    so that a stand-in can be stopped and come back under the same url."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.tls = tls
        self.request_count = 0
        self.connection_count = 0
        self.open_connections = 0
        self.bad_requests: list[str] = []      # broken HTTP that was refused with 400
        self.failures: list[Exception] = []    # exceptions in handle(): faults of the stand-in
        self.changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._connections: set[_Connection] = set()

    async def handle(self, request: Request, reply: Reply) -> None:
        """To override: answer one request."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> StandIn:
        """Returns when connections are accepted."""
        _allow_many_files()
        listener = socket.create_server(("127.0.0.1", self.port), backlog=16384)
        self.port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listener, started), daemon=True,
                                        name=f"{type(self).__name__}:{self.port}")
        self._thread.start()
        started.wait()
        return self

    def stop(self) -> None:
        """Break all connections and stop listening. Nothing happens if it does not run."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._thread = None

    def __enter__(self) -> StandIn:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_for(self, predicate: Callable[[], Any], timeout: float = 10) -> Any:
        """Blocks the test until predicate() is true, and returns its value. It is
        asked again after each event; TimeoutError if it never is."""
        with self.changed:
            value = self.changed.wait_for(predicate, timeout)
        if not value:
            raise TimeoutError(f"{type(self).__name__}: still not so after {timeout} s")
        return value

    def drop_idle(self) -> None:
        """Close the connections that are kept for a next request, as servers do in time."""
        def drop() -> None:
            for connection in list(self._connections):
                if connection.idle:
                    connection.close()
        self.in_loop(drop)

    def notify(self) -> None:
        """For subclasses: something changed that a test may wait for."""
        with self.changed:
            self.changed.notify_all()

    def in_loop(self, function: Callable[..., Any], *args: Any) -> None:
        """Have the stand-in's thread call function(*args) soon; at once if it does not run."""
        if self._thread is None:
            function(*args)
        else:
            self._loop.call_soon_threadsafe(function, *args)

    def _run(self, listener: socket.socket, started: threading.Event) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(loop.create_server(
            lambda: _Connection(self), sock=listener, ssl=self.tls, backlog=16384))
        started.set()
        loop.run_forever()
        server.close()
        loop.run_until_complete(self._break_off())
        loop.close()
        self.notify()

    async def _break_off(self) -> None:
        for connection in list(self._connections):
            connection.reset()
        answers = asyncio.all_tasks() - {asyncio.current_task()}
        for answer in answers:
            answer.cancel()
        await asyncio.gather(*answers, return_exceptions=True)


class _Connection(asyncio.Protocol):
    """Requests of one connection, one after the other. A client that shuts down
    its sending side counts as gone: the programs under test never do that."""

    def __init__(self, standin: StandIn) -> None:
        self.gone = asyncio.Event()
        self._standin = standin
        self._reader = RequestReader()
        self._request: Request | None = None    # the one being answered
        self._closed_here = False               # so its end will not be the client's doing
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task | None = None  # held, or it might be collected

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        standin = self._standin
        self._transport = transport
        # asyncio does this only where the socket was made with its protocol's number.
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        standin.connection_count += 1
        self._number = standin.connection_count
        standin._connections.add(self)
        standin.open_connections += 1
        standin.notify()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._request is None:
            self._next_request()

    def eof_received(self) -> bool:
        self._client_left()
        return self._standin.tls is None and self._request is not None

    def connection_lost(self, exc: Exception | None) -> None:
        self._client_left()
        self._standin._connections.discard(self)
        self._standin.open_connections -= 1
        self._standin.notify()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What Reply calls

    async def send(self, data: bytes) -> None:
        if self.gone.is_set():
            raise ClientGone
        self._transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()

    def close(self) -> None:
        self._closed_here = True
        self._transport.close()

    def half_close(self) -> None:
        self._transport.write_eof()

    def reset(self) -> None:
        self._closed_here = True
        peer = self._transport.get_extra_info("socket")
        if peer is not None and peer.fileno() >= 0:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    # Our own

    @property
    def idle(self) -> bool:
        return self._request is None

    def _next_request(self) -> None:
        try:
            request = self._reader.next()
        except BadRequest as why:
            self._refuse(str(why))
            return
        if request is None:
            if self._reader.waits_for_continue:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        standin = self._standin
        standin.request_count += 1
        request.number = standin.request_count
        request.connection = self._number
        self._request = request
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._answer(request))
        loop.call_soon(standin.notify)      # after what handle() does before its first await

    async def _answer(self, request: Request) -> None:
        reply = Reply(self, request)
        try:
            await self._standin.handle(request, reply)
            if not reply.over and not self.gone.is_set():
                raise RuntimeError("handle() returned without an end of its reply")
        except ClientGone:
            pass
        except Exception as failure:
            traceback.print_exc()
            self._standin.failures.append(failure)
            if not reply.over:
                reply.reset()
        self._request = None
        self._standin.notify()
        if self.gone.is_set():
            self._transport.close()
        elif not self._transport.is_closing():
            self._next_request()

    def _client_left(self) -> None:
        if self.gone.is_set():
            return
        if self._request is not None and not self._closed_here:
            self._request.gone_at = time.monotonic()
        self.gone.set()
        self._writable.set()
        self._standin.notify()

    def _refuse(self, why: str) -> None:
        self._standin.bad_requests.append(why)
        body = f"{why}\n".encode()
        self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
                              b"Connection: close\r\nContent-Length: %d\r\n\r\n%b"
                              % (len(body), body))
        self._transport.close()
        self._standin.notify()


def main(make: Callable[[int], StandIn], description: str) -> None:
    """Run a stand-in by hand until SIGINT or SIGTERM: python3 -m tests.support.X --port N"""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0)
    serve(make(parser.parse_args().port))


def serve(standin: StandIn) -> None:
    """Run until SIGINT or SIGTERM; the url is printed once connections are accepted."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    with standin:
        print(standin.url, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

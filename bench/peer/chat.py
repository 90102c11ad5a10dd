"""A turn: take the session's lock and read its window, ask, save, reply; one way for a whole reply
and for a stream. Nobody is told that it is done before it is saved."""

from __future__ import annotations

import asyncio
import re
import secrets
import time

import ujson
from edge import EVENTS, MAX_USER_TEXT, Asked, Fault, Gone, json_text, session_of, text_of, wrong
from model import Answer, Model
from store import TENANT, TURN_TIMEOUT, Store, Turn, hash_of

KEEPALIVE = 15.0
# Most turns are over before it is worth while to look whether their client is still there. The
# model must hear within 100 ms that it is not.
UNWATCHED = 0.05


class Chat:
    def __init__(self, asked: Asked, store: Store, model: Model) -> None:
        self.asked, self.store, self.model = asked, store, model
        self.answer = Answer()
        self.stream = False
        self.streaming = False          # the head has left
        self.asking = False
        self.pieces = 0
        self.spoke = 0.0
        self.upstream = 0.0             # seconds that were the model's

    def read(self, body: bytes, said: dict, key: bytes | None) -> None:
        given = said.get("session_id")
        self.made = given is None
        if not self.made:
            self.session = session_of(given)
        elif key is None:
            self.session = secrets.token_hex(16).encode()
        else:
            self.session = hash_of(b"session", TENANT, key)[:32]
        self.asked.more_headers.append((b"x-session-id", self.session))
        self.text = text_of(said.get("user_text"), "user_text", MAX_USER_TEXT)
        wish = said.get("stream")
        if wish is not None and type(wish) is not bool:
            raise wrong("stream", "has to be true or false")
        self.stream = bool(wish) or self.asked.accepts_events()
        self.turn = Turn(self.store, self.session, key, body)
        self.user_text = said["user_text"]

    async def run(self) -> None:
        key = self.asked.idempotency_key()
        body, said = await self.asked.read_json()
        self.read(body, said, key)
        self.task, self.watcher, self.keeper = asyncio.current_task(), None, None
        loop = asyncio.get_running_loop()
        # Who sent a key may come back for the answer.
        look = loop.call_later(UNWATCHED, self.watch) if key is None else None
        if self.stream:
            self.spoke = time.monotonic()
            self.keeper = loop.create_task(self.keep_alive())
        try:
            await self.answer_it()
        except asyncio.CancelledError:
            if not self.asked.left:
                raise
            raise Gone from None
        except Fault as fault:
            await self.fail(fault)
        finally:
            for running in (look, self.watcher, self.keeper):
                if running:
                    running.cancel()

    async def answer_it(self) -> None:
        asked_at = time.time()
        before, prompt, stored = await self.turn.begin()
        if before is not None:
            await self.replay(before)
            return
        try:
            await self.ask(prompt, stored)
        except BaseException as why:
            if self.asked.left and self.stream and self.answer.text:
                await self.turn.save(self.user_text, self.answer.text, asked=asked_at,
                                     model=self.answer.model, interrupted=True)
            else:
                self.turn.release()
            raise why
        await self.turn.save(self.user_text, self.answer.text, asked=asked_at,
                             model=self.answer.model)
        await self.end()

    async def ask(self, prompt: bytes, stored: list[bytes]) -> None:
        if self.asked.left:
            raise Gone
        question, estimated = self.model.question(prompt, stored, self.text)
        began = time.perf_counter()
        self.asking = True
        try:
            async with asyncio.timeout(TURN_TIMEOUT):
                await self.model.ask(question, self.answer, self.say if self.stream else None)
        except TimeoutError:
            raise Fault("upstream_timeout", "the answer took too long") from None
        finally:
            self.asking = False
            self.upstream += time.perf_counter() - began
        self.model.learn(estimated, self.answer)
        if not self.answer.text and self.answer.finish_reason not in ("content_filter", "length"):
            raise Fault("upstream_failed", "the model's answer has no text")

    async def replay(self, entry: bytes) -> None:
        """The first answer once more."""
        messages = ujson.loads(b"[%b]" % entry[entry.index(b"\n") + 1:])
        self.answer = Answer(text=messages[1]["content"], finish_reason="stop")
        if self.stream and self.answer.text:
            await self.say(self.answer.text)
        await self.end()

    # What the client hears

    async def say(self, text: str) -> None:
        began = time.perf_counter()
        await self.event("delta", f'{{"text":{json_text(text)}}}')
        self.upstream -= time.perf_counter() - began

    async def event(self, name: str, data: str, *, last: bool = False) -> None:
        self.pieces += 1
        number = f"id: {self.turn.number}-{self.pieces}\n" if name != "error" else ""
        await self.piece(f"{number}event: {name}\ndata: {data}\n\n".encode(), last=last)

    async def piece(self, bytes_: bytes, *, last: bool = False) -> None:
        """uvicorn waits here for a slow reader, and so does the model."""
        self.spoke = time.monotonic()
        if not self.streaming:
            self.streaming = True
            await self.asked.send(self.asked.head(200, EVENTS, (b"x-accel-buffering", b"no")))
        self.asked.sent_bytes += len(bytes_)
        await self.asked.send({"type": "http.response.body", "body": bytes_, "more_body": not last})

    async def end(self) -> None:
        if self.stream:
            usage = ujson.dumps(self.answer.usage) if self.answer.usage else "null"
            overhead = (time.perf_counter() - self.asked.began - self.upstream) * 1000
            self.asked.log(200)
            await self.event("done", f'{{"finish_reason":{json_text(self.answer.finish_reason)},'
                                     f'"usage":{usage},"session_id":'
                                     f'{json_text(self.session.decode())},'
                                     f'"overhead_ms":{overhead:.1f}}}', last=True)
            return
        told = f'"session_id":{json_text(self.session.decode())},' if self.made else ""
        await self.asked.reply(200, f'{{{told}"bot_text":{json_text(self.answer.text)}}}'.encode(),
                               upstream=self.upstream)

    async def fail(self, fault: Fault) -> None:
        if not self.streaming:
            await self.asked.fail(fault, self.upstream)
            return
        self.asked.log(200, fault)
        await self.event("error", fault.problem(self.asked.id).decode(), last=True)

    async def keep_alive(self) -> None:
        """The status line leaves with the first event or comment."""
        while True:
            silent = time.monotonic() - self.spoke
            if silent >= KEEPALIVE:
                await self.piece(b":\n\n")
            else:
                await asyncio.sleep(KEEPALIVE - silent)

    # The client may leave

    def watch(self) -> None:
        self.watcher = asyncio.get_running_loop().create_task(self.until_gone())

    async def until_gone(self) -> None:
        await self.asked.gone()
        if self.asking or self.turn.waiting:
            self.task.cancel()

"""What is kept, in Redis: confab's own scripts (lib/chat/lua) on confab's own keys
(lib/chat/keys.h), so that either can go on with what the other has stored."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import Coroutine
from itertools import chain
from pathlib import Path
from typing import Any

import redis.asyncio as redis
from edge import Fault, json_text, log_line
from redis.exceptions import ConnectionError, NoScriptError, RedisError, ResponseError

TENANT = b"default"
BASE = b"c1:{%b}:" % TENANT
CONTEXT_TURNS, CONTEXT_BYTES = 20, 8000 * 8
LEASE, WAIT, TURN_TIMEOUT, MARGIN = 15.0, 60.0, 300.0, 300.0
SAVE_TIMEOUT, REDIS_TIMEOUT = 30.0, 0.8
LOCK_LIFE = 2 * (TURN_TIMEOUT + WAIT + LEASE + MARGIN)
LIFE = b"%d 0" % (30 * 86_400_000)
IDEMPOTENCY_LIFE = 86_400_000
PAUSES = (0.1, 0.2, 0.4, 0.8)       # between tries while Redis is away, then the last again
TITLE_BYTES = 64
AT_ONCE = 64
INTERRUPTED = ',"interrupted":true'

_QUEUE = (b"c1:tasks:stream", b"c1:tasks:tenants", b"c1:tasks:running", b"c1:tasks:due",
          b"c1:tasks:waiting", b"c1:tasks:fair", b"c1:tasks:control", b"c1:task:")


def load_scripts(folder: Path) -> dict[str, str]:
    """As lib/chat/lua/embed.sh puts them together."""
    def part(name: str) -> str:
        return re.sub(r"^--@include (\S+)\n", lambda found: part(found[1]),
                      (folder / name).read_text(), flags=re.MULTILINE)

    return {name: part(f"{name}.lua") for name in
            ("turn_begin", "turn_save", "turn_renew", "turn_release", "task_accept")}


def hash_of(*parts: bytes) -> bytes:
    """Each with its length before it, so that no other parts have the same."""
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)
                          ).hexdigest().encode()


def idempotency(route: bytes, key: bytes | None, session: bytes, body: bytes
                ) -> tuple[bytes, bytes]:
    """The key of the record, and what the request says; empty without an Idempotency-Key."""
    if key is None:
        return b"", b""
    return BASE + b"idem:" + hash_of(route, key), hash_of(session, hash_of(body))


def session_key(session: bytes) -> bytes:
    return BASE + b"s:%d:%b" % (len(session), session)


class Store:
    """A call that has been sent is not cancelled: its answer would be the next one's on that
    connection."""

    def __init__(self, path: str, scripts: dict[str, str]) -> None:
        self.redis = redis.Redis(unix_socket_path=path)
        self._scripts = scripts
        self._sha = {name: hashlib.sha1(text.encode()).hexdigest().encode()
                     for name, text in scripts.items()}
        self._background: set[asyncio.Task] = set()
        self.channel = b"c1:wake:" + secrets.token_hex(8).encode()
        self._wake = self.redis.pubsub()
        self.turns: dict[int, Turn] = {}
        self.last_ticket = 0
        self._wishes: list[tuple] = []      # for tasks: keys, words, and who waits for the answer
        self._accepting = False

    async def start(self) -> None:
        for text in self._scripts.values():
            await self.command(b"SCRIPT", b"LOAD", text.encode())
        kept = await self.command(b"CONFIG", b"GET", b"append*")
        kept = kept if isinstance(kept, list) else [*kept.values()]
        if not {b"yes", b"always"} <= set(kept):
            raise SystemExit("Redis would not keep what it acknowledges")
        self.in_background(self._listen())

    async def stop(self) -> None:
        for task in self._background:
            task.cancel()
        await self._wake.close()
        await self.redis.close()

    def in_background(self, work: Coroutine) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception():
            log_line("error", f"background failed={task.exception()!r}")

    async def command(self, *words: bytes) -> Any:
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):
                return await self.redis.execute_command(*words)
        except (ConnectionError, OSError) as why:       # the builtin TimeoutError is one
            await self.forget_connections()
            raise ConnectionError(repr(why)) from None

    async def forget_connections(self) -> None:
        """One was lost, so are the others, most likely."""
        await self.redis.connection_pool.disconnect(inuse_connections=False)

    async def run(self, name: str, keys: tuple[bytes, ...], *words: bytes) -> list:
        call = (b"%d" % len(keys), *keys, *words)
        try:
            return await self.command(b"EVALSHA", self._sha[name], *call)
        except NoScriptError:
            return await self.command(b"EVAL", self._scripts[name].encode(), *call)

    async def _listen(self) -> None:
        """Wakes those whose turn it is. What was published while the subscription was away is lost,
        and so may be the locks: all who wait look for themselves, all who hold one renew it."""
        while True:
            try:
                await self._wake.subscribe(self.channel.decode())
                async for message in self._wake.listen():
                    if message["type"] == "subscribe":
                        await self.forget_connections()
                        for turn in self.turns.values():
                            turn.look_after()
                    elif turn := self.turns.get(int(message["data"])):
                        turn.wake()
            except (ConnectionError, OSError):
                await asyncio.sleep(PAUSES[0])

    async def accept_task(self, session: bytes, key: bytes | None, body: bytes) -> bytes:
        idem, says = idempotency(b"write_to_doc", key, session, body)
        task = secrets.token_hex(11).encode()
        answer = asyncio.get_running_loop().create_future()
        self._wishes.append(((session_key(session), idem), (task, TENANT, session, says), answer))
        if not self._accepting:
            self._accepting = True
            self.in_background(self._accept())
        word, *found = await answer
        if word == b"failed":
            raise Fault("storage_unavailable", found[0])
        if word == b"unknown":
            raise Fault("session_not_found", "there is no such session")
        if word == b"reused":
            raise Fault("idempotency_key_reused", "the Idempotency-Key was used with another body")
        return found[0]

    async def _accept(self) -> None:
        """Those that came while others were being accepted go together, as running a script costs
        more than a task in it."""
        try:
            while self._wishes:
                taken, self._wishes = self._wishes[:AT_ONCE], self._wishes[AT_ONCE:]
                await self._accept_some(taken)
        finally:
            self._accepting = False

    async def _accept_some(self, wishes: list[tuple]) -> None:
        keys, words, waiting = zip(*wishes)
        try:
            answers = await self.run("task_accept", (*_QUEUE, *chain(*keys)), b"runners",
                                     b"%d" % IDEMPOTENCY_LIFE, *chain(*words))
        except RedisError as why:
            answers = [(b"failed", str(why))] * len(wishes)
        for future, answer in zip(waiting, answers):
            if not future.done():
                future.set_result(answer)

    async def task_status(self, task: bytes) -> bytes:
        try:
            flat = await self.command(b"HGETALL", b"c1:task:" + task)
        except RedisError as why:
            raise Fault("storage_unavailable", str(why)) from None
        record = dict(zip(flat[::2], flat[1::2]))
        if record.get(b"tn") != TENANT:
            raise Fault("task_not_found", "there is no such task")
        return record[b"st"]


class Turn:
    """One turn of a session, which has its lock from begin() until save() or release()."""

    def __init__(self, store: Store, session: bytes, key: bytes | None, body: bytes) -> None:
        self._store, self._session = store, session
        self._idem, self._says = idempotency(b"chat", key, session, body)
        hash_key = session_key(session)
        self._keys = hash_key, hash_key + b":msgs", hash_key + b":lock", hash_key + b":wait"
        store.last_ticket += 1
        self._ticket = store.last_ticket
        self._me = b"%b %d" % (store.channel, self._ticket)
        self.waiting = self._woken = False
        self._sleeper: asyncio.Future | None = None
        self._renewal: asyncio.TimerHandle | None = None
        self._fence = b""
        self.number = 0

    async def begin(self) -> tuple[bytes | None, bytes, list[bytes]]:
        """The answer that this request had before, or None; the prompt's name; the stored turns."""
        self._store.turns[self._ticket] = self
        deadline = time.monotonic() + WAIT
        try:
            while (answer := await self._look())[0] in (b"wait", b"busy"):
                await self._wait_for(answer, deadline)
        except BaseException as why:
            self.release()              # what was asked for may have been given
            if isinstance(why, RedisError):
                raise Fault("storage_unavailable", str(why)) from None
            raise
        if answer[0] == b"reused":
            self._over()
            raise Fault("idempotency_key_reused", "the Idempotency-Key was used with another body")
        if answer[0] == b"replay":
            self._over()
            self.number = int(answer[1])
            return answer[2], b"", []
        _, self._fence, self.number, _, prompt, _, *stored = answer
        self._hold()
        return None, prompt, stored

    async def _look(self) -> list:
        return await self._store.run(
            "turn_begin", (*self._keys, self._idem), self._me, b"%d" % (LEASE * 1000),
            b"%d" % (LOCK_LIFE * 1000), b"%d" % (LEASE * 1000), b"1", b"%d" % CONTEXT_TURNS,
            b"%d" % CONTEXT_BYTES, self._says)

    async def _wait_for(self, answer: list, deadline: float) -> None:
        """Until somebody wakes us, or it is time to look whether the owner has died."""
        left, patience = answer[1] / 1000, deadline - time.monotonic()
        if answer[0] == b"busy" or patience <= 0:
            raise Fault("conversation_locked", "another turn of this session is being answered",
                        retry_after=-int(-left))
        pause = min(left + 0.001 if 0 < left < LEASE / 2 else LEASE / 2, patience)
        if not self._woken:
            self._sleeper = asyncio.get_running_loop().create_future()
            self.waiting = True
            await asyncio.wait([self._sleeper], timeout=pause)
            self.waiting = False
            self._sleeper = None
        self._woken = False

    def wake(self) -> None:
        self._woken = True
        if self._sleeper and not self._sleeper.done():
            self._sleeper.set_result(None)

    def look_after(self) -> None:
        if self._renewal:
            self._renewal.cancel()
            self._store.in_background(self._renew())
        else:
            self.wake()

    def _hold(self) -> None:
        self._renewal = asyncio.get_running_loop().call_later(LEASE / 3, self.look_after)

    async def _renew(self) -> None:
        try:
            answer = await self._store.run(
                "turn_renew", (self._keys[2], self._idem), self._fence, b"%d" % (LEASE * 1000),
                b"%d" % (LOCK_LIFE * 1000), self._me)
        except RedisError:
            answer = [b"renewed"]       # or not: the next try will tell, or the save
        if self._renewal and answer[0] == b"renewed":
            self._hold()

    def _over(self) -> None:
        self._store.turns.pop(self._ticket, None)
        if self._renewal:
            self._renewal.cancel()
            self._renewal = None

    async def save(self, user: str, bot: str, *, asked: float, model: str, interrupted: bool = False
                   ) -> None:
        entry = (f'{{"id":{self._fence.decode()},"asked":{int(asked * 1000)},'
                 f'"answered":{int(time.time() * 1000)},"model":{json_text(model)}'
                 f'{INTERRUPTED if interrupted else ""}}}\n'
                 f'{{"role":"user","content":{json_text(user)}}},'
                 f'{{"role":"assistant","content":{json_text(bot)}}}').encode()
        title = title_of(user) if self.number == 1 else b""
        deadline, tries = time.monotonic() + SAVE_TIMEOUT, 0
        self._over()
        while True:
            try:
                answer = await self._store.run(
                    "turn_save", (*self._keys, BASE + b"idx:sessions", self._idem), self._fence,
                    b"%d" % self.number, entry, self._session, LIFE, self._says,
                    b"%d" % IDEMPOTENCY_LIFE, title)
                break
            except RedisError as why:
                pause = PAUSES[min(tries, len(PAUSES) - 1)]
                if not isinstance(why, ConnectionError) or time.monotonic() + pause > deadline:
                    self.release()
                    raise Fault("not_saved", str(why)) from None
                tries += 1
                await asyncio.sleep(pause)
        if answer[0] == b"gone":
            raise Fault("session_deleted", "the session was deleted meanwhile")
        if answer[0] != b"saved":
            raise Fault("not_saved", "a later turn has taken the lock")

    def release(self) -> None:
        """Gives up whatever it holds; goes on by itself."""
        self._over()
        self._store.in_background(self._release())

    async def _release(self) -> None:
        deadline = time.monotonic() + LEASE     # then it is free by itself
        while time.monotonic() < deadline:
            try:
                await self._store.run("turn_release", (*self._keys[2:], self._idem), self._me)
                return
            except ConnectionError:
                await asyncio.sleep(PAUSES[-1])
            except RedisError as why:
                log_line("warn", f"release failed={why}")
                return


_BLANKS = re.compile("[\0- \x7f-\xa0\u2000-\u200a\u2028\u2029\u202f\u3000\ufeff]+")
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_JOINED = re.compile("[\u0300-\u036f\u200d\u20d0-\u20ff\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")


def title_of(text: str) -> bytes:
    """A session is called by its first words."""
    if not text.isascii():
        text = _DIRECTIONS.sub("", text)
    words = _BLANKS.sub(" ", text[:4 * TITLE_BYTES]).strip()
    title = words.encode()
    if len(title) <= TITLE_BYTES:
        return title
    room = TITLE_BYTES - len("…".encode())
    cut = len(title[:room + 1].decode("utf-8", "ignore"))
    while cut > 0 and (len(words[:cut].encode()) > room or _JOINED.match(words[cut])
                       or words[cut - 1] == "\u200d"):
        cut -= 1
    whole = words[:cut + 1].rfind(" ")
    if whole > 0 and len(words[:whole].encode()) > room // 3:
        cut = whole
    return words[:cut].rstrip().encode() + "…".encode()

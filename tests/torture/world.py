"""A confab whose parts die all the time, and the ledger of what it has promised.

What must hold, whatever is killed: each task that was accepted ends as finished, or, if it was
given a permanent fault, as failed; each finished one has exactly one visible document, with the
words of its dialog, under its session's name, in the dialogs folder; a status is never wrong: not
finished before the document is in place, and never anything else after."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from dataclasses import dataclass, field

from tests.support.google_files import File
from tests.support.http import Client
from tests.support.programs import Runner
from tests.support.stack import Stack

RUNNERS = 3
LEASE = 1       # second
# Everything is short, so that much happens in little time.
SETTINGS = {
    "TASK_LEASE": f"{LEASE}s", "GOOGLE_TIMEOUT": "300ms", "GOOGLE_UPLOAD_TIMEOUT": "300ms",
    "TASK_RETRY_BASE": "20ms", "TASK_RETRY_MAX": "300ms", "REDIS_TIMEOUT": "300ms",
    "JOBRUNNER_CONCURRENCY": "8", "LOG_LEVEL": "info", "SESSION_LEASE": "3s",
}
SEARCH_LAG = 300.0
RUINED = "ruined"       # sessions of this name have the permanent fault


@dataclass
class Promise:
    """An accepted task."""
    task_id: str
    session: str
    status: str = "pending"
    wrong: list[str] = field(default_factory=list)


class World:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.stack = Stack(google="service_account", runner=False, **SETTINGS)
        self.runners = [Runner(self.stack.directory, f"jobrunner-{n}") for n in range(RUNNERS)]
        self.promises: dict[str, Promise] = {}
        self.kills = 0
        self.restarts = 0
        self.outages = 0
        self._seed = seed
        self._sent = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def __enter__(self) -> World:
        self.stack.__enter__()
        google = self.stack.google
        google.list_lag = SEARCH_LAG
        google.faults.storm(self._seed, rate=0.1)
        google.faults.add("files.update", "sample", "before", count=None, sample_id="drive-400-fields",
                          match=lambda call: call.upload and RUINED.encode() in call.request.body)
        for runner in self.runners:
            runner.start(self.stack.env)
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for runner in self.runners:
            runner.kill()
        self.stack.__exit__(*error)

    # Enqueueing

    def talk(self, sessions: int) -> list[str]:
        """As many dialogs, each with words of its own; one in twenty cannot be written."""
        names = [f"{RUINED if n % 20 == 19 else 'dialog'}-{n}" for n in range(sessions)]
        for name in names:
            reply = self.stack.chat(name).say(f"words of {name}.")
            assert reply.status == 200, reply
        return names

    def order(self) -> str:
        """A fresh Idempotency-Key."""
        with self._lock:
            self._sent += 1
            return f"order-{self._sent}"

    def try_to_send(self, session: str, order: str) -> bool:
        """One request. False: nobody can say whether the task was accepted."""
        client = Client(self.stack.nginx.host, self.stack.nginx.port)
        try:
            reply = client.post("/api/v1/write_to_doc", {"session_id": session},
                                headers={"Idempotency-Key": order})
        except OSError:
            return False
        if reply.status in (502, 503):
            return False
        assert reply.status == 202, reply
        with self._lock:
            self.promises.setdefault(reply.json["task_id"],
                                     Promise(reply.json["task_id"], session))
        return True

    def send(self, session: str, order: str | None = None) -> None:
        """One task, repeated under the same key until it is accepted."""
        order = order or self.order()
        while not self._stop.is_set() and not self.try_to_send(session, order):
            time.sleep(0.01)

    def keep_sending(self, sessions: list[str], open_at_most: int) -> threading.Thread:
        """Always some tasks under way, until stop_sending."""
        def go() -> None:
            dice = random.Random(self._seed + 1)
            while not self._quiet.is_set():
                if len(self.open()) < open_at_most:
                    self.send(dice.choice(sessions))
                else:
                    self._quiet.wait(0.02)
        self._quiet = threading.Event()
        thread = threading.Thread(target=go, name="sender")
        thread.start()
        return thread

    def stop_sending(self, thread: threading.Thread) -> None:
        self._quiet.set()
        thread.join()

    # Watching

    def open(self) -> list[Promise]:
        with self._lock:
            return [p for p in self.promises.values() if p.status not in ("finished", "failed")]

    def watch(self) -> threading.Thread:
        """Asks for every open task's status all the time."""
        def go() -> None:
            client = Client(self.stack.nginx.host, self.stack.nginx.port)
            while not self._stop.is_set():
                finished = [p for p in self.open() if self._look(client, p) == "finished"]
                # Looked at after the statuses: what is missing now was missing then.
                visible = self.documents() if finished else {}
                for promise in finished:
                    if promise.task_id not in visible:
                        promise.wrong.append("finished before its document is in place")
                    promise.status = "finished"
                self._stop.wait(0.01)
        thread = threading.Thread(target=go, name="watcher")
        thread.start()
        return thread

    def _look(self, client: Client, promise: Promise) -> str | None:
        """Its status as a client sees it, None when nobody could say."""
        try:
            reply = client.get(f"/api/v1/status/{promise.task_id}")
            if reply.status in (502, 503):
                return None
            if reply.status != 200:
                promise.wrong.append(f"its status answers {reply.status}")
                return None
            status = reply.json["status"]
            if status == "failed":
                if RUINED not in promise.session:
                    error = client.get(f"/api/v1/tasks/{promise.task_id}").json.get("error")
                    promise.wrong.append(f"failed without a permanent fault: {error}")
                promise.status = status
            return status
        except OSError:
            return None

    def documents(self) -> dict[str | None, list[File]]:
        """The visible ones, by task."""
        found: dict[str | None, list[File]] = {}
        for file in self.stack.google.visible():
            found.setdefault(file.app_properties.get("confabTask"), []).append(file)
        return found

    # Breaking

    def kill_runner(self) -> None:
        runner = self.random.choice(self.runners)
        runner.kill()
        self.kills += 1
        runner.start(self.stack.env)

    def kill_child(self) -> None:
        children = self.stack.pool.children()
        if children:
            with contextlib.suppress(ProcessLookupError):
                self.stack.pool.kill_child(self.random.choice(children))
                self.kills += 1

    def kill_redis(self) -> None:
        """What was not acknowledged may be half written: the end of its file is torn."""
        redis = self.stack.redis
        redis.kill()
        self.kills += 1
        for log in sorted(redis.directory.glob("appendonlydir/*.incr.aof"))[-1:]:
            with log.open("ab") as torn:
                torn.write(b"*3\r\n$3\r\nSET\r\n$7\r\nnothing\r\n$90\r\nhalf of")
        self.restarts += 1
        redis.start()

    def freeze_redis(self) -> None:
        self.outages += 1
        with self.stack.redis.frozen():
            time.sleep(self.random.uniform(0.2, 2 * LEASE))

    def freeze_runner(self) -> None:
        """Longer than its lease: when it wakes up, its tasks are another's."""
        runner = self.random.choice(self.runners)
        self.outages += 1
        runner.send(signal.SIGSTOP)

        def wake() -> None:
            time.sleep(1.5 * LEASE)
            with contextlib.suppress(ProcessLookupError):
                runner.send(signal.SIGCONT)
        threading.Thread(target=wake, daemon=True).start()

    # The end

    def settle(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while self.open() and time.monotonic() < end:
            time.sleep(0.05)

    def verdict(self) -> list[str]:
        """What does not hold, in words; empty when all is as promised."""
        client = Client(self.stack.nginx.host, self.stack.nginx.port)
        visible = self.documents()
        found = [f"a document of no accepted task: {task}"
                 for task in set(visible) - set(self.promises)]
        for promise in self.promises.values():
            found += [f"task {promise.task_id} of {promise.session}: {w}" for w in promise.wrong]
            status = client.get(f"/api/v1/status/{promise.task_id}").json["status"]
            wanted = "failed" if RUINED in promise.session else "finished"
            if status != wanted:
                record = client.get(f"/api/v1/tasks/{promise.task_id}").json
                found.append(f"task {promise.task_id} of {promise.session} is {status}, "
                             f"not {wanted}: {record}")
            documents = visible.get(promise.task_id, [])
            if len(documents) != (wanted == "finished"):
                found.append(f"task {promise.task_id} ({status}) has {len(documents)} documents")
            for file in documents:
                if file.name != promise.session or f"words of {promise.session}." not in file.text:
                    found.append(f"the document of task {promise.task_id} is not of its dialog")
        found += [f"visible while empty: {change}" for change in
                  self.stack.google.ever_visible_empty()[:3]]
        return found

"""A confab whose parts die all the time, and the ledger of what it has promised.

What must hold, whatever is killed: each task that was accepted ends as finished, or, if it was
given a permanent fault, as failed; each finished one has exactly one visible document, with the
words of its dialog, under its session's name, in the dialogs folder; a status is never wrong: not
finished before the document is in place, and never anything else after; and of what crashes leave
in the staging folder nothing stays there but the documents of tasks that failed."""

from __future__ import annotations

import contextlib
import json
import random
import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.google import Call
from tests.support.google_files import FOLDER, File, Files
from tests.support.http import Client
from tests.support.programs import Runner
from tests.support.stack import Stack
from tests.torture.history import History

RUNNERS = 3
RUINED = "ruined"       # sessions of this name have the permanent fault


@dataclass(frozen=True)
class Setting:
    """lease, lag, orphan_age: seconds. kills, tasks: a second. crashes_alone: after which a task
    is taken for the cause; a kill from outside looks the same, so it must be out of reach."""
    seed: int
    lease: float = 1.0
    kills: float = 6.0
    tasks: float = 15.0
    lag: float = 120.0
    orphan_age: float = 4.0
    crashes_alone: int = 1000

    @property
    def environment(self) -> dict[str, str]:
        """Everything is short, so that much happens in little time."""
        third = f"{self.lease * 300:.0f}ms"
        return {
            "TASK_LEASE": f"{self.lease * 1000:.0f}ms", "GOOGLE_TIMEOUT": third,
            "GOOGLE_UPLOAD_TIMEOUT": third, "REDIS_TIMEOUT": third, "TASK_RETRY_BASE": "20ms",
            "TASK_RETRY_MAX": third, "GOOGLE_ORPHAN_AGE": f"{self.orphan_age * 1000:.0f}ms",
            "TASK_CRASHES_ALONE": str(self.crashes_alone), "JOBRUNNER_CONCURRENCY": "8",
            "LOG_LEVEL": "warn", "SESSION_LEASE": "3s",
        }


class _FirstFolder:
    """Is this an attempt to make a folder under the first id that was tried? Not when another fault
    has let that one through: what exists is no refused id."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._id: str | None = None

    def __call__(self, call: Call) -> bool:
        if FOLDER.encode() not in call.request.body:
            return False
        wanted = json.loads(call.request.body)["id"]
        self._id = self._id or wanted
        return wanted == self._id and wanted not in self._files.used


@dataclass
class Promise:
    """An accepted task."""
    task_id: str
    session: str
    at: float                       # monotonic, as the next
    ended: float = 0.0
    status: str = "pending"
    wrong: list[str] = field(default_factory=list)

    @property
    def ruined(self) -> bool:
        return self.session.startswith(RUINED)

    @property
    def open(self) -> bool:
        return self.status not in ("finished", "failed", "lost")


class Deaths:
    """By point those at failure points, as each process writes its own down; and those by hand."""

    def __init__(self, world: World) -> None:
        self.file = world.stack.directory / "died"
        self.by_hand: Counter[str] = Counter()
        self.of_children = 0        # by our hand
        self._read = 0
        self._at_points: Counter[str] = Counter()

    @property
    def at_points(self) -> Counter[str]:
        if self.file.exists():
            with self.file.open("rb") as log:
                log.seek(self._read)
                new = log.read()
            whole = new[:new.rfind(b"\n") + 1]
            self._read += len(whole)
            self._at_points.update(whole.decode().split("\n")[:-1])
        return self._at_points

    @property
    def count(self) -> int:
        return self.by_hand.total() + self.at_points.total()


class World:
    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.random = random.Random(setting.seed)
        self.stack = Stack(google="service_account", runner=False, **setting.environment)
        self.stack.configure(CONFAB_FAILPOINTS_DIED=self.stack.directory / "died")
        self.runners = [Runner(self.stack.directory, f"jobrunner-{n}") for n in range(RUNNERS)]
        self.history = History(self.stack.google)
        self.deaths = Deaths(self)
        self.promises: dict[str, Promise] = {}
        self.broken: list[str] = []         # beside those of the promises
        # See cut.py: what was accepted in these times may be lost, and these have two documents.
        self.gaps: list[tuple[float, float]] = []
        self.known_doubles: set[str] = set()
        self._open: dict[str, Promise] = {}
        self._sent = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def __enter__(self) -> World:
        self.stack.__enter__()
        google = self.stack.google
        google.list_lag = self.setting.lag
        google.faults.storm(self.setting.seed, rate=0.1)
        self._ruin = google.faults.add(
            "files.update", "sample", "before", count=None, sample_id="drive-400-fields",
            match=lambda call: call.upload and RUINED.encode() in call.request.body)
        google.faults.add("files.create", "sample", "before", count=None,
                          sample_id="drive-400-generated-id", match=_FirstFolder(google.files))
        # Made once, as with it the file of the credentials is written.
        self._env = self.stack.env
        for runner in self.runners:
            self.start_runner(runner)
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for runner in self.runners:
            runner.kill()
        # Of the children that died, these are known; one more is a crash.
        at_points = self.deaths.at_points
        self.stack.pool.expected_deaths = self.deaths.of_children + sum(
            at_points[point] for point in at_points if point.endswith("task_accept"))
        self.stack.__exit__(*error)

    def start_runner(self, runner: Runner, **more: object) -> None:
        runner.start(self._env | {name: str(value) for name, value in more.items()})

    def replace_runner(self, runner: Runner, **more: object) -> None:
        runner.kill()
        self.start_runner(runner, **more)

    def replace_pool(self, **more: object) -> None:
        pool = self.stack.pool
        pool.kill()
        pool.start(self._env | {name: str(value) for name, value in more.items()})
        self.stack.wait_ready()

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
        if reply.status != 202:
            self.broken.append(f"a task for {session} was answered {reply.status}: {reply.body}")
            return True
        with self._lock:
            task_id = reply.json["task_id"]
            if task_id not in self.promises:
                promise = Promise(task_id, session, time.monotonic())
                self.promises[task_id] = self._open[task_id] = promise
        return True

    def send(self, session: str, order: str | None = None) -> None:
        """One task, repeated under the same key until it is accepted."""
        order = order or self.order()
        while not self._stop.is_set() and not self.try_to_send(session, order):
            time.sleep(0.01)

    @contextlib.contextmanager
    def sending(self, sessions: list[str], open_at_most: int) -> Iterator[None]:
        """Tasks come in all the time, at the pace of the setting."""
        enough = threading.Event()

        def go() -> None:
            dice, due = random.Random(self.setting.seed + 1), time.monotonic()
            while not enough.is_set():
                if len(self._open) < open_at_most:
                    self.send(dice.choice(sessions))
                due = max(due + 1 / self.setting.tasks, time.monotonic() - 1)
                enough.wait(due - time.monotonic())
        thread = threading.Thread(target=go, name="sender")
        thread.start()
        try:
            yield
        except BaseException:
            self._stop.set()    # nobody may be there to accept a task
            raise
        finally:
            enough.set()
            thread.join()

    # Watching

    def open(self) -> list[Promise]:
        with self._lock:
            return list(self._open.values())

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Somebody asks for every open task's status all the time, and now and then for one that
        has ended."""
        enough = threading.Event()

        def go() -> None:
            client = Client(self.stack.nginx.host, self.stack.nginx.port)
            dice = random.Random(self.setting.seed + 2)
            while not enough.is_set():
                self._look_at(client, self.open())
                with self._lock:
                    ended = dice.choice(list(self.promises.values())) if self.promises else None
                if ended and not ended.open:
                    self._look_again(client, ended)
                enough.wait(0.05)
        thread = threading.Thread(target=go, name="watcher")
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join()

    def _look_at(self, client: Client, promises: list[Promise]) -> None:
        cuts = len(self.gaps)
        seen = [(promise, self.status(client, promise)) for promise in promises]
        # Looked at after the statuses: what is missing now was missing then.
        self.history.look()
        for promise, status in seen:
            if cuts < len(self.gaps):
                return      # some of them were told by a Redis that has forgotten it since
            if status == "finished" and not self.history.is_visible(promise.task_id):
                promise.wrong.append("finished before its document is in place")
            if status == "failed" and not promise.ruined:
                error = client.get(f"/api/v1/tasks/{promise.task_id}").json.get("error")
                promise.wrong.append(f"failed without a permanent fault: {error}")
            if status in ("finished", "failed", "lost"):
                self._ends(promise, status, cuts)

    def _ends(self, promise: Promise, status: str, cuts: int) -> None:
        with self._lock:
            if cuts == len(self.gaps):
                promise.status, promise.ended = status, time.monotonic()
                self._open.pop(promise.task_id, None)

    def _look_again(self, client: Client, promise: Promise) -> None:
        before, now = promise.status, self.status(client, promise)
        if now and now != before and before == promise.status:
            promise.wrong.append(f"it was {before} and is {now}")

    def status(self, client: Client, promise: Promise) -> str | None:
        """As a client sees it, None when nobody could say."""
        try:
            reply = client.get(f"/api/v1/status/{promise.task_id}")
        except OSError:
            return None
        if reply.status in (502, 503):
            return None
        if reply.status == 404 and any(began < promise.at < end for began, end in self.gaps):
            return "lost"
        if reply.status != 200:
            promise.wrong.append(f"its status answers {reply.status}")
            return None
        return reply.json["status"]

    def forgets(self, since: float) -> None:
        """Redis does, what came and ended after this time: that may be as it was before."""
        with self._lock:
            self.gaps.append((since, time.monotonic()))
            for promise in self.promises.values():
                if max(promise.at, promise.ended) > since and promise.status != "lost":
                    promise.status = "pending"
                    self._open[promise.task_id] = promise

    def stands(self) -> str:
        """Where all stands, in a line."""
        statuses = Counter(promise.status for promise in list(self.promises.values()))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return (f"{self.deaths.count} kills, {len(self.promises)} tasks: "
                f"{statuses['finished']} finished, {statuses['failed']} failed, "
                f"{len(self._open)} open; {len(self.history.staged)} documents in staging, "
                f"{self.history.trashed} trashed; {memory} MB")

    # The end

    def settle(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while self.open() and time.monotonic() < end:
            time.sleep(0.05)

    def orphans(self) -> list[str]:
        """Tasks with a document in the staging folder that nothing accounts for: only a task that
        failed, or was cut off, keeps the one that it has begun."""
        left = Counter(self.history.staged.values())
        for task in list(left):
            promise = self.promises.get(task)
            if promise and promise.status == "failed":
                left[task] -= 1
        return sorted(left.elements())

    def sweep(self, timeout: float) -> None:
        """Google's search comes up with the present, and the sweeper with its work."""
        google = self.stack.google
        google.list_lag = 0.0
        google.faults.rules[:] = [self._ruin]
        end = time.monotonic() + timeout
        self.history.look()
        while self.orphans() and time.monotonic() < end:
            time.sleep(0.2)
            self.history.look()

    def verdict(self) -> list[str]:
        """What does not hold, in words; empty when all is as promised."""
        client = Client(self.stack.nginx.host, self.stack.nginx.port)
        self.history.look()
        visible = self._documents()
        found = self.broken + self.history.broken
        found += [f"task {task} had two documents in sight"
                  for task in self.history.doubles - self.known_doubles]
        found += [f"a document of no accepted task: {task}"
                  for task in set(visible) - set(self.promises)]
        found += [f"a document of task {task} was left in staging" for task in self.orphans()]
        for promise in self.promises.values():
            found += [f"task {promise.task_id} of {promise.session}: {w}" for w in promise.wrong]
            found += self._faults_of(promise, self.status(client, promise),
                                     visible.get(promise.task_id, []))
        return found

    def _faults_of(self, promise: Promise, status: str | None, documents: list[File]) -> list[str]:
        name = f"task {promise.task_id} of {promise.session}"
        wanted = "failed" if promise.ruined else "finished"
        if status == promise.status == "lost":
            return []
        found = [] if status == wanted else [f"{name} is {status}, not {wanted}"]
        if len(documents) != (wanted == "finished") and promise.task_id not in self.known_doubles:
            found.append(f"{name} ({status}) has {len(documents)} documents")
        for file in documents:
            if file.name != promise.session or f"words of {promise.session}." not in file.text:
                found.append(f"the document of {name} is not of its dialog")
        return found

    def _documents(self) -> dict[str, list[File]]:
        """The visible ones, by task."""
        found: dict[str, list[File]] = {}
        for file in self.stack.google.visible():
            found.setdefault(file.app_properties.get("confabTask", ""), []).append(file)
        return found

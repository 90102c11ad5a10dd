"""A whole confab in a directory of its own: nginx, the pool, a jobrunner, Redis, and stand-ins
for the model and for Google.

    with Stack(SESSION_BUSY="reject") as stack:
        stack.model.will_say("Hel", "lo")
        assert stack.chat().say("hi").bot_text == "Hello"

Settings are environment variables, as in production.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.support import keys
from tests.support.dialog import Dialog, Task
from tests.support.google import Google
from tests.support.http import Client, UnixClient
from tests.support.model import Model
from tests.support.proc import Process, until
from tests.support.programs import TOP, Nginx, Pool, Runner
from tests.support.redis import Redis

# What is freed stays in quarantine, by default 256 MB of it: too much where memory is measured.
_SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=0:exitcode=99"
                    ":quarantine_size_mb=16",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


class Stack:
    """children: FastCGI processes. runner, redis: whether they are started. google: documents
    go to the stand-in instead of to a folder; "service_account" or "authorized_user". flavor: of
    the model's server. backlog: of the pool's socket."""

    living: list[Stack] = []

    def __init__(self, *, children: int = 2, runner: bool = True, redis: bool = True,
                 google: str | None = None, durable: bool = True, flavor: str = "openai",
                 backlog: int = 4096,
                 **settings: str | int) -> None:
        # Short, as names of unix sockets are: 108 bytes at most.
        self.directory = Path(tempfile.mkdtemp(prefix="confab-"))
        self.documents = self.directory / "documents"
        self.redis = Redis(self.directory, durable=durable)
        self.pool = Pool(self.directory, backlog)
        self.runner = Runner(self.directory)
        self.nginx = Nginx(self.directory)
        self.model = Model(flavor=flavor)
        self.google = Google() if google else None
        self.client = Client(self.nginx.host, self.nginx.port)
        self.operators = UnixClient(self.nginx.operators)
        self.keep = False       # the directory, because something failed
        self._credentials = google
        self._wanted = [what for what, wanted in (("redis", redis), ("runner", runner)) if wanted]
        self._children = children
        self._settings = settings
        self._more_runners: list[Runner] = []
        self._children_before: list[int] = []

    # Starting and stopping

    def start(self, *, wait: bool = True) -> Stack:
        Stack.living.append(self)
        self.model.start()
        if self.google:
            self.google.start()
        (self.directory / "confab.ini").touch()
        (self.directory / "run").mkdir()
        if "redis" in self._wanted:
            self.redis.start()
        self.nginx.configure(self.env, self.pool.socket)
        self.pool.start(self.env)
        self.nginx.start(self.env)
        if "runner" in self._wanted:
            self.runner.start(self.env)
        if wait:
            self.wait_ready()
        return self

    def stop(self) -> None:
        """In the order of a shutdown. What went wrong in any process comes as an error here."""
        faults: list[str] = []
        for stop in (self.nginx.stop, self.pool.stop, self.stop_runners, self.redis.stop):
            try:
                stop()
            except TimeoutError as why:
                faults.append(str(why))
        self.nginx.free()
        for standin in (self.model, self.google):
            if standin:
                standin.stop()
        Stack.living.remove(self)
        faults += self.faults()
        if not self.keep and not faults:
            shutil.rmtree(self.directory)
        assert not faults, f"see {self.directory}: {faults}"

    def __enter__(self) -> Stack:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def env(self) -> dict[str, str]:
        """What the programs are started with: nothing of the environment of the tests."""
        env = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
            "CONFAB_CONFIG": str(self.directory / "confab.ini"),
            "CONFAB_RUNTIME_DIR": str(self.directory / "run"),
            "CONFAB_PROMPTS_DIR": str(TOP / "prompts"),
            "DOC_FOLDER": str(self.documents),
            "REDIS_URL": self.redis.url,
            "OPENAI_BASE_URL": f"{self.model.url}/v1",
            "OPENAI_API_KEY": "sk-test",
            "FCGI_CHILDREN": str(self._children),
            "LOG_LEVEL": "debug",
            # A task that failed is tried again soon.
            "TASK_RETRY_BASE": "50ms", "TASK_RETRY_MAX": "500ms",
            # Nothing that hangs may hold up the end of a test for long.
            "DRAIN_TIMEOUT": "10s", "TASK_STOP_TIMEOUT": "5s",
        } | _SANITIZERS | self._google_env()
        return env | {name: str(value) for name, value in self._settings.items()}

    def _google_env(self) -> dict[str, str]:
        if not self.google:
            return {}
        make = {"service_account": keys.service_account_file,
                "authorized_user": keys.authorized_user_file}[self._credentials]
        return {"GOOGLE_APPLICATION_CREDENTIALS": str(make(self.directory, self.google.url)),
                "GOOGLE_DRIVE_FOLDER_ID": self.google.folder,
                "GOOGLE_API_ROOT": self.google.url}

    def configure(self, **settings: str | int | None) -> None:
        """For what is started from now on. None: not given."""
        for name, value in settings.items():
            if value is None:
                self._settings.pop(name, None)
            else:
                self._settings[name] = value

    def restart_pool(self, **settings: str | int | None) -> None:
        self.configure(**settings)
        self.pool.stop()
        self.pool.start(self.env)
        self.wait_ready()

    def add_runner(self) -> Runner:
        """One more jobrunner beside the others."""
        runner = Runner(self.directory, f"jobrunner-{len(self._more_runners) + 2}")
        self._more_runners.append(runner)
        return runner.start(self.env)

    @property
    def runners(self) -> list[Runner]:
        return [self.runner, *self._more_runners]

    def stop_runners(self) -> None:
        for runner in self.runners:
            runner.stop()

    # Waiting

    def ready(self) -> dict[str, Any]:
        """What /ready says, {} when nobody answers."""
        try:
            reply = self.client.get("/api/v1/ready")
        except OSError:
            return {}
        return reply.json if reply.headers["Content-Type"] == "application/json" else {}

    def status(self) -> dict[str, Any]:
        """What /status says."""
        return self.operators.get("/status?json").json

    def wait_ready(self, status: str = "ready", timeout: float = 20) -> dict[str, Any]:
        def is_so() -> dict[str, Any] | None:
            for process in (self.pool, self.nginx):
                assert process.alive, f"{process.name} has ended: {process.logged()[-2000:]}"
            said = self.ready()
            return said if said.get("status") == status else None
        return until(is_so, f"/ready says {status}", timeout)

    def wait_connected(self, timeout: float = 20) -> None:
        """Waits until all children have found Redis (again); /ready speaks for one only."""
        def all_are() -> bool:
            clients = self.redis.command("CLIENT", "LIST").decode()
            return all(clients.count(f" name={name} ") == len(self.pool.children())
                       for name in ("confab-fcgi", "confab-fcgi-wake"))
        until(all_are, "all children are connected to Redis", timeout)
        self.wait_ready(timeout=timeout)

    # What tests do

    def chat(self, session: str | None = None) -> Dialog:
        """A dialog under this session id, or a new one."""
        return Dialog(self.client, session or f"test-{secrets.token_hex(8)}")

    def task(self, task_id: str) -> Task:
        return Task(self.client, task_id)

    # What no test wants to see

    @property
    def processes(self) -> list[Process]:
        return [self.redis, self.pool, self.nginx, *self.runners]

    def faults(self) -> list[str]:
        found = [crash for process in self.processes for crash in process.crashes()]
        for standin in (self.model, self.google):
            if standin:
                name = type(standin).__name__
                found += [f"{name} got bad HTTP: {why}" for why in standin.bad_requests]
                found += [f"{name}: {failure!r}" for failure in standin.failures]
        return found

    def fresh(self) -> None:
        """Before a test that shares this stack with others."""
        self.model.forget()
        if self.google:
            self.google.faults.clear()
        self._children_before = sorted(self.pool.children())

    def check(self) -> None:
        """After it: the model saw no request that it had to refuse, said all that it was to
        say, and each process is the one that it was before."""
        faults = self.faults()
        faults += [f"the model refused: {why}" for _, why in self.model.refused]
        if self.model.unsaid:
            faults.append(f"{self.model.unsaid} answers were never asked for")
        if sorted(self.pool.children()) != self._children_before:
            faults.append("a child of the pool is not the same any more")
        assert not faults, faults

    def logs(self, size: int = 4000) -> dict[str, str]:
        """The end of each log."""
        return {process.name: process.logged()[-size:] for process in self.processes}

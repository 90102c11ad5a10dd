"""Tasks: accepted over HTTP, written by runners, kept in Redis; and the same work in RQ."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from bench.figures import Scale, cpu_of, measured, spread
from bench.rig import PORT, TOOLS, Rig, listens, private_address
from tests.support import keys, proc
from tests.support.proc import Process, until
from tests.support.programs import TOP, Runner

ENQUEUE = {"path": "/api/v1/write_to_doc", "expect": 202, "body": '{"session_id":"%s"}'}
CLIENTS = 64
CONCURRENCIES = (16, 64, 200)
PER_SESSION = 10
ID_SIZE = 64                    # of a session's name, where memory is measured


class Google(Process):
    """The instant stand-in; with a delay, one that takes as long as Google does."""

    def __init__(self, directory: Path) -> None:
        super().__init__("google", directory / "google.log")
        self.host, self.port = private_address(), PORT
        self.url = f"http://{self.host}:{self.port}"
        self.env = {"GOOGLE_APPLICATION_CREDENTIALS":
                    str(keys.authorized_user_file(directory, self.url)),
                    "GOOGLE_DRIVE_FOLDER_ID": "dialogs", "GOOGLE_STAGING_FOLDER_ID": "staging",
                    "GOOGLE_API_ROOT": self.url}

    def start(self, delay_ms: int = 0) -> Google:
        self.run(TOOLS / "google", self.host, str(self.port), str(delay_ms), env={})
        until(lambda: listens(self.host, self.port), "the stand-in for Google listens")
        return self

    def counts(self) -> dict[str, int]:
        return get(f"{self.url}/counts")


@contextlib.contextmanager
def google(rig: Rig, delay_ms: int = 0):
    process = Google(rig.directory).start(delay_ms)
    try:
        yield process
    finally:
        process.stop()


@contextlib.contextmanager
def runners(rig: Rig, count: int = 1, **settings: str | int):
    all_of_them = [Runner(rig.directory, f"runner-{i}") for i in range(count)]
    try:
        for runner in all_of_them:
            runner.start(rig.env(TASK_STOP_TIMEOUT="2s", LOG_LEVEL="warn", **settings))
        yield all_of_them
    finally:
        for runner in all_of_them:
            runner.stop()


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.load(reply)


def open_tasks(rig: Rig) -> int:
    return get(f"http://{rig.confab.host}:{rig.confab.port}/api/v1/ready")["checks"]["tasks"]["open"]


def used_memory(rig: Rig) -> int:
    info = rig.redis.command("INFO", "memory").decode()
    return int(info.split("used_memory:")[1].split()[0])


_SESSIONS = """
local made = 0
for i = 0, ARGV[4] - 1 do
    local to = string.gsub(KEYS[2], ARGV[1], string.format('%s-%06d-%04d', ARGV[2], ARGV[3], i), 1)
    made = made + redis.call('COPY', KEYS[1], to)
    redis.call('COPY', KEYS[1] .. ':msgs', to .. ':msgs')
end
return made
"""


def sessions(rig: Rig, name: str, each: int, clients: int = CLIENTS) -> None:
    """Stored ones, each with one turn, for the load client's so many connections."""
    rig.load(rig.confab, connections=1, session="task-seed")
    seed, size = "task-seed-000000-0000", len(name) + 12
    for connection in range(clients):
        rig.redis.command("EVAL", _SESSIONS, 2, f"c1:{{default}}:s:{len(seed)}:{seed}",
                          f"c1:{{default}}:s:{size}:@ID@", "@ID@", name, connection, each)


def fill(rig: Rig, name: str, seconds: float, turns: int = PER_SESSION, **more: Any) -> int:
    """Enqueues for so long. Returns how many were accepted."""
    r = rig.load(rig.confab, connections=CLIENTS, seconds=seconds, session=name, turns=turns,
                 **ENQUEUE, **more)
    assert not r["failed"], r["failures"]
    return r["ok"]


# Accepted

def enqueue(rig: Rig, scale: Scale) -> dict[str, Any]:
    """No runner is at work. Rounds of each in turn."""
    runs: dict[str, list[dict[str, Any]]] = {"confab": [], "peer": [], "peer_bare": []}
    for number in range(scale.rounds):
        for name, results in runs.items():
            sessions(rig, f"enqueue{number}-{name}", 300)
            results.append(measured(rig, getattr(rig, name), connections=CLIENTS,
                                    seconds=scale.seconds, warmup=scale.seconds / 5,
                                    session=f"enqueue{number}-{name}", turns=PER_SESSION,
                                    **ENQUEUE))
        empty(rig)
    found: dict[str, Any] = {name: {
        "per_second": spread([r["per_second"] for r in results]),
        "p99_ms": spread([r["whole"]["p99"] for r in results]),
        "cpu_us": spread([cpu_of(name, r) for r in results]),
        "failed": sum(r["failed"] for r in results),
        "cores": results[len(results) // 2]["cores"],
    } for name, results in runs.items()}
    for other in ("peer", "peer_bare"):
        found[f"ratio_{other}"] = spread([a["per_second"] / b["per_second"]
                                          for a, b in zip(runs["confab"], runs[other])])
    return found


def empty(rig: Rig) -> None:
    rig.redis.command("FLUSHALL")
    rig.redis.command("CONFIG", "RESETSTAT")


# Written

def written(rig: Rig, scale: Scale, **store: str) -> dict[str, Any]:
    """Documents a second at each concurrency, out of a line that does not end."""
    sessions(rig, "written", 3000)
    found = {}
    for concurrency in CONCURRENCIES:
        while open_tasks(rig) < 4000 * scale.seconds:
            fill(rig, "written", scale.seconds)
        with runners(rig, JOBRUNNER_CONCURRENCY=concurrency, **store) as (runner,):
            before = open_tasks(rig)
            until(lambda: open_tasks(rig) < before - 100, "documents are written")
            found[concurrency] = rate(rig, runner, scale.seconds)
    empty(rig)
    return found


def rate(rig: Rig, runner: Runner, seconds: float) -> dict[str, Any]:
    def now() -> dict[str, float]:
        return {"open": open_tasks(rig), "at": time.monotonic(),
                "runner": proc.busy_seconds(runner.pid), "redis": proc.busy_seconds(rig.redis.pid)}
    rig.redis.command("CONFIG", "RESETSTAT")
    before = now()
    time.sleep(seconds)
    after = now()
    took = after["at"] - before["at"]
    done = before["open"] - after["open"]
    return {"per_second": done / took, "commands": commands(rig, done),
            "cores": {part: round((after[part] - before[part]) / took, 2)
                      for part in ("runner", "redis")}}


def commands(rig: Rig, tasks: float) -> dict[str, float]:
    """Of one task: round trips, and microseconds in Redis."""
    calls = micros = 0
    for line in rig.redis.command("INFO", "commandstats").decode().splitlines():
        if line.startswith(("cmdstat_evalsha:", "cmdstat_xreadgroup:")):
            parts = dict(part.split("=") for part in line.split(":")[1].split(","))
            calls, micros = calls + int(parts["calls"]), micros + int(parts["usec"])
    return {"round_trips": round(calls / tasks, 2), "redis_us": round(micros / tasks, 1)}


# Kept

def kept(rig: Rig, scale: Scale) -> dict[str, Any]:
    """Bytes of Redis for each finished task; then all expire."""
    found = {}
    with google(rig) as stand_in:
        for name, store in ("google", stand_in.env), ("folder", {}):
            for per_session in (1, PER_SESSION):
                found[f"{name}, {per_session} a session"] = bytes_each(rig, scale, per_session,
                                                                       store)
    return found


def bytes_each(rig: Rig, scale: Scale, per_session: int, store: dict[str, str]) -> dict[str, Any]:
    name = "k" * (ID_SIZE - 12)
    sessions(rig, name, 1100)       # with which the table of all keys has room for the tasks' too
    with runners(rig, JOBRUNNER_CONCURRENCY=64, **store):
        rig.load(rig.confab, connections=1, session="task-seed", **ENQUEUE)     # all is loaded
        until(lambda: open_tasks(rig) == 0, "the first task has ended")
        before = settled_memory(rig)
        count = fill(rig, name, 2 * scale.seconds, per_session)
        until(lambda: open_tasks(rig) == 0, "all tasks have ended", 300)
        after = settled_memory(rig)
    rig.redis.command("EVAL", """
        for _, key in ipairs(redis.call('KEYS', 'c1:task:*')) do
            redis.call('PEXPIRE', key, 4500)
        end""", 0)
    # The first sweep takes off the marks of those that are older than half of the life, the second
    # frees what has expired. Each runner begins with one.
    with runners(rig, TASK_TTL="10s", **store):
        until(lambda: not rig.redis.keys("c1:task:*"), "all records have expired", 60)
    with runners(rig, TASK_TTL="10s", **store):
        until(lambda: rig.redis.command("XLEN", "c1:{default}:idx:tasks") == 0,
              "the index is swept", 90)
        left = settled_memory(rig)
    empty(rig)
    return {"tasks": count, "bytes": (after - before) / count, "left": (left - before) / count}


def settled_memory(rig: Rig) -> int:
    """When the connections' buffers have become small again."""
    seen = [used_memory(rig)]
    def at_rest() -> bool:
        time.sleep(0.5)
        seen.append(used_memory(rig))
        return len(seen) > 12 and max(seen[-4:]) - min(seen[-4:]) < 30_000
    until(at_rest, "Redis' memory is at rest", 60)
    return seen[-1]


# RQ

def rq(rig: Rig, scale: Scale) -> dict[str, Any]:
    """Its best: no fork for each job, two workers, and a job that does what our folder store does
    with a document of the same size."""
    done = subprocess.run(
        ["/usr/bin/python3", TOP / "bench" / "peer" / "jobs.py", rig.redis.socket,
         rig.directory / "rq", str(scale.seconds)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    empty(rig)
    return json.loads(done.stdout)


def tasks(rig: Rig, scale: Scale) -> dict[str, Any]:
    found = {"enqueue": enqueue(rig, scale), "folder": written(rig, scale)}
    with google(rig) as stand_in:
        found["google"] = written(rig, scale, **stand_in.env)
    return found | {"kept": kept(rig, scale), "rq": rq(rig, scale)}

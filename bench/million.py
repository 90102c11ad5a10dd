"""A million tasks, accepted while runners work, and somebody who chats beside it. Google takes its
time, as it does: nobody who chats may notice."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import time
from typing import Any

from bench.figures import Scale
from bench.rig import Rig, read_results
from bench.tasks import (CLIENTS, ENQUEUE, PER_SESSION, google, open_tasks, runners, sessions,
                         settled_memory, used_memory)

DELAY_MS = 50
RUNNERS, IN_FLIGHT = 2, 200
SESSIONS, EACH = 8, 300         # kinds of them, and of each for a connection of the load client
TURN_SECONDS = 10.0


class Chatter:
    """One client; what it measured, by what went on meanwhile."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.runs: dict[str, list[dict[str, Any]]] = {}

    def talk(self, when: str, seconds: float = 3.0) -> None:
        self.runs.setdefault(when, []).append(
            self.rig.load(self.rig.confab, connections=1, seconds=seconds, turns=10,
                          session=f"chat-{when}-{len(self.runs.get(when, []))}"))

    def found(self) -> dict[str, Any]:
        def of(when: str) -> dict[str, float] | None:
            runs = [r["whole"] for r in self.runs.get(when, [])]
            return {q: statistics.median(r[q] for r in runs) for q in ("p50", "p99")} \
                if runs else None
        return {when: of(when) for when in ("before", "accepting", "working", "after")} | {
            "failed": sum(r["failed"] for runs in self.runs.values() for r in runs)}


_FINISHED = """
local from, count, last = ARGV[1], 0, ''
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 5000)) do
    if redis.call('HGET', 'c1:task:' .. entry[2][2], 'st') == 'finished' then count = count + 1 end
    last = '(' .. entry[1]
end
return { last, count }
"""


def finished(rig: Rig) -> int:
    """By each task's own record."""
    at, total = b"-", 0
    while at:
        at, count = rig.redis.command("EVAL", _FINISHED, 1, "c1:{default}:idx:tasks", at)
        total += count
    return total


def million(rig: Rig, scale: Scale) -> dict[str, Any]:
    names = [f"million{i}" for i in range(SESSIONS)]
    for name in names:
        sessions(rig, name, EACH)
    chatter, accepted, refused, seen = Chatter(rig), 0, 0, []

    def look() -> int:
        seen.append((used_memory(rig), open_tasks(rig)))
        return seen[-1][1]

    chatter.talk("before")
    before = settled_memory(rig)
    with google(rig, DELAY_MS) as stand_in, \
            runners(rig, RUNNERS, JOBRUNNER_CONCURRENCY=IN_FLIGHT, **stand_in.env):
        began = time.monotonic()
        for name in itertools.cycle(names):
            argv = rig.command(rig.confab, connections=CLIENTS, seconds=TURN_SECONDS, session=name,
                               turns=PER_SESSION, **ENQUEUE)
            with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as load:
                chatter.talk("accepting")
                look()
                results = read_results(load.stdout.read())
            accepted, refused = accepted + results["ok"], refused + results["failed"]
            if accepted >= scale.million:
                break
        accept_seconds = time.monotonic() - began
        while look() > 0:
            chatter.talk("working")
        seconds = time.monotonic() - began
        after = settled_memory(rig)
        chatter.talk("after")
        published = stand_in.counts()["published"]
    return {
        "accepted": accepted, "refused": refused, "finished": finished(rig),
        "published": published, "accept_seconds": accept_seconds, "seconds": seconds,
        "runners": RUNNERS, "in_flight": IN_FLIGHT, "delay_ms": DELAY_MS,
        "most_open": max(count for _, count in seen), "bytes": (after - before) / accepted,
        "memory": {"before": before, "most": max(memory for memory, _ in seen), "after": after},
        "chat": chatter.found(),
    }

"""A power cut under appendfsync everysec: Redis forgets a second of what it has acknowledged.

What survives has to be true: no status that is wrong, no finished task without its document. What
cannot be kept is counted: tasks that nobody knows any more, and documents in sight that belong to
none, or to a task that has made a second one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.proc import until
from tests.support.redis import Redis
from tests.torture.world import World

SECOND = 1.0
STEP = 0.2      # seconds of a call to Google


@dataclass
class Toll:
    cuts: int = 0
    bytes: int = 0
    accepted: int = 0       # in the seconds that were cut off
    lost: int = 0
    ended: int = 0          # in those seconds, as far as a client had seen
    doubles: int = 0
    unknown: int = 0        # documents in sight whose task nobody knows


def power_cuts(world: World, sessions: list[str], cuts: int) -> Toll:
    toll, faults = Toll(), world.stack.google.faults
    # A task takes about a second, so that each of its steps is cut off now and then.
    slow = faults.add("files.*", "lag", "before", count=None, ms=STEP * 1000)
    with world.sending(sessions, open_at_most=100):
        for _ in range(cuts):
            _cut(world, toll)
    faults.rules.remove(slow)
    world.settle(120)
    toll.lost = sum(promise.status == "lost" for promise in world.promises.values())
    world.known_doubles = set(world.history.doubles)
    toll.doubles = len(world.known_doubles)
    toll.unknown = sum(world.history.is_visible(promise.task_id)
                       for promise in world.promises.values() if promise.status == "lost")
    return toll


def _cut(world: World, toll: Toll) -> None:
    redis, dice = world.stack.redis, world.random
    redis.command("CONFIG", "SET", "auto-aof-rewrite-percentage", 0)
    before = redis.log_files()[-1], redis.log_files()[-1].stat().st_size
    began = time.monotonic()
    sizes = _watch(redis, SECOND + dice.uniform(0.5, 2))
    redis.kill()
    world.deaths.by_hand["Redis"] += 1
    log, cut_at = redis.log_files()[-1], time.monotonic() - SECOND
    # What it held a second ago; a first read of the file is where a command begins.
    size = max(size for at, size in sizes.items() if at <= cut_at or at == min(sizes))
    start = before[1] if log == before[0] else 0
    size = command_end(log, start, size) + dice.choice([0, 7])
    toll.cuts += 1
    toll.bytes += log.stat().st_size - size
    with log.open("r+b") as file:
        file.truncate(size)
    since = max(began, cut_at - 0.5)
    _count(world, toll, cut_at)
    if dice.random() < 0.5:     # the runners were on the same machine
        for runner in world.runners:
            world.replace_runner(runner)
            world.deaths.by_hand["a runner"] += 1
    world.forgets(since)
    redis.start()
    until(lambda: sum(promise.at < cut_at for promise in world.open()) < 5, "the tasks go on", 60)


def _watch(redis: Redis, seconds: float) -> dict[float, int]:
    """How large the file was when."""
    sizes, end = {}, time.monotonic() + seconds
    while time.monotonic() < end:
        sizes[time.monotonic()] = redis.log_files()[-1].stat().st_size
        time.sleep(0.01)
    return sizes


def _count(world: World, toll: Toll, cut_at: float) -> None:
    for promise in list(world.promises.values()):
        toll.accepted += promise.at > cut_at
        toll.ended += promise.ended > cut_at


def command_end(log: Path, start: int, size: int) -> int:
    """Where the last command ends that stands before this place, from a place where one begins."""
    with log.open("rb") as file:
        file.seek(start)
        end = start
        while line := file.readline():
            for _ in range(int(line[1:])):
                length = int(file.readline()[1:])
                file.seek(length + 2, 1)
            if file.tell() > size:
                break
            end = file.tell()
    return end

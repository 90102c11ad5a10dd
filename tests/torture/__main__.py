"""Kills every part of confab, over and over, while tasks come in. See world.py for what must hold.

First each failure point in turn: the process that meets it is killed there, or the answer of what
it has just done is dropped. Then kills at random, Redis among them, with Google in a bad mood. The
seed decides what is broken when, so that a run can be repeated."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable

from tests.support.proc import until
from tests.torture.world import LEASE, World

# Who meets which points is found out by looking; these have to be among them.
_EXPECTED = {"redis.answer:task_reserve", "redis.answer:task_record", "redis.answer:task_finish",
             "redis.answer:task_accept", "google.answer:POST files", "google.answer:PATCH upload",
             "google.answer:PATCH files"}


def say(words: str) -> None:
    print(words, flush=True)


def points_of(world: World, sessions: list[str]) -> list[str]:
    """The points that a few tasks pass, in the runner and in the handler."""
    seen = world.stack.directory / "seen"
    world.stack.configure(CONFAB_FAILPOINTS_SEEN=seen)
    world.stack.restart_pool()
    for runner in world.runners:
        runner.kill()
        runner.start(world.stack.env)
    for session in sessions[:12]:
        world.send(session)
    world.settle(60)
    points = sorted(set(seen.read_text().split("\n")) - {""})
    missing = _EXPECTED - set(points)
    assert not missing, f"these points were never passed: {missing}"
    world.stack.configure(CONFAB_FAILPOINTS_SEEN=None)
    world.stack.restart_pool()
    return [point for point in points if "task_" in point or "google" in point]


def in_the_handler(world: World, session: str) -> int:
    """The pool has orders to fail while it accepts a task: asked once, and again by a sound one."""
    order, before = world.order(), world.stack.pool.logged().count("Spawning child")
    world.stack.restart_pool()
    world.try_to_send(session, order)
    world.stack.wait_ready()
    died = world.stack.pool.logged().count("Spawning child") - before
    world.stack.pool.expected_deaths += died
    world.stack.configure(CONFAB_FAILPOINTS=None)
    world.stack.restart_pool()
    world.send(session, order)
    return died


def in_a_runner(world: World, session: str, *, dies: bool) -> int:
    """One runner works alone, with orders to fail; then all three, without."""
    for runner in world.runners:
        runner.kill()
    victim = world.runners[0]
    victim.start(world.stack.env)
    world.stack.configure(CONFAB_FAILPOINTS=None)
    world.send(session)
    if dies:
        # A point that only time or a fault brings about may not be met now.
        deadline = time.monotonic() + 1
        until(lambda: not victim.alive or time.monotonic() > deadline, "its death")
    died = not victim.alive
    for runner in world.runners:
        if not runner.alive:
            runner.start(world.stack.env)
    return died


def every_point(world: World, sessions: list[str]) -> int:
    """At each point: death, and, where there is an answer, its loss."""
    points = points_of(world, sessions)
    for point in points:
        for act in ["kill"] + ["drop"] * (".answer:" in point):
            world.stack.configure(CONFAB_FAILPOINTS=f"{point}={act}")
            session = world.random.choice(sessions)
            if point.endswith("task_accept"):
                world.kills += in_the_handler(world, session)
            else:
                world.kills += in_a_runner(world, session, dies=act == "kill")
    return len(points)


def at_random(world: World, sessions: list[str], kills: int, until_time: float) -> None:
    acts: list[tuple[Callable[[], None], int]] = [
        (world.kill_runner, 84), (world.kill_child, 10), (world.kill_redis, 2),
        (world.freeze_redis, 1), (world.freeze_runner, 3)]
    sender = world.keep_sending(sessions, open_at_most=60)
    goal, said = world.kills + kills, time.monotonic()
    while world.kills < goal and time.monotonic() < until_time:
        world.random.choices([act for act, _ in acts], [weight for _, weight in acts])[0]()
        # A runner takes over what others left only when it has lived for a lease.
        time.sleep(world.random.uniform(0, 0.5 * LEASE))
        if time.monotonic() - said > 10:
            said = time.monotonic()
            say(f"  {world.kills} kills, {len(world.promises)} tasks, {len(world.open())} open")
    world.stop_sending(sender)


def main() -> int:
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=10_000, help="how many (default 10000)")
    parser.add_argument("--minutes", type=float, default=60, help="of killing, at most")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    given = parser.parse_args()
    say(f"seed {given.seed}")
    random.seed(given.seed)
    with World(given.seed) as world:
        sessions = world.talk(40)
        watcher = world.watch()
        end = time.monotonic() + given.minutes * 60
        points = every_point(world, sessions)
        say(f"  each of {points} failure points: {world.kills} died there")
        at_random(world, sessions, given.kills - world.kills, end)
        say("  the killing is over, what is open may end now")
        world.settle(120)
        world._stop.set()
        watcher.join()
        found = world.verdict()
        finished = sum(p.status == "finished" for p in world.promises.values())
        say(f"seed {given.seed}: {world.kills} kills, {world.restarts} restarts of Redis with a torn "
            f"file, {world.outages} stalls; {len(world.promises)} tasks accepted, {finished} "
            f"finished, {len(world.promises) - finished} failed or open, "
            f"{len(world.stack.google.visible())} visible documents, "
            f"{len(world.stack.google.staged())} in staging; {len(found)} promises broken")
        for words in found[:20]:
            say(f"  {words}")
        world.stack.keep = bool(found)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

"""What goes wrong. The seed decides what and when; what it hits, the machine decides as well."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.proc import until
from tests.torture.world import World

BLOCK = 2.0     # seconds that a runner's read waits in Redis

# Who meets which points is found out by looking; these have to be among them.
_EXPECTED = {"redis.answer:task_reserve", "redis.answer:task_record", "redis.answer:task_finish",
             "redis.answer:task_accept", "google.answer:POST files", "google.answer:PATCH upload",
             "google.answer:PATCH files"}


def points_of(world: World, sessions: list[str]) -> list[str]:
    """The points that a few tasks pass, in the runner and in the handler."""
    seen = world.stack.directory / "seen"
    world.replace_pool(CONFAB_FAILPOINTS_SEEN=seen)
    for runner in world.runners:
        world.replace_runner(runner, CONFAB_FAILPOINTS_SEEN=seen)
    for session in sessions[:20]:
        world.send(session)
    world.settle(60)
    points = sorted(set(seen.read_text().split("\n")) - {""})
    missing = _EXPECTED - set(points)
    assert not missing, f"these points were never passed: {missing}"
    return [point for point in points if "task_" in point or "google" in point]


# Each point in turn

def every_point(world: World, sessions: list[str], points: list[str]) -> None:
    """At each: death, and, where there is an answer, its loss."""
    for point in points:
        for act in ["kill"] + ["drop"] * (".answer:" in point):
            session = world.random.choice(sessions)
            if point.endswith("task_accept"):
                _in_the_handler(world, session, f"{point}={act}")
            else:
                _in_a_runner(world, session, f"{point}={act}")
    world.replace_pool()
    for runner in world.runners:
        world.replace_runner(runner)


def _in_the_handler(world: World, session: str, orders: str) -> None:
    """The pool fails while it accepts a task: asked once, and again, by a sound one at last."""
    order = world.order()
    world.replace_pool(CONFAB_FAILPOINTS=orders)
    world.try_to_send(session, order)
    world.stack.wait_ready()
    world.replace_pool()
    world.send(session, order)


def _in_a_runner(world: World, session: str, orders: str) -> None:
    """One runner works alone, with orders to fail; then all three, without."""
    victim, *others = world.runners
    for runner in others:
        runner.kill()
    world.replace_runner(victim, CONFAB_FAILPOINTS=orders)
    world.send(session)
    if orders.endswith("kill"):
        # A point that only time or a fault brings about may not be met now.
        deadline = time.monotonic() + 1
        until(lambda: not victim.alive or time.monotonic() > deadline, "its death")
    for runner in world.runners:
        if not runner.alive:
            world.start_runner(runner)


# All at once

class Mayhem:
    """Runners with orders to die at some point, to lose an answer there, or to stall for longer
    than their lease; children that die while they accept; and a hand that kills whoever is left,
    so that the pace is kept. Meanwhile Redis and Google have troubles of their own."""

    def __init__(self, world: World, points: list[str]) -> None:
        self.world = world
        self.points = [point for point in points if not point.endswith("task_accept")]
        self.accept = [point for point in points if point.endswith("task_accept")]
        self.troubles: Counter[str] = Counter()

    def run(self, kills: int, until_time: float, say: Callable[[str], None]) -> None:
        world, pace = self.world, self.world.setting.kills
        due = said = time.monotonic()
        known = world.deaths.count
        goal = known + kills
        self._give_orders_to_the_pool()
        troubles = [Troubles(random.Random(f"{strike.__name__} {world.setting.seed}"), strike)
                    for strike in (self._redis, self._google)]
        while known < goal and time.monotonic() < until_time:
            self._bury()
            if time.monotonic() > due:
                self._kill()
            for trouble in troubles:
                trouble.run()
            died, known = world.deaths.count - known, world.deaths.count
            due = max(due + died / pace, time.monotonic() - 1)
            if time.monotonic() - said > 10:
                said = time.monotonic()
                say("  " + world.stands())
            time.sleep(0.01)
        for trouble in troubles:
            trouble.end()
        world.replace_pool()
        for runner in world.runners:
            world.replace_runner(runner)

    def _give_orders_to_the_pool(self) -> None:
        """To each child, and to whoever comes after it."""
        dice = self.world.random
        orders = [f"{point}=kill@{dice.randint(10, 40)}" for point in self.accept]
        orders += [f"{point}=drop@{dice.randint(2, 9)}" for point in self.accept
                   if ".answer:" in point]
        self.world.replace_pool(CONFAB_FAILPOINTS=";".join(orders))

    def _orders(self) -> str:
        dice, answers = self.world.random, [p for p in self.points if ".answer:" in p]
        orders = []
        if dice.random() < 0.85:
            orders.append(f"{dice.choice(self.points)}=kill@{dice.randint(1, 5)}")
        for _ in range(dice.randint(0, 2)):
            orders.append(f"{dice.choice(answers)}=drop@{dice.randint(1, 5)}")
        if dice.random() < 0.03:
            self.troubles["stalls of a runner"] += 1
            stall = self.world.setting.lease * 1500
            orders.append(f"{dice.choice(self.points)}=delay/{stall:.0f}@{dice.randint(1, 4)}")
        return ";".join(orders)

    def _bury(self) -> None:
        """In the place of each that died comes another."""
        for runner in self.world.runners:
            if runner.alive:
                continue
            status = runner.wait()
            if status != -signal.SIGKILL:
                self.world.broken.append(f"{runner.name} ended by itself, with {status}")
            self.world.replace_runner(runner, CONFAB_FAILPOINTS=self._orders())

    def _kill(self) -> None:
        world = self.world
        [act] = world.random.choices([self._kill_runner, self._kill_child, self._freeze_runner],
                                     [90, 8, 2])
        act()

    def _kill_runner(self) -> None:
        runner = self.world.random.choice(self.world.runners)
        runner.kill()
        self.world.deaths.by_hand["a runner"] += 1
        self.world.replace_runner(runner, CONFAB_FAILPOINTS=self._orders())

    def _kill_child(self) -> None:
        world = self.world
        children = world.stack.pool.children()
        if children:
            with contextlib.suppress(ProcessLookupError):
                world.stack.pool.kill_child(world.random.choice(children))
                world.deaths.by_hand["a child of the pool"] += 1
                world.deaths.of_children += 1

    def _freeze_runner(self) -> None:
        """Longer than its lease: when it wakes up, its tasks are another's."""
        runner = self.world.random.choice(self.world.runners)
        pid = runner.pid
        self.troubles["stops of a runner"] += 1
        runner.send(signal.SIGSTOP)

        def wake() -> None:
            time.sleep(1.5 * self.world.setting.lease)
            if runner.alive and runner.pid == pid:
                runner.send(signal.SIGCONT)
        threading.Thread(target=wake, daemon=True).start()

    def _redis(self, dice: random.Random) -> Trouble:
        redis = self.world.stack.redis
        act = dice.choice(["stuck", "stuck for longer than any read waits", "killed, its file torn",
                           "killed, and away for a while", "restarted"])
        self.troubles["Redis " + act] += 1
        if act.startswith("stuck"):
            with redis.frozen():
                yield dice.uniform(1.2, 2) * BLOCK if "longer" in act else dice.uniform(0.1, 1.6)
            return
        if act == "restarted":
            redis.stop()
        else:
            redis.kill()
            self.world.deaths.by_hand["Redis"] += 1
        if "torn" in act:
            tear(redis.log_files()[-1])
        if "away" in act:
            yield dice.uniform(0.5, 1.5) * BLOCK
        redis.start()

    def _google(self, dice: random.Random) -> Trouble:
        google = self.world.stack.google
        act = dice.choice(["429", "user_rate", "rate", "status", "401"])
        names = {"status": "503", "user_rate": "403 userRateLimitExceeded",
                 "rate": "403 rateLimitExceeded", "401": "401 once"}
        self.troubles["Google " + names.get(act, act)] += 1
        fault = google.faults.add("files.*", act, "after" if act == "status" else "before",
                                  count=1 if act == "401" else None)
        yield dice.uniform(0.3, 2)
        google.faults.rules.remove(fault)


# What lasts for a while: it says how many seconds until it goes on.
Trouble = Iterator[float]


class Troubles:
    """One after the other, with rests between them. Whoever starts a process has to live as long
    as it, so they are no threads: run() is called again and again."""

    def __init__(self, dice: random.Random, strike: Callable[[random.Random], Trouble]) -> None:
        self._dice, self._strike = dice, strike
        self._now: Trouble | None = None
        self._due = time.monotonic() + dice.uniform(2, 12)

    def run(self) -> None:
        if time.monotonic() < self._due:
            return
        self._now = self._now or self._strike(self._dice)
        pause = next(self._now, None)
        if pause is None:
            self._now, pause = None, self._dice.uniform(2, 12)
        self._due = time.monotonic() + pause

    def end(self) -> None:
        """The one that lasts, if any does."""
        while self._now:
            time.sleep(max(0, self._due - time.monotonic()))
            self.run()


def tear(log: Path) -> None:
    """As a kill in the middle of a write leaves it: nothing of what was acknowledged is missing."""
    with log.open("ab") as torn:
        torn.write(b"*3\r\n$3\r\nSET\r\n$7\r\nnothing\r\n$90\r\nhalf of")

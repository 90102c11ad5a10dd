"""Kills every part of confab, over and over, while tasks come in. See world.py for what must hold.

First each failure point in turn: the process that meets it is killed there, or the answer of what
it has just done is dropped. Then everything at once: deaths at points under load and at random,
runners stopped beyond their lease, Redis stuck, away, killed and restarted, Google in a bad mood.
At the end the power is cut, so that Redis forgets a second. The seed decides what is broken when,
so that a run can be repeated, as far as the machine takes part."""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import time

from tests.torture.breaking import Mayhem, every_point, points_of
from tests.torture.cut import Toll, power_cuts
from tests.torture.world import Setting, World

SETTLE = 180.0      # seconds within which all that is open has to end
SWEEP = 900.0       # and the orphans to be trashed: the stand-in's search gets slow with its files


def say(words: str) -> None:
    print(words, flush=True)


def options() -> tuple[argparse.Namespace, Setting]:
    shape = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(prog="torture", description=__doc__, formatter_class=shape)
    parser.add_argument("--kills", type=int, default=10_000, help="how many")
    parser.add_argument("--minutes", type=float, default=60, help="of killing, at most")
    parser.add_argument("--cuts", type=int, default=20, help="of the power, at the end")
    words = {
        "seed": "of all that is decided by chance", "lease": "of tasks, seconds",
        "kills": "", "tasks": "accepted in a second", "lag": "of Google's search, seconds",
        "orphan_age": "from which the sweeper may take documents, seconds",
        "crashes_alone": "after which a task counts as the cause",
    }
    for field in dataclasses.fields(Setting):
        if field.name == "kills":
            parser.add_argument("--pace", type=float, default=field.default,
                                help="kills in a second")
        else:
            default = random.randrange(1 << 31) if field.name == "seed" else field.default
            parser.add_argument("--" + field.name.replace("_", "-"), type=type(default),
                                default=default, help=words[field.name])
    given = parser.parse_args()
    return given, Setting(given.seed, given.lease, given.pace, given.tasks, given.lag,
                          given.orphan_age, given.crashes_alone)


def torture(world: World, given: argparse.Namespace) -> list[str]:
    sessions, began = world.talk(40), time.monotonic()
    with world.watched():
        points = points_of(world, sessions)
        every_point(world, sessions, points)
        say(f"  each of {len(points)} failure points: {world.stands()}")
        mayhem = Mayhem(world, points)
        with world.sending(sessions, open_at_most=300):
            mayhem.run(given.kills - world.deaths.count, began + given.minutes * 60, say)
        seconds = time.monotonic() - began
        say("  the killing is over, what is open may end now")
        world.settle(SETTLE)
        world.sweep(SWEEP)
        found = world.verdict()
        report(world, mayhem, seconds, found)
        if given.cuts:
            toll = power_cuts(world, sessions, given.cuts)
            world.sweep(SWEEP)
            more = [words for words in world.verdict() if words not in found]
            tell(toll, more)
            found += more
    return found


def report(world: World, mayhem: Mayhem, seconds: float, found: list[str]) -> None:
    say(f"seed {world.setting.seed}: {world.stands()}; "
        f"{world.deaths.count / seconds:.1f} kills a second; {len(found)} promises broken")
    promises = world.promises.values()
    for status in ("finished", "failed"):
        told = sum(p.status == status and p.ruined == (status == "failed") for p in promises)
        say(f"  {told} {status}, as they had to")
    say(f"  {world.history.visible} documents in sight, {len(world.history.staged)} in staging, "
        f"{len(world.orphans())} of them orphans; {world.history.trashed} were trashed")
    at_points = world.deaths.at_points
    say(f"  {at_points.total()} died at {len(at_points)} failure points:")
    for point, count in sorted(at_points.items()):
        say(f"    {count:6} {point}")
    for what, count in sorted((world.deaths.by_hand + mayhem.troubles).items()):
        say(f"    {count:6} {what}")


def tell(toll: Toll, found: list[str]) -> None:
    say(f"{toll.cuts} power cuts, {toll.bytes / toll.cuts / 1024:.0f} kB of what Redis had "
        f"acknowledged in the last second gone each time: of {toll.accepted} tasks accepted in "
        f"those seconds {toll.lost} are not known any more; {toll.ended} had ended in them; "
        f"{toll.doubles} tasks have two documents in sight, {toll.unknown} documents in sight are "
        f"of no task; {len(found)} promises broken")


def main() -> int:
    given, setting = options()
    say(f"seed {setting.seed}")
    random.seed(setting.seed)
    with World(setting) as world:
        found = torture(world, given)
        for words in found[:20]:
            say(f"  {words}")
        world.stack.keep = bool(found)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

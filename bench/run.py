"""scripts/bench's inside: measures, prints, writes bench.json and bench.svg."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from bench import figures, million, report, tasks
from bench.rig import Rig

FIGURES = {"speed": figures.speed, "alone": figures.alone, "dialog": figures.long_dialog,
           "streams": figures.streams, "tls": figures.tls, "cap": figures.cap, "tasks": tasks.tasks,
           "million": million.million}

SLOW = {"tls", "tasks"}     # these, if quick, are measured only when they are asked for
ASKED_FOR = {"million"}     # always only then


def everyday(quick: bool) -> set[str]:
    return FIGURES.keys() - ASKED_FOR - (SLOW if quick else set())


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/bench")
    options.add_argument("--quick", action="store_true", help="less than three minutes, less exact")
    options.add_argument("--only", action="append", choices=FIGURES, help="this figure alone")
    options.add_argument("--streams", type=int, help="how many at once, default 10000")
    options.add_argument("--tasks", type=int, help="how many of `million`, default 1000000")
    options.add_argument("--out", type=Path, required=True, help="where bench.json goes")
    chosen = options.parse_args()
    scale = figures.QUICK if chosen.quick else figures.Scale()
    if chosen.streams:
        scale.streams = chosen.streams
    scale.million = chosen.tasks or scale.million
    results: dict = {"machine": figures.machine(), "quick": chosen.quick}
    with Rig() as rig:
        for name, measure in FIGURES.items():
            if name in (chosen.only or everyday(chosen.quick)):
                began = time.monotonic()
                print(f"measuring {name} ...", file=sys.stderr, end=" ", flush=True)
                results[name] = measure(rig, scale)
                print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    (chosen.out / "bench.svg").write_text(report.svg(results))
    print(report.table(results))
    print(f"\n{chosen.out}/bench.json, {chosen.out}/bench.svg")
    return 0 if all(v.ok for v in report.verdicts(results)) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What is told of tasks."""

from __future__ import annotations

from typing import Any

MIB = 2**20


def verdicts(r: dict[str, Any], add: Any) -> None:
    if "tasks" in r:
        _tasks(r["tasks"], add)
    if "million" in r:
        _million(r["million"], add)


def _tasks(t: dict[str, Any], add: Any) -> None:
    for other, target in (("peer", ">= 10 x"), ("peer_bare", "")):
        ratio = t["enqueue"][f"ratio_{other}"]
        add(f"tasks accepted, against {other}", f"{ratio['median']:.2f} x "
            f"({ratio['low']:.2f}..{ratio['high']:.2f})", target, ratio["median"] >= 10)
    for store, least in (("folder", 1000), ("google", 500)):
        for concurrency, each in t[store].items():
            add(f"documents a second, {store}, {concurrency} in flight",
                f"{each['per_second']:.0f}", f">= {least}", each["per_second"] >= least)
    for name, each in t["kept"].items():
        add(f"Redis, a finished task: {name}", f"{each['bytes']:.0f} bytes", "<= 600 bytes",
            each["bytes"] <= 600)
        add("  left when all have expired", f"{each['left']:.0f} bytes", "< 10 bytes",
            each["left"] < 10)


def _million(m: dict[str, Any], add: Any) -> None:
    count = m["accepted"]
    add(f"{count:,} tasks: finished", f"{m['finished']:,}", f"{count:,}", m["finished"] == count)
    add("  documents in sight", f"{m['published']:,}", f"{count:,}", m["published"] == count)
    add("  refused", str(m["refused"]), "0", m["refused"] == 0)
    add("  Redis, a finished task", f"{m['bytes']:.0f} bytes", "<= 600 bytes", m["bytes"] <= 600)
    add("  chats that failed meanwhile", str(m["chat"]["failed"]), "0", m["chat"]["failed"] == 0)


def table(r: dict[str, Any]) -> list[str]:
    lines = []
    if "tasks" in r:
        lines += _tasks_table(r["tasks"])
    if "million" in r:
        lines += _million_table(r["million"])
    return lines


def _tasks_table(t: dict[str, Any]) -> list[str]:
    lines = ["", f"{'tasks accepted':22}{'a second':>9} {'p99 ms':>8} {'CPU us':>7}  cores"]
    for name in ("confab", "peer", "peer_bare"):
        e = t["enqueue"][name]
        cores = " ".join(f"{k}={v:.2f}" for k, v in e["cores"].items() if k != "machine")
        lines.append(f"{name:22}{e['per_second']['median']:9.0f} {e['p99_ms']['median']:8.2f} "
                     f"{e['cpu_us']['median']:7.0f}  {cores}")
    for what, each in t["rq"].items():
        lines.append(f"{'RQ, no HTTP: ' + what:22}{each['enqueued']:9.0f}")
    lines += ["", f"{'tasks done':22}{'a second':>9} {'round trips':>12} {'Redis us':>9}  cores"]
    for store in ("folder", "google"):
        for concurrency, e in t[store].items():
            cores = " ".join(f"{k}={v:.2f}" for k, v in e["cores"].items())
            lines.append(f"{f'{store}, {concurrency} in flight':22}{e['per_second']:9.0f} "
                         f"{e['commands']['round_trips']:12.1f} {e['commands']['redis_us']:9.0f}  "
                         f"{cores}")
    for what, each in t["rq"].items():
        lines.append(f"{'RQ, 2 workers: ' + what:22}{each['done']:9.0f}")
    return lines


def _million_table(m: dict[str, Any]) -> list[str]:
    memory, chat = m["memory"], m["chat"]
    return ["", f"{m['accepted']:,} tasks, {m['runners']} runners with {m['in_flight']} in flight "
                f"each, Google takes {m['delay_ms']} ms a call:",
            f"  accepted in {m['accept_seconds']:.0f} s, all finished after "
            f"{m['seconds']:.0f} s ({m['accepted'] / m['seconds']:.0f} a second), most open: "
            f"{m['most_open']:,}",
            f"  Redis' memory: {memory['before'] / MIB:.0f} MB before, {memory['most'] / MIB:.0f} "
            f"at most, {memory['after'] / MIB:.0f} after",
            "  one client that chats, p50 / p99: "
            + ", ".join(f"{when} {chat[when]['p50']:.2f} / {chat[when]['p99']:.2f} ms"
                        for when in ("before", "accepting", "working", "after") if chat[when])]

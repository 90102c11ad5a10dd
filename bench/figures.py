"""The measurements. Each takes the rig and what the run is scaled by, and returns plain data."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from bench.rig import Rig, read_results
from tests.support import proc

HISTORY = 2048                  # bytes of dialog that each streaming session has stored
GAP_MS = 500                    # two tokens a second
UPSTREAM = {"path": "/v1/chat/completions", "openai": True}
MESSAGES = '{"stream":true,"messages":[{"role":"user","content":"%s"}]}'


@dataclasses.dataclass
class Scale:
    rounds: int = 7
    seconds: float = 3.0        # of one round
    try_seconds: float = 1.0    # at each number of connections, to find which suits best
    streams: int = 10_000
    tokens: int = 40            # of one stream
    stream_rounds: int = 2
    alone_seconds: float = 3.0
    million: int = 1_000_000


QUICK = Scale(rounds=4, seconds=1.2, try_seconds=0.5, tokens=16, stream_rounds=1, alone_seconds=1.5)


def spread(values: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values),
            "rounds": values}


def per_second(before: dict[str, float], after: dict[str, float], load: float,
               seconds: float) -> dict[str, float]:
    """Cores used by each part; "others" is whoever else works on this machine."""
    used = {name: (after[name] - before[name]) / seconds for name in before}
    used["load"] = load / seconds
    used["others"] = used["machine"] - sum(v for k, v in used.items() if k != "machine")
    return {name: round(cores, 3) for name, cores in used.items() if abs(cores) >= 0.005}


def measured(rig: Rig, target: Any, **options: Any) -> dict[str, Any]:
    """One run of the load client, and the cores that it kept busy."""
    before, began = rig.cpu(), time.monotonic()
    results = rig.load(target, **options)
    seconds = time.monotonic() - began
    results["cores"] = per_second(before, rig.cpu(), results["cpu_seconds"], seconds)
    return results


# Speed: stored plain turns

# Who is compared, and how it is asked. The upstream asked directly shows that neither it nor the
# load client is what the others wait for.
_TURNS = {"turns": 10}
_PASSED_ON = {**UPSTREAM, "body": MESSAGES}
ASKED: dict[str, dict[str, Any]] = {
    "confab": _TURNS, "peer": _TURNS, "peer_bare": _TURNS, "stripped": _TURNS, "nop": {},
    "proxy": _PASSED_ON, "upstream": _PASSED_ON,
}
# Whose work one request is.
_PARTS = {
    "confab": ("children", "nginx", "redis"), "peer": ("peer", "nginx_peer", "redis"),
    "peer_bare": ("peer", "redis"), "stripped": ("stripped", "nginx_stripped", "redis"),
    "nop": ("nop", "nginx_nop"), "proxy": ("proxy",), "upstream": (),
}
CONNECTIONS = (16, 64, 256)


def speed(rig: Rig, scale: Scale) -> dict[str, Any]:
    """Rounds of each in turn, so that whatever else happens here happens to all of them; each with
    as many connections as suit it best."""
    answered = dict.fromkeys(("confab", "peer", "stripped"), 0)

    def once(name: str, session: str, connections: int, seconds: float) -> dict[str, Any]:
        r = measured(rig, getattr(rig, name), connections=connections, seconds=seconds,
                     warmup=seconds / 5, session=f"speed-{session}", **ASKED[name])
        if "turns" in ASKED[name]:
            answered[name.removesuffix("_bare")] += r["answered"]
        return r

    tried = {name: dict.fromkeys(CONNECTIONS, 0.0) for name in ASKED}
    for number, connections, name in itertools.product(range(2), CONNECTIONS, ASKED):
        r = once(name, f"try{number}-{connections}-{name}", connections, scale.try_seconds)
        tried[name][connections] = max(tried[name][connections], r["per_second"])
    best = {name: max(CONNECTIONS, key=lambda n: tried[name][n]) for name in ASKED}

    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ASKED}
    for number, name in itertools.product(range(scale.rounds), ASKED):
        runs[name].append(once(name, f"{number}-{name}", best[name], scale.seconds))
    found: dict[str, Any] = {name: {
        "connections": best[name], "tried": tried[name],
        "turns_per_second": spread([r["per_second"] for r in results]),
        "p50_ms": spread([r["whole"]["p50"] for r in results]),
        "p99_ms": spread([r["whole"]["p99"] for r in results]),
        "cpu_us": spread([cpu_of(name, r) for r in results]),
        "failed": sum(r["failed"] for r in results), "failures": how_failed(results),
        "cores": results[len(results) // 2]["cores"],
    } for name, results in runs.items()}
    for other in ASKED.keys() - {"confab", "upstream"}:
        pairs = list(zip(runs["confab"], runs[other]))
        found[f"ratio_{other}"] = spread([a["per_second"] / b["per_second"] for a, b in pairs])
        found[f"cpu_ratio_{other}"] = spread([cpu_of(other, b) / cpu_of("confab", a)
                                              for a, b in pairs])
    found["stored"] = {name: {"answered": count, "stored": stored_turns(rig, name)}
                       for name, count in answered.items()}
    found["peer_dialog"] = read_by_confab(rig, "speed-0-peer-000000-0000")
    found["redis"] = durability(rig)
    return found


def how_failed(results: list[dict[str, Any]]) -> dict[str, int]:
    kinds: Counter[str] = Counter()
    for r in results:
        kinds.update(r["failures"])
    return dict(kinds)


def cpu_of(name: str, r: dict[str, Any]) -> float:
    """Microseconds of CPU for one request: others on this machine hardly change it."""
    return sum(r["cores"].get(part, 0) for part in _PARTS[name]) / r["per_second"] * 1e6


_STORED = """
local n = 0
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do n = n + redis.call('LLEN', key) end
return n
"""


def stored_turns(rig: Rig, name: str) -> int:
    """Of all of its sessions in speed."""
    return rig.redis.command("EVAL", _STORED, 0, f"c1:*:speed-*-{name}*:msgs")


def read_by_confab(rig: Rig, session: str) -> dict[str, int]:
    """A dialog that the peer has stored: its turns, and those whose question and answer confab
    tells of."""
    url = f"http://{rig.confab.host}:{rig.confab.port}/api/v1/sessions/{session}"
    with urllib.request.urlopen(url) as record, \
            urllib.request.urlopen(f"{url}/messages?limit=200") as messages:
        turns, told = json.load(record)["turns"], json.load(messages)["items"]
    pairs = zip(told[::2], told[1::2])
    return {"stored": turns, "told": sum(
        bool((user["role"], bot["role"]) == ("user", "assistant") and user["content"]
             and bot["content"].startswith("t=")) for user, bot in pairs)}


def durability(rig: Rig) -> dict[str, str]:
    words = rig.redis.command("CONFIG", "GET", "append*")
    return {k.decode(): v.decode() for k, v in zip(words[::2], words[1::2])
            if k in (b"appendonly", b"appendfsync")}


def alone(rig: Rig, scale: Scale) -> dict[str, Any]:
    """One client by itself; with an instant upstream all that it waits for is added by us."""
    found: dict[str, Any] = {}
    for name, target, options in (
            ("plain", rig.confab, {}), ("stream", rig.confab, {"stream": True}),
            ("nop", rig.nop, {}), ("proxy", rig.proxy, ASKED["proxy"])):
        r = rig.load(target, connections=1, seconds=scale.alone_seconds, warmup=0.3, turns=10,
                     session=f"alone-{name}", **options)
        found[name] = {"whole": r["whole"], "first": r["first"], "failed": r["failed"]}
    found["durable_write_ms"] = durable_write(rig)
    found["enqueue"] = rig.load(rig.confab, path="/api/v1/write_to_doc", expect=202,
                                body='{"session_id":"%s"}', session="alone-plain", turns=1,
                                connections=1, seconds=1)["whole"]
    return found


def durable_write(rig: Rig) -> dict[str, float]:
    """What one write costs that Redis has put on the disk, connection included."""
    took = []
    for _ in range(300):
        began = time.perf_counter()
        rig.redis.command("SET", "bench:durable", "x")
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return {"p50": took[150], "p99": took[297]}


# Long dialogs

_DIALOG = """
local keys, session = redis.call('KEYS', '*bench-short-000000-0000*')
for _, key in ipairs(keys) do
    local to = string.gsub(key, 'bench%-short%-000000%-0000', 'bench-' .. ARGV[1] .. '-000000-0000')
    redis.call('DEL', to)
    redis.call('COPY', key, to)
    if string.sub(to, -5) == ':msgs' then
        local entry = redis.call('LINDEX', key, 0)
        redis.call('DEL', to)
        for i = 1, ARGV[2] do redis.call('RPUSH', to, entry) end
        session = string.sub(to, 1, -6)
    end
end
redis.call('HSET', session, 'turns', ARGV[2])
return #keys
"""


def long_dialog(rig: Rig, scale: Scale) -> dict[str, Any]:
    """A window of ten turns, so that it is full at ten as at ten thousand."""
    rig.restart_pool(CONTEXT_MESSAGES=20)
    rig.load(rig.confab, connections=1, session="bench-short")
    depths = {"00010": 10, "10000": 10_000}
    took: dict[str, list[float]] = {name: [] for name in depths}
    costs = {}
    for number in range(2 * scale.rounds + 1):
        for name, turns in depths.items():
            rig.redis.command("EVAL", _DIALOG, 0, name, turns)
            rig.redis.command("CONFIG", "RESETSTAT")
            r = rig.load(rig.confab, connections=1, seconds=scale.alone_seconds / 4,
                         session=f"bench-{name}")
            if number:          # the first round warms up
                took[name].append(r["whole"]["p50"])
            costs[name] = redis_costs(rig, r["ok"])
    rig.restart_pool()
    return {name: {"p50_ms": spread(took[name]), "redis": costs[name]} for name in depths}


def redis_costs(rig: Rig, turns: int) -> dict[str, Any]:
    info = rig.redis.command("INFO", "all").decode()
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    calls = {name[8:]: int(value.split(",")[0].split("=")[1]) for name, value in fields.items()
             if name.startswith("cmdstat_")}
    microseconds = {name[8:]: int(value.split(",")[1].split("=")[1])
                    for name, value in fields.items() if name.startswith("cmdstat_")}
    return {
        "round_trips": round(calls.get("evalsha", 0) / turns, 2),
        "commands": round(sum(n for name, n in calls.items() if name not in
                              ("info", "config|resetstat", "subscribe", "evalsha")) / turns, 2),
        "script_us": round(microseconds.get("evalsha", 0) / turns, 1),
        "bytes_in": round(int(fields["total_net_input_bytes"]) / turns),
        "bytes_out": round(int(fields["total_net_output_bytes"]) / turns),
    }


# Many streams

def history(rig: Rig, session: str, count: int) -> None:
    """Gives each of the sessions one stored turn of HISTORY bytes: copies of a real one."""
    first = f"{session}-000000-0000"
    text = "The quick brown fox jumps over the lazy dog. " * (HISTORY // 45)
    rig.load(rig.confab, connections=1, session=session,
             body=f'{{"session_id":"%s","user_text":"{text}"}}')
    script = """
    for _, key in ipairs(redis.call('KEYS', '*' .. ARGV[1] .. '*')) do
        local at = string.find(key, ARGV[1], 1, true)
        local head, tail = string.sub(key, 1, at - 1), string.sub(key, at + #ARGV[1])
        for i = 1, ARGV[3] - 1 do
            redis.call('COPY', key, head .. ARGV[2] .. string.format('-%06d-0000', i) .. tail)
        end
    end
    """
    rig.redis.command("EVAL", script, 0, first, session, count)


def children_state(rig: Rig) -> dict[int, dict[str, int]]:
    return {pid: {"rss": proc.memory(pid), "files": len(os.listdir(f"/proc/{pid}/fd"))}
            for pid in rig.pool.children()}


def streams(rig: Rig, scale: Scale) -> dict[str, Any]:
    """All at once, through nginx alone and through confab in turn."""
    found: dict[str, Any] = {"floor": [], "confab": []}
    for number in range(scale.stream_rounds):
        marker = f"#bench tokens={scale.tokens} gap_ms={GAP_MS}#"
        found["floor"].append(measured(rig, rig.proxy, connections=scale.streams, **UPSTREAM,
                                       body=MESSAGES.replace("%s", f"%s {marker}")))
        rig.restart_pool()
        session = f"streams{number}"
        history(rig, session, scale.streams)
        rig.load(rig.confab, connections=32, session="warm", seconds=0.5)
        found["confab"].append(one_burst(rig, session, scale.streams, marker))
    return found


def tls(rig: Rig, scale: Scale) -> dict[str, Any]:
    """The same burst towards a model in the clear, over TLS, and in the clear to a local nginx that
    speaks TLS with the model. Trusted are all authorities of the system, as in production."""
    found = {}
    for name, settings in (
            ("cleartext", {}),
            ("tls", {"OPENAI_BASE_URL": rig.upstream_tls.url,
                     "MODEL_CA_FILE": str(rig.upstream_tls.identity.trusted)}),
            ("egress", {"OPENAI_BASE_URL": f"http://{rig.egress.host}:{rig.egress.port}/v1"})):
        rig.restart_pool(**settings)
        history(rig, f"tls-{name}", scale.streams)
        rig.load(rig.confab, connections=32, session=f"warm-{name}", seconds=0.5)
        found[name] = one_burst(rig, f"tls-{name}", scale.streams,
                                f"#bench tokens={scale.tokens} gap_ms={GAP_MS}#")
    rig.restart_pool()
    return found


def one_burst(rig: Rig, session: str, count: int, marker: str) -> dict[str, Any]:
    body = f'{{"session_id":"%s","user_text":"Go on, please. {marker}"}}'
    fronts = {"nginx": rig.family(rig.confab), "egress": rig.family(rig.egress)}
    before = children_state(rig)
    fronts_before = {name: memory_of(pids) for name, pids in fronts.items()}
    cpu, began = rig.cpu(), time.monotonic()
    with subprocess.Popen(rig.command(rig.confab, connections=count, session=session, stream=True,
                                      body=body), stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout.readline() == "opened\n"
        opened, opened_at = rig.cpu(), time.monotonic()
        time.sleep(1)           # into the plateau
        plateau = children_state(rig)
        grown = {name: memory_of(pids) - fronts_before[name] for name, pids in fronts.items()}
        time.sleep(2)
        steady = per_second(opened, rig.cpu(), 0, time.monotonic() - opened_at)
        results = read_results(load.stdout.read())
    results["cores"] = per_second(cpu, rig.cpu(), results["cpu_seconds"], time.monotonic() - began)
    results["cores_plateau"] = steady
    time.sleep(2.5)     # a child looks once a second whether it has memory to give back
    after = children_state(rig)
    results["children"] = [{
        "streams": (plateau[pid]["files"] - before[pid]["files"]) // 2,
        "rss_before": before[pid]["rss"], "rss_plateau": plateau[pid]["rss"],
        "rss_after": after[pid]["rss"],
    } for pid in before if pid in plateau and pid in after]
    results["bytes_per_stream"] = statistics.median(
        (c["rss_plateau"] - c["rss_before"]) / max(c["streams"], 1) for c in results["children"])
    for name, bytes_grown in grown.items():
        results[f"{name}_bytes_per_stream"] = bytes_grown / count
    results["cpu_us_per_token"] = {name: cores / (count * 1000 / GAP_MS) * 1e6
                                   for name, cores in steady.items()}
    results["sessions_with_two_turns"] = saved(rig, session)
    return results


def memory_of(pids: list[int]) -> int:
    return sum(proc.memory(pid) for pid in pids)


def saved(rig: Rig, session: str) -> int:
    script = """
    local n = 0
    for _, key in ipairs(redis.call('KEYS', '*' .. ARGV[1] .. '-*:msgs')) do
        if redis.call('LLEN', key) == 2 then n = n + 1 end
    end
    return n
    """
    return rig.redis.command("EVAL", script, 0, session)


def cap(rig: Rig, scale: Scale) -> dict[str, Any]:
    """Twice as many as there are places for."""
    places = 500
    rig.restart_pool(MAX_REQUESTS=places)
    marker = "#bench tokens=6 gap_ms=500#"
    r = rig.load(rig.confab, connections=4 * places, session="cap", stream=True,
                 body=f'{{"session_id":"%s","user_text":"{marker}"}}')
    rig.restart_pool()
    return {"places": 2 * places, "asked": 4 * places, "served": r["ok"], "refused": r["failed"],
            "how": r["failures"], "refused_ms": r["refused"]}


def machine() -> dict[str, Any]:
    model = ""
    with contextlib.suppress(OSError, StopIteration):
        model = next(line.split(":")[1].strip() for line in
                     Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    return {"cores": os.cpu_count(), "cpu": model, "kernel": os.uname().release,
            "load_average": os.getloadavg()[0]}

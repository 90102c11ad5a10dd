"""The table, the verdicts and the picture."""

from __future__ import annotations

from html import escape
from typing import Any, NamedTuple

from bench import report_tasks


# Those that speed compares, as the table calls them.
NAMES = {"confab": "confab", "peer": "peer behind nginx", "peer_bare": "peer bare",
         "stripped": "peer stripped", "nop": "nop", "proxy": "proxy",
         "upstream": "upstream directly"}


class Verdict(NamedTuple):
    what: str
    value: str
    target: str
    ok: bool


def _ms(value: float) -> str:
    return f"{value:.2f} ms"


def verdicts(r: dict[str, Any]) -> list[Verdict]:
    found = []

    def add(what: str, value: str, target: str, ok: bool) -> None:
        found.append(Verdict(what, value, target, ok))

    if "speed" in r:
        _speed(r["speed"], add)
    if "alone" in r:
        _alone(r["alone"], add)
    if "dialog" in r:
        _dialog(r["dialog"], add)
    for number, burst in enumerate(r.get("streams", {}).get("confab", []), 1):
        _burst(number, burst, r["streams"]["floor"][number - 1], add)
    for way, burst in r.get("tls", {}).items():
        add(f"streams at once, {_WAYS[way]}: failed", str(burst["failed"]), "0", burst["failed"] == 0)
    if "cap" in r:
        c = r["cap"]
        odd = set(c["how"]) - {"503 pool_busy"}
        add(f"{c['asked']} streams, {c['places']} places: served", str(c["served"]),
            str(c["places"]), c["served"] == c["places"])
        add("  the others: 503 with Retry-After, within", _ms(c["refused_ms"]["max"]), "<= 2000 ms",
            not odd and c["refused_ms"]["max"] <= 2000)
    report_tasks.verdicts(r, add)
    return found


def _speed(s: dict[str, Any], add: Any) -> None:
    for other, target, ok in (
            ("peer", ">= 12 x (aim 20)", lambda x: x >= 12), ("peer_bare", "", lambda x: True),
            ("stripped", "", lambda x: True), ("nop", ">= 0.2 x (aim 0.33)", lambda x: x >= 0.2)):
        ratio = s[f"ratio_{other}"]
        add(f"plain turns against {NAMES[other]}", f"{ratio['median']:.2f} x "
            f"({ratio['low']:.2f}..{ratio['high']:.2f})", target, ok(ratio["median"]))
    for name in ("confab", "peer", "peer_bare"):
        add(f"failed plain turns, {NAMES[name]}", f"{s[name]['failed']} {s[name]['failures'] or ''}",
            "0", s[name]["failed"] == 0)
    for name, counts in s["stored"].items():
        add(f"turns answered by {name}, and stored",
            f"{counts['answered']:,} / {counts['stored']:,}", "equal, all synced",
            counts["answered"] == counts["stored"] and
            s["redis"] == {"appendonly": "yes", "appendfsync": "always"})
    dialog = s["peer_dialog"]
    add("turns of a dialog of the peer, told by confab", f"{dialog['told']} of {dialog['stored']}",
        "all", 0 < dialog["told"] == dialog["stored"])


def _alone(a: dict[str, Any], add: Any) -> None:
    add("alone, whole turn, p99", _ms(a["plain"]["whole"]["p99"]), "< 1 ms",
        a["plain"]["whole"]["p99"] < 1)
    add("alone, first token, p99", _ms(a["stream"]["first"]["p99"]), "< 1 ms",
        a["stream"]["first"]["p99"] < 1)


def _dialog(d: dict[str, Any], add: Any) -> None:
    short, long = d["00010"], d["10000"]
    a, b = short["redis"], long["redis"]
    add("Redis round trips a turn", f"{b['round_trips']:.2f}", "<= 2", b["round_trips"] <= 2.05)
    add("commands a turn at 10 / 10,000 turns", f"{a['commands']} / {b['commands']}", "equal",
        abs(a["commands"] - b["commands"]) < 0.1)
    add("bytes a turn at 10 / 10,000 turns", f"{a['bytes_in'] + a['bytes_out']} / "
        f"{b['bytes_in'] + b['bytes_out']}", "within 2 %",
        abs(1 - (a["bytes_in"] + a["bytes_out"]) / (b["bytes_in"] + b["bytes_out"])) < 0.02)
    x, y = short["p50_ms"], long["p50_ms"]
    add("median turn at 10 / 10,000 turns", f"{x['median']:.3f} / {y['median']:.3f} ms",
        "spreads overlap", y["median"] <= x["high"] and x["median"] <= y["high"])


def _burst(number: int, b: dict[str, Any], floor: dict[str, Any], add: Any) -> None:
    count = b["ok"] + b["failed"]
    add(f"{count} streams at once ({number}): failed", f"{b['failed']} {b['failures'] or ''}", "0",
        b["failed"] == 0)
    add("  saved", str(b["sessions_with_two_turns"]), str(count),
        b["sessions_with_two_turns"] == count)
    add("  RSS a stream, median child", f"{b['bytes_per_stream'] / 1024:.1f} KB", "<= 20 KB",
        b["bytes_per_stream"] <= 20 * 1024)
    t, f = b["tokens_plateau"], floor["tokens_plateau"]
    add("  token latency p50, all open", f"{_ms(t['p50'])} (nginx alone {_ms(f['p50'])})",
        "< 1 ms", t["p50"] < 1)
    add("  token latency p99, all open", f"{_ms(t['p99'])} (nginx alone {_ms(f['p99'])})",
        "< 5 ms", t["p99"] < 5)
    grown = max(c["rss_after"] - c["rss_before"] for c in b["children"]) / 2**20
    add("  RSS left after the burst, a child", f"+{grown:.1f} MB", "<= +10 MB", grown <= 10)


def _speed_table(speed: dict[str, Any]) -> list[str]:
    lines = ["", f"{'':19}{'clients':>7} {'turns/s':>9} {'low':>8} {'high':>8} {'p50 ms':>8} "
                 f"{'p99 ms':>8} {'CPU us':>7}  cores"]
    for name, words in NAMES.items():
        s = speed[name]
        t = s["turns_per_second"]
        cores = " ".join(f"{k}={v:.2f}" for k, v in s["cores"].items() if k != "machine")
        lines.append(f"{words:19}{s['connections']:7} {t['median']:9.0f} {t['low']:8.0f} "
                     f"{t['high']:8.0f} {s['p50_ms']['median']:8.2f} {s['p99_ms']['median']:8.2f} "
                     f"{s['cpu_us']['median']:7.0f}  {cores}")
    lines += ["", f"{'turns/s, a short try':19}" + "".join(
        f"{n:>9}" for n in speed["confab"]["tried"]) + "  clients"]
    for name, words in NAMES.items():
        lines.append(f"{words:20}" + "".join(f"{t:9.0f}" for t in speed[name]["tried"].values()))
    lines.append("")
    for other in ("peer", "peer_bare", "stripped", "nop"):
        t = speed[f"cpu_ratio_{other}"]
        lines.append(f"CPU of a turn: {NAMES[other]} takes {t['median']:.2f} times that of confab "
                     f"({t['low']:.2f}..{t['high']:.2f})")
    return lines


_WAYS = {"cleartext": "in the clear", "tls": "TLS in the children", "egress": "TLS in a local nginx"}


def _tls_table(tls: dict[str, Any]) -> list[str]:
    if not tls:
        return []
    lines = ["", f"{'to the model':22}{'failed':>7} {'open s':>7} {'KB a stream: children':>22} "
                 f"{'egress':>7} {'CPU us a token: children':>25} {'egress':>7} {'p50 ms':>7} "
                 f"{'p99 ms':>7}"]
    for way, b in tls.items():
        cpu, t = b["cpu_us_per_token"], b["tokens_plateau"]
        lines.append(f"{_WAYS[way]:22}{b['failed']:7} {b['open_seconds']:7.1f} "
                     f"{b['bytes_per_stream'] / 1024:22.1f} "
                     f"{b['egress_bytes_per_stream'] / 1024:7.1f} "
                     f"{cpu.get('children', 0):25.1f} {cpu.get('egress', 0):7.1f} "
                     f"{t['p50']:7.2f} {t['p99']:7.2f}")
    return lines


def table(r: dict[str, Any]) -> str:
    lines = []
    if "speed" in r:
        lines += _speed_table(r["speed"])
    if "alone" in r:
        lines += ["", f"{'one client':22}{'p50 ms':>8} {'p99 ms':>8}"]
        for name, part in (("plain", "whole"), ("stream", "first"), ("stream", "whole"),
                           ("nop", "whole"), ("proxy", "whole")):
            h = r["alone"][name][part]
            lines.append(f"{name + ', ' + part:22}{h['p50']:8.3f} {h['p99']:8.3f}")
        d = r["alone"]["durable_write_ms"]
        lines.append(f"{'a durable write':22}{d['p50']:8.3f} {d['p99']:8.3f}")
    for b in r.get("streams", {}).get("confab", []):
        cores = " ".join(f"{k}={v:.2f}" for k, v in b["cores_plateau"].items() if k != "machine")
        lines += ["", f"streams: open after {b['open_seconds']:.1f} s; cores while all run: {cores}"]
    lines += _tls_table(r.get("tls", {}))
    lines += report_tasks.table(r)
    lines += ["", f"{'':45} {'measured':40} {'target':22}"]
    for v in verdicts(r):
        verdict = "" if not v.target else "pass" if v.ok else "MISSED"
        lines.append(f"{v.what:45} {v.value:40} {v.target:22} {verdict}".rstrip())
    return "\n".join(lines)


# A picture without a library: two rows of bars

_COLORS = {"confab": "#2b6cb0", "peer": "#a0aec0", "peer_bare": "#a0aec0", "nop": "#cbd5e0",
           "proxy": "#cbd5e0"}


def _bars(title: str, rows: list[tuple[str, float, str, str]], top: int) -> tuple[list[str], int]:
    longest = max(value for _, value, _, _ in rows) or 1
    out = [f'<text x="10" y="{top + 14}" font-weight="bold">{escape(title)}</text>']
    y = top + 26
    for name, value, words, color in rows:
        width = max(1, value / longest * 400)
        out += [f'<text x="150" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
                f'<rect x="160" y="{y}" width="{width:.0f}" height="18" fill="{color}"/>',
                f'<text x="{166 + width:.0f}" y="{y + 14}">{escape(words)}</text>']
        y += 24
    return out, y + 12


def svg(r: dict[str, Any]) -> str:
    parts, y = [], 8
    if "speed" in r:
        rows = [(NAMES[n], r["speed"][n]["turns_per_second"]["median"],
                 f"{r['speed'][n]['turns_per_second']['median']:,.0f}/s", color)
                for n, color in _COLORS.items()]
        more, y = _bars("Turns a second (nop, proxy: the same nginx, no turn)", rows, y)
        parts += more
    if r.get("streams", {}).get("confab"):
        rows = []
        for name, key in (("confab", "confab"), ("nginx alone", "floor")):
            t = r["streams"][key][-1]["tokens_plateau"]
            for q in ("p50", "p99"):
                rows.append((f"{name} {q}", t[q], _ms(t[q]),
                             _COLORS["confab" if key == "confab" else "proxy"]))
        count = r["streams"]["confab"][-1]["ok"]
        more, y = _bars(f"Token latency with {count:,} streams, upstream to client", rows, y)
        parts += more
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{y}" '
            'font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" '
            'fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")

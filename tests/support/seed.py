"""Dialogs that nobody has the time to hold, straight into Redis."""

from __future__ import annotations

from tests.support.stack import Stack


def seed(stack: Stack, session: str, turns: int, answer: str = "a" * 600) -> None:
    """A dialog of this length; answer is as it stands in JSON."""
    key = f"c1:{{default}}:s:{len(session.encode())}:{session}"
    entry = ('{"id":%d,"asked":1772357400000,"answered":1772357403210,"model":"gpt"}\n'
             '{"role":"user","content":"question %d"},{"role":"assistant","content":"%s"}')
    for first in range(1, turns + 1, 500):
        stack.redis.command("RPUSH", f"{key}:msgs",
                            *(entry % (n, n, answer)
                              for n in range(first, min(first + 500, turns + 1))))
    stack.redis.command("HSET", key, "created", "1772357400000", "updated", "1772357403210",
                        "turns", str(turns))

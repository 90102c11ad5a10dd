"""A stack as scripts/up would have started it, for the scripts that look after it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.confabctl import CONFABCTL
from tests.support.programs import TOP
from tests.support.proc import Process
from tests.support.stack import Stack


def adopt(stack: Stack) -> dict[str, str]:
    """Leaves the notes that scripts/up leaves. Returns the scripts' environment."""
    for process in (stack.pool, stack.nginx):
        note = stack.directory / "run" / process.name
        note.write_text(f"{process.pid} {_began(process)}\n")
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CONFAB_STATE": str(stack.directory),
            "CONFABCTL": str(CONFABCTL)}


def reload(stack: Stack, timeout: float = 60) -> subprocess.CompletedProcess:
    stack.pool.expected_deaths += len(stack.pool.children())
    return run_reload(adopt(stack), timeout)


def run_reload(env: dict[str, str], timeout: float = 60) -> subprocess.CompletedProcess:
    return subprocess.run([TOP / "scripts" / "reload"], env=env, capture_output=True, text=True,
                          timeout=timeout, check=False)


def _began(process: Process) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()[19]

"""Programs under test: each has a log, is ended by its pid, and never outlives the tests."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

PATIENCE = 20.0     # seconds until a condition counts as never met; generous, as machines differ

# What no log may ever hold: a sanitizer's report, or the words of those who see a crash.
_CRASH = re.compile(rb"ERROR: (Address|Leak)Sanitizer|runtime error:|Sanitizer:DEADLYSIGNAL"
                    rb"|Assertion .* failed|exited on signal (4|6|7|8|11)\b"
                    rb"|stack smashing detected|double free|corrupted|nginx: \[emerg\]")

Value = TypeVar("Value")


def until(condition: Callable[[], Value], what: str, timeout: float = PATIENCE) -> Value:
    """Waits until condition() is true and returns its value. For what announces itself to
    nobody; else wait for the event."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout} s in vain: {what}")
        time.sleep(0.005)
    return value


class Process:
    """One program. Its standard output and error go to `log`, which is kept over restarts."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._child: subprocess.Popen | None = None
        self._checked = 0       # bytes of the log that were looked through

    def run(self, *argv: str | Path, env: Mapping[str, str], stdin: Any = subprocess.DEVNULL
            ) -> Process:
        assert not self.alive, f"{self.name} runs already"
        # setpriv becomes the program: it only asks the kernel to end it with us, should the
        # tests be killed.
        watched = ["setpriv", "--pdeathsig", "TERM", "--", *map(str, argv)]
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(watched, env=dict(env), stdin=stdin, stdout=log,
                                           stderr=log, start_new_session=True)
        return self

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def children(self) -> list[int]:
        """The pids of those it has started, and that live."""
        try:
            pids = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except FileNotFoundError:
            return []
        return [int(pid) for pid in pids if is_alive(int(pid))]

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit status; negative: the signal that ended it."""
        return self._child.wait(timeout)

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = PATIENCE) -> int | None:
        """Asks it to end and waits. Returns its exit status, None if it did not run."""
        if not self.alive:
            return None
        self.send(how)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"{self.name} did not end {timeout} s after {how.name}") from None

    def kill(self) -> None:
        """Ends it at once, and all that it has started."""
        if self.alive:
            os.killpg(self.pid, signal.SIGKILL)
            self.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Keeps its connections and does nothing, for as long as the block lasts."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)

    def logged(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def crashes(self) -> list[str]:
        """What looks like one in the log, each only once."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(self._checked)
            new = log.read()
        whole = new[:new.rfind(b"\n") + 1] if self.alive else new
        self._checked += len(whole)
        return [f"{self.name}: {line.decode(errors='replace')}"
                for line in whole.splitlines() if _CRASH.search(line)]


def is_alive(pid: int) -> bool:
    """It runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def memory(pid: int) -> int:
    """Bytes resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def busy_seconds(pid: int) -> float:
    """CPU time used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

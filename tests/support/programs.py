"""The programs of confab, started as production starts them; only paths and ports differ."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.proc import Process, until

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CONFAB_BUILD", TOP / ".state" / "build")).resolve()
FCGI = BUILD / "fcgi" / "confab-fcgi"
JOBRUNNER = BUILD / "jobrunner" / "confab-jobrunner"

PORT = 8080
_DIED = "Spawning child"        # what multiwatch says when it has to replace one


class Pool(Process):
    """The FastCGI children under spawn-fcgi and multiwatch."""

    def __init__(self, directory: Path, backlog: int = 4096) -> None:
        super().__init__("pool", directory / "pool.log")
        self.socket = directory / "fcgi.sock"
        self.expected_deaths = 0
        self.backlog = backlog

    def start(self, env: Mapping[str, str]) -> Pool:
        self.socket.unlink(missing_ok=True)
        self.run("spawn-fcgi", "-n", "-s", self.socket, "-M", "0660", "-b",
                 self.backlog, "--",
                 "/usr/bin/multiwatch", "-r", "1000000", "-f", env["FCGI_CHILDREN"], "--", FCGI,
                 env=env)
        return self

    def kill_child(self, pid: int, how: signal.Signals = signal.SIGKILL) -> None:
        self.expected_deaths += 1
        os.kill(pid, how)

    def connections(self, *, waiting: bool = False) -> int:
        """Of nginx to the children; or those that wait until one accepts them."""
        path, state = str(self.socket), "02" if waiting else "03"
        sockets = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        return sum(words[-1] == path and words[5] == state for words in sockets)

    def crashes(self) -> list[str]:
        found = super().crashes()
        died = self.logged().count(_DIED)
        if died > self.expected_deaths:
            found.append(f"{self.name}: {died - self.expected_deaths} children died unexpectedly")
            self.expected_deaths = died
        return found


class Runner(Process):
    """A jobrunner."""

    def __init__(self, directory: Path, name: str = "jobrunner") -> None:
        super().__init__(name, directory / f"{name}.log")

    def start(self, env: Mapping[str, str]) -> Runner:
        self.run(JOBRUNNER, env=env)
        return self


class Nginx(Process):
    """From the templates of production, on a loopback address that nobody else has: several
    stacks use the same port, and none can take another's."""

    def __init__(self, directory: Path) -> None:
        super().__init__("nginx", directory / "nginx.log")
        self.state = directory / "nginx"
        self.port = PORT
        self._reserved, self.host = _reserve_address()
        self.operators = self.state / "operators.sock"

    def configure(self, env: Mapping[str, str], fcgi_socket: Path) -> None:
        """Makes the configuration, as scripts/up does it."""
        more = {"CONFAB_STATE": str(self.state), "FCGI_SOCKET": str(fcgi_socket),
                "HTTP_LISTEN": self.host, "HTTP_PORT": str(self.port), "CONFAB_FCGI": str(FCGI),
                "NGINX_ERROR_LOG": "stderr"}
        self.state.mkdir(exist_ok=True)
        made = subprocess.run([TOP / "scripts" / "nginx-conf", TOP / "nginx"], env={**env, **more},
                              capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr

    def start(self, env: Mapping[str, str]) -> Nginx:
        self.operators.unlink(missing_ok=True)      # one that was killed leaves it
        user = " user root;" if os.geteuid() == 0 else ""   # the sockets are ours
        self.run("nginx", "-c", self.state / "nginx.conf", "-g", f"daemon off;{user}", env=env)
        until(lambda: self._listens(), "nginx listens")
        return self

    def stop(self, how: signal.Signals = signal.SIGQUIT, timeout: float = 20) -> int | None:
        return super().stop(how, timeout)

    def free(self) -> None:
        self._reserved.close()

    def _listens(self) -> bool:
        assert self.alive, f"nginx does not start: {self.logged()}"
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0


def _reserve_address() -> tuple[socket.socket, str]:
    """An address in 127.64.0.0/10, held by a socket that is bound to one of its ports."""
    while True:
        address = f"127.{random.randrange(64, 128)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        holder = socket.socket()
        try:
            holder.bind((address, PORT + 1))
        except OSError:
            holder.close()
            continue
        return holder, address

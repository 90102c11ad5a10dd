"""A Redis that fails over: a master, its replicas, and sentinels that watch them, on a loopback
address that nobody else has."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

from tests.support.proc import until
from tests.support.redis import ENV, Redis

_PORT, _SENTINEL_PORT = 7001, 26379
_SENTINELS = 3

_SENTINEL = """
port {port}
unixsocket {socket}
bind {address}
dir {directory}
sentinel announce-ip {address}
sentinel monitor mymaster {address} {master} 2
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 5000
"""


class Sentinel(Redis):
    def start(self, *, wait: bool = True) -> Sentinel:
        self.run("redis-server", self.directory / "sentinel.conf", "--sentinel", env=ENV)
        if wait:
            until(self._answers, "the sentinel answers")
        return self


class Replicated:
    """A master with replicas; with `watched` also three sentinels, and the url is theirs."""

    def __init__(self, replicas: int, *, watched: bool = False) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="confab-"))
        self.address = "127.{}.{}.{}".format(random.randrange(128, 192), random.randrange(256),
                                             random.randrange(1, 255))
        self.master = self._server(0)
        self.replicas = [self._server(n + 1) for n in range(replicas)]
        self.sentinels = [self._sentinel(n) for n in range(_SENTINELS if watched else 0)]

    def __enter__(self) -> Replicated:
        self.master.start()
        for replica in self.replicas:
            replica.start()
        self.wait_following()
        for sentinel in self.sentinels:
            sentinel.start()
        known = f"slaves={len(self.replicas)},sentinels={len(self.sentinels)}"
        until(lambda: all(known in s.command("INFO", "sentinel").decode() for s in self.sentinels),
              "the sentinels know the replicas and each other")
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.sentinels, *self.replicas, self.master):
            process.kill()
        shutil.rmtree(self.directory)

    @property
    def url(self) -> str:
        if not self.sentinels:
            return self.master.url
        hosts = ",".join(f"{self.address}:{_SENTINEL_PORT + n}" for n in range(_SENTINELS))
        return f"sentinel://{hosts}/mymaster"

    def wait_following(self) -> None:
        until(lambda: len(self.master.command("ROLE")[2]) == len(self.replicas),
              "the replicas follow")

    def wait_promoted(self) -> Redis:
        """The replica that is the master, as soon as there is one."""
        def promoted() -> Redis | None:
            return next((r for r in self.replicas if r.command("ROLE")[0] == b"master"), None)
        return until(promoted, "a replica is promoted")

    def _server(self, number: int) -> Redis:
        follows = ["--replicaof", self.address, _PORT] if number else []
        return Redis(self._directory(f"redis-{number}"), "--port", _PORT + number, "--bind",
                     self.address, "--replica-announce-ip", self.address,
                     "--repl-diskless-sync-delay", 0, *follows)

    def _sentinel(self, number: int) -> Sentinel:
        sentinel = Sentinel(self._directory(f"sentinel-{number}"))
        conf = _SENTINEL.format(port=_SENTINEL_PORT + number, socket=sentinel.socket,
                                address=self.address, directory=sentinel.directory, master=_PORT)
        (sentinel.directory / "sentinel.conf").write_text(conf)
        return sentinel

    def _directory(self, name: str) -> Path:
        directory = self.directory / name
        directory.mkdir()
        return directory

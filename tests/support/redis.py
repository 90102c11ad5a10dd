"""A private Redis, kept as production keeps its own: appendonly, fsync always, noeviction."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any, BinaryIO

from tests.support.proc import Process, until

ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
Answer = bytes | int | list | None


class RedisError(Exception):
    """Redis answered with an error."""


class Redis(Process):
    """On a unix socket in `directory`, where its data lies too and survives restarts. options:
    more of them, as on its command line."""

    def __init__(self, directory: Path, *options: str | int, durable: bool = True) -> None:
        super().__init__("redis", directory / "redis.log")
        self.directory = directory
        self.socket = directory / "redis.sock"
        self.durable = durable
        self.options = options

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self, *, wait: bool = True) -> Redis:
        self.socket.unlink(missing_ok=True)
        keeping = ["yes", "--appendfsync", "always"] if self.durable else ["no"]
        self.run("redis-server", "--port", "0", "--unixsocket", self.socket, "--dir",
                 self.directory, "--save", "", "--maxmemory-policy", "noeviction", "--appendonly",
                 *keeping, *map(str, self.options), env=ENV)
        if wait:
            until(self._answers, "Redis answers")
        return self

    def _answers(self) -> bool:
        try:
            return self.command("PING") == b"PONG"
        except (OSError, RedisError):       # not there yet, or still loading
            return False

    def log_files(self) -> list[Path]:
        """Of what it has written since its last rewrite, the one that grows last."""
        files = self.directory.glob("appendonlydir/*.incr.aof")
        return sorted(files, key=lambda file: int(file.name.split(".")[-3]))

    def command(self, *words: str | bytes | int) -> Any:
        """One command on a connection of its own. Strings come as bytes. Raises RedisError."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.socket))
            connection.sendall(_encode(words))
            with connection.makefile("rb") as reader:
                return _decode(reader)

    def keys(self, pattern: str = "c1:*") -> set[str]:
        return {key.decode() for key in self.command("KEYS", pattern)}

    def hash(self, key: str) -> dict[str, str]:
        flat = [part.decode(errors="surrogateescape") for part in self.command("HGETALL", key)]
        return dict(zip(flat[::2], flat[1::2]))

    def dump(self) -> dict[str, bytes]:
        """All data, to compare it with a later state. Locks come and go, and the books of what was
        used are kept once a second: they do not count."""
        found = {}
        for key in self.keys():
            if not (key.endswith((":lock", ":wait")) or ":use:" in key or key == "c1:tenants"):
                with contextlib.suppress(RedisError):
                    found[key] = self.command("DUMP", key)
        return found


def _encode(words: tuple[str | bytes | int, ...]) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def _decode(reader: BinaryIO) -> Answer:
    line = reader.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("Redis left")
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        raise RedisError(rest.decode())
    if kind == b"+":
        return rest
    if kind == b":":
        return int(rest)
    size = int(rest)
    if size < 0:
        return None
    if kind == b"*":
        return [_decode(reader) for _ in range(size)]
    return reader.read(size + 2)[:-2]

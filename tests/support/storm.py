"""Thousands of requests at once, from one thread."""

from __future__ import annotations

import errno
import selectors
import socket
import time
from dataclasses import dataclass, field


@dataclass
class Answer:
    """To one of them; status 0: none came."""

    opened_at: float
    first_at: float = 0.0       # its first byte; 0: none
    ended_at: float = 0.0
    data: bytearray = field(default_factory=bytearray)

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1]) if self.data[:5] == b"HTTP/" else 0

    @property
    def seconds(self) -> float:
        return self.ended_at - self.opened_at

    def header(self, name: str) -> str | None:
        head = bytes(self.data).partition(b"\r\n\r\n")[0].decode("latin-1")
        for line in head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None


def storm(address: tuple[str, int], requests: list[bytes], seconds: float,
          timeout: float = 60) -> list[Answer]:
    """Opens one connection for each request (which has to ask for its end), spread evenly over so
    many seconds, and reads all answers to their ends."""
    waiting = selectors.DefaultSelector()
    answers: list[Answer] = []
    began, left = time.monotonic(), len(requests)

    def send(connection: socket.socket, request: bytes) -> None:
        connection.send(request)        # small enough for an empty buffer

    while left:
        now = time.monotonic()
        due = min(len(requests), int((now - began) / seconds * len(requests)) + 1)
        while len(answers) < due:
            connection = socket.socket()
            connection.setblocking(False)
            if connection.connect_ex(address) not in (0, errno.EINPROGRESS):
                raise OSError("no connection to nginx")
            answers.append(Answer(time.monotonic()))
            waiting.register(connection, selectors.EVENT_WRITE, len(answers) - 1)
        if now - began > timeout:
            break
        for key, what in waiting.select(0.01):
            answer, connection = answers[key.data], key.fileobj
            try:
                if what & selectors.EVENT_WRITE:
                    send(connection, requests[key.data])
                    waiting.modify(connection, selectors.EVENT_READ, key.data)
                    continue
                data = connection.recv(65536)
            except OSError:
                data = b""
            if data:
                answer.first_at = answer.first_at or time.monotonic()
                answer.data += data
            else:
                answer.ended_at = time.monotonic()
                waiting.unregister(connection)
                connection.close()
                left -= 1
    for key in list(waiting.get_map().values()):
        key.fileobj.close()
    waiting.close()
    return answers

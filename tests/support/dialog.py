"""A conversation, and the task that writes it down, as a client of the HTTP API sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.support.http import Client, Reply, Stream
from tests.support.proc import until

CHAT = "/api/v1/chat"
WRITE = "/api/v1/write_to_doc"
EVENTS = {"Accept": "text/event-stream"}


@dataclass(frozen=True)
class Dialog:
    """One session."""

    client: Client
    session: str

    def say(self, text: str, *, headers: dict[str, str | None] | None = None,
            timeout: float = 20, **fields: Any) -> Reply:
        """A turn whose answer comes whole."""
        return self.client.post(CHAT, self._turn(text, fields), headers=headers, timeout=timeout)

    def stream(self, text: str, *, headers: dict[str, str | None] | None = None,
               receive_buffer: int | None = None, **fields: Any) -> Stream:
        """A turn whose answer comes in pieces."""
        return self.client.open("POST", CHAT, self._turn(text, fields),
                                headers=EVENTS | (headers or {}), receive_buffer=receive_buffer)

    def open(self, text: str, *, headers: dict[str, str | None] | None = None,
             **fields: Any) -> Stream:
        """As say(), without waiting for the answer: that is whole()."""
        return self.client.open("POST", CHAT, self._turn(text, fields), headers=headers)

    def write(self, *, headers: dict[str, str | None] | None = None) -> Reply:
        return self.client.post(WRITE, {"session_id": self.session}, headers=headers)

    def write_to_doc(self, *, headers: dict[str, str | None] | None = None) -> Task:
        """The task that was accepted."""
        reply = self.write(headers=headers)
        assert reply.status == 202, reply
        task_id = reply.json["task_id"]
        assert reply.headers["Location"] == f"/api/v1/status/{task_id}"
        return Task(self.client, task_id)

    def _turn(self, text: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {"session_id": self.session, "user_text": text} | fields


@dataclass(frozen=True)
class Task:
    client: Client
    id: str

    @property
    def status(self) -> str:
        reply = self.client.get(f"/api/v1/status/{quote(self.id)}")
        assert reply.status == 200 and list(reply.json) == ["status"], reply
        return reply.json["status"]

    @property
    def record(self) -> dict[str, Any]:
        reply = self.client.get(f"/api/v1/tasks/{quote(self.id)}")
        assert reply.status == 200, reply
        return reply.json

    def wait(self, status: str = "finished", timeout: float = 30) -> dict[str, Any]:
        """The record, once it has this status."""
        def is_so() -> bool:
            seen = self.status
            assert seen == status or seen in ("pending", "running"), self.record
            return seen == status
        until(is_so, f"task {self.id} is {status}", timeout)
        return self.record

    def wait_for(self, condition: Any, what: str, timeout: float = 30) -> dict[str, Any]:
        """The record, once condition(record) holds."""
        def holds() -> dict[str, Any] | None:
            record = self.record
            return record if condition(record) else None
        return until(holds, what, timeout)


def path_of(file_url: str) -> str:
    parts = urlsplit(file_url)
    assert parts.scheme == "file", file_url
    return unquote(parts.path)

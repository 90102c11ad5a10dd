"""A strict reader of event streams: what a browser would forgive is an error here."""

from __future__ import annotations

import codecs
import json
import re
import time
from dataclasses import dataclass
from typing import Any

_LINE_END = re.compile(r"\r\n|\r|\n")


class BrokenStream(Exception):
    """The bytes are not the event stream that the product promises."""


@dataclass(frozen=True)
class Event:
    event: str | None    # None when the stream did not name it
    data: str
    id: str | None
    at: float            # when its last byte came, time.monotonic()

    @property
    def json(self) -> Any:
        return json.loads(self.data)


@dataclass(frozen=True)
class Comment:
    text: str
    at: float


class EventReader:
    """feed() bytes in pieces of any size; events and comments collect in order
    of arrival. Lines may end in LF, CRLF or CR."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.comments: list[Comment] = []
        self._decode = codecs.getincrementaldecoder("utf-8")("strict").decode
        self._line: list[str] = []           # pieces of the line that is being read
        self._after_cr = False
        self._fields: dict[str, str] = {}    # of the event that is being read

    def feed(self, data: bytes, at: float | None = None) -> list[Event]:
        """Returns the events that became whole. Raises BrokenStream."""
        known = len(self.events)
        try:
            text = self._decode(data)
        except UnicodeDecodeError as why:
            raise BrokenStream(f"not UTF-8: {why}") from None
        at = time.monotonic() if at is None else at
        if self._after_cr:
            text = text.removeprefix("\n")
        self._after_cr = text.endswith("\r") or (self._after_cr and not text)
        *lines, rest = _LINE_END.split(text)
        for line in lines:
            self._take_line("".join(self._line) + line, at)
            self._line.clear()
        self._line.append(rest)
        return self.events[known:]

    def close(self) -> list[Event]:
        """The end of the body: all events. Raises BrokenStream if one is incomplete."""
        try:
            self._decode(b"", True)
        except UnicodeDecodeError:
            raise BrokenStream("cut inside a character") from None
        rest = "".join(self._line)
        if rest or self._fields:
            raise BrokenStream(f"cut inside an event: {self._fields} {rest!r}")
        return self.events

    def _take_line(self, line: str, at: float) -> None:
        if not line:
            self._dispatch(at)
            return
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name and colon:
            self.comments.append(Comment(value, at))
        elif name == "data" and colon:
            before = self._fields.get("data")
            self._fields["data"] = value if before is None else f"{before}\n{value}"
        elif name in ("event", "id") and value and "\0" not in value:
            if name in self._fields:
                raise BrokenStream(f"{name} is given twice")
            self._fields[name] = value
        else:
            raise BrokenStream(f"line {line[:200]!r}")

    def _dispatch(self, at: float) -> None:
        fields, self._fields = self._fields, {}
        if not fields:
            return
        if "data" not in fields:
            raise BrokenStream(f"an event without data: {fields}")
        self.events.append(Event(fields.get("event"), fields["data"], fields.get("id"), at))


def read_events(body: bytes) -> list[Event]:
    """The events of a whole body."""
    reader = EventReader()
    reader.feed(body)
    return reader.close()

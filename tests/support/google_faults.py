"""What goes wrong, when, and how often. See Faults.add()."""

from __future__ import annotations

import fnmatch
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.google_errors import Refusal, drive_error, sample

if TYPE_CHECKING:
    from tests.support.google import Call

HTML_PAGE = b"""<!DOCTYPE html>
<html lang=en><meta charset=utf-8><title>Error 502 (Server Error)!!1</title>
<p><b>502.</b> <ins>That's an error.</ins>
<p>The server encountered a temporary error and could not complete your request.
"""
_WHEN = ("before", "after", "partly")
_KINDS = ("cut", "cut_body", "reset", "hang", "lag", "status", "html", "sample")

# Shorter names for common samples.
_NAMED = {"401": "drive-401-auth", "user_rate": "drive-403-user-rate", "rate": "drive-403-rate",
          "429": "drive-429", "no_storage": "drive-403-service-account-quota",
          "no_permission": "drive-403-permission"}

UNITS_PER_MINUTE = 1_000_000
UNITS_PER_MINUTE_AND_USER = 325_000
_UNITS = {"files.get": 5, "files.list": 100, "files.create": 50, "files.update": 50,
          "files.delete": 50}


@dataclass(eq=False)
class Fault:
    """One rule; hits counts how often it struck. remove() ends it."""
    method: str
    kind: str
    when: str
    count: int | None           # how often at most; None: always
    skip: int                   # so many matching calls are spared first
    upload: bool | None
    match: Callable[[Call], bool] | None
    rate: float                 # the probability that it strikes
    random: random.Random
    seconds: float
    reply: Refusal | None
    hits: int = 0
    removed: bool = False

    def remove(self) -> None:
        self.removed = True

    def strikes(self, call: Call) -> bool:
        if self.removed or self.count is not None and self.hits >= self.count:
            return False
        if not fnmatch.fnmatchcase(call.method, self.method):
            return False
        if self.upload not in (None, call.upload) or self.match and not self.match(call):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.rate < 1 and self.random.random() >= self.rate:
            return False
        self.hits += 1
        return True


class Faults:
    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, method: str = "*", kind: str = "cut", when: str = "before", *,
            count: int | None = 1, skip: int = 0, upload: bool | None = None,
            match: Callable[[Call], bool] | None = None, rate: float = 1.0, seed: int = 0,
            status: int = 503, sample_id: str | None = None, retry_after: str | int | None = None,
            ms: float = 0) -> Fault:
        """method: "token", "files.create", "upload.put" ... or a pattern, "files.*".
        upload: only calls that bring content (True), only those that do not (False).
        when: before or after the work is done; "partly": upload.put keeps half.
        kind:
          cut, reset   the connection ends without an answer
          cut_body     in the middle of the answer's body
          hang         no answer until the client leaves
          lag          ms later than otherwise; before the work, it goes together with others
          status       this status, with an error body as Google's
          html         the same, with a page of HTML
          sample       the recorded error sample_id; or as kind one of "401",
                       "user_rate", "rate", "429", "no_storage", "no_permission"
        retry_after: a header of the last three."""
        if kind in _NAMED:
            kind, sample_id = "sample", _NAMED[kind]
        if kind not in _KINDS or when not in _WHEN:
            raise ValueError(f"no such fault: {kind!r} {when!r}")
        reply = _reply(kind, status, sample_id, retry_after)
        fault = Fault(method, kind, when, count, skip, upload, match, rate, random.Random(seed),
                      ms / 1000, reply)
        with self._lock:
            self.rules.append(fault)
        return fault

    def storm(self, seed: int, rate: float = 0.1, method: str = "*") -> None:
        """A bit of everything, at random but the same for the same seed: about
        that part of the calls goes wrong. Nothing in it hangs or is final."""
        kinds = [("cut", "before"), ("cut", "after"), ("reset", "after"), ("cut_body", "after"),
                 ("status", "before"), ("status", "after"), ("html", "after"),
                 ("user_rate", "before"), ("429", "before"), ("401", "before")]
        for number, (kind, when) in enumerate(kinds):
            self.add(method, kind, when, count=None, rate=rate / len(kinds),
                     seed=seed * 100 + number,
                     match=(lambda call: call.method != "token") if kind in _NAMED else None)

    def clear(self) -> None:
        with self._lock:
            self.rules.clear()

    def of(self, call: Call) -> list[Fault]:
        """What strikes this call: any lags, and then at most one other fault."""
        if not self.rules:
            return []
        with self._lock:
            struck: list[Fault] = []
            for fault in self.rules:
                if any(f.kind != "lag" for f in struck) and fault.kind != "lag":
                    continue
                if fault.strikes(call):
                    struck.append(fault)
        return sorted(struck, key=lambda f: f.kind != "lag")


def _reply(kind: str, status: int, sample_id: str | None,
           retry_after: str | int | None) -> Refusal | None:
    if kind == "sample":
        reply = sample(sample_id)
    elif kind == "html":
        reply = Refusal(status, HTML_PAGE, {"content-type": "text/html; charset=UTF-8"})
    elif kind == "status":
        reply = drive_error(status, "backendError", "Backend Error")
    else:
        return None
    if retry_after is not None:
        reply.headers = reply.headers | {"retry-after": str(retry_after)}
    return reply


class Quota:
    """Units used per minute, of the project and of each user."""

    def __init__(self) -> None:
        self.per_minute = UNITS_PER_MINUTE
        self.per_minute_and_user = UNITS_PER_MINUTE_AND_USER
        self.total = 0
        self.refused = 0
        self._minute = -1
        self._project = 0
        self._users: dict[str, int] = {}

    @property
    def this_minute(self) -> int:
        return self._project if self._minute == int(time.monotonic() // 60) else 0

    def charge(self, method: str, user: str) -> None:
        """Refusal if the limit is reached; a refused call costs nothing."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._project = minute, 0
            self._users.clear()
        units = _UNITS.get(method, 5)
        if self._project + units > self.per_minute:
            self.refused += 1
            raise sample("drive-403-rate")
        if self._users.get(user, 0) + units > self.per_minute_and_user:
            self.refused += 1
            raise sample("drive-403-user-rate")
        self._project += units
        self._users[user] = self._users.get(user, 0) + units
        self.total += units

"""Errors in the words of Google: one exception for all of them, and the
recorded samples by id."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

_SAMPLES = Path(__file__).parent.parent / "data" / "error-samples.json"
JSON_TYPE = {"content-type": "application/json; charset=UTF-8"}


class Refusal(Exception):
    """The call is answered with this status and body instead of a result."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.headers = JSON_TYPE if headers is None else headers

    @property
    def text(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


def drive_error(status: int, reason: str, message: str, *, domain: str = "global",
                location: str | None = None, place: str = "parameter") -> Refusal:
    """The shape of every error of Drive v3."""
    detail = {"message": message, "domain": domain, "reason": reason}
    if location is not None:
        detail |= {"location": location, "locationType": place}
    return Refusal(status, {"error": {"code": status, "message": message, "errors": [detail]}})


def not_found(file_id: str) -> Refusal:
    return drive_error(404, "notFound", f"File not found: {file_id}.", location="fileId")


def bad_value(location: str, message: str = "Invalid Value", reason: str = "invalid") -> Refusal:
    return drive_error(400, reason, message, location=location)


def bad_body(message: str) -> Refusal:
    return drive_error(400, "badRequest", message)


def not_writable(message: str = "The resource body includes fields which are not directly "
                                "writable.") -> Refusal:
    return drive_error(403, "fieldNotWritable", message)


def sample(sample_id: str) -> Refusal:
    """A recorded error. KeyError if there is none of this id."""
    entry = _samples()[sample_id]
    return Refusal(entry["status"], entry["body"], dict(entry["headers"]))


@functools.lru_cache(maxsize=None)
def _samples() -> dict[str, dict]:
    return {entry["id"]: entry for entry in json.loads(_SAMPLES.read_text())["samples"]}

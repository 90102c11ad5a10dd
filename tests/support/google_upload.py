"""Bodies of uploads: multipart/related read strictly, and resumable sessions."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

from tests.support.google_errors import Refusal, bad_body, bad_value, drive_error
from tests.support.google_oauth import Caller
from tests.support.google_schema import parse_json
from tests.support.http1 import Request

MAX_SIMPLE = 5 * 1024 * 1024    # above that an upload has to be resumable
CHUNK = 256 * 1024              # pieces are multiples of this, but for the last
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]([0-9A-Za-z'()+_,./:=? -]{0,68}"
                       r"[0-9A-Za-z'()+_,./:=?-])?")
_PART_HEADER = re.compile(rb"([A-Za-z-]+): ?([\x20-\x7e]+)")
_MEDIA_TYPE = re.compile(r"([a-z0-9.+-]+/[a-z0-9.+-]+)(?: *; *charset=\"?([a-z0-9-]+)\"?)?", re.I)
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(frozen=True)
class Media:
    type: str
    content: bytes


def media_of(content_type: str | None, content: bytes) -> Media:
    """Text has to be UTF-8, and to say so if it says anything."""
    match = _MEDIA_TYPE.fullmatch(content_type or "")
    if not match:
        raise bad_body(f"Invalid content type: {content_type}")
    kind, charset = match[1].lower(), (match[2] or "utf-8").lower()
    if kind.startswith("text/"):
        try:
            if charset != "utf-8":
                raise ValueError(charset)
            content.decode()
        except ValueError:
            raise bad_body("Text has to be UTF-8.") from None
    return Media(kind, content)


def json_body(request: Request, *, required: bool = True) -> dict:
    """Metadata alone in the body of a request."""
    if not request.body and not required:
        return {}
    _check_json_type(request.headers.get("content-type"))
    return parse_json(request.body)


def read_multipart(request: Request) -> tuple[dict, Media]:
    """Metadata and media of an uploadType=multipart request."""
    if "content-length" not in request.headers:
        raise Refusal(411, "<!DOCTYPE html><title>Error 411 (Length Required)!!1</title>",
                      {"content-type": "text/html; charset=UTF-8"})
    check_simple_size(request.body)
    boundary = _boundary(request.headers.get("content-type", ""))
    metadata, content = _parts(request.body, boundary.encode())
    headers, body = _part(metadata)
    _check_json_type(headers.get("content-type"))
    fields = parse_json(body)
    headers, body = _part(content)
    return fields, media_of(headers.get("content-type"), body)


def check_simple_size(body: bytes) -> None:
    if len(body) > MAX_SIMPLE:
        raise drive_error(413, "uploadTooLarge", "Request Too Large: use a resumable upload.")


def _check_json_type(content_type: str | None) -> None:
    match = _MEDIA_TYPE.fullmatch(content_type or "")
    if not match or match[1].lower() != "application/json" \
            or (match[2] or "utf-8").lower() != "utf-8":
        raise bad_body(f"Metadata must be application/json, not {content_type}")


def _boundary(content_type: str) -> str:
    match = re.fullmatch(r'multipart/related; *boundary=(?:"([^"]+)"|([^\s";,()/:=?@<>\[\]\\]+))',
                         content_type, re.I)
    boundary = (match[1] or match[2]) if match else ""
    if not _BOUNDARY.fullmatch(boundary):
        raise _malformed(f"content type {content_type!r}")
    return boundary


def _parts(body: bytes, boundary: bytes) -> list[bytes]:
    """The two parts between three delimiter lines, each of which ends in CRLF
    but for the last, where it may be left out."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(pieces) != 4:
        raise _malformed(f"{len(pieces) - 1} delimiters instead of 3")
    preamble, first, second, end = pieces
    if preamble or end not in (b"--", b"--\r\n"):
        raise _malformed("text before the first or after the last delimiter")
    if not first.startswith(b"\r\n") or not second.startswith(b"\r\n"):
        raise _malformed("a delimiter line that does not end in CRLF")
    return [first[2:], second[2:]]


def _part(part: bytes) -> tuple[dict[str, str], bytes]:
    head, gap, body = part.partition(b"\r\n\r\n")
    if not gap:
        raise _malformed("a part without an empty line after its headers")
    headers: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        match = _PART_HEADER.fullmatch(line)
        name = match[1].decode().lower() if match else ""
        if name not in ("content-type", "content-transfer-encoding") or name in headers:
            raise _malformed(f"part header {line[:80]!r}")
        headers[name] = match[2].decode()
    if headers.get("content-transfer-encoding", "binary") != "binary":
        raise _malformed("content-transfer-encoding")
    return headers, body


def _malformed(why: str) -> Refusal:
    return bad_body(f"Malformed multipart body: {why}.")


@dataclass
class Session:
    """One resumable upload. `result` is set when it is complete."""
    id: str
    method: str
    caller: Caller
    file_id: str | None
    query: dict[str, Any]
    metadata: dict
    media_type: str
    length: int | None          # as announced; None: not announced
    received: bytearray = field(default_factory=bytearray, repr=False)
    result: Any = None


class Sessions:
    def __init__(self) -> None:
        self.open: dict[str, Session] = {}
        self._random = random.Random()

    def begin(self, method: str, caller: Caller, file_id: str | None, query: dict[str, Any],
              request: Request) -> Session:
        metadata = json_body(request, required=method == "files.create")
        length = request.headers.get("x-upload-content-length")
        if length is not None and not re.fullmatch(r"\d{1,12}", length):
            raise bad_body("Invalid X-Upload-Content-Length.")
        media_type = media_of(request.headers.get("x-upload-content-type"), b"").type
        session = Session("".join(self._random.choices("ABCDEFabcdef0123456789_-", k=60)), method,
                          caller, file_id, query, metadata, media_type,
                          None if length is None else int(length))
        self.open[session.id] = session
        return session

    def of(self, request: Request) -> Session:
        query = dict(request.query_list)
        session = self.open.get(query.get("upload_id", ""))
        if session is None:
            raise Refusal(404, "Not Found", {"content-type": "text/plain; charset=utf-8"})
        return session

    def expire(self) -> None:
        """As after a week: none of the upload URIs given so far is known."""
        self.open.clear()


def take_piece(session: Session, request: Request, *, at_most: int | None = None) -> bool:
    """The body of one PUT. True if the upload has all its bytes with it.
    at_most: keep only so many bytes, as when the connection breaks."""
    start, end, total = _content_range(request)
    if total is not None and session.length not in (None, total):
        raise bad_value("Content-Range", "The total differs from the announced length.")
    if total is not None:
        session.length = total
    if start is None:   # a question how far it got
        if request.body:
            raise bad_body("A status query has no body.")
        return session.length == len(session.received)
    if start != len(session.received):
        raise bad_value("Content-Range", f"Expected the piece at {len(session.received)}.")
    last = total is not None and end == total
    if not last and (end - start) % CHUNK:
        raise bad_value("Content-Range", f"Pieces must be multiples of {CHUNK} bytes.")
    session.received += request.body if at_most is None else request.body[:at_most]
    return session.length is not None and len(session.received) == session.length


def _content_range(request: Request) -> tuple[int | None, int, int | None]:
    """First byte, byte after the last, and total; no first byte in a status query."""
    text = request.headers.get("content-range")
    if text is None:
        return 0, len(request.body), len(request.body)
    match = _RANGE.fullmatch(text)
    if not match:
        raise bad_value("Content-Range", f"Invalid Content-Range: {text}")
    total = None if match[3] == "*" else int(match[3])
    if match[1] is None:
        return None, 0, total
    start, end = int(match[1]), int(match[2]) + 1
    if end - start != len(request.body) or start >= end or total is not None and end > total:
        raise bad_value("Content-Range", f"{text} does not fit a body of {len(request.body)}")
    return start, end, total


def progress(session: Session) -> Refusal:
    """308: go on from here. Not an error, but no result either."""
    headers = {"X-GUploader-UploadID": session.id[:20]}
    if session.received:
        headers["Range"] = f"bytes=0-{len(session.received) - 1}"
    return Refusal(308, b"", headers)

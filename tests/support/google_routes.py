"""Which method an address means."""

from __future__ import annotations

import re
from urllib.parse import unquote

from tests.support.google_schema import METHODS
from tests.support.http1 import Request

UPLOAD = "/upload/drive/v3/"
_API = "/drive/v3/"
_RESERVED = {"generateIds", "trash"}     # no file has such an id


def route(request: Request) -> tuple[str, str | None, bool]:
    """Name of the method, id in the path, whether it is an upload; "" if there is none."""
    verb, path = request.method, request.path
    if path == "/token":
        return ("token" if verb == "POST" else ""), None, False
    upload = path.startswith(UPLOAD)
    if not upload and not path.startswith(_API):
        return "", None, False
    rest = path[len(UPLOAD if upload else _API):]
    if upload and verb == "PUT" and rest == "files":
        return "upload.put", None, True
    name, file_id = _method(verb, rest)
    if upload and not METHODS.get(name, {}).get("upload"):
        return "", None, False
    return name, file_id, upload


def _method(verb: str, rest: str) -> tuple[str, str | None]:
    fixed = {("GET", "about"): "about.get", ("GET", "files"): "files.list",
             ("POST", "files"): "files.create",
             ("GET", "files/generateIds"): "files.generateIds"}.get((verb, rest))
    if fixed:
        return fixed, None
    match = re.fullmatch(r"files/([^/]+)(/export)?", rest)
    if not match or match[1] in _RESERVED:
        return "", None
    if match[2]:
        return ("files.export" if verb == "GET" else ""), unquote(match[1])
    name = {"GET": "files.get", "PATCH": "files.update", "DELETE": "files.delete"}.get(verb, "")
    return name, unquote(match[1])

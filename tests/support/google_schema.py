"""Requests checked against Google's own description of the Drive API. Where the
real service ignores a name it does not know, this one refuses it, so that
typing errors are found."""

from __future__ import annotations

import functools
import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.support.google_errors import (Refusal, bad_body, bad_value, drive_error, not_writable)

DESCRIPTION = json.loads(
    (Path(__file__).parent.parent / "data" / "drive-files.json").read_text())
METHODS: dict[str, dict] = DESCRIPTION["methods"]
SCHEMAS: dict[str, dict] = DESCRIPTION["schemas"]
SCOPE_PREFIX = "https://www.googleapis.com/auth/"
SCOPES = frozenset(SCOPE_PREFIX + name for name in DESCRIPTION["scopes"])

# Known to every method. Of the common parameters those are left out that put
# secrets into URLs or change the form of the answer.
_COMMON = {name: DESCRIPTION["parameters"][name]
           for name in ("alt", "fields", "prettyPrint", "quotaUser", "uploadType")}
_MAX_DEPTH = 20


def check_query(method: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The query as a dict, booleans and integers converted."""
    known = _parameters(method)
    query: dict[str, Any] = {}
    for name, text in pairs:
        if name not in known:
            raise bad_value(name, f'Invalid JSON payload received. Unknown name "{name}": '
                                  "Cannot bind query parameter.", "badRequest")
        if name in query:
            raise bad_value(name, f"{name} is given twice", "badRequest")
        query[name] = _query_value(name, text, known[name])
    return query


@functools.lru_cache(maxsize=None)
def _parameters(method: str) -> dict[str, dict]:
    own = METHODS[method]["parameters"]
    return _COMMON | {name: p for name, p in own.items() if p["location"] == "query"}


def _query_value(name: str, text: str, rule: dict) -> Any:
    kind = rule["type"]
    if kind == "boolean":
        if text not in ("true", "false"):
            raise bad_value(name, f"Invalid value '{text}'.", "invalidParameter")
        return text == "true"
    if kind == "integer":
        low, high = int(rule.get("minimum", 0)), int(rule.get("maximum", 1 << 31))
        if not re.fullmatch(r"[0-9]{1,10}", text) or not low <= int(text) <= high:
            raise bad_value(name, f"Invalid value '{text}'. Values must be within the range: "
                                  f"[{low}, {high}]", "invalidParameter")
        return int(text)
    if "enum" in rule and text not in rule["enum"]:
        raise bad_value(name, f"Invalid value '{text}'.", "invalidParameter")
    return text


def parse_json(body: bytes) -> dict:
    """An object, without duplicate names and in valid UTF-8."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_no_twins,
                           parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise drive_error(400, "parseError", "Parse Error") from None
    if not isinstance(value, dict):
        raise bad_body("Invalid JSON payload received. Root element must be a message.")
    return value


def _no_twins(pairs: list[tuple[str, Any]]) -> dict:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name is given twice")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def check_file(body: dict, *, update: bool) -> None:
    """body as the File of a create or update request."""
    if update and "parents" in body:
        raise not_writable("The parents field is not directly writable in update requests. Use "
                           "the addParents and removeParents parameters instead.")
    if update and "id" in body:
        raise not_writable()
    for name in ("appProperties", "properties"):
        _check_properties(name, body.get(name), update=update)
    _check_value(body, {"$ref": "File"}, "", clears=update)


def _check_value(value: Any, rule: dict, where: str, *, clears: bool, depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise bad_body("Message too deep.")
    if "$ref" in rule:
        rule = SCHEMAS[rule["$ref"]]
    kind = rule["type"]
    if kind == "object":
        _check_object(value, rule, where, clears=clears, depth=depth)
    elif kind == "array":
        if not isinstance(value, list):
            raise _wrong_type(where, value)
        for index, item in enumerate(value):
            _check_value(item, rule["items"], f"{where}[{index}]", clears=False, depth=depth + 1)
    elif not _is_scalar(value, kind) or rule.get("format") == "date-time" and not is_time(value):
        raise _wrong_type(where, value)


def _check_object(value: Any, rule: dict, where: str, *, clears: bool, depth: int) -> None:
    if not isinstance(value, dict):
        raise _wrong_type(where, value)
    known, others = rule.get("properties", {}), rule.get("additionalProperties")
    for name, item in value.items():
        inner = known.get(name, others)
        if inner is None:
            at = f" at '{where}'" if where else ""
            raise bad_body(f'Invalid JSON payload received. Unknown name "{name}"{at}: '
                           "Cannot find field.")
        if inner.get("outputOnly"):
            raise not_writable()
        if item is None and clears:
            continue
        _check_value(item, inner, f"{where}.{name}".lstrip("."), clears=clears, depth=depth + 1)


def _is_scalar(value: Any, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str) and "\0" not in value
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wrong_type(where: str, value: Any) -> Refusal:
    return bad_body(f"Invalid value at '{where}': {json.dumps(value)[:100]}")


def _check_properties(name: str, pairs: Any, *, update: bool) -> None:
    if not isinstance(pairs, dict):
        return  # of a wrong type: found by the schema
    if len(pairs) > 30:
        raise bad_value(name, f"At most 30 {name} are allowed.")
    for key, value in pairs.items():
        if value is None and update:
            continue
        if not isinstance(value, str) or not key or len((key + value).encode()) > 124:
            raise bad_value(name, f"{name}: a key and its value have at most 124 bytes together.")


def is_time(value: Any) -> bool:
    try:
        parse_time(value)
    except (ValueError, TypeError, AttributeError):
        return False
    return True


def parse_time(text: str) -> float:
    """RFC 3339; without a zone it is UTC. ValueError if it is none."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?)?", text):
        raise ValueError(text)
    digits = re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00")
    digits = re.sub(r"\.(\d{1,6})(?!\d)", lambda m: "." + m[1].ljust(6, "0"), digits)
    when = datetime.fromisoformat(digits)
    return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()


def format_time(seconds: float) -> str:
    whole = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{whole.microsecond // 1000:03d}Z"

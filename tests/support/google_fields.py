"""Partial answers: the `fields` parameter, such as `id,parents` or
`nextPageToken,files(id,appProperties/task)`."""

from __future__ import annotations

import functools
import re
from typing import Any

from tests.support.google_errors import Refusal, bad_value
from tests.support.google_schema import SCHEMAS

# What an answer holds without the parameter.
_DEFAULTS = {
    "File": "kind,id,name,mimeType",
    "FileList": "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)",
    "GeneratedIds": "*",
}
_TOKEN = re.compile(r"[A-Za-z0-9_$-]+|[*,()/]")

Selection = dict  # name -> Selection, or None for the whole value; "*" for every name


@functools.lru_cache(maxsize=512)
def selection(fields: str | None, schema: str) -> Selection:
    """Refusal if the text is not a selection of this schema's fields."""
    if fields is None and schema == "About":
        raise bad_value("fields", "The 'fields' parameter is required for this method.", "required")
    reader = _Reader(_DEFAULTS[schema] if fields is None else fields)
    chosen = reader.many({"$ref": schema})
    if reader.next is not None:
        raise reader.error()
    return chosen


def select(value: Any, chosen: Selection | None) -> Any:
    """The chosen part of a value."""
    if chosen is None:
        return value
    if isinstance(value, list):
        return [select(item, chosen) for item in value]
    if not isinstance(value, dict):
        return value
    if "*" in chosen:
        return {name: select(item, chosen.get(name, chosen["*"])) for name, item in value.items()}
    return {name: select(item, chosen[name]) for name, item in value.items() if name in chosen}


class _Reader:
    """Recursive descent over the tokens; `next` is the one not yet taken."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _TOKEN.findall(text)
        if "".join(self.tokens) != text:
            raise self.error()
        self.at = 0

    @property
    def next(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self) -> str:
        token = self.next
        if token is None:
            raise self.error()
        self.at += 1
        return token

    def error(self, name: str | None = None) -> Refusal:
        return bad_value("fields", f"Invalid field selection {name or self.text}",
                         "invalidParameter")

    def many(self, rule: dict) -> Selection:
        chosen: Selection = {}
        while True:
            self.one(rule, chosen)
            if self.next != ",":
                return chosen
            self.take()

    def one(self, rule: dict, chosen: Selection) -> None:
        name = self.take()
        inner = self.inner(rule, name)
        if self.next == "/":
            self.take()
            below: Selection | None = {}
            self.one(inner, below)
        elif self.next == "(":
            self.take()
            below = self.many(inner)
            if self.take() != ")":
                raise self.error()
        else:
            below = None
        before = chosen.get(name, {})
        chosen[name] = None if below is None or before is None else before | below

    def inner(self, rule: dict, name: str) -> dict:
        """The rule of a field, whose value may be an array of what the rule says."""
        while "$ref" in rule or rule.get("type") == "array":
            rule = SCHEMAS[rule["$ref"]] if "$ref" in rule else rule["items"]
        if name == "*" and rule.get("type") == "object":
            return rule
        inner = rule.get("properties", {}).get(name, rule.get("additionalProperties"))
        if inner is None or name in "*,()/":
            raise self.error(name)
        return inner

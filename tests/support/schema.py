"""The part of JSON Schema that the stand-ins' contracts need. A keyword it does
not know is an error, so that no rule is silently left out."""

from __future__ import annotations

from typing import Any

_TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "null": lambda v: v is None,
}
_BOUNDS = {
    "minimum": (_TYPES["number"], lambda v, bound: v >= bound),
    "maximum": (_TYPES["number"], lambda v, bound: v <= bound),
    "minLength": (_TYPES["string"], lambda v, bound: len(v) >= bound),
    "maxLength": (_TYPES["string"], lambda v, bound: len(v) <= bound),
    "minItems": (_TYPES["array"], lambda v, bound: len(v) >= bound),
    "maxItems": (_TYPES["array"], lambda v, bound: len(v) <= bound),
    "maxProperties": (_TYPES["object"], lambda v, bound: len(v) <= bound),
}
_OTHERS = {"description", "$defs", "$ref", "type", "enum", "anyOf", "required", "properties",
           "additionalProperties", "propertyNames", "items"}


class Fault(Exception):
    """Where a value breaks its schema, and which rule."""

    def __init__(self, path: tuple[str | int, ...], rule: str, text: str) -> None:
        super().__init__(text)
        self.path, self.rule = path, rule

    @property
    def where(self) -> str:
        """As in messages[0].content"""
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return "".join(steps).lstrip(".")


def check(value: Any, schema: dict, root: dict | None = None, path: tuple = ()) -> None:
    """Raises the first Fault of the value."""
    root = schema if root is None else root
    unknown = schema.keys() - _OTHERS - _BOUNDS.keys()
    if unknown:
        raise NotImplementedError(f"schema keywords {sorted(unknown)}")
    if "$ref" in schema:
        check(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, path)
    _check_value(value, schema, path)
    if "anyOf" in schema:
        _check_any(value, schema["anyOf"], root, path)
    if isinstance(value, dict):
        _check_object(value, schema, root, path)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            check(item, schema["items"], root, (*path, index))


def _check_value(value: Any, schema: dict, path: tuple) -> None:
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_TYPES[name](value) for name in types):
        raise Fault(path, "type", f"expected {' or '.join(types)}")
    if "enum" in schema and not any(value == each and type(value) is type(each)
                                    for each in schema["enum"]):
        raise Fault(path, "enum", f"expected one of {schema['enum']}")
    for rule, (applies, holds) in _BOUNDS.items():
        if rule in schema and applies(value) and not holds(value, schema[rule]):
            raise Fault(path, rule, f"{rule} is {schema[rule]}")


def _check_any(value: Any, branches: list[dict], root: dict, path: tuple) -> None:
    """The branch that got furthest is the one that was meant: its fault is told."""
    faults = []
    for branch in branches:
        try:
            return check(value, branch, root, path)
        except Fault as fault:
            faults.append(fault)
    raise max(faults, key=lambda fault: (len(fault.path), fault.rule != "enum"))


def _check_object(value: dict, schema: dict, root: dict, path: tuple) -> None:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for name, each in value.items():
        if "propertyNames" in schema:
            check(name, schema["propertyNames"], root, (*path, name))
        if name in properties:
            check(each, properties[name], root, (*path, name))
        elif others is False:
            raise Fault((*path, name), "additionalProperties", "unknown field")
        elif others is not True:
            check(each, others, root, (*path, name))
    for name in schema.get("required", ()):    # last, so that a wrong kind is told before
        if name not in value:
            raise Fault((*path, name), "required", "required, but missing")

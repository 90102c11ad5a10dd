"""The search language of files.list, as far as a document store needs it:

    'FOLDER' in parents and trashed = false
    appProperties has { key='task' and value='7' } and createdTime < '2026-01-31T12:00:00'

A search becomes a function on files. What is not known here is refused, as
Google refuses what it does not know."""

from __future__ import annotations

import functools
import operator
import re
from typing import TYPE_CHECKING, Callable

from tests.support.google_errors import Refusal, bad_value
from tests.support.google_schema import is_time, parse_time

if TYPE_CHECKING:
    from tests.support.google_files import View

Test = Callable[["View"], bool]

_TOKEN = re.compile(r"""\s*(?: (?P<text> '(?:[^'\\]|\\.)*' ) | (?P<op> <= | >= | != | [=<>] )
                        | (?P<mark> [(){}] ) | (?P<word> [A-Za-z]+ ) )""", re.X | re.S)
_ORDER = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
          ">": operator.gt, ">=": operator.ge}
_TIMES = {"createdTime": lambda f: f.created_time, "modifiedTime": lambda f: f.modified_time}


@functools.lru_cache(maxsize=256)
def compile_query(q: str) -> Test:
    reader = _Reader(q)
    test = reader.several()
    if reader.token is not None:
        raise _invalid()
    return test


def _invalid() -> Refusal:
    return bad_value("q")


class _Reader:
    """Recursive descent; `token` is the one not yet taken, as (kind, text)."""

    def __init__(self, q: str) -> None:
        self.q = q.rstrip()
        self.at = 0
        self.depth = 0
        self.advance()

    def advance(self) -> None:
        if self.at == len(self.q):
            self.token = None
            return
        match = _TOKEN.match(self.q, self.at)
        if not match:
            raise _invalid()
        self.at = match.end()
        kind = match.lastgroup
        text = match[kind]
        self.token = (kind, _unquote(text) if kind == "text" else text)

    def take(self, kind: str, *texts: str) -> str:
        """The next token, which must be of this kind (and one of these)."""
        if not self.sees(kind, *texts):
            raise _invalid()
        text = self.token[1]
        self.advance()
        return text

    def sees(self, kind: str, *texts: str) -> bool:
        return (self.token is not None and self.token[0] == kind
                and (not texts or self.token[1] in texts))

    def several(self) -> Test:
        """Terms with one kind of connective: what Google makes of a mixture
        without parentheses is not what one would expect, so it is refused."""
        tests = [self.single()]
        connective = self.token
        while self.sees("word", "and", "or"):
            if self.token != connective:
                raise _invalid()
            self.advance()
            tests.append(self.single())
        if len(tests) == 1:
            return tests[0]
        combine = all if connective[1] == "and" else any
        return lambda f: combine(test(f) for test in tests)

    def single(self) -> Test:
        self.depth += 1
        if self.depth > 200:
            raise _invalid()
        if self.sees("word", "not"):
            self.advance()
            inner = self.single()
            return lambda f: not inner(f)
        if self.sees("mark", "("):
            self.advance()
            inner = self.several()
            self.take("mark", ")")
            return inner
        if self.sees("text"):
            return self.membership()
        return self.comparison()

    def membership(self) -> Test:
        folder = self.take("text")
        self.take("word", "in")
        self.take("word", "parents")
        return lambda f: f.parent_matches(folder)

    def comparison(self) -> Test:
        field = self.take("word")
        if field in ("name", "mimeType"):
            return self.compare_text(field)
        if field in _TIMES:
            return self.compare_time(field)
        if field == "trashed":
            op = self.take("op", "=", "!=")
            wanted = (self.take("word", "true", "false") == "true") == (op == "=")
            return lambda f: f.trashed == wanted
        if field in ("appProperties", "properties"):
            return self.has_property(field)
        raise _invalid()

    def compare_text(self, field: str) -> Test:
        value_of = (lambda f: f.name) if field == "name" else (lambda f: f.mime_type)
        if self.sees("word", "contains"):
            self.advance()
            part = self.take("text").lower()
            if field == "name":  # Google matches the beginnings of words
                pattern = re.compile(r"(?<!\w)" + re.escape(part))
                return lambda f: pattern.search(f.name.lower()) is not None
            return lambda f: part in value_of(f).lower()
        compare = _ORDER[self.take("op", "=", "!=")]
        value = self.take("text")
        return lambda f: compare(value_of(f), value)

    def compare_time(self, field: str) -> Test:
        compare, value_of = _ORDER[self.take("op")], _TIMES[field]
        text = self.take("text")
        if not is_time(text):
            raise _invalid()
        when = parse_time(text)
        return lambda f: compare(value_of(f), when)

    def has_property(self, field: str) -> Test:
        self.take("word", "has")
        self.take("mark", "{")
        key = self.named("key")
        self.take("word", "and")
        value = self.named("value")
        self.take("mark", "}")
        if field == "properties":
            return lambda f: f.properties.get(key) == value
        return lambda f: f.app_properties.get(key) == value

    def named(self, name: str) -> str:
        self.take("word", name)
        self.take("op", "=")
        return self.take("text")


def _unquote(text: str) -> str:
    inner = text[1:-1]
    if re.search(r"\\[^'\\]", inner):
        raise _invalid()  # only ' and \ are escaped
    return re.sub(r"\\(['\\])", r"\1", inner)

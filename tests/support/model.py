"""A stand-in for an OpenAI-compatible server, stricter than any of them.

    model.will_say("Hel", "lo")
    ... the program under test asks ...
    assert model.last_asked == ["hi"]
    assert not model.refused

Each request takes the first scripted answer that fits; without any the model
echoes. By hand: /usr/bin/python3 -m tests.support.model --port 8001
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import re
import ssl
from typing import Any, Callable

from tests.support.model_answer import Answer, Held, Say, failure, recorded
from tests.support.model_request import (FLAVORS, Asked, Refused, check_chat, check_key, refuse)
from tests.support.model_stream import Piece, Style
from tests.support.standin import Reply, Request, StandIn, serve

_DEPLOYMENT = re.compile(r"/openai/deployments/([A-Za-z0-9._-]+)/chat/completions")
_REMEMBERED = 20_000     # requests, lest a load test fill the memory


class Model(StandIn):
    """key: the only one that is let in; None lets any in, but one must be sent.
    flavor: openai, new (newer models), azure, mistral; see model_request.py.
    models: those that exist; with None, all do."""

    def __init__(self, port: int = 0, *, key: str | None = "sk-test", flavor: str = "openai",
                 prefix: str = "/v1", models: tuple[str, ...] | None = None,
                 tls: ssl.SSLContext | None = None) -> None:
        super().__init__(port, tls)
        self.key = key
        self.flavor = FLAVORS[flavor]
        self.prefix = prefix
        self.models = models
        self.otherwise: Callable[[Asked], Answer] = self.echo   # when nothing is scripted
        self.requests: list[Asked] = []
        self.refused: list[tuple[Request, str]] = []    # and why
        self.in_flight = 0
        self.most_in_flight = 0
        self._script: list[tuple[Callable[[Asked], Any], Answer]] = []
        self._held: list[Held] = []

    # What a test says beforehand

    def will(self, answer: Answer, when: Callable[[Asked], Any] = lambda asked: True) -> Answer:
        """The answer to the next request, or to the next one for which when(asked) holds."""
        self._script.append((when, answer))
        return answer

    def will_say(self, *pieces: Piece, when: Callable[[Asked], Any] = lambda asked: True,
                 **options: Any) -> Answer:
        """options: the fields of Say and of Style."""
        return self.will(self.say(*pieces, **options), when)

    def will_fail(self, sample_id: str, headers: dict[str, str] | None = None) -> Answer:
        """An error response of tests/data/error-samples.json; headers override its own."""
        return self.will(failure(sample_id, headers))

    def will_play(self, name: str, **options: Any) -> Answer:
        """A recorded stream of tests/data/streams."""
        return self.will(recorded(name, **options))

    def hold(self, when: Callable[[Asked], Any] = lambda asked: True, **options: Any) -> Held:
        """An answer that the test itself sends, piece by piece."""
        held = Held(self, dataclasses.replace(self._style(), **options))
        self._held.append(held)
        self.will(held, when)
        return held

    def release(self) -> None:
        """Finish all held answers, those too that are not asked for yet."""
        held, self._held = self._held, []
        for answer in held:
            answer.finish()

    def say(self, *pieces: Piece, **options: Any) -> Say:
        """A completion in the manner of this flavor."""
        manner = {"empty_choices_first": self.flavor.empty_choices_first}
        if self.flavor.usage_in_finish:
            manner |= {"usage_in_finish": True, "usage": "always"}
        return Say(pieces=pieces, **(manner | options))

    def echo(self, asked: Asked) -> Answer:
        words = re.findall(r"\S+\s*|\s+", asked.user_text)
        return self.say("You ", "said: ", *words)

    def forget(self) -> None:
        """As new: no script, no memory of requests. Requests in flight go on."""
        self._script.clear()
        self._held.clear()
        self.requests.clear()
        self.refused.clear()
        self.failures.clear()
        self.bad_requests.clear()
        self.most_in_flight = self.in_flight
        self.otherwise = self.echo

    # What a test looks at afterwards

    @property
    def last_asked(self) -> list[str]:
        """The texts of the last request, without the system message's."""
        return [text for _, text in self.requests[-1].dialog]

    @property
    def last_system(self) -> str | None:
        return self.requests[-1].system

    @property
    def gone(self) -> list[float]:
        """When clients left before the end of their answer, in time.monotonic()."""
        return [asked.gone_at for asked in self.requests if asked.gone_at is not None]

    @property
    def unsaid(self) -> int:
        """Scripted answers that nobody asked for yet."""
        return len(self._script)

    def wait_asked(self, count: int = 1, timeout: float = 10) -> Asked:
        """Blocks until this many requests have come in all; returns that one."""
        self.wait_for(lambda: len(self.requests) >= count, timeout)
        return self.requests[count - 1]

    # The server

    async def handle(self, request: Request, reply: Reply) -> None:
        try:
            route = self._route(request)
            check_key(request, self.flavor, self.key)
            asked = None if route == "models" else self._check(request)
        except Refused as refusal:
            self.refused.append((request, str(refusal)))
            await reply.json(refusal.status, refusal.body)
            return
        if asked is None:
            await reply.json(200, self._list_models())
        else:
            await self._answer(asked, reply)

    def _route(self, request: Request) -> str:
        if self.flavor.deployment_path and _DEPLOYMENT.fullmatch(request.path):
            method, route = "POST", "chat"
            if not request.query.get("api-version"):
                raise refuse(404, "Resource not found: api-version is missing")
        elif request.target == f"{self.prefix}/chat/completions":
            method, route = "POST", "chat"
        elif request.target == f"{self.prefix}/models":
            method, route = "GET", "models"
        else:
            raise refuse(404, f"Invalid URL ({request.method} {request.target})")
        if request.method != method:
            raise refuse(405, f"Not allowed to {request.method} on {request.path}")
        return route

    def _check(self, request: Request) -> Asked:
        json = check_chat(request, self.flavor)
        if self.models is not None and json["model"] not in self.models:
            raise refuse(404, f"The model `{json['model']}` does not exist or you do not have "
                         "access to it.", None, "model_not_found")
        return Asked(request, json)

    def _list_models(self) -> dict:
        names = self.models or ("stand-in",)
        return {"object": "list", "data": [{"id": name, "object": "model", "created": 1727346168,
                                            "owned_by": "tests"} for name in names]}

    async def _answer(self, asked: Asked, reply: Reply) -> None:
        self._remember(asked)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._next_answer(asked).give(asked, reply)
            asked.answered = reply.over
        finally:
            self.in_flight -= 1

    def _remember(self, asked: Asked) -> None:
        self.requests.append(asked)
        if len(self.requests) > 2 * _REMEMBERED:
            del self.requests[:_REMEMBERED]

    def _next_answer(self, asked: Asked) -> Answer:
        for position, (fits, answer) in enumerate(self._script):
            if fits(asked):
                del self._script[position]
                return answer
        return self.otherwise(asked)

    def _style(self) -> Style:
        say = self.say()
        return Style(**{each.name: getattr(say, each.name) for each in dataclasses.fields(Style)})


def main() -> None:
    parser = argparse.ArgumentParser(description="an OpenAI-compatible server that echoes")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", help="the key to let in; without it any will do")
    parser.add_argument("--flavor", choices=FLAVORS, default="openai")
    parser.add_argument("--first-delay", type=float, default=0, help="seconds before an answer")
    parser.add_argument("--delay", type=float, default=0, help="seconds between its pieces")
    parser.add_argument("--pieces", type=int, help="a text of this many pieces, not an echo")
    options = parser.parse_args()
    model = Model(options.port, key=options.key, flavor=options.flavor)

    def answer(asked: Asked) -> Answer:
        say = model.echo(asked)
        if options.pieces is not None:
            say.pieces = tuple(itertools.repeat("word ", options.pieces))
        say.delay, say.first_delay = options.delay, options.first_delay
        return say

    model.otherwise = answer
    serve(model)


if __name__ == "__main__":
    main()

"""What the stand-in model accepts as a chat request: the published contract,
closed, and the further rules of each kind of server."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from tests.support import schema
from tests.support.http1 import Request

DATA = Path(__file__).parent.parent / "data"
SCHEMA = json.loads((DATA / "openai-chat-request.schema.json").read_text())

_MISTRAL_FIELDS = frozenset({
    "model", "messages", "stream", "max_tokens", "temperature", "top_p", "stop", "n", "metadata",
    "presence_penalty", "frequency_penalty", "response_format", "tools", "tool_choice",
    "parallel_tool_calls",
})


class Refused(Exception):
    """The request breaks the contract; this is the reply to it."""

    def __init__(self, status: int, body: Any, why: str) -> None:
        super().__init__(why)
        self.status, self.body = status, body


@dataclass(eq=False)
class Asked:
    """A chat request that was accepted, and when it was answered."""

    request: Request
    json: dict
    sent_at: list[float] = field(default_factory=list)   # the pieces, in time.monotonic()
    answered: bool = False                               # to its end

    @property
    def stream(self) -> bool:
        return bool(self.json.get("stream"))

    @property
    def system(self) -> str | None:
        """The system messages' text, joined by empty lines."""
        texts = [_text(m) for m in self.json["messages"] if m["role"] in ("system", "developer")]
        return "\n\n".join(texts) if texts else None

    @property
    def dialog(self) -> list[tuple[str, str]]:
        """Role and text of the other messages, in order."""
        return [(m["role"], _text(m)) for m in self.json["messages"]
                if m["role"] not in ("system", "developer")]

    @property
    def user_text(self) -> str:
        """What the user said last."""
        return next((text for role, text in reversed(self.dialog) if role == "user"), "")

    @property
    def gone_at(self) -> float | None:
        """When the client left before the end of the answer."""
        return self.request.gone_at


@dataclass(frozen=True)
class Flavor:
    """A kind of server. check looks at a request that the common contract accepts."""

    check: Callable[[dict], None]
    fields: frozenset[str] | None = None    # when set, all others are refused: extra_forbidden
    api_key_header: bool = False     # the key comes as "api-key: KEY"
    deployment_path: bool = False    # /openai/deployments/NAME/chat/completions?api-version=V
    empty_choices_first: bool = False
    usage_in_finish: bool = False    # usage comes unasked, in the chunk that has finish_reason
    unauthorized: str = "openai-401-invalid-key"    # id of the sample for a wrong key


def refuse(status: int, message: str, param: str | None = None, code: str | None = None) -> Refused:
    return Refused(status, {"error": {"message": message, "type": "invalid_request_error",
                                      "param": param, "code": code}}, message)


def parse_json(body: bytes) -> Any:
    """UTF-8 without a mark, no duplicate keys, no lone surrogates, no NaN, nothing after it."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_nan)
        json.dumps(value, ensure_ascii=False).encode("utf-8")    # fails on a lone surrogate
    except (ValueError, RecursionError) as why:
        raise refuse(400, f"We could not parse the JSON body of your request. ({why})") from None
    return value


def check_key(request: Request, flavor: Flavor, key: str | None) -> None:
    """key None: any will do, as long as one is sent in the right form."""
    if flavor.api_key_header:
        given = request.headers.get("api-key")
    else:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        given = given if scheme == "Bearer" else None
    if not given and flavor.unauthorized == "openai-401-invalid-key":
        raise sample_refusal("openai-401-no-key")
    if not given or key not in (None, given):
        raise sample_refusal(flavor.unauthorized)


def check_chat(request: Request, flavor: Flavor) -> dict:
    """The request's JSON, or Refused."""
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    if (media_type.strip().lower() != "application/json"
            or parameters.strip().lower() not in ("", "charset=utf-8")):
        raise refuse(415, f"Unsupported Content-Type {request.headers.get('content-type')!r}")
    asked = parse_json(request.body)
    if flavor.fields is not None and isinstance(asked, dict):
        _refuse_extra(asked, flavor.fields)
    try:
        schema.check(asked, SCHEMA)
    except schema.Fault as fault:
        code = {"required": "missing_required_parameter", "additionalProperties":
                "unknown_parameter", "type": "invalid_type"}.get(fault.rule, "invalid_value")
        raise refuse(400, f"Invalid '{fault.where}': {fault}.", fault.where, code) from None
    if asked.get("stream_options") is not None and not asked.get("stream"):
        raise refuse(400, "The 'stream_options' parameter is only allowed when 'stream' is "
                     "enabled.", "stream_options")
    if asked.get("max_tokens") and asked.get("max_completion_tokens"):
        raise refuse(400, "Setting 'max_tokens' and 'max_completion_tokens' at the same time is "
                     "not supported.", "max_tokens", "invalid_parameter_combination")
    flavor.check(asked)
    return asked


@functools.cache
def samples() -> dict[str, dict]:
    """The recorded error responses by their id."""
    text = (DATA / "error-samples.json").read_text()
    return {sample["id"]: sample for sample in json.loads(text)["samples"]}


def sample_refusal(sample_id: str) -> Refused:
    sample = samples()[sample_id]
    return Refused(sample["status"], sample["body"], sample_id)


def _text(message: dict) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _unique(pairs: list[tuple[str, Any]]) -> dict:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate keys")
    return value


def _no_nan(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _check_openai(asked: dict) -> None:
    pass


def _check_new(asked: dict) -> None:
    """Newer models know one name of the token limit and one temperature."""
    if asked.get("max_tokens") is not None:
        raise sample_refusal("openai-400-unsupported-parameter")
    if asked.get("temperature") not in (None, 1):
        raise refuse(400, f"Unsupported value: 'temperature' does not support "
                     f"{asked['temperature']} with this model. Only the default (1) value is "
                     f"supported.", "temperature", "unsupported_value")


def _check_mistral(asked: dict) -> None:
    if any(message["role"] == "developer" for message in asked["messages"]):
        raise _refuse_mistral("Input should be 'system', 'user', 'assistant' or 'tool'", "role")


def _refuse_extra(asked: dict, known: frozenset[str]) -> None:
    extra = [{"type": "extra_forbidden", "loc": ["body", name],
              "msg": "Extra inputs are not permitted", "input": value}
             for name, value in asked.items() if name not in known]
    if extra:
        names = ", ".join(each["loc"][1] for each in extra)
        raise _refuse_mistral({"detail": extra}, f"extra_forbidden: {names}")


def _refuse_mistral(message: Any, why: str) -> Refused:
    return Refused(422, {"object": "error", "message": message, "type": "invalid_request_error",
                         "param": None, "code": None}, why)


FLAVORS = {
    "openai": Flavor(_check_openai),
    "new": Flavor(_check_new),
    "azure": Flavor(_check_openai, api_key_header=True, deployment_path=True,
                    empty_choices_first=True),
    "mistral": Flavor(_check_mistral, fields=_MISTRAL_FIELDS, usage_in_finish=True,
                      unauthorized="mistral-401"),
}

"""What the model is asked, and how its answer is read: always a stream, so that a client that
leaves can end it."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import ujson
from edge import Fault, json_text, log_line

CONTEXT_TOKENS = 8000
MESSAGE_TOKENS = 4
LEARN_FROM = 64
PAIR_FRAME = len('{"role":"user","content":""},{"role":"assistant","content":""}')
MAX_ANSWER = 1 << 20
TRIES = 3

Say = Callable[[str], Awaitable[None]]


# How much of a dialog fits

# In quarters of a token, by the length of a character in UTF-8.
_WEIGHTS = bytes([1] * 0x80 + [0] * 0x40 + [2] * 0x20 + [4] * 0x10 + [8] * 0x10)


def quarters(text: bytes) -> int:
    return len(text) if text.isascii() else sum(text.translate(_WEIGHTS))


def estimate(text: bytes) -> int:
    return (quarters(text) + 3) // 4 + MESSAGE_TOKENS


def estimate_turn(messages: bytes) -> int:
    return max(quarters(messages) - PAIR_FRAME + 3, 0) // 4 + 2 * MESSAGE_TOKENS


@dataclasses.dataclass
class Prompt:
    message: bytes
    estimate: int
    options: bytes              # of the question, before its messages
    token_limit: int
    context_tokens: int


def load_prompt(file: Path, model: str) -> Prompt:
    text = file.read_text().rstrip()
    head = re.match(r"---\n(.*?)^---\n+", text, re.DOTALL | re.MULTILINE)
    of = dict(re.findall(r"^(\w+): *(.+?) *$", head[1], re.MULTILINE)) if head else {}
    text = text[head.end():] if head else text
    limit = int(of.get("token_limit", 0))
    options = (f'{{"model":{json_text(of.get("model", model))},"stream":true,'
               '"stream_options":{"include_usage":true}')
    options += f',"max_completion_tokens":{limit}' if limit else ""
    options += f',"temperature":{of["temperature"]}' if "temperature" in of else ""
    return Prompt(f'{{"role":"system","content":{json_text(text)}}}'.encode(),
                  estimate(text.encode()), f'{options},"messages":['.encode(), limit,
                  min(int(of.get("context_tokens", CONTEXT_TOKENS)), CONTEXT_TOKENS))


def load_prompts(folder: Path, model: str) -> dict[bytes, Prompt]:
    found = {file.stem.encode(): load_prompt(file, model) for file in folder.glob("*.md")}
    return found | {b"": found[b"default"]}


# What went wrong

RETRIED = {408, 409, 429, 500, 502, 503, 504}
MEANINGS = {
    "upstream_quota": {
        "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded", "organization_usage_limit_exceeded",
        "billing_hard_limit_reached", "billing_not_active"},
    "upstream_busy": {
        "rate_limit_exceeded", "slow_down", "server_is_overloaded", "rate_limit_error",
        "service_unavailable_error", "unavailable_error", "overloaded_error", "overloaded"},
    "upstream_rejected": {
        "invalid_api_key", "model_not_found", "context_length_exceeded",
        "exceed_context_size_error", "content_filter", "authentication_error", "not_found_error",
        "not_supported_error"},
}


class Refused(Fault):
    """By the model's server; again: another try may do."""

    again = False


def fault_of(status: int, body: bytes, retry_after: bytes = b"") -> Refused:
    try:
        said = ujson.loads(body)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    error = said["error"] if isinstance(said.get("error"), dict) else said
    words = {word for word in (error.get("code"), error.get("type")) if isinstance(word, str)}
    by_status = ("upstream_busy" if status in (429, 503) else
                 "upstream_failed" if status == 200 or status == 408 or status >= 500 else
                 "upstream_rejected")
    code = next((code for code, meant in MEANINGS.items() if words & meant), by_status)
    fault = Refused(code, f"HTTP {status}: {' '.join(sorted(words))}",
                    retry_after=int(retry_after) if retry_after.isdigit() else 0)
    fault.again = status in RETRIED and code in ("upstream_busy", "upstream_failed")
    return fault


# The answer

@dataclasses.dataclass
class Answer:
    heard: bool = False
    text: str = ""
    finish_reason: str = ""
    model: str = ""
    usage: dict[str, int] | None = None
    done: bool = False


def events_of(buffer: bytes) -> tuple[list[bytes], bytes]:
    """The whole ones, and what is left."""
    half = b""
    if b"\r" in buffer:
        buffer, half = (buffer[:-1], b"\r") if buffer[-1:] == b"\r" else (buffer, b"")
        buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    *events, rest = buffer.split(b"\n\n")
    return events, rest + half


def data_of(event: bytes) -> bytes:
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [line.partition(b":") for line in event.split(b"\n")]
    data = b"\n".join(value.removeprefix(b" ") for name, _, value in lines if name == b"data")
    if any(name == b"event" and value.strip() == b"error" for name, _, value in lines):
        raise fault_of(200, data)
    return data


def texts_of(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            kind = part.get("type", "text")
            if kind in ("text", "refusal") and isinstance(part.get(kind), str):
                yield part[kind]


def read_record(record: dict[str, Any], answer: Answer) -> str:
    """Takes it into the answer; returns the text that came with it."""
    if record.get("error"):
        raise fault_of(200, ujson.dumps(record).encode())
    answer.model = answer.model or record.get("model") or ""
    usage = record.get("usage")
    if usage:
        prompt, completion = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
        answer.usage = {"prompt_tokens": prompt, "completion_tokens": completion,
                        "total_tokens": usage.get("total_tokens", prompt + completion)}
    text = ""
    for choice in record.get("choices") or ():
        if choice.get("index", 0) != 0:
            continue
        message = choice.get("delta") or choice.get("message") or {}
        content = message.get("content")
        text = content if type(content) is str else "".join(texts_of(content))
        if message.get("refusal"):
            text += message["refusal"]
        if choice.get("finish_reason"):
            answer.finish_reason = choice["finish_reason"]
            if answer.finish_reason == "error":
                raise Fault("upstream_failed", 'the answer ended with finish_reason "error"')
        break
    text.encode()               # a lone surrogate is no text
    return text.replace("\0", "\ufffd") if "\0" in text else text


class Model:
    timeouts: Any = httpx.TimeoutException
    breaks: Any = (httpx.NetworkError, httpx.ProtocolError)

    def __init__(self, base_url: str, key: str, name: str, prompts: Path) -> None:
        self.url = httpx.URL(f"{base_url}/chat/completions")
        self.headers = {"Content-Type": "application/json", "Accept": "text/event-stream",
                        "Accept-Encoding": "identity", "User-Agent": "peer",
                        "Authorization": f"Bearer {key}"}
        self.timeout = httpx.Timeout(60, connect=5)
        self._prompts = load_prompts(prompts, name)
        self._scale = 0.0       # reported by estimated; 0: nothing was reported yet
        self.open()

    def open(self) -> None:
        self._client = httpx.AsyncClient(
            headers=self.headers, timeout=self.timeout, trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None))

    async def close(self) -> None:
        await self._client.aclose()

    def post(self, question: bytes) -> AbstractAsyncContextManager[httpx.Response]:
        return self._client.stream("POST", self.url, content=question)

    def question(self, name: bytes, stored: list[bytes], text: bytes) -> tuple[bytes, int]:
        """The request's body, and the tokens that it is estimated at."""
        prompt = self._prompts.get(name)
        if not prompt:
            log_line("warn", f'chat prompt="{name.decode()}" is missing, default serves')
            prompt = self._prompts[b""]
        scale, estimated = self._scale or 1.0, prompt.estimate + estimate(text)
        left = (prompt.context_tokens - prompt.token_limit - int(estimated * scale + 0.5))
        past = [entry[entry.index(b"\n") + 1:] for entry in stored]
        used, first = 0, len(past)
        while first > 0:
            more = used + estimate_turn(past[first - 1])
            if int(more * scale + 0.5) > left:
                break
            used, first = more, first - 1
        user = b'{"role":"user","content":%b}' % json_text(text.decode()).encode()
        messages = b",".join((prompt.message, *past[first:], user))
        return b"%b%b]}" % (prompt.options, messages), estimated + used

    def learn(self, estimated: int, answer: Answer) -> None:
        reported = answer.usage["prompt_tokens"] if answer.usage else 0
        if estimated >= LEARN_FROM and reported > 0:
            before = self._scale or 1.0
            self._scale = before + (min(max(reported / estimated, 0.5), 3.0) - before) * 0.2

    async def ask(self, question: bytes, answer: Answer, say: Say | None) -> None:
        """Reads into the answer, and says each piece of its text as it comes."""
        for tries in range(1, TRIES + 1):
            try:
                return await self._ask_once(question, answer, say)
            except self.timeouts as why:
                raise Fault("upstream_timeout", repr(why)) from None
            except self.breaks as why:
                fault = Refused("upstream_failed", repr(why))
                fault.again = True
            except Refused as refused:
                fault = refused
            if answer.heard or not fault.again or tries == TRIES:
                raise fault
            await asyncio.sleep(max(0.5 * 2 ** (tries - 1), fault.retry_after))

    async def _ask_once(self, question: bytes, answer: Answer, say: Say | None) -> None:
        async with self.post(question) as reply:
            if reply.status_code != 200:
                raise fault_of(reply.status_code, await reply.aread(),
                               reply.headers.get("retry-after", "").encode())
            await self._read(reply.aiter_raw(), answer, say)
        if not answer.finish_reason:
            raise Fault("upstream_failed", "the answer ended without a finish reason")

    async def _read(self, chunks: AsyncIterator[bytes], answer: Answer, say: Say | None) -> None:
        rest = b""
        async for chunk in chunks:      # to the end, or the connection could not be kept
            answer.heard = True
            events, rest = events_of(rest + chunk if rest else chunk)
            for event in events:
                data = data_of(event)
                if data == b"[DONE]":
                    answer.done = True
                if not data or answer.done:
                    continue
                try:
                    text = read_record(ujson.loads(data), answer)
                except (ValueError, AttributeError, TypeError):
                    raise Fault("upstream_failed", "a record of the stream is no JSON") from None
                if text:
                    answer.text += text
                    if len(answer.text) > MAX_ANSWER:
                        raise Fault("upstream_failed", "the answer is too long")
                    if say:
                        await say(text)

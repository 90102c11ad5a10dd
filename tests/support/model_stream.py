"""How a completion goes out: as an event stream or as one JSON object, with
every liberty that the servers in the field take."""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from tests.support.model_request import Asked, samples
from tests.support.standin import Reply

Piece = str | bytes | None      # bytes go out as they are, unescaped; None is a null

SERVER_ERROR = samples()["openai-500"]["body"]["error"]
_CREATED = 1727346168
_HERE = "\x1aPIECE\x1a"         # stands for a piece of bytes until the JSON is made


class End(Enum):
    """How an answer ends, after its pieces."""

    DONE = auto()                 # finish chunk, usage, [DONE], end of the body
    NO_DONE = auto()              # the same without [DONE]: still a whole answer
    CUT_BEFORE_DONE = auto()      # FIN after the finish chunk, without the body's end: whole too
    NO_FINISH = auto()            # a regular end of the body, but no finish chunk, no [DONE]
    DONE_WITHOUT_FINISH = auto()  # [DONE] alone
    CUT = auto()                  # FIN
    CUT_IN_RECORD = auto()        # FIN within the finish chunk
    RESET = auto()                # RST
    ERROR = auto()                # an error record, then a regular end
    ERROR_DONE = auto()           # an error record, then [DONE]
    STALL = auto()                # silence until the client leaves


class ErrorForm(Enum):
    """How a stream tells an error."""

    OBJECT = auto()     # data: {"error":{...}}
    STRING = auto()     # data: {"error":"text"}
    EVENT = auto()      # event: error, and data as OBJECT
    LINE = auto()       # error: {...}, which is no event at all (old llama.cpp)


@dataclass(kw_only=True)
class Style:
    """All that can vary from one completion to the next."""

    finish: str | None = "stop"
    split: int = 0              # bytes per TCP write; 0: a record each
    usage: str = "asked"        # asked, always, never
    usage_null: bool = False    # "usage":null in all other chunks
    usage_in_finish: bool = False        # usage in the chunk that has the finish reason
    role: bool = True           # a first chunk with the role
    refusal: bool = False       # the pieces are a refusal
    thinking: tuple[str, ...] = ()       # reasoning_content before the pieces
    empty_choices_first: bool = False    # a first chunk without choices
    n: int | None = None        # interleaved choices; None: as many as asked for
    extra: dict[str, Any] = field(default_factory=dict)    # more fields in every chunk
    escaped: bool = False       # \u escapes where UTF-8 would do

    line_end: str = "\n"        # or \r\n, \r
    space: bool = True          # between "data:" and its value
    comments: bool = False      # comment lines before and between the records
    gzip: bool = False          # compressed, though nobody asked
    headers: dict[str, str] = field(default_factory=dict)

    error: dict[str, Any] = field(default_factory=lambda: dict(SERVER_ERROR))
    error_form: ErrorForm = ErrorForm.OBJECT

    def usage_for(self, asked: Asked, pieces: int) -> dict | None:
        """The usage to tell, None for none."""
        wanted = (asked.json.get("stream_options") or {}).get("include_usage") or not asked.stream
        if self.usage == "never" or (self.usage == "asked" and not wanted):
            return None
        prompt = sum(len(text.split()) for _, text in asked.dialog)
        return {"prompt_tokens": prompt, "completion_tokens": pieces,
                "total_tokens": prompt + pieces}


class Output:
    """start(), then piece() and comment() in any order, then end()."""

    def __init__(self, asked: Asked, reply: Reply, style: Style) -> None:
        self.asked, self.reply, self.style = asked, reply, style
        self.pieces: list[Piece] = []
        self.indexes = range(style.n or asked.json.get("n") or 1)
        self._gzip = zlib.compressobj(wbits=31) if style.gzip else None

    async def start(self) -> None:
        raise NotImplementedError

    async def piece(self, piece: Piece) -> None:
        raise NotImplementedError

    async def comment(self, text: str = "") -> None:
        """A comment line, where the form of the reply has such."""

    async def end(self, end: End) -> None:
        raise NotImplementedError

    async def _start(self, content_type: str) -> None:
        headers = {"Content-Type": content_type,
                   "X-Request-Id": f"req_{self.asked.request.number:032x}",
                   "OpenAI-Processing-Ms": "12", "OpenAI-Version": "2020-10-01"}
        if self._gzip:
            headers["Content-Encoding"] = "gzip"
        self.reply.split = self.style.split
        await self.reply.start(200, headers | self.style.headers)

    async def _write(self, data: bytes) -> None:
        if self._gzip:
            data = self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        await self.reply.write(data)

    async def _end_body(self) -> None:
        if self._gzip:
            await self.reply.write(self._gzip.flush())
        await self.reply.end()

    def _json(self, value: Any, raw: bytes | None = None) -> bytes:
        text = json.dumps(value, ensure_ascii=self.style.escaped, separators=(",", ":"))
        if raw is not None:
            return text.encode().replace(json.dumps(_HERE).encode(), b'"%b"' % raw)
        return text.encode()

    def _base(self, kind: str) -> dict:
        return {"id": f"chatcmpl-{self.asked.request.number}", "object": kind,
                "created": _CREATED, "model": self.asked.json["model"]}


class EventStream(Output):
    async def start(self) -> None:
        await self._start("text/event-stream; charset=utf-8")
        if self.style.empty_choices_first:
            await self._record(self._json({
                "id": "", "object": "", "created": 0, "model": "", "choices": [],
                "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}))
        if self.style.role:
            first = ({"role": "assistant", "content": None, "refusal": ""} if self.style.refusal
                     else {"role": "assistant", "content": "", "refusal": None})
            await self._delta(first)
        for thought in self.style.thinking:
            await self._delta({"reasoning_content": thought, "content": None})

    async def piece(self, piece: Piece) -> None:
        self.pieces.append(piece)
        name = "refusal" if self.style.refusal else "content"
        raw = piece if isinstance(piece, bytes) else None
        self.asked.sent_at.append(time.monotonic())
        await self._delta({name: piece if raw is None else _HERE}, raw)

    async def comment(self, text: str = "") -> None:
        await self._lines(f": {text}".rstrip().encode())

    async def end(self, end: End) -> None:
        if end in (End.DONE, End.NO_DONE, End.CUT_BEFORE_DONE):
            await self._finish()
        if end in (End.ERROR, End.ERROR_DONE):
            await self._error()
        if end in (End.DONE, End.DONE_WITHOUT_FINISH, End.ERROR_DONE):
            await self._record(b"[DONE]")
        if end is End.STALL:
            await self.reply.client_gone()
        elif end is End.RESET:
            self.reply.reset()
        elif end is End.CUT_IN_RECORD:
            await self._write(b'data: {"id":"chatcmpl-1","choices":[{"index":0,"del')
            self.reply.cut()
        elif end in (End.CUT, End.CUT_BEFORE_DONE):
            self.reply.cut()
        else:
            await self._end_body()

    async def _delta(self, delta: dict, raw: bytes | None = None,
                     finish: str | None = None, **more: Any) -> None:
        """One chunk for each choice."""
        for index in self.indexes:
            chunk = self._base("chat.completion.chunk") | self.style.extra
            if self.style.usage_null:
                chunk["usage"] = None
            chunk["choices"] = [{"index": index, "delta": delta, "logprobs": None,
                                 "finish_reason": finish}]
            await self._record(self._json(chunk | more, raw))

    async def _finish(self) -> None:
        usage = self.style.usage_for(self.asked, len(self.pieces))
        if usage and self.style.usage_in_finish:
            await self._delta({}, finish=self.style.finish, usage=usage)
            return
        await self._delta({}, finish=self.style.finish)
        if usage:
            chunk = self._base("chat.completion.chunk") | self.style.extra
            await self._record(self._json(chunk | {"choices": [], "usage": usage}))

    async def _error(self) -> None:
        form, error = self.style.error_form, self.style.error
        if form is ErrorForm.STRING:
            error = error["message"]
        data = self._json({"error": error})
        if form is ErrorForm.LINE:
            await self._lines(b"error: " + self._json(error))
        elif form is ErrorForm.EVENT:
            await self._lines(b"event: error\ndata: " + data)
        else:
            await self._record(data)

    async def _record(self, data: bytes) -> None:
        if self.style.comments:
            await self.comment("keep-alive")
            await self.comment()
        await self._lines(b"data:" + (b" " if self.style.space else b"") + data)

    async def _lines(self, lines: bytes) -> None:
        """An event of these lines, and the empty line that ends it."""
        await self._write((lines + b"\n\n").replace(b"\n", self.style.line_end.encode()))


class OneObject(Output):
    """The answer to "stream": false. A bad end leaves half of it."""

    async def start(self) -> None:
        await self._start("application/json")

    async def piece(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.asked.sent_at.append(time.monotonic())

    async def end(self, end: End) -> None:
        if end is End.STALL:
            await self.reply.client_gone()
        elif end is End.RESET:
            self.reply.reset()
        elif end in (End.ERROR, End.ERROR_DONE):
            await self._write(self._json({"error": self.style.error}))
            await self._end_body()
        elif end in (End.CUT, End.CUT_IN_RECORD):
            body = self._completion()
            await self._write(body[:len(body) // 2])
            self.reply.cut()
        else:
            await self._write(self._completion())
            await self._end_body()

    def _completion(self) -> bytes:
        pieces = [piece.encode() if isinstance(piece, str) else piece for piece in self.pieces]
        text = b"".join(piece for piece in pieces if piece is not None).decode(errors="replace")
        refused = self.style.refusal
        message = {"role": "assistant", "content": None if refused else text,
                   "refusal": text if refused else None}
        body = self._base("chat.completion") | self.style.extra
        body["choices"] = [{"index": index, "message": message, "logprobs": None,
                            "finish_reason": self.style.finish} for index in self.indexes]
        usage = self.style.usage_for(self.asked, len(pieces))
        return self._json(body | ({"usage": usage} if usage else {}))


def output_for(asked: Asked, reply: Reply, style: Style) -> Output:
    return (EventStream if asked.stream else OneObject)(asked, reply, style)

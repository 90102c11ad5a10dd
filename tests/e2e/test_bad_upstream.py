"""A server of the model that does too much, or what no server should: it costs its own turn, a
bounded piece of memory, and nobody else a moment."""

import asyncio
import gzip
import json
import threading

import pytest

from tests.support.model_answer import Answer, Body, Http, Wire
from tests.support.model_stream import End
from tests.support.proc import memory
from tests.support.stack import Stack

MB = 1 << 20


@pytest.fixture(scope="module")
def shared():
    with Stack(runner=False, children=1, LOG_LEVEL="warn", MODEL_RETRIES=0,
               MODEL_MAX_ANSWER="3m", MODEL_FIRST_TOKEN_TIMEOUT="2s", MODEL_IDLE_TIMEOUT="2s",
               MODEL_CONNECT_TIMEOUT="2s", MODEL_TURN_TIMEOUT="4s", CONTEXT_MESSAGES=0) as stack:
        yield stack


class Endless(Answer):
    """A head, then these bytes again and again until the client has had enough."""

    def __init__(self, data, content_type="text/event-stream", before=b""):
        self.data, self.content_type, self.before = data, content_type, before

    async def give(self, asked, reply):
        await reply.start(200, {"Content-Type": self.content_type})
        await reply.write(self.before)
        while True:
            await reply.write(self.data)
            await asyncio.sleep(0.002)      # other requests are to be answered beside it


@pytest.mark.parametrize("count", [1, 2])
def test_tokens_of_a_megabyte_come_through(stack, count):
    piece = "ä🙂" * (MB // 6)
    stack.model.will_say(*[piece] * count)
    with stack.chat().stream("hi") as stream:
        assert stream.text == piece * count
        assert stream.done()["finish_reason"] == "stop"
    stack.model.will_say(*[piece] * count)
    assert stack.chat().say("hi").bot_text == piece * count


def test_megabytes_slow_nobody_down(stack):
    piece, slowest, going = "x" * MB, [0.0], True

    def others():
        while going:
            slowest[0] = max(slowest[0], stack.chat().say("hi").seconds)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        for _ in range(10):
            stack.model.will_say(piece, piece, when=lambda asked: asked.user_text == "much")
            assert len(stack.chat().stream("much").text) == 2 * MB
    finally:
        going = False
        thread.join()
    assert slowest[0] < 1, slowest


ENDLESS = [
    ("a-line", Endless(b"x" * 65536, before=b"data: ")),
    ("an-event", Endless(b"data: x\n" * 8192)),
    ("fields", Endless(b"field: x\n" * 8192)),
    ("whole-json", Endless(b'"a", ' * 8192, "application/json", b"[")),
    ("tokens", Endless(b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n'
                       % (b"x" * 60_000))),
    ("thoughts", Endless(b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"%b"}}]}\n\n'
                         % (b"x" * 60_000))),
    ("comments", Endless(b": still thinking\n\n" * 4096)),
]


@pytest.mark.parametrize("answer", [row[1] for row in ENDLESS], ids=[row[0] for row in ENDLESS])
def test_what_has_no_end_is_ended(stack, answer):
    """By the largest answer, or where nothing of one comes, by the time of the first token or of
    the turn."""
    [child] = stack.pool.children()
    before = memory(child)
    stack.model.will(answer)
    reply = stack.chat().say("hi")
    assert reply.status in (502, 504) and reply.seconds < 6, reply
    stack.model.wait_for(lambda: stack.model.gone)
    assert memory(child) - before < 64 * MB, f"{(memory(child) - before) >> 20} MB"
    assert stack.chat().say("and now?").status == 200


def test_a_compressed_error_keeps_its_meaning(stack):
    body = gzip.compress(json.dumps({"error": {"message": "slow down", "type": "requests"}})
                         .encode())
    stack.model.will(Http(429, {"Content-Encoding": "gzip", "Retry-After": "7",
                                "Content-Type": "application/json"}, body))
    reply = stack.chat().say("hi")
    reply.problem(503, "upstream_busy")
    assert reply.headers["Retry-After"] == "7"


@pytest.mark.parametrize("body", [b"\xff\xfe\x00garbage", b"", b"{", b'{"error":"\xff"}',
                                  b'{"error":{"message":"\\u0000\\ud800"}}', b"[" * 100_000])
def test_an_error_in_any_bytes_is_an_error(stack, body):
    stack.model.will(Http(500, {"Content-Type": "application/json"}, body))
    problem = stack.chat().say("hi").problem(502, "upstream_failed")
    json.dumps(problem).encode()
    stack.model.will(Body(b"data: " + body.replace(b"\n", b" ") + b"\n\n"))
    stack.chat().stream("hi").whole().problem(502, "upstream_failed")


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 5\r\n"
    b"Content-Length: 500\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"HTTP/1.1 999 Odd\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"\r\n" * 100_000,
    b"HTTP/1.1 200 OK\r\n" + b"A" * 200_000 + b"\r\n\r\n",
], ids=range(10))
def test_heads_that_are_wrong_end_in_an_error(stack, head):
    stack.model.will(Wire(head, end=End.CUT))
    assert stack.chat().say("hi").status == 502
    assert stack.chat().say("and now?").status == 200


def test_a_server_that_restarts_fails_no_turn(stack):
    """Its kept connections die while nobody uses them."""
    for _ in range(3):
        streams = [stack.chat().open("hi") for _ in range(20)]
        assert {stream.whole().status for stream in streams} == {200}
        stack.model.stop()
        stack.model.start()

"""What may happen to a stream while it lives: every limit of its time, readers that do not read,
and another proxy on its way."""

import socket
import statistics
import time
import zlib

import pytest

from tests.support.dialog import CHAT, EVENTS, Dialog
from tests.support.front import Front
from tests.support.model_answer import Silence
from tests.support.proc import memory, until
from tests.support.sse import EventReader

# Time limits, each by itself: all others are far away.

GENEROUS = {"MODEL_RETRIES": 0, "MODEL_CONNECT_TIMEOUT": "60s", "MODEL_FIRST_TOKEN_TIMEOUT": "60s",
            "MODEL_IDLE_TIMEOUT": "60s", "MODEL_TURN_TIMEOUT": "60s"}


def _within(reply, low, high):
    assert low <= reply.seconds < high, reply.seconds


def test_connecting_has_a_limit(stacks):
    """The port of a server that does not accept, and whose queue is full."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        stack = stacks(runner=False, children=1, **GENEROUS | {
            "MODEL_CONNECT_TIMEOUT": "400ms",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{full.getsockname()[1]}/v1"})
        reply = stack.chat().say("hi")
        reply.problem(504, "upstream_timeout")
        _within(reply, 0.4, 2)


def test_the_first_token_has_a_limit(stacks):
    stack = stacks(runner=False, children=1, **GENEROUS | {"MODEL_FIRST_TOKEN_TIMEOUT": "400ms"})
    stack.model.will(Silence())
    reply = stack.chat().say("hi")
    reply.problem(504, "upstream_timeout")
    _within(reply, 0.4, 2)
    # Once it has come, the time does not matter any more.
    stack.model.will_say("a", "b", delay=0.8)
    assert stack.chat().say("hi").bot_text == "ab"


def test_comments_are_no_first_token(stacks):
    stack = stacks(runner=False, children=1, **GENEROUS | {"MODEL_FIRST_TOKEN_TIMEOUT": "600ms"})
    held = stack.model.hold(role=False)
    stream = stack.chat().open("hi")
    held.start()
    for _ in range(3):
        held.comment("processing")
    reply = stream.whole()
    reply.problem(504, "upstream_timeout")
    assert held.wait_gone()


def test_silence_within_an_answer_has_a_limit(stacks):
    stack = stacks(runner=False, children=1, **GENEROUS | {"MODEL_IDLE_TIMEOUT": "400ms"})
    held = stack.model.hold()
    with stack.chat().stream("hi") as stream:
        for _ in range(4):          # longer in all, but never silent for so long
            held.send("x")
            assert stream.next_text() == "x"
        fell_silent = time.monotonic()
        stream.error(504, "upstream_timeout")
        assert 0.3 < time.monotonic() - fell_silent < 2
    assert held.wait_gone()


def test_a_turn_has_a_limit(stacks):
    stack = stacks(runner=False, children=1,
                   **{name: "1s" if name.startswith("MODEL") and value == "60s" else value
                      for name, value in GENEROUS.items()})
    stack.model.will_say(*["x"] * 50, delay=0.1)
    began = time.monotonic()
    with stack.chat().stream("hi") as stream:
        stream.error(504, "upstream_timeout")
    assert 0.9 < time.monotonic() - began < 2.5
    stack.model.wait_for(lambda: stack.model.gone)


def test_the_limit_of_a_turn_holds_for_a_paused_one_too(stacks):
    """A reader that never reads does not keep a place, nor a connection to the model, for ever."""
    stack = stacks(runner=False, children=1, MAX_UNSENT="16k", MODEL_MAX_ANSWER="32m",
                   MODEL_RETRIES=0, MODEL_FIRST_TOKEN_TIMEOUT="2s", MODEL_IDLE_TIMEOUT="2s",
                   MODEL_CONNECT_TIMEOUT="2s", MODEL_TURN_TIMEOUT="2s")
    held = stack.model.hold()
    stream = stack.chat().stream("much", receive_buffer=4096)
    for _ in range(300):
        held.send("x" * 32_000)
    assert held.wait_gone()
    assert stack.chat().say("hi").status == 200
    stream.reset()


# Readers that do not read

def test_fifty_that_never_read_slow_nobody_down(stacks):
    """Nor do they fill our memory, or make their models talk on."""
    stack = stacks(children=1, runner=False, LOG_LEVEL="warn", MAX_UNSENT="32k",
                   MODEL_MAX_ANSWER="64m")
    much = stack.model.say(*["x" * 32_000] * 1000)
    stack.model.otherwise = lambda asked: (much if asked.user_text == "much"
                                           else stack.model.echo(asked))
    [child] = stack.pool.children()
    alone = _seconds_of_turns(stack)
    stuck = [stack.chat().stream("much", receive_buffer=4096) for _ in range(50)]
    try:
        stack.model.wait_asked(60 + 50)
        size = until(lambda: _steady(lambda: memory(child)), "memory grows no more")
        asked = [each for each in stack.model.requests if each.user_text == "much"]
        sent = until(lambda: _steady(lambda: [len(each.sent_at) for each in asked]), "all stand")
        assert max(sent) < 900                              # far from the end
        beside = _seconds_of_turns(stack)
        print(f"a turn alone {alone * 1000:.1f} ms, beside them {beside * 1000:.1f}; each has "
              f"sent {max(sent) * 32} KB at most; RSS {size >> 20} MB")
        assert beside < 2 * alone + 0.01
        assert memory(child) - size < 4 << 20
    finally:
        for stream in stuck:
            stream.reset()
    stack.model.wait_for(lambda: len(stack.model.gone) == 50)


def _steady(value):
    """The value, if it stays as it is for a while."""
    before = value()
    time.sleep(0.3)
    return before if value() == before else None


def _seconds_of_turns(stack, count=60):
    """The median."""
    return statistics.median(stack.chat().say("hi").seconds for _ in range(count))


# Another proxy on the way

@pytest.fixture
def front(stack, tmp_path_factory):
    def make(more=""):
        one = Front(tmp_path_factory.mktemp("f"), stack.client.url, more)
        made.append(one)
        return one.start(stack.env)
    made = []
    yield make
    for one in made:
        one.stop()


@pytest.mark.parametrize("more", ["", "proxy_http_version 1.1;"])
def test_two_nginx_in_a_row_hold_nothing_back(stack, front, more):
    proxy = front(more)
    held = stack.model.hold()
    with Dialog(proxy.client, f"proxied-{len(more)}").stream("hi") as stream:
        for piece in ("one", "two"):
            held.send(piece)
            assert stream.next_text() == piece
        held.finish()
        assert stream.done()["finish_reason"] == "stop"


def test_nor_does_one_that_compresses(stack, front):
    proxy = front("gzip on; gzip_types *; gzip_min_length 0;")
    held = stack.model.hold()
    unpack, events = zlib.decompressobj(wbits=31), EventReader()
    with proxy.client.open("POST", CHAT, {"session_id": "packed", "user_text": "hi"},
                                headers=EVENTS | {"Accept-Encoding": "gzip"}) as reply:
        for piece in ("one", "two"):
            held.send(piece)
            while not (new := events.feed(unpack.decompress(reply.read()))):
                pass
            assert [event.json["text"] for event in new] == [piece]
        assert reply.headers["Content-Encoding"] == "gzip"
        held.finish()


def test_a_client_behind_two_nginx_is_missed_at_once(stack, front):
    proxy = front()
    held = stack.model.hold()
    stream = Dialog(proxy.client, "leaves").stream("hi")
    held.send("one")
    stream.next_text()
    left = time.monotonic()
    stream.close()
    assert held.wait_gone() - left < 0.1


# Kept connections

def test_a_connection_serves_one_stream_after_the_other(stack):
    with socket.create_connection((stack.nginx.host, stack.nginx.port), 10) as connection:
        for number in range(3):
            body = b'{"session_id": "kept", "user_text": "%d"}' % number
            connection.sendall(b"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\n"
                               b"Content-Type: application/json\r\nAccept: text/event-stream\r\n"
                               b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            events = _chunked_events(connection)
            assert events[-1].event == "done"
            assert "".join(e.json["text"] for e in events[:-1]) == f"You said: {number}"


def _chunked_events(connection):
    """Of one chunked reply; reads not a byte more."""
    with connection.makefile("rb") as stream:
        while stream.readline() != b"\r\n":
            pass
        reader = EventReader()
        while size := int(stream.readline(), 16):
            reader.feed(stream.read(size))
            assert stream.readline() == b"\r\n"
        assert stream.readline() == b"\r\n"
        return reader.close()

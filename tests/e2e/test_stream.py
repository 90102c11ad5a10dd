"""The event stream of a turn: what is in it, when it comes, and what a client's manners do."""

import time

import pytest

from tests.support.model_answer import Body, recorded
from tests.support.proc import memory, until

GONE_WITHIN = 0.1       # seconds until the model is let go when its reader has left


def test_events_have_ids_and_end_in_done(stack):
    chat = stack.chat()
    chat.say("the first turn")
    stack.model.will_say("Hel", "lo")
    with chat.stream("hi") as stream:
        events = stream.all()
        done = stream.done()
    assert [event.event for event in events] == ["delta", "delta", "done"]
    assert [event.id for event in events] == ["2-1", "2-2", "2-3"]
    assert done["finish_reason"] == "stop"
    assert done["usage"] == {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    assert done["session_id"] == chat.session
    assert 0 <= done["overhead_ms"] < 1000


def test_usage_that_was_not_told_is_null(stack):
    stack.model.will_say("x", usage="never")
    assert stack.chat().stream("hi").done()["usage"] is None


def test_the_headers_keep_every_proxy_from_holding_it_back(stack):
    with stack.chat().stream("hi") as stream:
        stream.done()
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.headers["Cache-Control"] == "no-store"
        assert stream.headers["Content-Encoding"] is None


def test_each_piece_arrives_when_it_was_said(stack):
    held = stack.model.hold()
    with stack.chat().stream("hi") as stream:
        for piece in ("one", "two", "three"):
            held.send(piece)
            assert stream.next_text() == piece     # nothing after it was said yet
        held.finish()
        assert stream.done()["finish_reason"] == "stop"


def test_a_silent_stream_is_kept_alive(stacks):
    stack = stacks(STREAM_KEEPALIVE="100ms", runner=False)
    held = stack.model.hold()
    with stack.chat().stream("hi") as stream:
        stream.wait_comment()                      # before the first piece
        held.send("a")
        assert stream.next_text() == "a"
        stream.wait_comment()
        stream.wait_comment()
        held.finish()
        assert stream.text == "a"


@pytest.mark.parametrize("style", [
    {"line_end": "\r\n"}, {"line_end": "\r"}, {"comments": True}, {"space": False},
    {"role": False}, {"escaped": True}, {"empty_choices_first": True}, {"usage_null": True},
    {"usage_in_finish": True, "usage": "always"}, {"thinking": ("hm", "so")},
    {"extra": {"obfuscation": "x" * 50, "service_tier": None}},
    {"line_end": "\r\n", "comments": True, "space": False, "role": False, "escaped": True},
], ids=str)
def test_the_many_manners_of_models_make_the_same_answer(stack, style):
    stack.model.will_say("naïve ", None, "", "🙂\n", "end", **style)
    with stack.chat().stream("hi") as stream:
        assert stream.texts == ["naïve ", "🙂\n", "end"]
        assert stream.done()["finish_reason"] == "stop"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("split", [*range(1, 12), 64, 1000])
def test_bytes_may_be_split_anywhere(stack, split, line_end):
    stack.model.will_say("naïve ", "🙂", " مرحبا", split=split, line_end=line_end, comments=True)
    assert stack.chat().stream("hi").text == "naïve 🙂 مرحبا"


@pytest.mark.parametrize("name, finish", [
    ("openai-text-usage", "stop"),
    ("openai-length", "length"),
    ("openai-refusal", "stop"),
    ("openai-n3", "stop"),
])
def test_recorded_streams_are_understood(stack, name, finish):
    stack.model.will(recorded(name, split=7))
    with stack.chat().stream("hi") as stream:
        assert stream.text
        assert stream.done()["finish_reason"] == finish


def test_the_finish_reason_is_passed_on(stack):
    stack.model.will_say("cut sh", finish="length")
    assert stack.chat().stream("hi").done()["finish_reason"] == "length"


def test_a_refusal_is_an_answer(stack):
    stack.model.will_say("I can", "not.", refusal=True)
    assert stack.chat().stream("hi").text == "I cannot."


def test_a_large_piece_comes_through(stack):
    piece = "x" * 200_000
    stack.model.will_say(piece)
    assert stack.chat().stream("hi").text == piece


def test_many_small_pieces_come_through_in_order(stack):
    pieces = [f"{number} " for number in range(5000)]
    stack.model.will_say(*pieces)
    assert stack.chat().stream("hi").text == "".join(pieces)


# A client that leaves

@pytest.mark.parametrize("leave", ["close", "reset"])
def test_the_model_is_let_go_at_once(stack, leave):
    held = stack.model.hold()
    stream = stack.chat().stream("hi")
    held.send("one")
    stream.next_text()
    left = time.monotonic()
    getattr(stream, leave)()
    assert held.wait_gone() - left < GONE_WITHIN


@pytest.mark.parametrize("streamed", [True, False])
def test_also_before_the_first_token(stack, streamed):
    chat = stack.chat()
    held = stack.model.hold()
    stream = chat.stream("hi") if streamed else chat.open("hi")
    held.wait_asked()
    left = time.monotonic()
    stream.close()
    assert held.wait_gone() - left < GONE_WITHIN
    chat.say("next")
    assert stack.model.last_asked == ["next"]      # nothing was said, so nothing is kept


def test_what_was_said_until_then_is_kept_and_marked(stack):
    chat = stack.chat()
    held = stack.model.hold()
    stream = chat.stream("hi")
    held.send("one ", "two")
    stream.next_text()
    stream.next_text()
    stream.close()
    held.wait_gone()
    chat.say("next")
    assert stack.model.last_asked == ["hi", "one two", "next"]
    [msgs] = [key for key in stack.redis.keys() if chat.session in key and key.endswith(":msgs")]
    first, second = stack.redis.command("LRANGE", msgs, 0, -1)
    assert b'"interrupted":true' in first and b"interrupted" not in second


def test_a_whole_answer_that_nobody_waits_for_is_dropped(stack):
    chat = stack.chat()
    held = stack.model.hold()
    reply = chat.open("hi")
    held.send("one")
    held.wait_asked()
    reply.close()
    held.wait_gone()
    chat.say("next")
    assert stack.model.last_asked == ["next"]


def test_a_turn_may_be_finished_without_its_client(stacks):
    stack = stacks(ON_DISCONNECT="finish", runner=False)
    for streamed in (True, False):
        chat = stack.chat()
        held = stack.model.hold()
        stream = chat.stream("hi") if streamed else chat.open("hi")
        held.wait_asked()
        stream.close()
        held.send("to the end")
        held.finish()
        chat.say("next")
        assert stack.model.last_asked == ["hi", "to the end", "next"]
    assert not stack.model.gone


# A client that reads slowly

def test_a_slow_reader_pauses_its_model_and_nobody_else(stacks):
    stack = stacks(children=1, runner=False, MAX_UNSENT="64k", MODEL_MAX_ANSWER="32m")
    held = stack.model.hold()
    slow = stack.chat().stream("much", receive_buffer=4096)
    [child] = stack.pool.children()
    piece = "x" * 32_000
    for _ in range(500):
        held.send(piece)
    asked = held.wait_asked()
    still_at = _standstill(lambda: len(asked.sent_at))
    assert still_at < 450                          # the model was stopped, far from its end
    assert stack.chat().say("hi").bot_text == "You said: hi"
    before = memory(child)
    assert stack.chat().stream("hi").text == "You said: hi"
    assert memory(child) - before < 4 << 20
    held.finish()
    assert slow.text == piece * 500                # and all of it arrives


def _standstill(count):
    """The value of count() once it has not changed for half a second."""
    seen = [(time.monotonic(), count())]

    def is_still():
        now, value = time.monotonic(), count()
        if value != seen[-1][1]:
            seen.append((now, value))
        return value > 0 and now - seen[-1][0] > 0.5
    until(is_still, "nothing moves any more")
    return seen[-1][1]


def test_a_slow_reader_that_leaves_is_forgotten(stack):
    held = stack.model.hold()
    slow = stack.chat().stream("much", receive_buffer=4096)
    for _ in range(500):
        held.send("x" * 1_900)
    held.wait_asked()
    slow.reset()
    held.wait_gone()


def test_a_reader_that_is_slow_at_first_gets_all_in_order(stack):
    pieces = [f"{number:06d}" * 100 for number in range(1000)]
    stack.model.will_say(*pieces)
    stream = stack.chat().stream("much", receive_buffer=4096)
    stack.model.wait_asked()
    assert stream.texts == pieces


def test_garbage_between_the_records_is_no_answer(stack):
    stack.model.will(Body(b"data: {\"choices\":[]}\n\nhello\n\n"))
    stack.chat().stream("hi").whole().problem(502, "upstream_failed")

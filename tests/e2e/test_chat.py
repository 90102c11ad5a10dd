"""POST /api/v1/chat, as an application uses it day in, day out."""

import re
import secrets
import time

import pytest

from tests.support.dialog import CHAT, EVENTS
from tests.support.proc import until
from tests.support.programs import TOP

PROMPT = (TOP / "prompts" / "default.md").read_text()


def test_the_answer_comes_back_and_is_remembered(stack):
    chat = stack.chat()
    stack.model.will_say("Hel", "lo")
    reply = chat.say("hi")
    assert (reply.status, reply.json) == (200, {"bot_text": "Hello"})
    stack.model.will_say("Fine")
    assert chat.say("and you?").bot_text == "Fine"
    assert stack.model.last_asked == ["hi", "Hello", "and you?"]
    assert [role for role, _ in stack.model.requests[-1].dialog] == ["user", "assistant", "user"]


def test_the_answer_streams_and_is_remembered(stack):
    chat = stack.chat()
    stack.model.will_say("Hel", "lo")
    assert chat.stream("hi").texts == ["Hel", "lo"]
    chat.say("and you?")
    assert stack.model.last_asked == ["hi", "Hello", "and you?"]


def test_the_model_is_asked_for_a_stream_either_way(stack):
    chat = stack.chat()
    chat.say("one")
    chat.stream("two").done()
    assert [asked.stream for asked in stack.model.requests] == [True, True]


def test_the_prompt_is_the_system_message(stack):
    stack.chat().say("hi")
    assert stack.model.last_system.strip() == PROMPT.strip()


def test_sessions_know_nothing_of_each_other(stack):
    one, other = stack.chat(), stack.chat()
    one.say("my name is Ada")
    other.say("who am I?")
    assert stack.model.last_asked == ["who am I?"]
    one.say("who am I?")
    assert stack.model.last_asked == ["my name is Ada", "You said: my name is Ada", "who am I?"]


@pytest.mark.parametrize("session", [
    "x", "x" * 256, "ü" * 128, "a b", "a/b", "../../etc/passwd", "{default}:s:1:a", "*", "a:msgs",
    "日本語", "🙂", "%2F", "c1:{default}:s:1:x:lock", '"quoted"', "...",
], ids=lambda session: repr(session)[:12])
def test_an_id_is_whatever_the_client_chooses(stack, session):
    session = session if len(session.encode()) == 256 else session + secrets.token_hex(4)
    chat = stack.chat(session)
    assert chat.say("hi").status == 200
    chat.say("again")
    assert stack.model.last_asked[-3:] == ["hi", "You said: hi", "again"]
    stack.chat(session[:-1]).say("hi")
    assert stack.model.last_asked == ["hi"]


@pytest.mark.parametrize("text", [
    "x", "x" * 4096, "naïve 日本語 🙂 مرحبا", "a\nb\r\nc\td", '"\\/\x01\x7f', "\u2028\ufeff",
    "<script>alert(1)</script>", "data: [DONE]\n\n", " ",
], ids=lambda text: repr(text)[:12])
def test_text_of_any_kind_travels_unchanged_both_ways(stack, text):
    chat = stack.chat()
    stack.model.will_say(text)
    assert chat.say(text).bot_text == text
    stack.model.will_say(*text)
    with chat.stream(text) as stream:
        assert stream.text == text
    assert stack.model.last_asked == [text, text, text]
    chat.say("more")
    assert stack.model.last_asked == [text, text, text, text, "more"]


def test_text_may_be_as_long_as_the_setting_says(stack):
    text = "x" * 32 * 1024
    assert stack.chat().say(text).bot_text == f"You said: {text}"


@pytest.mark.parametrize("body", [{}, {"session_id": None}])
def test_without_a_session_id_one_is_made(stack, body):
    reply = stack.client.post(CHAT, body | {"user_text": "hi"})
    session = reply.json["session_id"]
    assert re.fullmatch(r"[0-9a-f]{32}", session)
    assert reply.json == {"session_id": session, "bot_text": "You said: hi"}
    assert reply.headers["X-Session-Id"] == session
    stack.chat(session).say("again")
    assert stack.model.last_asked == ["hi", "You said: hi", "again"]
    assert stack.client.post(CHAT, {"user_text": "hi"}).json["session_id"] != session


def test_a_stream_tells_the_session_it_has_made(stack):
    with stack.client.open("POST", CHAT, {"user_text": "hi"}, headers=EVENTS) as stream:
        session = stream.done()["session_id"]
        assert stream.headers["X-Session-Id"] == session and len(session) == 32


def test_the_session_stands_in_a_header(stack):
    chat = stack.chat()
    assert chat.say("hi").headers["X-Session-Id"] == chat.session
    assert chat.stream("hi").headers["X-Session-Id"] == chat.session


@pytest.mark.parametrize("ask", [
    {"headers": {"Accept": "text/event-stream"}},
    {"headers": {"Accept": "application/json;q=0.5, text/event-stream"}},
    {"stream": True},
    {"stream": True, "headers": {"Accept": "application/json"}},
])
def test_a_stream_is_asked_for_in_either_way(stack, ask):
    reply = stack.chat().say("hi", **ask)
    assert reply.headers["Content-Type"] == "text/event-stream"


@pytest.mark.parametrize("ask", [
    {}, {"headers": {"Accept": "*/*"}}, {"stream": False}, {"stream": None},
    {"headers": {"Accept": "application/json, text/event-stream;q=0"}},
])
def test_else_the_answer_comes_whole(stack, ask):
    assert stack.chat().say("hi", **ask).json == {"bot_text": "You said: hi"}


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8",
                                  "Application/JSON;charset=UTF-8"])
def test_json_is_known_by_any_of_its_names(stack, kind):
    assert stack.chat().say("hi", headers={"Content-Type": kind}).status == 200


def test_unknown_fields_are_ignored(stack):
    reply = stack.chat().say("hi", temperature=3, nested={"a": [1, None]}, user_name=7)
    assert reply.bot_text == "You said: hi"


def test_a_request_id_is_taken_over_if_it_is_sane(stack):
    sane = "trace.7_A-" + "x" * 54
    assert stack.chat().say("hi", headers={"X-Request-Id": sane}).headers["X-Request-Id"] == sane
    assert sane in stack.pool.logged()


@pytest.mark.parametrize("odd", ["", "x" * 65, "a b", "a\"b", "ü", "a;b", None])
def test_else_a_request_gets_one_of_ours(stack, odd):
    one = stack.chat().say("hi", headers={"X-Request-Id": odd}).headers["X-Request-Id"]
    two = stack.chat().say("hi", headers={"X-Request-Id": odd}).headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{16,64}", one) and one != two


def test_our_own_time_is_told(stack):
    stack.model.will_say("late", first_delay=0.3)
    reply = stack.chat().say("hi")
    assert reply.seconds > 0.3
    assert 0 <= float(reply.headers["X-Confab-Overhead-Ms"]) < 250


def test_replies_are_not_to_be_cached(stack):
    assert stack.chat().say("hi").headers["Cache-Control"] == "no-store"


def test_only_the_latest_messages_are_shown_to_the_model(stacks):
    stack = stacks(CONTEXT_MESSAGES=4, runner=False)
    chat = stack.chat()
    for number in range(4):
        chat.say(f"{number}")
    assert stack.model.last_asked == ["1", "You said: 1", "2", "You said: 2", "3"]


def test_the_window_has_a_size_too(stacks):
    stack = stacks(CONTEXT_TOKENS=1000, runner=False)
    chat = stack.chat()
    chat.say("old " * 2000)
    chat.say("new")
    assert stack.model.last_asked == ["new"]    # the turn before is too large as a whole
    chat.say("newer")
    assert stack.model.last_asked == ["new", "You said: new", "newer"]


def test_a_long_conversation_costs_no_more_than_a_short_one(stack):
    chat = stack.chat()
    chat.say("first")
    [key] = [key for key in stack.redis.keys() if chat.session in key and key.endswith(":msgs")]
    [turn] = stack.redis.command("LRANGE", key, 0, -1)
    for _ in range(100):
        stack.redis.command("RPUSH", key, *[turn] * 100)
    stack.redis.command("HSET", key.removesuffix(":msgs"), "turns", 10_001)
    calls = _calls_of(stack)
    short = stack.chat().say("hi").json and _calls_of(stack) - calls
    calls = _calls_of(stack)
    chat.say("ten thousand and one")
    assert len(stack.model.last_asked) == 41
    assert _calls_of(stack) - calls == short


def test_a_short_silence_of_redis_fails_nobody(stacks):
    """As while its disk is busy, and hundreds begin."""
    stack = stacks(runner=False)
    stack.chat().say("before")
    with stack.redis.frozen():
        began = time.monotonic()
        chats = [stack.chat().open("hi") for _ in range(500)]
        until(lambda: time.monotonic() - began > 0.6, "600 ms are over")
    assert {chat.whole().status for chat in chats} == {200}


def test_who_came_late_into_a_silence_is_not_failed_with_the_first(stacks):
    stack = stacks(runner=False, REDIS_TIMEOUT="2s")
    stack.chat().say("before")
    with stack.redis.frozen():
        began = time.monotonic()
        first = [stack.chat().open("hi") for _ in range(20)]
        until(lambda: time.monotonic() - began > 1, "the first have waited")
        late = [stack.chat().open("hi") for _ in range(200)]
        assert {chat.whole().status for chat in first} == {503}
    assert {chat.whole().status for chat in late} == {200}


def _calls_of(stack):
    """Scripts that Redis was asked to run."""
    stats = stack.redis.command("INFO", "commandstats").decode()
    return sum(int(calls) for calls in re.findall(r"cmdstat_eval(?:sha)?:calls=(\d+)", stats))


def test_a_turn_takes_two_round_trips_to_redis(stack):
    chat = stack.chat()
    chat.say("the scripts are known from here on")
    before = _calls_of(stack)
    chat.say("hi")
    assert _calls_of(stack) - before == 2


def test_the_demo_model_says_that_it_is_one(stacks):
    stack = stacks(runner=False, OPENAI_API_KEY="", OPENAI_BASE_URL="", DEMO="fallback")
    assert stack.ready()["checks"]["model"]["demo"] is True
    chat = stack.chat()
    answers = [chat.say("hello").bot_text, chat.stream("what did I say?").text]
    assert all("demo" in answer.lower() for answer in answers)
    assert "demo" in stack.pool.logged()
    assert not stack.model.requests

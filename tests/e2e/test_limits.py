"""Limits of a key: requests a minute, turns in flight, tokens a day; and what was used."""

import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.confabctl import bearer, confabctl, make_key
from tests.support.dialog import CHAT
from tests.support.proc import until
from tests.support.stack import Stack

USAGE = "/api/v1/usage"
AT_ONCE = 16
TURN_TEXT = "a b c d e f g h"    # 15 bytes: 4 tokens to set aside; 8 by the stand-in's counting
TURN_TOKENS = 10                # with an answer of two pieces


@pytest.fixture(scope="module")
def shared():
    with Stack(children=3, runner=False, API_ACCESS="keys", KEY_CACHE="100ms",
               KEY_RESERVE_TOKENS=TURN_TOKENS - 4, REDIS_TIMEOUT="300ms",
               SESSION_LEASE="1s") as stack:
        yield stack


def in_parallel(count, work):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, range(count)))


def counted(replies):
    """How many were let in, and those that were not, after a look at the refusals."""
    refused = [reply for reply in replies if reply.status == 429]
    for reply in refused:
        reply.problem(429, "too_many_requests")
        assert int(reply.headers["Retry-After"]) >= 1
    allowed = len(replies) - len(refused)
    assert all(reply.status in (200, 429) for reply in replies)
    return allowed, refused


def show(what, asked, allowed, expected):
    print(f"limit test: {what}: asked {asked}, allowed {allowed}, expected {expected}")
    assert allowed == expected


def used_by(stack, key):
    reply = stack.client.get(USAGE, headers=bearer(key))
    assert reply.status == 200 and reply.json["next_cursor"] is None, reply
    return reply.json["items"]


# Requests a minute

def test_requests_a_minute_are_exact_however_many_ask_at_once(stack):
    key = make_key(stack, "rpm", "--rpm", "40")

    def ask(number):
        if number % 2:
            return stack.client.get(USAGE, headers=bearer(key))
        return stack.chat(f"rpm-{number}").say("hi", headers=bearer(key))
    allowed, refused = counted(in_parallel(120, ask))
    show("requests a minute", 120, allowed, 40)
    assert all(1 <= int(reply.headers["Retry-After"]) <= 60 for reply in refused)
    assert {reply.headers["RateLimit"].split(";t=")[0] for reply in refused} == {'"requests";r=0'}


def test_the_headers_tell_what_is_left(stack):
    key = make_key(stack, "headers", "--rpm", "5", "--in-flight", "3", "--tokens-per-day", "1000")
    reply = stack.chat("headers").say("hi", headers=bearer(key))
    assert reply.headers["RateLimit-Policy"] == (
        '"requests";q=5;w=60, "turns";q=3;qu="concurrent-requests", '
        '"tokens";q=1000;w=86400;qu="tokens"')
    assert re.fullmatch(r'"requests";r=4;t=(60|59), "turns";r=2, "tokens";r=99\d;t=\d+',
                        reply.headers["RateLimit"])
    with stack.chat("headers").stream("hi", headers=bearer(key)) as stream:
        assert stream.headers["RateLimit"].startswith('"requests";r=3;')
        stream.done()
    free = stack.chat("free").say("hi", headers=bearer(make_key(stack, "free")))
    assert free.headers["RateLimit"] is None and free.headers["RateLimit-Policy"] is None


def test_a_key_that_is_at_its_limit_is_nobody_elses_matter(stack):
    one = make_key(stack, "neighbour", "--rpm", "1")
    two = make_key(stack, "neighbour", "--rpm", "1")
    for key in (one, two):
        assert stack.client.get(USAGE, headers=bearer(key)).status == 200
        assert stack.client.get(USAGE, headers=bearer(key)).status == 429


def test_a_refused_turn_leaves_nothing_behind(stack):
    key = make_key(stack, "refused", "--rpm", "1")
    assert stack.chat("refused").say("first", headers=bearer(key)).status == 200
    stack.chat("refused").say("second", headers=bearer(key)).problem(429, "too_many_requests")
    with stack.chat("refused").stream("third", headers=bearer(key)) as stream:
        stream.whole().problem(429, "too_many_requests")
    assert [asked.user_text for asked in stack.model.requests] == ["first"]
    other = make_key(stack, "refused")      # the session is not locked
    assert stack.chat("refused").say("fourth", headers=bearer(other)).seconds < 0.5
    assert stack.model.last_asked == ["first", "You said: first", "fourth"]


# Turns in flight

def test_turns_in_flight_are_exact_and_places_come_free(stack):
    key = make_key(stack, "flight", "--in-flight", "5")
    held = [stack.model.hold() for _ in range(5)]
    streams = in_parallel(AT_ONCE, lambda number: stack.client.open(
        "POST", CHAT, {"session_id": f"flight-{number}", "user_text": "hi", "stream": True},
        headers=bearer(key)))
    until(lambda: stack.model.in_flight == 5, "five are being answered")
    for answer in held:
        answer.send("well")
    replies = in_parallel(AT_ONCE, lambda number: streams[number].status)
    show("turns in flight", AT_ONCE, replies.count(200), 5)
    assert replies.count(429) == AT_ONCE - 5
    stack.model.release()
    for stream in streams:
        stream.close() if stream.status == 429 else stream.done()
    until(lambda: stack.chat("flight").say("hi", headers=bearer(key)).status == 200, "there is room")


def test_a_client_that_leaves_gives_its_place_back(stack):
    key = make_key(stack, "leaver", "--in-flight", "1")
    held = stack.model.hold()
    held.send("Hel")
    stream = stack.chat("leaver-1").stream("hi", headers=bearer(key))
    assert stream.next_text() == "Hel"
    stack.chat("leaver-2").say("hi", headers=bearer(key)).problem(429, "too_many_requests")
    stream.close()
    until(lambda: stack.chat("leaver-2").say("hi", headers=bearer(key)).status == 200,
          "the place is free")
    stack.model.release()


def test_a_long_turn_keeps_its_place(stack):
    key = make_key(stack, "long", "--in-flight", "1")
    held = stack.model.hold()
    held.send("Hel")
    with stack.chat("long").stream("hi", headers=bearer(key)) as stream:
        assert stream.next_text() == "Hel"
        flight = next(name for name in stack.redis.keys() if name.endswith(":flight")
                      and "{long}" in name)

        def lease():
            return stack.redis.command("ZRANGE", flight, 0, 0, "WITHSCORES")[1]
        first = lease()
        until(lambda: lease() != first, "the lease is renewed")
        stack.chat("other").say("hi", headers=bearer(key)).problem(429, "too_many_requests")
        held.finish()
        stream.done()


def test_what_a_killed_child_held_comes_free(stacks):
    stack = stacks(children=2, runner=False, REDIS_TIMEOUT="300ms", SESSION_LEASE="1s",
                   API_ACCESS="keys")
    key = make_key(stack, "killed", "--in-flight", "4", "--tokens-per-day", "100000")
    for _ in range(4):
        stack.model.hold().send("Hel")
    streams = [stack.chat(f"killed-{number}").stream("hi", headers=bearer(key))
               for number in range(4)]
    for stream in streams:
        assert stream.next_text() == "Hel"
    stack.chat("more").say("hi", headers=bearer(key)).problem(429, "too_many_requests")
    for child in stack.pool.children():
        stack.pool.kill_child(child, signal.SIGKILL)

    def all_is_free():      # whoever comes next clears up
        allowed = stack.chat("more").say("hi", headers=bearer(key)).status == 200
        return allowed and used_by(stack, key)[0]["reserved_tokens"] == 0
    until(all_is_free, "places and tokens are free", 10)
    stack.model.release()


# Tokens a day

def say_for_ten(stack, key, number):
    return stack.chat(f"tokens-{number}").say(TURN_TEXT, headers=bearer(key))


def test_tokens_a_day_are_exact_however_many_ask_at_once(stack):
    key = make_key(stack, "tokens", "--tokens-per-day", "100")
    stack.model.otherwise = lambda asked: stack.model.say("Well", " said")
    allowed, _ = counted(in_parallel(60, lambda number: say_for_ten(stack, key, number)))
    show("tokens a day, turns of 10 of 100", 60, allowed, 10)
    usage, = used_by(stack, key)
    assert (usage["turns"], usage["total_tokens"], usage["reserved_tokens"]) == (10, 100, 0)
    refused = say_for_ten(stack, key, 99)
    refused.problem(429, "too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 86400


def test_what_was_set_aside_too_much_is_given_back(stacks):
    stack = stacks(runner=False, API_ACCESS="keys", KEY_RESERVE_TOKENS=400)
    key = make_key(stack, "generous", "--tokens-per-day", "1000")
    stack.model.otherwise = lambda asked: stack.model.say("Well", " said")
    held = [stack.model.hold() for _ in range(2)]
    streams = [stack.chat(f"generous-{number}").stream(TURN_TEXT, headers=bearer(key))
               for number in range(2)]
    until(lambda: stack.model.in_flight == 2, "two are being answered")
    say_for_ten(stack, key, 3).problem(429, "too_many_requests")    # 808 of 1000 are set aside
    for answer in held:
        answer.send("Well", " said")
        answer.finish()
    for stream in streams:
        assert stream.done()["usage"]["total_tokens"] == TURN_TOKENS
    for number in range(98):
        assert say_for_ten(stack, key, number).status == 200
    say_for_ten(stack, key, 99).problem(429, "too_many_requests")
    usage, = used_by(stack, key)
    assert (usage["total_tokens"], usage["reserved_tokens"]) == (1000, 0)


def test_a_turn_that_failed_costs_no_tokens(stack):
    key = make_key(stack, "failed", "--tokens-per-day", "100")
    stack.model.will_fail("openai-401-invalid-key")
    assert stack.chat("failed").say("hi", headers=bearer(key)).status == 502
    until(lambda: used_by(stack, key)[0]["reserved_tokens"] == 0, "nothing is set aside")
    assert used_by(stack, key)[0]["total_tokens"] == 0


def test_a_repeat_costs_no_tokens(stack):
    key = make_key(stack, "repeat", "--tokens-per-day", "1000")
    headers = bearer(key) | {"Idempotency-Key": "again"}
    stack.model.otherwise = lambda asked: stack.model.say("Well", " said")
    for _ in range(3):
        assert stack.chat("repeat").say(TURN_TEXT, headers=headers).bot_text == "Well said"
    until(lambda: used_by(stack, key)[0]["reserved_tokens"] == 0, "nothing is set aside")
    assert used_by(stack, key)[0]["total_tokens"] == TURN_TOKENS


def test_an_answer_without_a_report_is_estimated(stack):
    key = make_key(stack, "silent", "--tokens-per-day", "100000")
    stack.model.will_say("Four", " letters", usage="never")
    assert stack.chat("silent").say("hi", headers=bearer(key)).status == 200
    until(lambda: used_by(stack, key)[0]["completion_tokens"] == 3, "12 bytes are 3 tokens")
    assert used_by(stack, key)[0]["prompt_tokens"] > 0


# What was used

def test_what_a_key_without_limits_uses_is_written_down_soon(stack):
    key = make_key(stack, "free-usage", "--name", "web")
    stack.model.otherwise = lambda asked: stack.model.say("Well", " said")
    for number in range(3):
        assert say_for_ten(stack, key, number).status == 200
    until(lambda: [row["total_tokens"] for row in used_by(stack, key)] == [30], "it is written down")
    usage, = used_by(stack, key)
    assert (usage["name"], usage["turns"], usage["prompt_tokens"], usage["completion_tokens"]) == (
        "web", 3, 24, 6)
    assert usage["requests"] >= 3 and usage["refused"] == 0
    listed = confabctl(stack, "usage", "--tenant", "free-usage")
    assert listed.status == 0 and re.search(rf"{usage['key_id']} +web .* 30\n", listed.out), listed
    everybody = confabctl(stack, "usage").out
    assert "free-usage" in everybody


def test_what_was_used_is_written_down_at_a_stop(stacks):
    stack = stacks(runner=False)
    assert stack.chat("s").say("one two").status == 200
    stack.restart_pool()
    items = stack.client.get(USAGE).json["items"]
    assert [(row["key_id"], row["turns"], row["total_tokens"]) for row in items] == [("open", 1, 6)]


@pytest.mark.parametrize("days", ["0", "-1", "401", "x", "", "1e2", "99999999999999999999"])
def test_a_wrong_number_of_days_is_refused(stack, days):
    key = make_key(stack, "days")
    stack.client.get(f"{USAGE}?days={days}", headers=bearer(key)).refused("days")


# What it costs

def scripts_run(stack):
    stats = stack.redis.command("INFO", "commandstats").decode()
    return sum(int(calls) for calls in re.findall(r"cmdstat_eval(?:sha)?:calls=(\d+)", stats))


def test_a_turn_without_limits_is_two_scripts(stacks):
    stack = stacks(children=1, runner=False, API_KEY="the-key", KEY_CACHE="1m")
    assert stack.chat("warm").say("hi", headers=bearer("the-key")).status == 200
    before = scripts_run(stack)
    for number in range(50):
        assert stack.chat(f"c-{number}").say("hi", headers=bearer("the-key")).status == 200
    # Beside them a second's books, written down once.
    assert 100 <= scripts_run(stack) - before <= 105

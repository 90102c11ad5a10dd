"""Redis away, at the start or in mid-flight: 503 within a second, never a hang, and all goes on
by itself when it is back. CONFAB_LONG=1: it is also away for longer than a test should last."""

import os
import re
import signal
import subprocess
import time

import pytest

from tests.support.proc import until
from tests.support.programs import JOBRUNNER

SOON = 1.0      # seconds within which a request is answered, one way or the other
BACK = 5.0      # seconds within which both programs go on


def refused(stack):
    """Every route that needs Redis says so, soon."""
    chat = stack.chat()
    replies = [chat.say("hi"), chat.stream("hi").whole(), chat.write(),
               stack.client.get("/api/v1/status/0123456789abcdef"),
               stack.client.get("/api/v1/tasks/0123456789abcdef")]
    for reply in replies:
        reply.problem(503, "storage_unavailable")
        assert int(reply.headers["Retry-After"]) >= 1
        assert reply.seconds < SOON
    assert stack.client.get("/api/v1/health").json == {"status": "alive"}
    ready = stack.client.get("/api/v1/ready")
    assert (ready.status, ready.json["status"]) == (503, "unavailable")
    assert ready.json["checks"]["redis"]["status"] == "unavailable" and ready.seconds < SOON


def works(stack):
    """Within seconds a chat is answered, and a task finished."""
    began = time.monotonic()
    stack.wait_connected(timeout=BACK)
    chat = stack.chat()
    assert chat.say("hi").status == 200
    chat.write_to_doc().wait(timeout=BACK)
    assert time.monotonic() - began < BACK


def pids(stack):
    return sorted(stack.pool.children()), stack.runner.pid, stack.runner.alive


def test_it_may_come_after_us(stacks):
    stack = stacks(redis=False, wait=False)
    stack.wait_ready("unavailable")
    before = pids(stack)
    refused(stack)
    stack.redis.start()
    works(stack)
    assert pids(stack) == before


def test_it_may_go_and_come_back(stacks):
    stack = stacks()
    chat = stack.chat()
    chat.say("before")
    before = pids(stack)
    for _ in range(2):
        stack.redis.kill()
        refused(stack)
        stack.redis.start()
        works(stack)
    assert chat.say("after").status == 200
    assert stack.model.last_asked == ["before", "You said: before", "after"]
    assert pids(stack) == before


def test_it_may_be_stuck(stacks):
    stack = stacks()
    stack.chat().say("before")
    before = pids(stack)
    with stack.redis.frozen():
        refused(stack)
    works(stack)
    assert pids(stack) == before


def stuck(redis):
    redis.send(signal.SIGSTOP)
    return lambda: redis.send(signal.SIGCONT)


def killed(redis):
    redis.kill()    # its socket stays: connections are refused
    return redis.start


def ended(redis):
    redis.stop()    # its socket is gone
    return redis.start


LONG = pytest.mark.skipif("CONFAB_LONG" not in os.environ, reason="takes minutes: CONFAB_LONG=1")


@pytest.mark.parametrize("how", [stuck, killed, ended])
@pytest.mark.parametrize("seconds", [0, pytest.param(30, marks=LONG),
                                     pytest.param(120, marks=LONG)])
def test_however_long_it_is_away_both_go_on_soon(stacks, how, seconds):
    """0: until both have noticed, the runner on both of its connections."""
    stack = stacks()
    before, lost = pids(stack), stack.runner.logged().count("redis state=away")
    end = time.monotonic() + seconds
    comes_back = how(stack.redis)
    refused(stack)
    until(lambda: stack.runner.logged().count("redis state=away") >= lost + 2, "the runner notices")
    until(lambda: time.monotonic() >= end, "the time is over", seconds + 1)
    comes_back()
    works(stack)
    assert pids(stack) == before


@pytest.mark.parametrize("stale", ["yes", "no"])
def test_it_may_be_made_a_replica(stacks, stale):
    """It answers READONLY, or MASTERDOWN, until it is a master again."""
    stack = stacks()
    chat = stack.chat()
    chat.say("before")
    before = pids(stack)
    stack.redis.command("CONFIG", "SET", "replica-serve-stale-data", stale)
    stack.redis.command("REPLICAOF", "127.0.0.1", "1")
    if stale == "no":
        refused(stack)
    for reply in (chat.say("hi"), chat.write()):
        reply.problem(503, "storage_unavailable")
        assert reply.seconds < SOON
    stack.redis.command("REPLICAOF", "NO", "ONE")
    works(stack)
    assert chat.say("after").status == 200
    assert stack.model.last_asked == ["before", "You said: before", "after"]
    assert pids(stack) == before


def test_a_runner_that_cannot_read_is_not_well(stacks):
    """Its health is the time since it was last told what there is to do."""
    stack = stacks()

    def turned():
        said = subprocess.run([JOBRUNNER, "--health"], env=stack.env, capture_output=True,
                              text=True, timeout=10, check=False).stdout
        return int(re.search(r"turned (\d+) ms ago", said)[1])
    until(lambda: turned() < 2500, "its loop turns")
    stack.redis.command("REPLICAOF", "127.0.0.1", "1")
    until(lambda: turned() > 4000, "it stands still, though Redis answers a PING")
    assert stack.redis.command("PING") == b"PONG"
    stack.redis.command("REPLICAOF", "NO", "ONE")
    until(lambda: turned() < 2500, "its loop turns again")


def test_it_may_forget_all(stacks):
    """Another, empty one under the same address: no scripts, no group, no sessions."""
    stack = stacks()
    chat = stack.chat()
    chat.say("before")
    stack.redis.command("FLUSHALL")
    stack.redis.command("SCRIPT", "FLUSH")
    works(stack)
    assert chat.say("after").status == 200
    assert stack.model.last_asked == ["after"]


def test_it_may_be_full(stacks):
    stack = stacks(runner=False, SAVE_TIMEOUT="1s")
    chat = stack.chat()
    chat.say("before")
    stack.redis.command("CONFIG", "SET", "maxmemory", "1")
    reply = chat.say("hi")
    assert reply.status == 503 and reply.seconds < SOON + 1
    stack.redis.command("CONFIG", "SET", "maxmemory", "0")
    assert chat.say("after").status == 200
    assert stack.model.last_asked == ["before", "You said: before", "after"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_save_waits_for_a_redis_that_comes_back(stacks, streamed):
    stack = stacks(runner=False)
    chat = stack.chat()
    held = stack.model.hold()
    turn = chat.stream("hi") if streamed else chat.open("hi")
    held.send("text")
    held.wait_asked()
    stack.redis.kill()
    held.finish()
    stack.model.wait_for(lambda: stack.model.requests[0].answered)
    stack.redis.start()
    if streamed:
        assert turn.done()["finish_reason"] == "stop"
    else:
        assert turn.whole().bot_text == "text"
    stack.wait_connected()
    chat.say("next")
    assert stack.model.last_asked == ["hi", "text", "next"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_save_that_fails_for_good_is_told(stacks, streamed):
    stack = stacks(runner=False, SAVE_TIMEOUT="1s")
    chat = stack.chat()
    chat.say("before")
    held = stack.model.hold()
    turn = chat.stream("hi") if streamed else chat.open("hi")
    held.send("text")
    held.wait_asked()
    stack.redis.kill()
    held.finish()
    if streamed:
        turn.error(503, "not_saved")
    else:
        turn.whole().problem(503, "not_saved")
    stack.redis.start()
    stack.wait_connected()
    assert chat.say("after").status == 200
    assert stack.model.last_asked == ["before", "You said: before", "after"]


def test_those_who_wait_for_a_session_are_told(stacks):
    stack = stacks(runner=False, SESSION_LEASE="2400ms")   # who waits asks each half of it
    chat = stack.chat()
    held = stack.model.hold()
    first = chat.open("one")
    held.wait_asked()
    second = chat.open("two")
    until(lambda: [key for key in stack.redis.keys() if key.endswith(":wait")], "the second waits")
    with stack.redis.frozen():
        assert second.whole().status == 503
    held.send("1")
    held.finish()
    assert first.whole().status == 200


def test_an_answer_goes_on_while_it_is_away(stacks):
    stack = stacks(runner=False)
    held = stack.model.hold()
    with stack.chat().stream("hi") as stream:
        held.send("one")
        assert stream.next_text() == "one"
        stack.redis.kill()
        held.send("two")
        assert stream.next_text() == "two"
        stack.redis.start()
        held.finish()
        assert stream.text == "onetwo"

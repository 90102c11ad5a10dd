"""The harness sees what goes wrong: a test that cannot fail proves nothing."""

import signal

import pytest

from tests.support.http import Client
from tests.support.proc import Process, is_alive, until
from tests.support.redis import Redis, RedisError
from tests.support.stack import Stack

ENV = {"PATH": "/usr/bin:/bin"}


def shell(tmp_path, script):
    return Process("shell", tmp_path / "shell.log").run("sh", "-c", script, env=ENV)


@pytest.mark.parametrize("words", [
    "==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1",
    "==7==ERROR: LeakSanitizer: detected memory leaks",
    "lib/base/buf.c:7:3: runtime error: signed integer overflow",
    "confab-fcgi: lib/base/buf.c:7: buf_add: Assertion `b' failed.",
    "2026/11/21 04:00:00 [alert] 7#7: worker process 8 exited on signal 11",
])
def test_a_crash_in_a_log_is_seen_once(tmp_path, words):
    process = shell(tmp_path, f"echo fine; echo '{words}'".replace("`b'", "b"))
    process.wait()
    assert [words.replace("`b'", "b") in crash for crash in process.crashes()] == [True]
    assert process.crashes() == []


def test_an_end_is_waited_for_and_has_a_limit(tmp_path):
    process = shell(tmp_path, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
    until(lambda: "ready" in process.logged(), "it runs")
    with pytest.raises(TimeoutError):
        process.stop(timeout=0.1)
    assert not process.alive


def test_those_it_has_started_end_with_it(tmp_path):
    process = shell(tmp_path, "sleep 1000 & wait")
    [child] = until(process.children, "the child runs")
    process.kill()
    until(lambda: not is_alive(child), "it is gone too")


def test_a_condition_that_is_never_met_is_an_error():
    with pytest.raises(TimeoutError, match="the moon"):
        until(lambda: False, "the moon", timeout=0.01)


def test_redis_keeps_what_it_has_acknowledged(tmp_path):
    redis = Redis(tmp_path).start()
    assert redis.command("SET", "c1:a", "ü") == b"OK"
    redis.command("RPUSH", "c1:list", 1, b"\xff")
    before = redis.dump()
    redis.kill()
    redis.start()
    assert redis.command("LRANGE", "c1:list", 0, -1) == [b"1", b"\xff"]
    assert redis.dump() == before and set(before) == {"c1:a", "c1:list"}
    with pytest.raises(RedisError):
        redis.command("INCR", "c1:a")
    assert redis.stop() == 0


@pytest.fixture
def stack():
    with Stack(children=1, runner=False) as one:
        one.fresh()
        yield one


def test_a_child_that_nobody_killed_is_missed(stack):
    [child] = stack.pool.children()
    stack.pool.kill_child(child)
    until(lambda: stack.pool.children() not in ([], [child]), "another is there")
    with pytest.raises(AssertionError, match="not the same"):
        stack.check()
    stack.pool.expected_deaths = 0
    assert "died unexpectedly" in str(stack.pool.crashes())


def test_a_request_that_the_model_refuses_is_told(stack):
    stack.model.key = "sk-another"
    assert stack.chat().say("hi").status == 502
    with pytest.raises(AssertionError, match="the model refused"):
        stack.check()
    stack.model.will_say("never asked for")
    with pytest.raises(AssertionError, match="1 answers were never asked for"):
        stack.check()


def test_stacks_do_not_meet(stack):
    with Stack(children=1, runner=False) as other:
        assert other.nginx.host != stack.nginx.host
        assert other.chat("same").say("one").status == 200
        assert stack.chat("same").say("two").status == 200
        assert stack.model.last_asked == ["two"]
        stack.nginx.send(signal.SIGQUIT)
        assert stack.nginx.wait() == 0
        assert other.chat("same").say("three").status == 200
        with pytest.raises(OSError):
            Client(stack.nginx.host, stack.nginx.port).get("/")

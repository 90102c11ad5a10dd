"""More than there is room for: connections at once, places, open files, disk. What cannot be
done is said at once, what was accepted is done, and afterwards all is as before."""

import collections
import json
import os
import resource

import pytest

from tests.support.proc import until
from tests.support.storm import storm

CROWD = int(os.environ.get("CONFAB_TEST_CROWD", 9500))
DEMO = {"DEMO": "fallback", "OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}


def _request(stack, number, text="hi"):
    body = json.dumps({"session_id": f"crowd-{number}", "user_text": text,
                       "stream": True}).encode()
    return (f"POST /api/v1/chat HTTP/1.1\r\nHost: {stack.nginx.host}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode() + body


def _storm(stack, count, **options):
    """The answers; each of them whole."""
    answers = storm((stack.nginx.host, stack.nginx.port),
                    [_request(stack, number) for number in range(count)], **options)
    assert all(answer.ended_at for answer in answers), "some wait for ever"
    for answer in answers:
        if answer.status == 200:
            assert b"event: done" in answer.data, bytes(answer.data)
        else:
            assert int(answer.header("Retry-After")) >= 1, bytes(answer.data)
            assert b'"code":"pool_busy"' in answer.data
    return answers


def _counts(answers):
    return collections.Counter(answer.status for answer in answers)


def _as_before(stack):
    stack.wait_ready()
    for _ in range(10):
        assert stack.chat().say("hi").status == 200
    until(lambda: stack.status()["active"] <= 1, "nothing is left behind")


@pytest.mark.skipif("CONFAB_LONG" not in os.environ,
                    reason="how many connections a second depends on the machine: CONFAB_LONG=1")
def test_thousands_of_connections_in_one_second(stacks):
    """On a backlog far smaller: they are accepted as they come, before any of them is served."""
    stack = stacks(runner=False, backlog=1024, LOG_LEVEL="error", **DEMO)
    answers = _storm(stack, CROWD, seconds=1, timeout=120)
    late = sorted(answer.first_at - answer.opened_at for answer in answers)
    print(f"first byte: p50 {late[CROWD // 2]:.2f} s, last {late[-1]:.2f} s")
    assert _counts(answers) == {200: CROWD}
    _as_before(stack)


@pytest.mark.parametrize("children", [1, 2])
def test_who_finds_no_place_hears_so_at_once(stacks, children):
    stack = stacks(runner=False, children=children, LOG_LEVEL="error",
                   MAX_REQUESTS=100 // children)
    stack.model.otherwise = lambda asked: stack.model.say("x", first_delay=2)
    answers = _storm(stack, 1000, seconds=0.2)
    assert _counts(answers) == {200: 100, 503: 900}
    assert max(answer.seconds for answer in answers if answer.status == 503) < 1.5
    assert stack.status()["rejected"] >= 900
    stack.model.otherwise = stack.model.echo
    _as_before(stack)


def test_a_child_without_files_says_so_and_recovers(stacks):
    stack = stacks(runner=False, LOG_LEVEL="error", MAX_REQUESTS=5000)
    for child in stack.pool.children():
        resource.prlimit(child, resource.RLIMIT_NOFILE, (64, 64))
    answers = _storm(stack, 1500, seconds=0.2)
    assert set(_counts(answers)) <= {200, 502, 503} and _counts(answers)[200] >= 20
    _as_before(stack)


def test_a_full_disk_under_nginx_is_not_noticed(stacks):
    """It writes nothing that a request depends on: bodies and answers stay in memory, and a log
    that finds no room is a log with gaps."""
    stack = stacks(runner=False, NGINX_ACCESS_LOG="/dev/full", MAX_USER_TEXT="1000000",
                   MODEL_MAX_ANSWER="4m", CONTEXT_MESSAGES=0)
    for temporary in stack.nginx.state.glob("nginx-*"):
        temporary.rmdir()           # empty, and it could not make a file there any more
        temporary.touch()
    text = "word " * 190_000
    stack.model.otherwise = lambda asked: stack.model.say(*[asked.user_text[:47_500]] * 20)
    for _ in range(3):
        assert stack.chat().say(text).bot_text == text
    slow = stack.chat().stream(text, receive_buffer=4096)
    stack.model.wait_asked(4)
    assert slow.text == text
    assert len(list(stack.nginx.state.glob("nginx-*"))) == 5

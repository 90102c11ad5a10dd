"""The pool of children: their number is a setting, a dead one is replaced, a drain is gentle."""

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.proc import is_alive, until
from tests.support.programs import FCGI, JOBRUNNER, TOP


@pytest.mark.parametrize("children", [1, 3])
def test_their_number_is_a_setting(stacks, children):
    stack = stacks(runner=False, children=children)
    assert len(stack.pool.children()) == children
    pool = stack.ready()["checks"]["pool"]
    assert (pool["living"], pool["configured"]) == (children, children)


def test_a_killed_child_is_back_within_a_second(stacks):
    stack = stacks(runner=False)
    for _ in range(5):
        before = stack.pool.children()
        stack.pool.kill_child(before[0])
        until(lambda: len(set(stack.pool.children()) - {before[0]}) == 2, "two again", timeout=1)
        assert stack.chat().say("hi").status == 200
        stack.wait_ready()
    assert len(stack.pool.children()) == 2


def test_the_other_child_serves_meanwhile(stacks):
    stack = stacks(runner=False)
    first, second = stack.pool.children()
    os.kill(second, signal.SIGSTOP)
    try:
        stack.pool.kill_child(first)
        # The stopped one still takes connections that it does not serve, so ask the new one.
        until(lambda: len(stack.pool.children()) == 2 and first not in stack.pool.children(),
              "the killed one is replaced", timeout=1)
    finally:
        os.kill(second, signal.SIGCONT)
    assert stack.chat().say("hi").status == 200


def test_what_a_killed_child_was_saying_ends_without_done(stacks):
    stack = stacks(children=1, runner=False, SESSION_LEASE="2500ms")
    held = stack.model.hold()
    stream = stack.chat().stream("hi")
    held.send("some")
    assert stream.next_text() == "some"
    [child] = stack.pool.children()
    stack.pool.kill_child(child)
    assert [event.event for event in stream.all()] == ["delta"]
    stack.wait_ready()
    assert stack.chat().say("hi").status == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGUSR1])
def test_a_child_that_is_told_to_end_finishes_its_streams(stacks, how):
    stack = stacks(children=1, runner=False)
    held = stack.model.hold()
    stream = stack.chat().stream("hi")
    held.send("one")
    assert stream.next_text() == "one"
    [child] = stack.pool.children()
    stack.pool.kill_child(child, how)
    assert _is_draining(stack, child)
    held.send("two")
    assert stream.next_text() == "two"
    held.finish()
    assert stream.done()["finish_reason"] == "stop"
    until(lambda: not is_alive(child), "it ends")
    stack.wait_ready()
    assert stack.chat().say("hi").status == 200


def _is_draining(stack, child):
    until(lambda: "stop requests=" in stack.pool.logged(), "it heard")
    return is_alive(child)


def test_the_pool_ends_when_its_streams_have(stacks):
    stack = stacks(runner=False)
    held = stack.model.hold()
    stream = stack.chat().stream("hi")
    held.send("one")
    stream.next_text()
    children = stack.pool.children()
    stack.pool.send(signal.SIGTERM)
    until(lambda: "stop requests=1" in stack.pool.logged(), "they heard")
    held.send("two")
    held.finish()
    assert stream.text == "onetwo"
    assert stack.pool.wait() == 0
    assert not [pid for pid in children if is_alive(pid)]


def test_a_drain_has_an_end(stacks):
    stack = stacks(children=1, runner=False, DRAIN_TIMEOUT="300ms")
    held = stack.model.hold()
    stream = stack.chat().stream("hi")
    held.send("one")
    stream.next_text()
    began = time.monotonic()
    assert stack.pool.stop() == 0
    assert time.monotonic() - began < 5
    assert [event.event for event in stream.all()] in (["delta"], ["delta", "error"])


def test_a_service_that_missed_its_signal_is_asked_again(tmp_path):
    """As multiwatch does, now and then, on behalf of a child that it has just started."""
    (tmp_path / "run").mkdir()
    (tmp_path / "logs").mkdir()
    deaf_once = 'trap "trap - TERM" TERM; echo hears; while :; do sleep 0.05; done'
    stopped = subprocess.run(["sh", "-euc", f"""
        . scripts/common.sh
        state={tmp_path}
        service_start deaf sh -c '{deaf_once}'
        until grep -q hears $state/logs/deaf.log; do sleep 0.01; done
        service_stop deaf 10
    """], cwd=TOP, capture_output=True, text=True, timeout=30, check=True)
    assert "killed" not in stopped.stderr


def test_no_request_fails_while_children_are_replaced_one_by_one(stacks):
    stack = stacks(runner=False)
    failed = []
    going = True

    def keep_asking():
        asked = 0
        while going:
            reply = stack.chat().say("hi")
            asked += 1
            if reply.status != 200:
                failed.append(reply)
        return asked

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(keep_asking) for _ in range(4)]
        try:
            for child in stack.pool.children():
                stack.pool.kill_child(child, signal.SIGUSR1)
                until(lambda pid=child: not is_alive(pid), "it ends")
                until(lambda: len(stack.pool.children()) == 2, "it is replaced")
                stack.wait_ready()
        finally:
            going = False
        assert sum(each.result() for each in asked) > 10
    assert not failed


def test_nginx_keeps_its_connections_for_a_moment(stacks):
    """A drain waits for nginx to close them."""
    stack = stacks(runner=False)
    until(lambda: stack.pool.connections() == 0, "nginx has closed what it kept")
    until(lambda: all(stack.client.get("/api/v1/health").status == 200 and
                      stack.pool.connections() > 0 for _ in range(20)), "one is kept, always")
    until(lambda: stack.pool.connections() == 0, "nginx has closed it")


def test_a_reload_of_nginx_cuts_nothing(stacks):
    stack = stacks(runner=False)
    held = stack.model.hold()
    stream = stack.chat().stream("hi")
    held.send("one")
    stream.next_text()
    old = stack.nginx.children()
    stack.nginx.send(signal.SIGHUP)
    until(lambda: set(stack.nginx.children()) - set(old), "new workers")
    assert stack.chat().say("hi", timeout=5).status == 200
    held.send("two")
    held.finish()
    assert stream.text == "onetwo"


def test_beyond_its_places_a_child_says_that_it_is_busy(stacks):
    stack = stacks(children=1, runner=False, MAX_REQUESTS=3)
    held = [stack.model.hold() for _ in range(3)]
    streams = [stack.chat().stream("hi") for _ in held]
    for answer in held:
        answer.wait_asked()
    reply = stack.chat().say("one too many")
    reply.problem(503, "pool_busy")
    assert int(reply.headers["Retry-After"]) >= 1 and reply.seconds < 1
    stack.model.release()
    for stream in streams:
        assert stream.whole().status in (200, 502)
    assert stack.chat().say("hi").status == 200


def test_hundreds_of_streams_at_once(stacks):
    stack = stacks(runner=False)
    streams = [stack.chat().stream(f"{number}") for number in range(400)]
    assert [stream.text for stream in streams] == [f"You said: {n}" for n in range(400)]


def test_short_requests_are_answered_beside_long_ones(stacks):
    stack = stacks(children=1, runner=False)
    held = [stack.model.hold() for _ in range(200)]
    streams = [stack.chat().stream("hi") for _ in held]
    for answer in held:
        answer.send("x")
    for stream in streams:
        assert stream.next_text() == "x"
    assert stack.client.get("/api/v1/health").seconds < 0.5
    assert stack.chat().say("hi").seconds < 1
    for answer in held:
        answer.finish()
    assert {stream.text for stream in streams} == {"x"}


# Starting

@pytest.mark.parametrize("program", [FCGI, JOBRUNNER], ids=lambda path: path.name)
@pytest.mark.parametrize("name, value", [
    ("SESSION_TTL", "soon"), ("FCGI_CHILDREN", "0"), ("REDIS_URL", "http://x"),
    ("SESSION_BUSY", "maybe"), ("OPENAI_BASE_URL", "api.openai.com"),
    ("GOOGLE_DRIVE_FOLDER_ID", "1folder"),
])
def test_a_wrong_setting_is_named_and_stops_the_start(tmp_path, program, name, value):
    ended = _start(tmp_path, program, {"OPENAI_API_KEY": "sk-test", name: value})
    assert ended.returncode != 0
    named = "GOOGLE_APPLICATION_CREDENTIALS" if name.startswith("GOOGLE") else name
    assert named in ended.stderr


def test_without_key_and_url_the_pool_does_not_start(tmp_path):
    ended = _start(tmp_path, FCGI, {})
    assert ended.returncode != 0 and "OPENAI_API_KEY" in ended.stderr


def _start(tmp_path, program, settings):
    """Starts it as spawn-fcgi does: with a listening socket as descriptor 0."""
    argv = ["spawn-fcgi", "-n", "-s", tmp_path / "s", "--", program]
    if program is JOBRUNNER:
        argv = [program]
    env = {"PATH": "/usr/bin:/bin", "CONFAB_CONFIG": "/dev/null",
           "CONFAB_PROMPTS_DIR": str(TOP / "prompts"), "CONFAB_RUNTIME_DIR": str(tmp_path),
           "DOC_FOLDER": str(tmp_path)} | settings
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("program", [FCGI, JOBRUNNER], ids=lambda path: path.name)
def test_help_lists_the_settings(program):
    ended = subprocess.run([program, "--help"], env={}, capture_output=True, text=True, check=True)
    for name in ("OPENAI_API_KEY", "REDIS_URL", "SESSION_TTL", "GOOGLE_DRIVE_FOLDER_ID"):
        assert name in ended.stdout
    version = subprocess.run([program, "--version"], env={}, capture_output=True, text=True,
                             check=True)
    assert version.stdout.startswith(program.name)


def test_the_runner_tells_its_health(stacks):
    stack = stacks()
    asked = lambda: subprocess.run([JOBRUNNER, "--health"], env=stack.env, capture_output=True,
                                   text=True, timeout=10, check=False).returncode
    until(lambda: asked() == 0, "it is healthy")
    stack.runner.stop()
    assert asked() != 0

"""/status and /metrics: what operators see of the pool, on a listener of their own."""

import os
import re
import signal

import pytest

from tests.support.model_answer import failure
from tests.support.proc import until

PAGES = ["/status", "/status?json", "/metrics"]


@pytest.mark.parametrize("page", PAGES)
def test_the_public_listener_does_not_have_them(stack, page):
    stack.client.get(page).problem(404, "route_not_found")
    # Nor does a header make it the other one.
    stack.client.get(page, headers={"Confab-Listener": "operators", "CONFAB_LISTENER": "operators",
                                    "Host": "operators"}).problem(404, "route_not_found")


@pytest.mark.parametrize("path", ["/", "/api/v1/health", "/api/v1/chat", "/status/x"])
def test_their_listener_has_nothing_else(stack, path):
    stack.operators.get(path).problem(404, "route_not_found")


@pytest.mark.parametrize("page", PAGES)
def test_they_are_only_read(stack, page):
    stack.operators.post(page, {}).problem(405, "method_not_allowed")


def test_the_json_counts_what_happens(stacks):
    stack = stacks(runner=False)
    before = stack.status()
    assert (before["children"], before["living"], before["draining"]) == (2, 2, 0)
    assert {each["pid"] for each in before["processes"]} == set(stack.pool.children())
    held = stack.model.hold()
    stream = stack.chat().stream("hi")
    held.send("x")
    stream.next_text()
    during = stack.status()
    assert during["streams"] == 1 and during["active"] >= 1
    held.finish()
    stream.done()
    stack.model.will_fail("openai-401-invalid-key")
    assert stack.chat().say("hi").status == 502

    def counts():
        status = stack.status()
        [upstream] = status["upstreams"]
        assert upstream["name"] == "model" and "sk-test" not in str(status)
        return (upstream["asked"], upstream["failed"], status["errors"] - before["errors"],
                status["requests"] >= before["requests"] + 2, status["streams"])

    # Each child tells once a second what it asked of the upstreams.
    until(lambda: counts() == (2, 1, 1, True, 0), "both turns are shown")


def test_the_text_is_for_people(stack):
    reply = stack.operators.get("/status")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    page = reply.body.decode()
    assert re.search(r"^pool: +confab$", page, re.M)
    assert re.search(r"^children: +2 of 2$", page, re.M)
    for child in stack.pool.children():
        assert re.search(rf"^ +{child} (idle|busy) ", page, re.M)


def test_the_metrics_are_what_prometheus_reads(stack):
    stack.chat().say("hi")
    reply = stack.operators.get("/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    seen = _metrics(reply.body.decode())
    assert seen["confab_children"] == 2
    assert seen["confab_requests_total"] >= 1
    assert seen["confab_redis_up"] == 1
    assert 'confab_upstream_turns_total{upstream="model"}' in seen


def _metrics(page):
    """name{labels} -> value, after a look at the form."""
    types, values = {}, {}
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in ("counter", "gauge") and name not in types
            types[name] = kind
        elif not line.startswith("# HELP "):
            name, value = re.fullmatch(r"(confab_\S+) (\S+)", line).groups()
            assert name not in values and name.partition("{")[0] in types
            values[name] = float(value)
    for name, kind in types.items():
        assert name.endswith("_total") == (kind == "counter"), name
    return values


def test_counters_outlive_a_child(stacks):
    stack = stacks(runner=False, children=1)
    for _ in range(3):
        assert stack.chat().say("hi").status == 200
    before = stack.status()["requests"]
    [child] = stack.pool.children()
    stack.pool.kill_child(child)
    stack.wait_ready()
    after = stack.status()
    assert before <= after["requests"]
    assert after["processes"][0]["requests"] < before
    assert after["living"] == 1


def test_a_draining_child_is_shown(stacks):
    stack = stacks(runner=False)
    held = stack.model.hold()
    stream = stack.chat().stream("hi")
    held.send("x")
    stream.next_text()
    [busy] = [each["pid"] for each in stack.status()["processes"] if each["streams"] == 1]
    stack.pool.kill_child(busy, signal.SIGUSR1)
    until(lambda: stack.status()["draining"] == 1, "it drains")
    [drains] = [each for each in stack.status()["processes"] if each["state"] == "draining"]
    assert drains["pid"] == busy
    held.finish()
    assert stream.text == "x"
    until(lambda: stack.status()["draining"] == 0 and stack.status()["living"] == 2, "a new one")
    assert not os.path.exists(f"/proc/{busy}/fd")


def test_questions_after_health_leave_a_line_in_the_log_only_when_something_is_wrong(stacks):
    stack = stacks(runner=False, LOG_LEVEL="info")
    stack.client.get("/api/v1/health")
    stack.client.get("/api/v1/tasks")
    until(lambda: "route=/api/v1/tasks status=200" in stack.pool.logged(), "the log is written")
    assert not re.search("route=/api/v1/(health|ready) status=200", stack.pool.logged())
    with stack.redis.frozen():
        assert stack.client.get("/api/v1/ready").status == 503
    until(lambda: "route=/api/v1/ready status=503" in stack.pool.logged(), "the log is written")

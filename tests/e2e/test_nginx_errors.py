"""The errors that nginx makes by itself look like all others."""

import subprocess

import pytest

from tests.support.model_answer import Silence
from tests.support.proc import until
from tests.support.programs import TOP


def test_no_pool_is_502(stacks):
    stack = stacks(runner=False)
    stack.pool.stop()
    stack.chat().say("hi").problem(502, "pool_busy")
    stack.client.get("/api/v1/ready").problem(502, "pool_busy")
    stack.pool.start(stack.env)
    stack.wait_ready()
    assert stack.chat().say("hi").status == 200


def test_a_pool_that_is_too_slow_is_504(stacks):
    stack = stacks(runner=False, READ_TIMEOUT=1)
    stack.model.will(Silence())
    reply = stack.chat().say("hi")
    reply.problem(504, "too_slow")
    stack.model.wait_for(lambda: stack.model.gone)


def test_the_timeout_is_longer_than_all_that_we_allow(stacks):
    stack = stacks(runner=False, MODEL_TURN_TIMEOUT="100s", SESSION_WAIT="20s",
                   MODEL_IDLE_TIMEOUT="60s")
    configuration = (stack.nginx.state / "confab.conf").read_text()
    assert "fastcgi_read_timeout 130s;" in configuration


@pytest.mark.parametrize("sent", [None, "my-own.id_1", "not sane", "x" * 65])
def test_they_carry_a_request_id(stack, sent):
    reply = stack.client.post("/api/v1/chat", b"x" * (2 << 20), headers={"X-Request-Id": sent})
    problem = reply.problem(413, "body_too_large")
    assert (problem["request_id"] == sent) == (sent == "my-own.id_1")


def test_one_id_names_a_request_in_all_logs(stack):
    stack.chat().say("hi", headers={"X-Request-Id": "find-me-everywhere"})
    log = stack.nginx.state / "logs" / "nginx-access.log"
    until(lambda: "req=find-me-everywhere" in log.read_text(), "nginx has logged it")
    assert "req=find-me-everywhere" in stack.pool.logged()


def test_errors_are_not_taken_for_success_by_their_type(stack):
    reply = stack.client.get("/api/v1/status/%")
    assert reply.headers["Content-Type"] == "application/problem+json"
    reply.problem(400, "bad_request")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_methods_that_nginx_refuses(stack, method):
    reply = stack.client.call(method, "/api/v1/health")
    reply.problem(405, "method_not_allowed")
    assert method not in reply.headers["Allow"]


def test_a_header_that_is_too_large(stack):
    stack.client.get("/api/v1/health", headers={"X-Long": "x" * 9000}).problem(400, "bad_request")


def test_nothing_is_told_of_versions(stack):
    for path in ("/api/v1/health", "/nothing", "/%"):
        assert stack.client.get(path).headers["Server"] in (None, "nginx")


def test_what_nginx_runs_is_what_production_runs(stack):
    """The templates, with nothing but paths and ports filled in."""
    for name in ("nginx.conf", "confab.conf"):
        made = (stack.nginx.state / name).read_text().splitlines()
        template = (TOP / "nginx" / f"{name}.in").read_text().splitlines()
        assert len(made) == len(template)
        assert all(one == other for one, other in zip(made, template) if "@" not in other)


def test_the_configuration_is_valid_for_nginx_itself(stack):
    checked = subprocess.run(["nginx", "-t", "-q", "-c", stack.nginx.state / "nginx.conf"],
                             env=stack.env, capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and "[warn]" not in checked.stderr, checked.stderr

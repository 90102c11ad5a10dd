"""Who may call: API_KEY, CORS_ORIGINS, HTTP_LISTEN."""

import socket

import pytest

from tests.support.dialog import CHAT, WRITE
from tests.support.stack import Stack

KEY = "a-secret-key-of-forty-characters-or-so"
OPEN = ["/api/v1/health", "/api/v1/ready"]
CLOSED = [("POST", CHAT), ("POST", WRITE), ("GET", "/api/v1/status/abc"),
          ("GET", "/api/v1/tasks/abc"), ("HEAD", "/api/v1/tasks/abc")]
ORIGIN = "https://chat.example.com"


@pytest.fixture(scope="module")
def shared():
    with Stack(runner=False, API_KEY=KEY,
               CORS_ORIGINS=f"{ORIGIN}, http://localhost:3000") as stack:
        yield stack


def with_key(stack, key=KEY, scheme="Bearer"):
    return {"Authorization": f"{scheme} {key}"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_key_lets_in(stack, scheme):
    reply = stack.chat().say("hi", headers=with_key(stack, scheme=scheme))
    assert reply.bot_text == "You said: hi"


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "},
    {"Authorization": KEY}, {"Authorization": f"Basic {KEY}"}, {"Authorization": f"Bearer {KEY}x"},
    {"Authorization": f"Bearer {KEY[:-1]}"}, {"Authorization": f"Bearer {KEY.upper()}"},
    {"X-API-Key": KEY},
], ids=str)
@pytest.mark.parametrize("method, route", CLOSED)
def test_nothing_else_does(stack, method, route, headers):
    before = stack.redis.dump()
    reply = stack.client.call(method, route, {"session_id": "a", "user_text": "b"}, headers=headers)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    if method != "HEAD":
        reply.problem(401, "unauthorized")
    assert stack.redis.dump() == before and not stack.model.requests


@pytest.mark.parametrize("route", OPEN)
def test_whether_we_live_may_be_asked_by_all(stack, route):
    assert stack.client.get(route).status == 200


def test_the_key_is_in_no_log(stack):
    stack.chat().say("hi", headers=with_key(stack))
    stack.chat().say("hi", headers=with_key(stack, "wrong-key"))
    logs = "".join(process.logged() for process in stack.processes)
    assert KEY not in logs and "wrong-key" not in logs


def test_what_people_write_is_in_no_log(stack):
    stack.model.will_say("the-answer-of-the-model")
    stack.chat().say("the-text-of-the-user", headers=with_key(stack))
    assert stack.chat().say("\0the-text-of-the-user", headers=with_key(stack)).status == 422
    logs = "".join(process.logged() for process in stack.processes)
    assert "the-text-of-the-user" not in logs and "the-answer-of-the-model" not in logs


def test_an_open_api_is_told_of(stacks):
    stack = stacks(runner=False)
    assert "API_KEY" in stack.pool.logged()
    assert stack.chat().say("hi").status == 200


# Browsers

@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
def test_a_listed_origin_may_ask_and_call(stack, origin):
    asked = stack.client.call("OPTIONS", CHAT, headers={
        "Origin": origin, "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key"})
    assert asked.status == 204
    assert asked.headers["Access-Control-Allow-Origin"] == origin
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    allowed = asked.headers["Access-Control-Allow-Headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "idempotency-key"))
    reply = stack.chat().say("hi", headers=with_key(stack) | {"Origin": origin})
    assert reply.headers["Access-Control-Allow-Origin"] == origin
    exposed = reply.headers["Access-Control-Expose-Headers"].lower()
    assert all(name in exposed for name in ("x-request-id", "x-session-id", "location"))
    assert "Origin" in reply.headers["Vary"]


def test_streams_and_refusals_carry_the_permission_too(stack):
    headers = with_key(stack) | {"Origin": ORIGIN}
    with stack.chat().stream("hi", headers=headers) as stream:
        assert stream.headers["Access-Control-Allow-Origin"] == ORIGIN
        stream.done()
    refused = stack.chat().say("", headers=headers)
    assert refused.status == 422 and refused.headers["Access-Control-Allow-Origin"] == ORIGIN
    locked_out = stack.chat().say("hi", headers={"Origin": ORIGIN})
    assert locked_out.status == 401 and locked_out.headers["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.parametrize("origin", [
    "https://evil.example", "http://chat.example.com", ORIGIN + ".evil.example", ORIGIN + ":8443",
    "https://CHAT.example.com", "null", "", "*", "https://chat.example.co"])
def test_another_origin_gets_no_permission(stack, origin):
    asked = stack.client.call("OPTIONS", CHAT, headers={
        "Origin": origin, "Access-Control-Request-Method": "POST"})
    reply = stack.chat().say("hi", headers=with_key(stack) | {"Origin": origin})
    for each in (asked, reply):
        assert not [name for name in each.headers if name.lower().startswith("access-control")]


def test_without_the_setting_no_origin_does(stacks):
    stack = stacks(runner=False)
    reply = stack.chat().say("hi", headers={"Origin": ORIGIN})
    assert reply.status == 200 and reply.headers["Access-Control-Allow-Origin"] is None


def test_any_origin_may_be_let_in(stacks):
    stack = stacks(runner=False, CORS_ORIGINS="*")
    reply = stack.chat().say("hi", headers={"Origin": "https://anything.example"})
    assert reply.headers["Access-Control-Allow-Origin"] in ("*", "https://anything.example")


# The address

def test_it_listens_where_it_was_told_to_and_nowhere_else(stack):
    with socket.socket() as elsewhere:
        # nginx could only answer here if it listened on all addresses.
        assert elsewhere.connect_ex(("127.127.127.127", stack.nginx.port)) != 0

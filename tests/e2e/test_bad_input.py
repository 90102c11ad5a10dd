"""Requests that are not right, on every route: the fault is named, nothing is stored, nobody
else is asked, and every process stays up."""

import contextlib
from http.client import BadStatusLine

import pytest

from tests.support.dialog import CHAT, EVENTS, WRITE
from tests.support.stack import Stack

HEALTH, READY = "/api/v1/health", "/api/v1/ready"
STATUS, TASK = "/api/v1/status/0123456789abcdef", "/api/v1/tasks/0123456789abcdef"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "FOO")
ALLOWED = {CHAT: "POST", WRITE: "POST", STATUS: "GET, HEAD", TASK: "GET, HEAD, DELETE",
           HEALTH: "GET, HEAD", READY: "GET, HEAD"}


@pytest.fixture(scope="module")
def shared():
    with Stack(runner=False) as stack:
        stack.chat("known").say("something is there already")
        yield stack


@pytest.fixture(autouse=True)
def nothing_happens(stack):
    before = stack.redis.dump()
    yield
    assert stack.redis.dump() == before
    assert not stack.model.requests


def posting(stack, route, body, *, stream=False, headers=None):
    """The reply to this body. A stream that fails early is an ordinary reply."""
    return stack.client.post(route, body, headers=(EVENTS if stream else {}) | (headers or {}))


WAYS = [(CHAT, False), (CHAT, True), (WRITE, False)]
every_way = pytest.mark.parametrize("route, stream", WAYS, ids=["chat", "chat-stream", "write"])

NOT_JSON = [
    b"", b" ", b"{", b"nonsense", b"{'session_id': 'a'}", b'{"session_id": "a",}',
    b'{"session_id": "a"} x', b'{"session_id": "a"}{}', b'{"session_id": "a" "user_text": "b"}',
    b'{"session_id": "a", "user_text": "b", "session_id": "a"}',
    b'{"session_id": "a", "user_text": "b", "x": {"y": 1, "y": 2}}',
    b'{"session_id": "a", "user_text": "\xff"}', b'{"session_id": "a", "user_text": "\xc0\x80"}',
    b'{"session_id": "a", "user_text": "\xed\xa0\x80"}', b'{"\xff": 1}',
    b'{"session_id": "a", "user_text": "\\x"}', b'{"session_id": "a", "user_text": "\\u12"}',
    b'{"session_id": "a", "user_text": "a\nb"}', b'{"session_id": "a", "user_text": "\x00"}',
    b'{"session_id": NaN}', b'{"session_id": 1e999}', b'{"session_id": +1}', b'{"session_id": 01}',
    b'{"x": ' + b"[" * 100 + b"]" * 100 + b"}", b"[" * 100_000, b'{"a":' * 50_000,
    '{"session_id": "a", "user_text": "b"}'.encode("utf-16"),
    b"\x1f\x8b\x08\x00", b"session_id=a&user_text=b", b"\x00" * 100,
]


@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:40]))
@every_way
def test_what_is_no_json_is_400(stack, route, stream, body):
    posting(stack, route, body, stream=stream).problem(400, "bad_json")


@pytest.mark.parametrize("body", [[], ["session_id"], "text", 7, True, None])
@every_way
def test_json_of_another_kind_is_422(stack, route, stream, body):
    data = b"null" if body is None else body
    posting(stack, route, data, stream=stream).problem(422, "invalid_field")


BAD_IDS = ["", 1, 1.5, [], {}, True, "x" * 257, "ü" * 129, "🙂" * 65, "a\0b", "\0", "a\nb", "\x1f",
           "\x7f", "\x85", "\ud800", "a\udfffb", ".", ".."]
BAD_TEXTS = ["", 1, [], {"a": 1}, False, "x" * (32 * 1024 + 1), "ü" * (16 * 1024 + 1),
             "a\0b", "\0", "\ud83d", "\ude00\ud83d"]


@pytest.mark.parametrize("session", BAD_IDS, ids=lambda value: repr(value)[:20])
@every_way
def test_a_bad_session_id_is_named(stack, route, stream, session):
    body = {"session_id": session, "user_text": "hi"}
    posting(stack, route, body, stream=stream).refused("session_id")


@pytest.mark.parametrize("body", [{}, {"session_id": None}, {"sessionid": "a"}])
def test_write_to_doc_needs_a_session_id(stack, body):
    posting(stack, WRITE, body).refused("session_id")


@pytest.mark.parametrize("text", [*BAD_TEXTS, None], ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_text_is_named(stack, stream, text):
    body = {"session_id": "known", "user_text": text}
    posting(stack, CHAT, body, stream=stream).refused("user_text")


@pytest.mark.parametrize("stream", [False, True])
def test_a_missing_text_is_named(stack, stream):
    posting(stack, CHAT, {"session_id": "known"}, stream=stream).refused("user_text")


@pytest.mark.parametrize("value", ["yes", 1, 0, [], {}, "true"])
def test_a_bad_wish_for_a_stream_is_named(stack, value):
    posting(stack, CHAT, {"session_id": "known", "user_text": "hi", "stream": value}).refused("stream")


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded",
                                  "multipart/form-data; boundary=x", "application/jsonx",
                                  "application/json; charset=latin1", "text/json"])
@every_way
def test_another_content_type_is_415(stack, route, stream, kind):
    body = {"session_id": "known", "user_text": "hi"}
    reply = posting(stack, route, body, stream=stream, headers={"Content-Type": kind})
    reply.problem(415, "unsupported_media_type")


@every_way
def test_a_body_above_a_mebibyte_is_413(stack, route, stream):
    body = b'{"session_id": "known", "user_text": "hi", "x": "' + b"x" * (1 << 20) + b'"}'
    posting(stack, route, body, stream=stream).problem(413, "body_too_large")


def test_a_chunked_body_above_it_is_413_as_well(stack):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    reply = stack.client.raw(b"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                             b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                             + chunk * 17 + b"0\r\n\r\n").whole()
    reply.problem(413, "body_too_large")


def test_a_body_that_is_cut_reaches_nobody(stack):
    stream = stack.client.raw(b"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
                              b"Content-Type: application/json\r\n\r\n"
                              b'{"session_id": "known", "user_text": "hi"}')
    stream.close()
    assert stack.client.get(HEALTH).status == 200


@pytest.mark.parametrize("route, method", [
    (route, method) for route, allowed in ALLOWED.items() for method in METHODS
    if method not in allowed.split(", ")])
def test_another_method_is_405(stack, route, method):
    reply = stack.client.call(method, route, {"session_id": "known", "user_text": "hi"})
    assert reply.status == 405
    assert reply.headers["Allow"] == f"{ALLOWED[route]}, OPTIONS"
    if method != "HEAD":
        reply.problem(405, "method_not_allowed")


@pytest.mark.parametrize("route", ALLOWED)
def test_options_tells_the_methods(stack, route):
    reply = stack.client.call("OPTIONS", route)
    assert (reply.status, reply.headers["Allow"]) == (204, f"{ALLOWED[route]}, OPTIONS")


@pytest.mark.parametrize("path", [
    "/api", "/api/v1", "/api/v1/", "/api/v2/chat", "/api/v1/chat/", "/api/v1//chat", "//",
    "/api/v1/Chat", "/api/v1/chat/x", "/api/v1/status", "/api/v1/status/", "/api/v1/tasks/a/b",
    "/api/v1/health/x", "/a/b/c/d/e/f/g/h/i/j/k", "/api%2Fv1%2Fchat", "/index.html", "/.env",
    "/" + "x" * 2000,
])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_route_is_404(stack, method, path):
    stack.client.call(method, path).problem(404, "route_not_found")


@pytest.mark.parametrize("segment", [".", "..", "%2e", "%2E%2e", ".%2e"])
def test_dots_have_no_place_in_a_path(stack, segment):
    reply = stack.client.get(f"/api/v1/status/{segment}")
    assert reply.problem(422, "invalid_field")["field"] == "path"


@pytest.mark.parametrize("path", ["/api/v1/status/%", "/api/v1/status/%zz", "/api/v1/status/%0",
                                  "/api/v1/status/%00", "/api/v1/../../../x", "/%"])
def test_a_broken_path_is_400(stack, path):
    stack.client.get(path).problem(400, "bad_request")


@pytest.mark.parametrize("route", ["status", "tasks"])
@pytest.mark.parametrize("task", ["0123456789abcdef", "x", "x" * 64, "x" * 65, "x" * 3000, "a%20b",
                                  "a%2Fb", "%F0%9F%99%82", "%ff", "c1:tasks:open", "*", "a%0Ab"])
def test_an_unknown_task_is_404(stack, route, task):
    stack.client.get(f"/api/v1/{route}/{task}").problem(404, "task_not_found")


@pytest.mark.parametrize("session", ["unknown", "known ", "known:msgs", "KNOWN", "日本語"])
def test_an_unknown_session_is_not_written(stack, session):
    stack.chat(session).write().problem(404, "session_not_found")


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                                  b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
                                  b"GET / HTTP/1.1\r\n\r\n",
                                  b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"], ids=repr)
def test_what_is_no_http_is_not_answered_well(stack, data):
    with stack.client.raw(data) as stream, contextlib.suppress(OSError, BadStatusLine):
        assert stream.status >= 400     # or the connection just ends
    assert stack.client.get(HEALTH).status == 200


def test_headers_without_end_are_refused(stack):
    reply = stack.client.get(HEALTH, headers={"X-Filler": "x" * 100_000})
    assert reply.status in (400, 414, 431)

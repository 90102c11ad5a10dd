"""Request lines that callers of older services send, and the very lines that the README shows."""

import json
import re
import secrets
import shlex
import subprocess
from urllib.parse import quote

import pytest

from tests.support.model_stream import End
from tests.support.programs import TOP
from tests.support.stack import Stack

KEY = "a-key-of-an-older-caller"


def readme_lines():
    """(curl line, the reply that stands below it) of the section on older routes."""
    text = (TOP / "README.md").read_text()
    section = re.search(r"## Older routes\n.*?```sh\n(.*?)```", text, re.DOTALL)[1].splitlines()
    return [(line, section[i + 1].removeprefix("# "))
            for i, line in enumerate(section) if line.startswith("curl ")]


def pattern(shown):
    """What the README shows, as a pattern."""
    parts = {"<session_id>": r"[0-9a-f]{32}", "<messages>": r"\s*\{.*\}\s*", "<text>": r".+"}
    for name, form in parts.items():
        shown = shown.replace(name, f"\0{name}\0")
    return "".join(parts.get(part, re.escape(part)) for part in shown.split("\0"))


@pytest.fixture(scope="module")
def keyed():
    with Stack(runner=False, API_KEY=KEY) as stack:
        yield stack


def curl(stack, line, **filled):
    for name, value in filled.items():
        line = line.replace(f"<{name}>", value)
    line = line.replace("http://127.0.0.1/", f"http://{stack.nginx.host}:{stack.nginx.port}/")
    assert "<" not in line, line
    ran = subprocess.run(["curl", "-sS", "--fail-with-body", *shlex.split(line)[1:]], timeout=20,
                         capture_output=True, text=True, check=False)
    assert ran.returncode == 0, (line, ran)
    return ran.stdout


def test_the_lines_of_the_readme_do_what_it_says(stack):
    lines = readme_lines()
    assert len(lines) == 4
    session = "none yet"
    for line, shown in lines:
        said = curl(stack, line, session_id=session, key="any")
        assert re.match(pattern(shown), said, re.DOTALL), (line, shown, said)
        made = re.match(r'\{"session_id":"(\w+)"\}', said)
        session = made[1] if made else session
        print(line, said, sep="\n")     # pytest -s shows the table


# GET /

def test_a_session_is_made_for_a_user(stack):
    user = secrets.token_hex(4)
    reply = stack.client.get(f"/?username={user}")
    assert reply.status == 200 and list(reply.json) == ["session_id"]
    record = stack.client.get(f"/api/v1/sessions/{reply.json['session_id']}").json
    assert record["username"] == user and record["turns"] == 0
    assert stack.client.get(f"/?username={user}").json != reply.json
    assert stack.client.get("/").json["session_id"]


@pytest.mark.parametrize("accept", ["text/html", "text/html,application/xhtml+xml,*/*;q=0.8"])
def test_a_browser_gets_the_page_and_makes_nothing(stack, accept):
    before = stack.redis.dump()
    reply = stack.client.get("/?username=TR", headers={"Accept": accept})
    assert reply.status == 200 and b"<!DOCTYPE html>" in reply.body
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Accept" in reply.headers["Vary"]
    assert stack.client.call("HEAD", "/?username=TR").status == 200
    assert stack.redis.dump() == before


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html;q=0", None])
def test_others_get_a_session(stack, accept):
    reply = stack.client.get("/?username=TR", headers={"Accept": accept})
    assert reply.json["session_id"]


@pytest.mark.parametrize("query", ["username=", "username=" + "x" * 257, "username=%0A",
                                   "username=%FF", "username=%00", "username=%"])
def test_a_bad_username_is_named(stack, query):
    stack.client.get(f"/?{query}").refused("username")


# PUT /chat/<id>

def put(stack, session, text, **options):
    return stack.client.open("PUT", f"/chat/{quote(session, safe='')}", {"payload": text}, **options)


def plain(stream):
    """The text of a stream of bare text."""
    *texts, end = stream.all()
    assert (end.event, end.data) == ("done", "")
    assert all(event.event is None and event.id is None for event in texts)
    return [event.data for event in texts]


def test_the_answer_streams_as_text(stack):
    session = secrets.token_hex(8)
    stack.model.will_say("Hel", "lo")
    with put(stack, session, "hi") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.headers["X-Session-Id"] == session
        assert plain(stream) == ["Hel", "lo"]
    with put(stack, session, "and you?") as stream:
        plain(stream)
    assert stack.model.last_asked == ["hi", "Hello", "and you?"]


@pytest.mark.parametrize("pieces, text", [
    (["a\nb"], "a\nb"), (["a\n", "\nb\n"], "a\n\nb\n"), (["\n"], "\n"), (["a\r\nb"], "a\nb"),
    (["a\r", "\nb"], "a\nb"), (["a\rb\r\r\n"], "a\nb\n\n"), (["data: x\n\nevent: done"],
                                                          "data: x\n\nevent: done"),
    ([" lead", " trail "], " lead trail "), (["naïve 日本語 🙂"], "naïve 日本語 🙂"),
])
def test_lines_of_any_kind_arrive(stack, pieces, text):
    stack.model.will_say(*pieces)
    with put(stack, secrets.token_hex(8), "hi") as stream:
        assert "".join(plain(stream)) == text


def test_a_failure_is_told_as_one(stack):
    stack.model.will_fail("openai-401-invalid-key")
    put(stack, secrets.token_hex(8), "hi").whole().problem(502, "upstream_rejected")


def test_a_failure_in_the_middle_ends_the_stream_as_one(stack):
    held = stack.model.hold()
    with put(stack, secrets.token_hex(8), "hi") as stream:
        held.send("Hel")
        assert stream.next().data == "Hel"
        held.finish(End.CUT)
        stream.error(502, "upstream_failed")


@pytest.mark.parametrize("body", [{}, {"payload": ""}, {"payload": 1}, {"payload": None},
                                  {"payload": "a\0b"}, {"payload": "x" * 32769}])
def test_a_bad_payload_is_named(stack, body):
    stack.client.call("PUT", "/chat/a", body).refused("payload")
    stack.client.call("PUT", "/chat/a", b"{").problem(400, "bad_json")
    stack.client.call("PUT", "/chat/a", {"payload": "x"},
                      headers={"Content-Type": "text/plain"}).problem(415, "unsupported_media_type")


# POST /chat/

@pytest.mark.parametrize("given", [{}, {"session_id": None}, {"session_id": ""},
                                   {"session_id": "string"}])
def test_an_absent_id_makes_a_session(stack, given):
    first = stack.client.post("/chat/", given | {"message": "one"})
    assert list(first.json) == ["session_id", "bot_text"] and first.status == 200
    session = first.json["session_id"]
    assert re.fullmatch("[0-9a-f]{32}", session)
    again = stack.client.post("/chat/", {"session_id": session, "message": "two"})
    assert again.json == {"session_id": session, "bot_text": "You said: two"}
    assert stack.model.last_asked == ["one", "You said: one", "two"]
    assert stack.client.post("/chat/", given | {"message": "one"}).json["session_id"] != session


def test_an_id_of_ones_own_stays(stack):
    for session in ("strings", "String", " string", "a/b 100% \"'", "🙂" * 64):
        reply = stack.client.post("/chat/", {"session_id": session, "message": "hi"})
        assert reply.json["session_id"] == session


@pytest.mark.parametrize("body, field", [
    ({}, "message"), ({"message": ""}, "message"), ({"message": []}, "message"),
    ({"message": "a", "session_id": 5}, "session_id"),
    ({"message": "a", "session_id": "x" * 257}, "session_id"),
    ({"message": "a", "session_id": "a\nb"}, "session_id"),
    ({"message": "a", "session_id": ".."}, "session_id"),
])
def test_a_bad_message_is_named(stack, body, field):
    stack.client.post("/chat/", body).refused(field)


# GET /chat_history/<id>

def test_the_history_is_whole(stack):
    chat = stack.chat()
    for n in range(40):
        chat.say(f"question {n}")
    reply = stack.client.get(f"/chat_history/{chat.session}")
    assert list(reply.json) == ["items", "next_cursor"] and reply.json["next_cursor"] is None
    assert [(m["role"], m["content"]) for m in reply.json["items"]] == [
        pair for n in range(40)
        for pair in (("user", f"question {n}"), ("assistant", f"You said: question {n}"))]
    page = stack.client.get(f"/api/v1/sessions/{chat.session}/messages?limit=200").json
    assert page["items"] == reply.json["items"]
    stack.client.get("/chat_history/unknown").problem(404, "session_not_found")


# Keys

def test_the_older_routes_want_the_key_too(keyed):
    for method, path, body in [("GET", "/?username=TR", None), ("GET", "/", None),
                               ("PUT", "/chat/a", {"payload": "hi"}),
                               ("POST", "/chat/", {"message": "hi"}),
                               ("GET", "/chat_history/a", None)]:
        keyed.client.call(method, path, body).problem(401, "unauthorized")
        with_key = keyed.client.call(method, path, body, headers={"Authorization": f"Bearer {KEY}"})
        assert with_key.status in (200, 404), with_key
    assert keyed.client.get("/", headers={"Accept": "text/html"}).status == 200
    assert keyed.client.get("/docs").status == 200
    assert json.loads(keyed.client.get("/api/v1/openapi.json").body)["openapi"].startswith("3.1")

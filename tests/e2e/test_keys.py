"""Keys and tenants: from API_KEY, from API_KEYS_FILE, from Redis; and what another tenant sees."""

import hashlib
import re

import pytest

from tests.support.confabctl import bearer, confabctl, make_key
from tests.support.dialog import CHAT, WRITE
from tests.support.programs import TOP
from tests.support.proc import until
from tests.support.stack import Stack

USAGE = "/api/v1/usage"
SOON = "100ms"


@pytest.fixture(scope="module")
def shared():
    with Stack(KEY_CACHE=SOON, API_ACCESS="keys") as stack:
        yield stack


def say(stack, key, session="s", text="hi", **options):
    return stack.chat(session).say(text, headers=bearer(key), **options)


# Redis

def test_a_key_made_by_the_operator_lets_in_at_once(stack):
    assert say(stack, make_key(stack, "acme")).bot_text == "You said: hi"


def test_a_key_is_shown_once_and_only_its_hash_is_kept(stack):
    key = make_key(stack, "secretive", "--name", "web")
    kept = repr(stack.redis.dump())
    assert re.fullmatch("ck_[0-9a-f]{64}", key)
    assert key not in kept and key[3:] not in kept
    assert hashlib.sha256(key.encode()).hexdigest() in kept
    listed = confabctl(stack, "key", "list").out
    assert "secretive" in listed and "web" in listed and key not in listed


@pytest.mark.parametrize("which", ["name", "id"])
def test_a_revoked_key_is_refused_soon(stack, which):
    key = make_key(stack, f"revoked-{which}", "--name", "web")
    assert say(stack, key).status == 200
    word = {"name": f"revoked-{which}:web",
            "id": hashlib.sha256(key.encode()).hexdigest()[:16]}[which]
    assert confabctl(stack, "key", "revoke", word).status == 0
    # Each of the children may remember it for a while.
    until(lambda: all(say(stack, key).status == 401 for _ in range(64)), "all children refuse it", 8)


def test_wrong_keys_are_refused(stack):
    key = make_key(stack, "typo")
    for wrong in (key[:-1], key + "0", key.upper(), "ck_" + "0" * 64, "x", "\xff\xfe"):
        say(stack, wrong).problem(401, "unauthorized")


def test_a_request_during_an_outage_of_redis_is_no_401(stacks):
    stack = stacks(runner=False, KEY_CACHE=SOON, API_ACCESS="keys")
    key = make_key(stack, "acme")
    stack.redis.kill()
    say(stack, key).problem(503, "storage_unavailable")


# The first key closes the API

def test_the_api_is_open_until_there_is_a_first_key_and_never_again(stacks):
    stack = stacks(runner=False, KEY_CACHE=SOON)
    assert stack.chat("s").say("hi").status == 200
    key = make_key(stack, "acme", "--name", "web")
    assert say(stack, key).status == 200
    until(lambda: stack.chat("s").say("hi").status == 401, "it is closed", 5)
    assert confabctl(stack, "key", "revoke", "acme:web").status == 0
    until(lambda: say(stack, key).status == 401, "the last key is refused", 5)
    stack.restart_pool()
    stack.chat("s").say("hi").problem(401, "unauthorized")


def test_access_open_lets_everybody_in_and_knows_keys_all_the_same(stacks):
    stack = stacks(runner=False, API_ACCESS="open")
    key = make_key(stack, "acme")
    assert say(stack, key, text="of acme").status == 200
    assert say(stack, "whatever", text="of anybody").status == 200
    assert stack.chat("s").say("and again").status == 200
    assert stack.model.last_asked == ["of anybody", "You said: of anybody", "and again"]


# API_KEYS_FILE and API_KEY

def keys_file(tmp_path, *lines):
    path = tmp_path / "keys"
    path.write_text("# keys\n\n" + "\n".join(lines) + "\n")
    return str(path)


def sha256(key):
    return hashlib.sha256(key.encode()).hexdigest()


def test_keys_of_the_file_and_the_setting_need_no_redis(stacks, tmp_path):
    path = keys_file(tmp_path, f"acme:web {sha256('one')}", f"other\t{sha256('two')} rpm=9")
    stack = stacks(runner=False, API_KEYS_FILE=path, API_KEY="three")
    for key in ("one", "two", "three"):
        assert say(stack, key, "same", f"of {key}").status == 200
        assert stack.model.last_asked == [f"of {key}"]
    assert say(stack, "four").status == 401
    stack.redis.kill()
    for key in ("one", "three"):    # known, so that it is Redis that is missed
        say(stack, key).problem(503, "storage_unavailable")
    assert stack.client.get("/api/v1/tasks/a", headers=bearer("two")).status == 503


@pytest.mark.parametrize("line, words", [
    ("acme", "SHA-256"),
    ("acme 0123", "SHA-256"),
    (f"acme {'A' * 64}", "SHA-256"),
    (f"ac/me {'0' * 64}", "tenant"),
    (f"acme: {'0' * 64}", "name"),
    (f"{'a' * 65} {'0' * 64}", "tenant"),
    (f"acme {'0' * 64} rpm", "LIMIT=NUMBER"),
    (f"acme {'0' * 64} rpm=-1", "rpm"),
    (f"acme {'0' * 64} rpm=ten", "rpm"),
    (f"acme {'0' * 64} speed=1", "speed"),
    (f"acme {'0' * 64}\nother {'0' * 64}", "twice"),
])
def test_a_wrong_line_stops_the_start_and_is_named(stack, tmp_path, line, words):
    ran = confabctl(stack, "check", API_KEYS_FILE=keys_file(tmp_path, line))
    fault = next(line for line in ran.lines if line.startswith("FAULT"))
    assert ran.status == 1 and "API_KEYS_FILE" in fault and words in fault


# Another tenant

def routes():
    """Every route that needs a key, out of the table of routes; those last that begin a session,
    which is then the caller's own."""
    table = (TOP / "fcgi" / "routes.c").read_text()
    rows = re.findall(r"\{ METHOD_(\w+),\s*\"([^\"]+)\",\s*(KEY|TURN),", table)
    assert len(rows) >= 5
    rows.append(("GET", "/", "TURN"))   # open only for browsers
    return sorted(rows, key=lambda row: (row[2] == "TURN", row[0] == "POST"))


def bodies(pattern, session):
    """What the route wants: it may create something of the caller's own, never touch another's."""
    if pattern in (CHAT, "/chat", "/chat/"):
        return {"session_id": session, "user_text": "hi", "message": "hi"}
    if "{session" in pattern and pattern.startswith("/chat"):
        return {"payload": "hi"}
    return {"session_id": session, "title": "stolen"}


def test_another_tenants_sessions_and_tasks_are_not_there_on_any_route(stack, record_property):
    mine, theirs = make_key(stack, "walk-mine"), make_key(stack, "walk-theirs")
    dialog = stack.chat("walk")
    assert dialog.say("my secret", headers=bearer(mine)).status == 200
    task = dialog.write_to_doc(headers=bearer(mine)).id
    until(lambda: stack.client.get(f"/api/v1/status/{task}", headers=bearer(mine)).json["status"]
          == "finished", "the task is finished", 20)
    before = owned_by(stack, "walk-mine")
    walked = 0
    for method, pattern, need in routes():
        path = pattern
        for name in re.findall(r"\{(\w+)\}", pattern):
            path = path.replace("{%s}" % name, task if "task" in pattern else "walk")
        for key, expected in ((theirs, None), ("ck_" + "1" * 64, 401), (None, 401)):
            headers = bearer(key) if key else {}
            body = None if method in ("GET", "HEAD", "DELETE") else bodies(pattern, "walk")
            reply = stack.client.call(method, path, body, headers=headers)
            walked += 1
            if expected:
                assert reply.status == expected, (method, path, reply)
            elif "{" in pattern and need == "KEY" or pattern == WRITE:
                assert reply.status == 404, (method, path, reply)
            assert b"my secret" not in reply.body, (method, path, reply)
            assert task.encode() not in reply.body or reply.status == 404, (method, path, reply)
    assert owned_by(stack, "walk-mine") == before
    record_property("cross-tenant requests", walked)
    print(f"cross-tenant walk: {walked} requests over {len(routes())} routes, nothing seen")


def owned_by(stack, tenant):
    """All that Redis holds of a tenant."""
    return {key: value for key, value in stack.redis.dump().items() if f"{{{tenant}}}" in key}


def test_the_same_id_is_another_session_for_each_tenant(stack):
    one, two = make_key(stack, "same-1"), make_key(stack, "same-2")
    assert say(stack, one, "same", "first").status == 200
    assert say(stack, two, "same", "second").status == 200
    assert stack.model.last_asked == ["second"]
    assert say(stack, one, "same", "third").status == 200
    assert stack.model.last_asked == ["first", "You said: first", "third"]


def test_the_same_idempotency_key_is_another_for_each_tenant(stack):
    one, two = make_key(stack, "idem-1"), make_key(stack, "idem-2")
    for key in (one, two):
        headers = bearer(key) | {"Idempotency-Key": "the-same"}
        assert stack.chat("i").say("hi", headers=headers).status == 200
    assert len(stack.model.requests) == 2


def test_two_keys_of_a_tenant_share_its_sessions(stack):
    one, two = make_key(stack, "shared"), make_key(stack, "shared")
    assert say(stack, one, "together", "first").status == 200
    assert say(stack, two, "together", "second").status == 200
    assert stack.model.last_asked == ["first", "You said: first", "second"]

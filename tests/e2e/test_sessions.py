"""Sessions as things of their own: made, listed, named, read, exported, forgotten."""

import json
import re
import secrets
from urllib.parse import quote, unquote

import pytest

from tests.support.dialog import path_of
from tests.support.seed import seed

SESSIONS = "/api/v1/sessions"
FORMATS = {"md": "text/markdown; charset=utf-8", "html": "text/html; charset=utf-8",
           "json": "application/json", "txt": "text/plain; charset=utf-8"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# What an id may be, wherever one can stand.
IDS = ["a/b", "a%2Fb", "100%", 'say "hi"', "it's", "a\\b", "a?b=c&d#e", "a+b c", "...", ".hidden",
       "日本語", "👩‍👩‍👧‍👦", "\u202eexe.md", "\u200fعربي\u200e", "x" * 256, "é" * 128]
BAD_IDS = {"a\nb": "%0A", "257 bytes": "x" * 257, "not UTF-8": "%FF",
           "DEL": "%7F", "C1": "%C2%85", "overlong": "%C0%AF"}


def url(session, rest=""):
    return f"{SESSIONS}/{quote(session, safe='')}{rest}"


def make(stack, **fields):
    reply = stack.client.post(SESSIONS, fields)
    assert reply.status == 201, reply
    session = reply.json["session_id"]
    assert list(reply.json) == ["session_id"]
    assert reply.headers["Location"] == url(session)
    assert reply.headers["X-Session-Id"] == session
    return session


def show(stack, session):
    reply = stack.client.get(url(session))
    assert reply.status == 200, reply
    return reply.json


def listed(stack, **query):
    pages, cursor = [], None
    while True:
        asked = query | ({"cursor": cursor} if cursor else {})
        path = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in asked.items())
        reply = stack.client.get(f"{SESSIONS}?{path}")
        assert reply.status == 200 and list(reply.json) == ["items", "next_cursor"], reply
        pages.append(reply.json["items"])
        cursor = reply.json["next_cursor"]
        if not cursor:
            return pages


def ids(pages):
    return [item["session_id"] for page in pages for item in page]


def messages(stack, session, **query):
    path = "&".join(f"{name}={value}" for name, value in query.items())
    reply = stack.client.get(url(session, f"/messages?{path}"))
    assert reply.status == 200 and list(reply.json) == ["items", "next_cursor"], reply
    return reply.json["items"], reply.json["next_cursor"]


def export(stack, session, form):
    reply = stack.client.get(url(session, f"/export?format={form}"), timeout=60)
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"] == FORMATS[form]
    return reply


def file_name(reply):
    kind, plain, full = reply.headers["Content-Disposition"].split("; ")
    assert kind == "attachment" and re.fullmatch(r'filename="[a-z0-9-]+\.\w+"', plain)
    assert full.startswith("filename*=UTF-8''")
    return unquote(full.removeprefix("filename*=UTF-8''"))


# Made

def test_a_session_is_made_and_chatted_in(stack):
    user = secrets.token_hex(4)
    session = make(stack, username=user, title="Trip")
    record = show(stack, session)
    assert list(record) == ["session_id", "username", "title", "prompt", "turns", "created_at",
                            "updated_at"]
    assert (record["session_id"], record["username"], record["title"]) == (session, user, "Trip")
    assert record["prompt"] is None and record["turns"] == 0
    assert TIME.fullmatch(record["created_at"]) and TIME.fullmatch(record["updated_at"])
    stack.chat(session).say("hi")
    after = show(stack, session)
    assert after["turns"] == 1 and after["updated_at"] >= record["updated_at"]
    assert after["title"] == "Trip" and after["created_at"] == record["created_at"]


def test_all_fields_may_be_left_out(stack):
    record = show(stack, make(stack))
    assert [record[name] for name in ("username", "title", "prompt")] == [None] * 3
    record = show(stack, make(stack, username=None, title=None, prompt=None))
    assert record["username"] is None


def test_the_prompt_can_be_chosen(stack):
    session = make(stack, prompt="default")
    assert show(stack, session)["prompt"] == "default"
    stack.client.post(SESSIONS, {"prompt": "nonsense"}).refused("prompt")
    problem = stack.client.post(SESSIONS, {"prompt": "nonsense"}).problem(422, "invalid_field")
    assert "default" in problem["detail"]


def test_a_repeated_post_makes_one_session(stack):
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    first = stack.client.post(SESSIONS, {"title": "x"}, headers=headers)
    again = stack.client.post(SESSIONS, {"title": "x"}, headers=headers)
    assert first.json == again.json and again.status == 201
    other = stack.client.post(SESSIONS, {"title": "y"}, headers=headers)
    other.problem(422, "idempotency_key_reused")


@pytest.mark.parametrize("field, most", [("username", 256), ("title", 512), ("prompt", 256)])
def test_a_bad_field_is_named(stack, field, most):
    for value in ("", 1, [], {}, True, "x" * (most + 1), "a\nb", "a\0b", "\x7f", "\ud800"):
        stack.client.post(SESSIONS, {field: value}).refused(field)


def test_a_session_is_called_by_its_first_words(stack):
    chat = stack.chat()
    chat.say("Where is it warm\n in March, and how do I get there by train from here?")
    title = show(stack, chat.session)["title"]
    assert title == "Where is it warm in March, and how do I get there by train…"
    chat.say("And in May?")
    assert show(stack, chat.session)["title"] == title


# Listed

def test_a_user_sees_the_own_sessions_newest_first(stack):
    user, other = secrets.token_hex(4), secrets.token_hex(4)
    mine = [make(stack, username=user) for _ in range(7)]
    make(stack, username=other)
    for limit in (1, 3, 7, 50):
        pages = listed(stack, username=user, limit=limit)
        assert ids(pages) == mine[::-1]
        assert all(len(page) <= limit for page in pages)
    assert ids(listed(stack, username=secrets.token_hex(4))) == []


def test_without_a_user_all_are_listed(stack):
    made = [make(stack), make(stack, username="Ada")]
    chat = stack.chat()
    chat.say("hi")
    assert ids(listed(stack, limit=3))[:3] == [chat.session, *made[::-1]]


@pytest.mark.parametrize("query, field", [
    ("limit=0", "limit"), ("limit=201", "limit"), ("limit=-1", "limit"), ("limit=x", "limit"),
    ("limit=", "limit"), ("limit=1.5", "limit"), ("limit=99999999999", "limit"),
    ("cursor=x", "cursor"), ("cursor=", "cursor"), ("cursor=1-zz", "cursor"),
    ("cursor=" + "1" * 3000, "cursor"), ("username=", "username"),
    ("username=" + "x" * 257, "username"), ("username=%FF", "username"),
    ("username=%0A", "username"), ("username=%00", "username"), ("username=%zz", "username"),
])
def test_a_bad_query_is_named(stack, query, field):
    stack.client.get(f"{SESSIONS}?{query}").refused(field)


def test_usernames_of_any_kind_are_found(stack):
    for user in ["a b", "a&b=c", "100%", "Zoë", "مريم", "👩‍🚀", "x" * 256, "{t}", "a:b"]:
        session = make(stack, username=user)
        assert session in ids(listed(stack, username=user)), user


def test_what_has_expired_is_not_listed(stack):
    user = secrets.token_hex(4)
    gone, there = make(stack, username=user), make(stack, username=user)
    stack.redis.command("DEL", f"c1:{{default}}:s:32:{gone}")
    assert ids(listed(stack, username=user)) == [there]
    assert stack.redis.command("ZCARD", f"c1:{{default}}:idx:user:{user}") == 1


# Named, forgotten

def test_a_title_changes_and_goes(stack):
    session = make(stack, title="old")
    for title in ("new", "Ünïcödé 🎉", None):
        reply = stack.client.call("PATCH", url(session), {"title": title})
        assert reply.status == 200 and reply.json["title"] == title
        assert show(stack, session) == reply.json
    for body in ({}, {"title": ""}, {"title": 5}, {"title": "a\nb"}, {"title": "x" * 513}):
        stack.client.call("PATCH", url(session), body).refused("title")
    stack.client.call("PATCH", url("unknown"), {"title": "x"}).problem(404, "session_not_found")


def test_a_deleted_session_is_gone(stack):
    user = secrets.token_hex(4)
    session = make(stack, username=user)
    chat = stack.chat(session)
    chat.say("hi")
    reply = stack.client.call("DELETE", url(session))
    assert (reply.status, reply.body) == (204, b"")
    for method, path, body in [
            ("GET", "", None), ("PATCH", "", {"title": "x"}), ("DELETE", "", None),
            ("GET", "/messages", None), ("GET", "/export", None)]:
        stack.client.call(method, url(session, path), body).problem(404, "session_not_found")
    chat.write().problem(404, "session_not_found")
    assert ids(listed(stack, username=user)) == []
    left = [key for key in stack.redis.command("KEYS", f"*{session}*")]
    assert [key for key in left if not key.endswith(b":lock")] == []


def test_a_chat_with_a_deleted_id_begins_anew(stack):
    chat = stack.chat()
    chat.say("my name is Ada")
    stack.client.call("DELETE", url(chat.session))
    chat.say("who am I?")
    assert stack.model.last_asked == ["who am I?"]
    assert show(stack, chat.session)["turns"] == 1


# Read

def test_messages_come_in_order_with_both_sides(stack):
    chat = stack.chat()
    chat.say("one")
    chat.say("two")
    items, cursor = messages(stack, chat.session)
    assert cursor is None
    assert [(m["id"], m["role"], m["content"]) for m in items] == [
        ("1-user", "user", "one"), ("1-assistant", "assistant", "You said: one"),
        ("2-user", "user", "two"), ("2-assistant", "assistant", "You said: two")]
    assert all(list(m) == ["id", "role", "content", "created_at"] for m in items)
    times = [m["created_at"] for m in items]
    assert times == sorted(times) and all(map(TIME.fullmatch, times))


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 199, 200])
def test_messages_are_paged_backwards(stack, limit):
    session = secrets.token_hex(8)
    seed(stack, session, 120, "ok")
    seen, before = [], None
    while True:
        items, before = messages(stack, session, limit=limit, **({"before": before} if before else {}))
        assert len(items) == min(limit, 240 - len(seen))
        seen = items + seen
        if not before:
            break
    assert [m["id"] for m in seen] == [f"{n}-{side}" for n in range(1, 121)
                                       for side in ("user", "assistant")]


def test_before_may_be_any_message(stack):
    session = secrets.token_hex(8)
    seed(stack, session, 3)
    assert messages(stack, session, before="1-user") == ([], None)
    assert [m["id"] for m in messages(stack, session, before="2-assistant")[0]] == [
        "1-user", "1-assistant", "2-user"]
    assert len(messages(stack, session, before="999999-user")[0]) == 6
    assert messages(stack, make(stack)) == ([], None)


def test_a_page_too_large_to_read_at_once_keeps_its_newest(stack):
    session = secrets.token_hex(8)
    seed(stack, session, 12, "a" * 1_000_000)
    seen, before = [], None
    while True:
        items, before = messages(stack, session, limit=200, **({"before": before} if before else {}))
        assert items and len(json.dumps(items)) < 6_000_000
        seen = items + seen
        if not before:
            break
    assert [m["id"] for m in seen] == [f"{n}-{side}" for n in range(1, 13)
                                       for side in ("user", "assistant")]


@pytest.mark.parametrize("query, field", [
    ("limit=0", "limit"), ("limit=201", "limit"), ("before=x", "before"), ("before=1", "before"),
    ("before=0-user", "before"), ("before=1-bot", "before"), ("before=-1-user", "before"),
    ("before=9999999999999999-user", "before"), ("before=", "before"),
])
def test_a_bad_page_of_messages_is_named(stack, query, field):
    stack.client.get(url(make(stack), f"/messages?{query}")).refused(field)


# Exported

@pytest.mark.parametrize("form", FORMATS)
def test_an_export_holds_the_dialog(stack, form):
    chat = stack.chat()
    stack.model.will_say("| a | b |\n|---|---|\n| **1** | `2` |\n")
    chat.say("a *table* <b>please</b>")
    stack.model.will_say("naïve 日本語 🙂 مرحبا")
    chat.say("and more")
    reply = export(stack, chat.session, form)
    text = reply.body.decode()
    assert file_name(reply) == f"{chat.session}.{form}"
    assert "naïve 日本語 🙂 مرحبا" in text and "and more" in text
    assert "<b>" not in text or form in ("json", "txt")
    if form == "html":
        assert "<th " in text and "<strong>1</strong>" in text
        assert text.startswith("<!DOCTYPE html>") and text.rstrip().endswith("</html>")
    elif form == "json":
        whole = json.loads(text)
        assert list(whole) == ["session", "messages", "complete"] and whole["complete"] is True
        assert whole["session"] == show(stack, chat.session)
        assert whole["messages"] == messages(stack, chat.session)[0]
    elif form == "md":
        assert "| **1** | `2` |" in text and "> a \\*table\\* \\<b\\>please\\</b\\>" in text
    else:
        assert "a *table* <b>please</b>" in text


def test_the_html_is_that_of_the_document(stack):
    chat = stack.chat()
    stack.model.will_say("# Head\n\n- one\n- two")
    chat.say("a list")
    stack.client.call("PATCH", url(chat.session), {"title": None})
    record = chat.write_to_doc().wait()
    with open(path_of(record["document_url"])) as document:
        assert document.read() == export(stack, chat.session, "html").body.decode()


@pytest.mark.parametrize("form", FORMATS)
def test_a_dialog_without_turns_can_be_exported(stack, form):
    text = export(stack, make(stack, title="Nothing"), form).body.decode()
    assert "Nothing" in text
    if form == "json":
        assert json.loads(text)["messages"] == []


@pytest.mark.parametrize("form", FORMATS)
def test_ten_thousand_turns_are_exported_whole(stack, form):
    session = secrets.token_hex(8)
    seed(stack, session, 10_000)
    text = export(stack, session, form).body.decode()
    numbers = [int(n) for n in re.findall(r"question (\d+)", text)]
    assert numbers == list(range(1, 10_001))


def test_an_unknown_format_is_named(stack):
    session = make(stack)
    for form in ("pdf", "", "MD", "md%00", "x" * 100, "%FF"):
        stack.client.get(url(session, f"/export?format={form}")).refused("format")
    assert stack.client.get(url(session, "/export")).headers["Content-Type"] == FORMATS["md"]


def test_a_slow_reader_holds_up_nobody_and_misses_nothing(stack):
    session = secrets.token_hex(8)
    seed(stack, session, 5_000, "a" * 2000)
    with stack.client.open("GET", url(session, "/export?format=txt"), receive_buffer=4096) as slow:
        assert slow.status == 200
        for _ in range(20):
            assert stack.chat().say("hi").status == 200
        whole = slow.whole().body.decode()
    assert [int(n) for n in re.findall(r"question (\d+)", whole)] == list(range(1, 5_001))


def export_while_redis_is_away(stack, form):
    """The export of a long dialog, with Redis killed once it has begun; a function that ends it."""
    session = secrets.token_hex(8)
    seed(stack, session, 10_000, "a" * 4000)
    stream = stack.client.open("GET", url(session, f"/export?format={form}"), receive_buffer=4096)
    assert stream.status == 200
    stack.redis.kill()
    return lambda: stream.whole().body.decode()


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_that_breaks_says_so(stacks, form):
    stack = stacks(runner=False, SAVE_TIMEOUT="1s")
    text = export_while_redis_is_away(stack, form)()
    numbers = [int(n) for n in re.findall(r"question (\d+)", text)]
    assert numbers == list(range(1, len(numbers) + 1)) and 0 < len(numbers) < 10_000
    if form == "json":
        whole = json.loads(text)
        assert whole["complete"] is False and "not available" in whole["problem"]
    else:
        assert "This copy is not complete: The conversation store is not available" in text


def test_an_export_outlasts_a_restart_of_redis(stacks):
    stack = stacks(runner=False)
    end = export_while_redis_is_away(stack, "txt")
    stack.redis.start()
    assert [int(n) for n in re.findall(r"question (\d+)", end())] == list(range(1, 10_001))


def test_who_leaves_in_the_middle_leaves_nothing_behind(stack):
    session = secrets.token_hex(8)
    seed(stack, session, 5_000)
    for _ in range(5):
        with stack.client.open("GET", url(session, "/export"), receive_buffer=4096) as reader:
            assert reader.status == 200
    assert stack.chat().say("hi").status == 200


def test_a_head_tells_the_name_without_the_file(stack):
    session = secrets.token_hex(8)
    seed(stack, session, 100)
    reply = stack.client.call("HEAD", url(session, "/export?format=txt"))
    assert (reply.status, reply.body) == (200, b"")
    assert file_name(reply) == f"{session}.txt"


# Ids of any kind, in each place

@pytest.mark.parametrize("session", IDS, ids=lambda session: repr(session)[:16])
def test_an_id_of_any_kind_works_everywhere(stack, session):
    chat = stack.chat(session)
    stack.client.call("DELETE", url(session))
    assert chat.say("hi").status == 200
    record = show(stack, session)
    assert record["session_id"] == session and record["turns"] == 1
    assert stack.client.call("PATCH", url(session), {"title": session[:100]}).status == 200
    assert [m["content"] for m in messages(stack, session)[0]] == ["hi", "You said: hi"]
    assert session in ids(listed(stack, limit=200))
    for form in FORMATS:
        reply = export(stack, session, form)
        name = file_name(reply)
        assert name.endswith(f".{form}") and len(name.encode()) <= 200
        assert not re.search(r"[/\\:*?\"<>|\u202a-\u202e\u2066-\u2069\u200e\u200f]|^\.", name)
    reply = stack.client.get(f"/chat_history/{quote(session, safe='')}")
    assert len(reply.json["items"]) == 2
    record = chat.write_to_doc().wait()
    assert record["session_id"] == session
    with open(path_of(record["document_url"])) as document:
        assert "You said: hi" in document.read()
    assert stack.client.call("DELETE", url(session)).status == 204


@pytest.mark.parametrize("session", BAD_IDS.values(), ids=list(BAD_IDS))
def test_what_cannot_be_an_id_is_named_everywhere(stack, session):
    for method, path, body in [
            ("GET", f"{SESSIONS}/{session}", None), ("DELETE", f"{SESSIONS}/{session}", None),
            ("PATCH", f"{SESSIONS}/{session}", {"title": "x"}),
            ("GET", f"{SESSIONS}/{session}/messages", None),
            ("GET", f"{SESSIONS}/{session}/export", None),
            ("PUT", f"/chat/{session}", {"payload": "hi"}),
            ("GET", f"/chat_history/{session}", None)]:
        stack.client.call(method, path, body).refused("session_id")


@pytest.mark.parametrize("path", ["%2E", "%2e%2E"])
def test_dots_have_no_place_in_a_path(stack, path):
    stack.client.get(f"{SESSIONS}/{path}/messages").problem(422, "invalid_field")


# What Redis does to them

def test_without_redis_nothing_hangs(stacks):
    stack = stacks(runner=False)
    session = make(stack)
    stack.redis.kill()
    for method, path, body in [
            ("POST", SESSIONS, {}), ("GET", SESSIONS, None), ("GET", url(session), None),
            ("PATCH", url(session), {"title": "x"}), ("DELETE", url(session), None),
            ("GET", url(session, "/messages"), None), ("GET", url(session, "/export"), None),
            ("GET", "/chat_history/" + session, None)]:
        reply = stack.client.call(method, path, body)
        reply.problem(503, "storage_unavailable")
        assert reply.headers["Retry-After"] and reply.seconds < 2


def test_pending_tasks_of_a_deleted_session_are_cancelled(stacks):
    stack = stacks(runner=False)
    chat, other = stack.chat(), stack.chat()
    for one in (chat, other):
        one.say("hi")
    tasks, kept = [chat.write_to_doc() for _ in range(3)], other.write_to_doc()
    assert stack.client.call("DELETE", url(chat.session)).status == 204
    for task in tasks:
        record = task.record
        assert (record["status"], record["error"]["code"]) == ("failed", "cancelled")
        assert TIME.fullmatch(record["finished_at"])
    assert kept.status == "pending"
    stack.runner.start(stack.env)
    kept.wait()
    assert all(task.status == "failed" for task in tasks)


def test_a_running_task_still_writes_what_was_deleted(stacks):
    stack = stacks(runner=False)
    chat = stack.chat()
    chat.say("remember me")
    task = chat.write_to_doc()
    # As a runner leaves it that was killed before it had read the dialog.
    stack.redis.command("HSET", f"c1:task:{task.id}", "st", "running", "tk", "dead", "un", "0")
    assert stack.client.call("DELETE", url(chat.session)).status == 204
    chat.write().problem(404, "session_not_found")
    chat.say("a new one")       # of the same name
    stack.runner.start(stack.env)
    record = task.wait()
    with open(path_of(record["document_url"])) as document:
        text = document.read()
    assert "You said: remember me" in text and "a new one" not in text
    left = stack.redis.keys(f"*{chat.session}*")
    assert not [key for key in left if "kept" in key], left
    assert show(stack, chat.session)["turns"] == 1


def test_a_hundred_thousand_sessions_are_listed_as_fast_as_ten(stacks):
    stack = stacks(runner=False)
    for first in range(0, 100_000, 1000):
        stack.redis.command("EVAL", """
            for i = ARGV[1], ARGV[1] + 999 do
                local id = string.format('n%06d', i)
                redis.call('HSET', 'c1:{default}:s:7:' .. id, 'created', 1e12 + i, 'updated', 1e12,
                           'turns', 1, 'username', 'Ada')
                redis.call('ZADD', 'c1:{default}:idx:sessions', 1e12 + i, id)
                redis.call('ZADD', 'c1:{default}:idx:user:Ada', 1e12 + i, id)
            end""", "0", str(first))
    newest = stack.client.get(f"{SESSIONS}?username=Ada&limit=50").json
    assert newest["items"][0]["session_id"] == "n099999" and len(newest["items"]) == 50
    middle = stack.client.get(f"{SESSIONS}?username=Ada&limit=50&cursor="
                              f"{10**12 + 50_000}-{'n050000'.encode().hex()}")
    assert middle.json["items"][0]["session_id"] == "n049999"
    slowest = max(stack.client.get(f"{SESSIONS}?username=Ada&limit=50").seconds for _ in range(20))
    assert slowest < 0.5

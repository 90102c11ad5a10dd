"""One turn at a time in a session, in the order in which they came; other sessions never wait."""

from tests.support.proc import until


def _waiting(stack, chat):
    """How many requests wait for the session's lock."""
    keys = [key for key in stack.redis.keys() if chat.session in key and key.endswith(":wait")]
    return sum(stack.redis.command("ZCARD", key) for key in keys)


def test_a_second_message_waits_for_the_first(stack):
    chat = stack.chat()
    held = stack.model.hold()
    first = chat.stream("one")
    held.send("1")
    assert first.next_text() == "1"
    second = chat.open("two")
    until(lambda: _waiting(stack, chat) == 1, "the second waits")
    assert len(stack.model.requests) == 1
    held.finish()
    assert second.whole().bot_text == "You said: two"
    assert stack.model.last_asked == ["one", "1", "two"]
    assert first.text == "1"


def test_those_who_wait_come_in_their_order(stack):
    chat = stack.chat()
    held = stack.model.hold()
    first = chat.open("0")
    held.wait_asked()
    rest = []
    for number in range(1, 8):
        rest.append(chat.open(f"{number}"))
        until(lambda n=number: _waiting(stack, chat) == n, f"{number} wait")
    held.send("zero")
    held.finish()
    for stream in [first, *rest]:
        assert stream.whole().status == 200
    assert [text for text in stack.model.last_asked[::2]] == [f"{n}" for n in range(8)]


def test_other_sessions_do_not_wait(stack):
    chat = stack.chat()
    held = stack.model.hold()
    first = chat.open("one")
    held.wait_asked()
    for _ in range(4):
        assert stack.chat().say("hi").status == 200
    held.finish()
    first.whole()


def test_one_that_waits_may_leave(stack):
    chat = stack.chat()
    held = stack.model.hold()
    first = chat.open("one")
    held.wait_asked()
    second = chat.stream("two")
    until(lambda: _waiting(stack, chat) == 1, "the second waits")
    second.close()
    until(lambda: _waiting(stack, chat) == 0, "it does no more")
    third = chat.open("three")
    until(lambda: _waiting(stack, chat) == 1, "the third waits")
    held.send("1")
    held.finish()
    assert first.whole().bot_text == "1"
    assert third.whole().status == 200
    assert stack.model.last_asked == ["one", "1", "three"]


def test_many_at_once_make_one_conversation(stack):
    chat = stack.chat()
    streams = [chat.open(f"{number}") for number in range(20)]
    assert [stream.whole().status for stream in streams] == [200] * 20
    chat.say("all")
    dialog = stack.model.last_asked
    assert sorted(map(int, dialog[0:40:2])) == list(range(20))
    assert dialog[1:40:2] == [f"You said: {text}" for text in dialog[0:40:2]]


def test_a_failed_turn_lets_the_next_one_go(stack):
    chat = stack.chat()
    held = stack.model.hold()
    first = chat.open("one")
    held.wait_asked()
    second = chat.open("two")
    until(lambda: _waiting(stack, chat) == 1, "the second waits")
    held.raw(b"data: {\"error\":{\"message\":\"no\",\"code\":\"invalid_api_key\"}}\n\n")
    first.whole().problem(502, "upstream_rejected")
    assert second.whole().status == 200
    assert stack.model.last_asked == ["two"]


def test_a_message_may_be_rejected_instead(stacks):
    stack = stacks(SESSION_BUSY="reject", runner=False)
    chat = stack.chat()
    held = stack.model.hold()
    first = chat.open("one")
    held.wait_asked()
    for reply in (chat.say("two"), chat.stream("two").whole()):
        reply.problem(409, "conversation_locked")
        assert int(reply.headers["Retry-After"]) >= 1
    held.send("1")
    held.finish()
    assert first.whole().bot_text == "1"
    assert chat.say("two").status == 200
    assert stack.model.last_asked == ["one", "1", "two"]


def test_waiting_has_an_end(stacks):
    stack = stacks(SESSION_WAIT="300ms", runner=False)
    chat = stack.chat()
    held = stack.model.hold()
    first = chat.open("one")
    held.wait_asked()
    reply = chat.say("two")
    reply.problem(409, "conversation_locked")
    assert 0.3 <= reply.seconds < 2 and int(reply.headers["Retry-After"]) >= 1
    held.send("1")
    held.finish()
    assert first.whole().status == 200


def test_a_killed_child_leaves_no_session_stuck(stacks):
    stack = stacks(SESSION_LEASE="2500ms", runner=False)
    chat = stack.chat()
    chat.say("before")
    held = stack.model.hold()
    first = chat.stream("one")
    held.send("1")
    first.next_text()
    for child in stack.pool.children():
        stack.pool.kill_child(child)
    assert [event.event for event in first.all()] == ["delta"]     # no done: it was cut
    stack.wait_ready()
    reply = chat.say("two")
    assert reply.status == 200 and reply.seconds < 5
    assert stack.model.last_asked == ["before", "You said: before", "two"]


def test_a_long_turn_keeps_its_lock(stacks):
    """Longer than the lease, which is renewed all the while."""
    stack = stacks(SESSION_LEASE="2400ms", STREAM_KEEPALIVE="1s", runner=False)
    chat = stack.chat()
    held = stack.model.hold()
    first = chat.stream("one")
    held.wait_asked()
    for _ in range(3):
        first.wait_comment()
    second = chat.open("two")
    until(lambda: _waiting(stack, chat) == 1, "the second waits")
    held.send("1")
    held.finish()
    assert first.text == "1" and second.whole().status == 200
    assert stack.model.last_asked == ["one", "1", "two"]

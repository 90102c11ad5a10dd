"""Idempotency-Key: a repeated request is answered again, and the model is not asked again."""

import secrets

import pytest

from tests.support.dialog import CHAT, EVENTS


@pytest.fixture
def key():
    return {"Idempotency-Key": secrets.token_hex(8)}


def test_a_repeat_gets_the_first_answer(stack, key):
    chat = stack.chat()
    stack.model.will_say("first")
    stack.model.will_say("second")
    assert chat.say("hi", headers=key).bot_text == "first"
    assert chat.say("hi", headers=key).bot_text == "first"
    assert len(stack.model.requests) == 1
    assert chat.say("hi").bot_text == "second"
    assert stack.model.last_asked == ["hi", "first", "hi"]


def test_a_streamed_repeat_gets_it_in_one_piece(stack, key):
    chat = stack.chat()
    stack.model.will_say("Hel", "lo")
    assert chat.stream("hi", headers=key).texts == ["Hel", "lo"]
    with chat.stream("hi", headers=key) as again:
        assert [event.event for event in again.all()] == ["delta", "done"]
        assert again.texts == ["Hello"]
        assert again.done()["session_id"] == chat.session
    assert len(stack.model.requests) == 1


def test_a_streamed_repeat_of_a_long_answer_comes_whole(stack, key):
    chat = stack.chat()
    pieces = ["x" * 90_000] * 10
    stack.model.will_say(*pieces)
    assert chat.stream("hi", headers=key).text == "".join(pieces)
    with chat.stream("hi", headers=key) as again:
        assert again.text == "".join(pieces)
        again.done()


def test_both_at_the_same_moment_are_one(stack, key):
    chat = stack.chat()
    held = stack.model.hold()
    replies = [chat.open("hi", headers=key) for _ in range(4)]
    held.send("once")
    held.wait_asked()
    held.finish()
    assert [reply.whole().bot_text for reply in replies] == ["once"] * 4
    assert len(stack.model.requests) == 1
    chat.say("next")
    assert stack.model.last_asked == ["hi", "once", "next"]


def test_another_body_under_the_same_key_is_refused(stack, key):
    chat = stack.chat()
    chat.say("hi", headers=key)
    chat.say("hello", headers=key).problem(422, "idempotency_key_reused")
    stack.chat().say("hi", headers=key).problem(422, "idempotency_key_reused")
    assert len(stack.model.requests) == 1


def test_errors_are_not_kept(stack, key):
    chat = stack.chat()
    stack.model.will_fail("openai-401-invalid-key")
    assert chat.say("hi", headers=key).status == 502
    assert chat.say("hi", headers=key).bot_text == "You said: hi"
    assert stack.model.last_asked == ["hi"]


def test_a_turn_with_a_key_goes_on_without_its_client(stack, key):
    chat = stack.chat()
    held = stack.model.hold()
    stream = chat.stream("hi", headers=key)
    held.send("Hel")
    assert stream.next_text() == "Hel"
    stream.close()
    again = chat.stream("hi", headers=key)
    held.send("lo")
    held.finish()
    assert again.texts == ["Hello"]
    assert not stack.model.gone and len(stack.model.requests) == 1


def test_a_session_made_for_a_key_is_the_same_each_time(stack, key):
    first = stack.client.post(CHAT, {"user_text": "hi"}, headers=key)
    again = stack.client.post(CHAT, {"user_text": "hi"}, headers=key)
    assert first.json == again.json and len(stack.model.requests) == 1
    with stack.client.open("POST", CHAT, {"user_text": "hi"}, headers=key | EVENTS) as stream:
        assert stream.done()["session_id"] == first.json["session_id"]


def test_a_repeat_on_another_child_after_the_first_died_asks_again(stacks, key):
    stack = stacks(runner=False, SESSION_LEASE="2500ms")
    chat = stack.chat()
    held = stack.model.hold()
    first = chat.open("hi", headers=key)
    held.wait_asked()
    for child in stack.pool.children():
        stack.pool.kill_child(child)
    assert first.whole().status == 502
    stack.wait_ready()
    assert chat.say("hi", headers=key).bot_text == "You said: hi"
    assert stack.model.last_asked == ["hi"]


def test_write_to_doc_knows_keys_as_well(stack, key):
    chat = stack.chat()
    chat.say("hi")
    first = chat.write_to_doc(headers=key)
    assert chat.write_to_doc(headers=key).id == first.id
    assert chat.write_to_doc().id != first.id
    other = stack.chat()
    other.say("hi")
    other.write(headers=key).problem(422, "idempotency_key_reused")
    first.wait()


@pytest.mark.parametrize("odd", ["", "x" * 256, "a\tb", "ä"])
@pytest.mark.parametrize("route", [CHAT, "/api/v1/write_to_doc"])
def test_an_odd_key_is_refused(stack, route, odd):
    chat = stack.chat()
    chat.say("hi")
    body = {"session_id": chat.session, "user_text": "hi"}
    stack.client.post(route, body, headers={"Idempotency-Key": odd}).refused("Idempotency-Key")
    assert len(stack.model.requests) == 1

"""How long words are kept, and that nothing of them stays when they go."""

import pytest

from tests.support.proc import until

SECRET = "xylophone"


def keys_of(stack, session):
    """What the store keeps of this session itself."""
    return {key for key in stack.redis.keys() if f":{session}" in key
            and not key.endswith((":lock", ":wait"))}


def words_in(stack, word=SECRET):
    """The keys in which the word stands, or which are named after it."""
    stack.redis.command("CONFIG", "SET", "rdbcompression", "no")    # DUMP obeys it
    return {key for key, kept in stack.redis.dump().items()
            if word.encode() in kept or word in key}


def talk(stack, session, headers=None):
    """Words in the texts, and so in the title; a reply kept for its repeat."""
    chat = stack.chat(session)
    headers = {"Idempotency-Key": f"key-{session}"} | (headers or {})
    assert chat.say(f"my {SECRET} is out of tune", headers=headers).status == 200
    assert words_in(stack)
    return chat


@pytest.mark.parametrize("way", [{"SESSION_TTL": "1s"}, {"SESSION_MAX_AGE": "1s"}],
                         ids=["ttl", "max_age"])
def test_a_session_goes_with_all_of_its_words(stacks, way):
    stack = stacks(runner=False, **way)
    talk(stack, "goes")
    until(lambda: not keys_of(stack, "goes"), "the session is gone", 10)
    assert not words_in(stack)
    assert stack.client.get("/api/v1/sessions/goes").status == 404


def test_turns_prolong_the_ttl_but_not_the_age(stacks):
    stack = stacks(runner=False, SESSION_TTL="1h", SESSION_MAX_AGE="2s")
    talk(stack, "old")

    def begins_anew():
        return stack.chat("old").say("still there?") and len(stack.model.last_asked) == 1
    until(begins_anew, "the session ends in spite of its turns", 10)
    assert SECRET not in repr(stack.model.last_asked)


@pytest.mark.parametrize("way", [{"SESSION_TTL": "1s"}, {"SESSION_MAX_AGE": "1s"}],
                         ids=["ttl", "max_age"])
def test_an_open_task_keeps_its_session_until_it_ends(stacks, way):
    stack = stacks(runner=False, **way)
    task = talk(stack, "kept").write_to_doc()
    [key] = [key for key in keys_of(stack, "kept") if key.endswith(":msgs")]
    assert stack.redis.command("PTTL", key) == -1
    other = stack.chat("other")
    other.say("hi")
    until(lambda: not keys_of(stack, "other"), "a session without a task is gone", 10)
    assert keys_of(stack, "kept")
    stack.add_runner()
    task.wait()
    until(lambda: not keys_of(stack, "kept"), "it goes with its last task", 10)
    assert not words_in(stack)


def test_a_deleted_session_leaves_no_word_behind(stack):
    talk(stack, "deleted")
    assert stack.client.call("DELETE", "/api/v1/sessions/deleted").status == 204
    assert not words_in(stack)
    # Nor does the repeat of an answered request bring one back.
    again = stack.chat("deleted").say(f"my {SECRET} is out of tune",
                                      headers={"Idempotency-Key": "key-deleted"})
    assert again.status == 200 and stack.model.last_asked == [f"my {SECRET} is out of tune"]
    assert stack.client.call("DELETE", "/api/v1/sessions/deleted").status == 204

"""What of a long conversation the model is shown: what fits, in tokens, by whole turns, and a
summary of the rest."""

import pytest

from tests.support.model_answer import failure
from tests.support.proc import until
from tests.support.stack import Stack

# The prompt of these tests is short, and a model that reports nothing corrects nothing.
PROMPT = "Be kind."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prompts")
    (folder / "default.md").write_text(PROMPT)
    (folder / "brief.md").write_text(f"---\ncontext_tokens: 300\n---\n{PROMPT}")
    return folder


@pytest.fixture(scope="module")
def shared(folder):
    with Stack(runner=False, children=1, CONTEXT_TOKENS=1000, CONFAB_PROMPTS_DIR=folder) as stack:
        yield stack


def silent(stack, text):
    """Answers with this text and reports no usage."""
    stack.model.otherwise = lambda asked: stack.model.say(text, usage="never")


def shown(stack, letter):
    """How many of the texts made of this letter the model was shown, beside the new one."""
    return sum(text.startswith(letter) for text in stack.model.last_asked[:-1])


def test_whole_turns_are_shown_as_far_as_they_fit(stack):
    silent(stack, "b" * 400)            # some 100 tokens, as the question
    chat = stack.chat()
    for _ in range(7):
        chat.say("a" * 400)
    chat.say("new")
    assert shown(stack, "a") == shown(stack, "b") == 4      # of 208 tokens each


def test_the_message_takes_its_part_of_the_room(stack):
    silent(stack, "b" * 400)
    chat = stack.chat()
    for _ in range(7):
        chat.say("a" * 400)
    chat.say("c" * 1600)                # 400 tokens
    assert shown(stack, "a") == shown(stack, "b") == 2


def test_a_message_that_fills_the_room_goes_alone(stack):
    silent(stack, "b")
    chat = stack.chat()
    chat.say("a")
    assert chat.say("c" * 8000).status == 200
    assert len(stack.model.last_asked) == 1


def test_other_scripts_take_the_room_that_they_need(stack):
    silent(stack, "語" * 100)            # 100 tokens in 300 bytes
    chat = stack.chat()
    for _ in range(7):
        chat.say("日" * 100)
    chat.say("new")
    assert shown(stack, "日") == shown(stack, "語") == 4


def test_a_prompt_may_set_its_own_context(stack):
    silent(stack, "b" * 400)
    chat = stack.chat()
    chat.say("a" * 400)
    [key] = [key for key in stack.redis.keys() if key.endswith(f":{chat.session}")]
    stack.redis.command("HSET", key, "prompt", "brief")
    for _ in range(3):
        chat.say("a" * 400)
    chat.say("new")
    assert shown(stack, "a") == 1


def test_the_longest_answer_keeps_its_room(stacks, folder):
    stack = stacks(runner=False, CONTEXT_TOKENS=1000, MODEL_TOKEN_LIMIT=500,
                   CONFAB_PROMPTS_DIR=folder)
    silent(stack, "b" * 400)
    chat = stack.chat()
    for _ in range(7):
        chat.say("a" * 400)
    chat.say("new")
    assert shown(stack, "a") == shown(stack, "b") == 2


def test_what_the_model_reports_corrects_the_estimate(stacks, folder):
    stack = stacks(runner=False, children=1, CONTEXT_TOKENS=1000, CONFAB_PROMPTS_DIR=folder)

    def thrice(asked):
        """Counts three times as many tokens as a text has by our estimate."""
        tokens = sum(len(text) // 4 + 4 for text in [asked.system] + [t for _, t in asked.dialog])
        usage = {"prompt_tokens": 3 * tokens, "completion_tokens": 1, "total_tokens": 1}
        return stack.model.say("b" * 200, usage="never", extra={"usage": usage})

    stack.model.otherwise = thrice
    chat = stack.chat()
    for _ in range(30):
        chat.say("a" * 200)
    # 108 tokens each by estimate, of which 9 would fit; 324 as this model counts.
    assert shown(stack, "a") == 2 or shown(stack, "a") == 3


# memory = summary

def is_fold(asked):
    return asked.system.startswith("You keep the memory")


def folds(stack):
    return [asked for asked in stack.model.requests if is_fold(asked)]


def told(stack):
    """The second system message of the last turn."""
    asked = [asked for asked in stack.model.requests if not is_fold(asked)][-1]
    systems = [m["content"] for m in asked.json["messages"] if m["role"] == "system"]
    assert systems[0] == PROMPT and len(systems) <= 2
    return systems[1] if len(systems) == 2 else None


def record(stack, chat):
    """The session's hash."""
    [key] = [key for key in stack.redis.keys() if key.endswith(f":{chat.session}")]
    return stack.redis.hash(key)


def summarized(stack, chat, turns=1):
    return until(lambda: int(record(stack, chat).get("summary_turns", 0)) >= turns,
                 f"a summary reaches turn {turns}", 10)


@pytest.fixture(scope="module")
def keeper(folder):
    with Stack(runner=False, children=1, CONTEXT_MESSAGES=4, SESSION_MEMORY="summary",
               SUMMARY_TOKENS=100, CONFAB_PROMPTS_DIR=folder) as stack:
        yield stack


@pytest.fixture
def summing(keeper):
    keeper.fresh()
    yield keeper
    keeper.model.release()
    keeper.check()


def with_summary(stack, text="SUM", **options):
    """Turns are echoed; a summary is always this."""
    def answer(asked):
        return stack.model.say(text, **options) if is_fold(asked) else stack.model.echo(asked)
    stack.model.otherwise = answer


def test_what_falls_out_is_folded_and_told(summing):
    with_summary(summing, "The user counts.")
    chat = summing.chat()
    for number in range(1, 4):
        chat.say(f"count {number}")
    assert told(summing) is None and not folds(summing)     # two turns are shown, none is out
    chat.say("count 4")                                     # turn 1 is out
    summarized(summing, chat)
    [fold] = folds(summing)
    assert "User: count 1\nAssistant: You said: count 1\n" in fold.user_text
    assert "count 4" not in fold.user_text
    chat.say("count 5")
    assert told(summing) == ("What was said earlier in this conversation, in short:\n\n"
                             "The user counts.")


def test_each_summary_is_built_on_the_one_before_and_leaves_nothing_out(summing):
    with_summary(summing, "ROLLING")
    chat = summing.chat()
    for number in range(1, 13):
        chat.say(f"count {number}.")
        until(lambda: number < 4 or int(record(summing, chat).get("summary_turns", 0)) >= number - 3,
              f"the summary follows turn {number}", 10)
    seen = folds(summing)
    assert "The summary so far" not in seen[0].user_text
    assert all("The summary so far:\nROLLING" in fold.user_text for fold in seen[1:])
    for number in range(1, 10):
        assert sum(f"User: count {number}.\n" in fold.user_text for fold in seen) == 1


def test_a_turn_does_not_wait_for_the_summary(summing):
    held = summing.model.hold(when=is_fold)
    chat = summing.chat()
    for number in range(1, 5):
        chat.say(f"count {number}")
    held.wait_asked()
    for number in range(5, 8):
        assert chat.say(f"count {number}").status == 200
    assert len(folds(summing)) == 1         # one at a time
    held.send("late but whole")
    held.finish()
    summarized(summing, chat)


@pytest.mark.parametrize("how", ["error", "empty", "filter"])
def test_a_summary_that_fails_is_tried_again_and_nothing_is_lost(summing, how):
    chat = summing.chat()
    fault = {"error": failure("openai-400-context-length"), "empty": summing.model.say(),
             "filter": summing.model.say("bad", finish="content_filter")}[how]
    summing.model.will(fault, when=is_fold)
    for number in range(1, 5):
        assert chat.say(f"count {number}").status == 200
    until(lambda: "memory last=" in summing.pool.logged(), "the failure is logged", 10)
    assert "summary" not in record(summing, chat)
    with_summary(summing, "second try")
    chat.say("count 5")
    summarized(summing, chat, 2)
    assert "User: count 1\n" in folds(summing)[-1].user_text
    assert record(summing, chat)["summary"] == "second try"


def test_a_summary_has_a_bound(summing):
    with_summary(summing, "日" * 1000)
    chat = summing.chat()
    for number in range(1, 5):
        chat.say(f"count {number}")
    summarized(summing, chat)
    assert record(summing, chat)["summary"] == "日" * (4 * 100 // 3)


def test_a_long_turn_is_cut_for_the_summary_only(summing):
    with_summary(summing)
    chat = summing.chat()
    chat.say("long " * 5000)
    for number in range(2, 5):
        chat.say(f"count {number}")
    summarized(summing, chat)
    assert len(folds(summing)[0].user_text) < 20000
    assert " [...]\n" in folds(summing)[0].user_text


def test_a_deleted_session_gets_no_summary(summing):
    held = summing.model.hold(when=is_fold)
    chat = summing.chat("forgotten")
    for number in range(1, 5):
        chat.say(f"count {number}")
    held.wait_asked()
    assert summing.client.call("DELETE", "/api/v1/sessions/forgotten").status == 204
    chat.say("anew")
    held.send("of the old one")
    held.finish()
    until(lambda: " gone" in summing.pool.logged(), "the summary comes too late", 10)
    assert "summary" not in record(summing, chat)


def test_the_summary_goes_with_its_session(summing):
    with_summary(summing, "xylophone")
    chat = summing.chat("brief")
    for number in range(1, 5):
        chat.say(f"count {number}")
    summarized(summing, chat)
    assert summing.client.call("DELETE", "/api/v1/sessions/brief").status == 204
    assert "xylophone" not in repr(summing.redis.dump())


def test_a_summary_that_takes_too_long_is_given_up(stacks, folder):
    stack = stacks(runner=False, children=1, CONTEXT_MESSAGES=2, SESSION_MEMORY="summary",
                   SUMMARY_TIMEOUT="200ms", CONFAB_PROMPTS_DIR=folder)
    held = stack.model.hold(when=is_fold)
    chat = stack.chat()
    chat.say("1")
    chat.say("2")
    chat.say("3")
    held.wait_gone()
    until(lambda: "longer than session.summary_timeout" in stack.pool.logged(), "it says so")
    stack.model.release()
    with_summary(stack, "in time")
    chat.say("4")
    summarized(stack, chat)

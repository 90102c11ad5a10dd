"""What of a long conversation the model is shown: what fits, in tokens, by whole turns."""

import pytest

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

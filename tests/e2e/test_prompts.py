"""Prompts: one file each, chosen by the session, with settings of their own at the beginning."""

import pytest

from tests.support.proc import until
from tests.support.programs import TOP
from tests.support.stack import Stack

STERN = "---\nmodel: stern-1\ntemperature: 0\ntoken_limit: 50\n---\n\nBe stern.\n"


def prompts(directory, **files):
    directory.mkdir(exist_ok=True)
    for name, text in ({"default": "Be kind.\n"} | files).items():
        (directory / f"{name}.md").write_text(text)
    return str(directory)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = prompts(tmp_path_factory.mktemp("prompts"), stern=STERN, calm="Be calm.\n")
    with Stack(runner=False, CONFAB_PROMPTS_DIR=folder, OPENAI_MODEL="usual-1",
               MODEL_TEMPERATURE="1.5") as stack:
        yield stack


def choose(stack, session, prompt):
    """As a session is made with it."""
    stack.chat(session).say("hello")
    [key] = [key for key in stack.redis.keys() if key.endswith(f":{session}")]
    stack.redis.command("HSET", key, "prompt", prompt)


def test_a_session_is_asked_with_its_own_prompt_and_settings(stack):
    choose(stack, "of-stern", "stern")
    assert stack.chat("of-stern").say("hi").bot_text == "You said: hi"
    asked = stack.model.requests[-1]
    assert asked.system == "Be stern."
    assert asked.json["model"] == "stern-1"
    assert asked.json["temperature"] == 0
    assert asked.json["max_completion_tokens"] == 50


def test_what_a_prompt_leaves_open_is_as_the_settings_say(stack):
    choose(stack, "of-calm", "calm")
    stack.chat("of-calm").say("hi")
    asked = stack.model.requests[-1]
    assert asked.system == "Be calm."
    assert asked.json["model"] == "usual-1"
    assert asked.json["temperature"] == 1.5
    assert "max_completion_tokens" not in asked.json


def test_a_prompt_that_is_gone_is_replaced_by_the_default(stack):
    choose(stack, "of-gone", "gone")
    assert stack.chat("of-gone").say("hi").status == 200
    assert stack.model.last_system == "Be kind."
    assert 'prompt="gone" is missing' in stack.pool.logged()


def test_a_wrong_setting_stops_the_start_and_is_named(stacks, tmp_path):
    folder = prompts(tmp_path / "p", bad="---\ntemperature: 7\n---\nHi\n")
    stack = stacks(wait=False, runner=False, CONFAB_PROMPTS_DIR=folder)
    until(lambda: "bad.md:2: temperature has to be between 0 and 2" in stack.pool.logged(),
          "the fault is named")


def test_the_prompts_that_come_along_are_taken(stacks):
    stack = stacks(runner=False, CONFAB_PROMPTS_DIR=TOP / "prompts")
    choose(stack, "pupil", "tutor")
    assert stack.chat("pupil").say("hi").status == 200
    assert stack.model.last_system.startswith("You are a patient tutor")
    assert stack.model.requests[-1].json["temperature"] == 0.3

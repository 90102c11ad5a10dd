"""Other upstreams are asked when the first one fails, and the first again when it is well."""

import pytest

from tests.support.model import Model
from tests.support.model_answer import Silence
from tests.support.model_stream import End
from tests.support.proc import until


@pytest.fixture
def spare():
    with Model(key="sk-spare") as model:
        yield model
        assert not model.refused, [why for _, why in model.refused]


@pytest.fixture
def pair(stacks, spare):
    """A stack with a second upstream, of one child: cooling down is each child's own affair."""
    def make(**settings):
        return stacks(runner=False, children=1, **{
            "OPENAI_FALLBACKS": "spare", "UPSTREAM_SPARE_URL": f"{spare.url}/v1",
            "UPSTREAM_SPARE_API_KEY": "sk-spare", "UPSTREAM_SPARE_MODEL": "spare-model",
            "MODEL_RETRIES": 0} | settings)
    return make


def _upstreams(stack):
    return {each["name"]: each for each in stack.status()["upstreams"]}


def test_the_spare_answers_and_the_dialog_goes_on(pair, spare):
    stack = pair()
    chat = stack.chat()
    assert chat.say("one").status == 200
    stack.model.will_fail("openai-500")
    spare.will_say("from the ", "spare")
    assert chat.stream("two").texts == ["from the ", "spare"]
    assert spare.requests[0].json["model"] == "spare-model"
    assert spare.last_asked == ["one", "You said: one", "two"]
    assert len(stack.model.requests) == 2
    until(lambda: _upstreams(stack)["model"]["cooling_ms"] > 0, "it is shown")
    seen = _upstreams(stack)
    assert seen["model"]["failed"] == 1 and seen["model"]["cooling_in"] == 1
    assert seen["spare"] == seen["spare"] | {"asked": 1, "failed": 0, "cooling_ms": 0}
    spare.will_say("again")
    assert chat.say("three").bot_text == "again"        # not even tried
    assert len(stack.model.requests) == 2
    assert 'model_fallback from="gpt-4o-mini at ' in stack.pool.logged()


def test_a_server_that_is_gone_costs_one_turn_only(pair, spare):
    stack = pair()
    stack.model.stop()
    try:
        for _ in range(5):
            assert stack.chat().say("hi").bot_text == "You said: hi"
        until(lambda: _upstreams(stack)["spare"]["asked"] == 5, "it is shown")
        assert _upstreams(stack)["model"]["asked"] == 1
    finally:
        stack.model.start()


def test_the_first_is_back_when_it_has_cooled_down(pair, spare):
    stack = pair(MODEL_COOL_DOWN="500ms")
    stack.model.will_fail("openai-500")
    assert stack.chat().say("hi").status == 200
    asked = len(spare.requests)
    until(lambda: stack.chat().say("hi").status == 200 and len(stack.model.requests) == 2,
          "the first is asked again")
    known = len(spare.requests)
    assert known >= asked
    assert stack.chat().say("hi").status == 200
    assert len(spare.requests) == known and len(stack.model.requests) == 3


def test_a_silent_server_keeps_only_one_turn_waiting(pair, spare):
    """When it has cooled down, a single turn tries it: the others do not wait with it."""
    stack = pair(MODEL_FIRST_TOKEN_TIMEOUT="1s", MODEL_COOL_DOWN="100ms")
    stack.model.otherwise = lambda asked: Silence()
    slow = stack.chat().say("hi")
    assert slow.status == 200 and slow.seconds >= 1
    until(lambda: _upstreams(stack)["model"]["cooling_ms"] == 0, "it has cooled down")
    trial = stack.chat().open("who tries")
    stack.model.wait_asked(2)
    for _ in range(5):
        assert stack.chat().say("hi").seconds < 0.5
    assert trial.whole().bot_text == "You said: who tries"
    assert len(stack.model.requests) == 2


def test_what_the_request_is_to_blame_for_is_not_passed_on(pair, spare):
    stack = pair()
    stack.model.will_fail("openai-400-context-length")
    stack.chat().say("hi").problem(502, "upstream_rejected")
    assert not spare.requests
    assert stack.chat().say("hi").status == 200
    assert len(stack.model.requests) == 2           # and it is as good as before


def test_nothing_is_passed_on_once_a_word_was_said(pair, spare):
    stack = pair()
    stack.model.will_say("some", end=End.CUT)
    with stack.chat().stream("hi") as stream:
        assert stream.next_text() == "some"
        stream.error(502, "upstream_failed")
    assert not spare.requests


def test_exhausted_quota_is_passed_on(pair, spare):
    stack = pair(MODEL_RETRIES=2)
    stack.model.will_fail("openai-429-insufficient-quota")
    assert stack.chat().say("hi").bot_text == "You said: hi"
    assert len(stack.model.requests) == 1 and len(spare.requests) == 1


def test_when_all_fail_the_first_ones_fault_is_told(pair, spare):
    stack = pair()
    for _ in range(2):
        stack.model.will_fail("openai-429-slow-down")
        spare.will_fail("openai-500")
        reply = stack.chat().say("hi")
        reply.problem(503, "upstream_busy")
        assert reply.headers["Retry-After"] == "5"
    assert stack.chat().say("hi").status == 200     # cooling down is no ban


def test_sections_in_the_file_do_the_same(stacks, spare, tmp_path):
    file = tmp_path / "confab.ini"
    file.write_text(f'[upstream "spare"]\nurl = {spare.url}/v1\napi_key = sk-spare\n')
    stack = stacks(runner=False, children=1, CONFAB_CONFIG=file, MODEL_RETRIES=0)
    stack.model.will_fail("openai-500")
    assert stack.chat().say("hi").bot_text == "You said: hi"
    assert spare.requests[0].json["model"] == stack.model.requests[0].json["model"]


def test_a_client_that_leaves_lets_go_whoever_is_asked(pair, spare):
    stack = pair()
    held = spare.hold()
    stack.model.will_fail("openai-500")
    stream = stack.chat().stream("hi")
    held.wait_asked()
    stream.close()
    held.wait_gone()

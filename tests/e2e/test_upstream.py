"""The model's server does not do what it should: the client gets 502, 503 or 504 with a stable
code, and the conversation is as it was before the call."""

import pytest

from tests.support.model_answer import Body, EndlessHead, Http, Silence, Wire, failure, html
from tests.support.model_stream import End, ErrorForm
from tests.support.stack import Stack

LIMIT = 1.0         # seconds: the timeouts below


@pytest.fixture(scope="module")
def shared():
    with Stack(runner=False, MODEL_RETRIES=0, MODEL_CONNECT_TIMEOUT="1s", MODEL_MAX_ANSWER="100k",
               MODEL_FIRST_TOKEN_TIMEOUT="1s", MODEL_IDLE_TIMEOUT="1s",
               MODEL_TURN_TIMEOUT="2500ms") as stack:
        yield stack


def no_text(**options):
    return lambda model: model.say(**options)


def some_text(end, **options):
    return lambda model: model.say("some", "text", end=end, **options)


def sample(name):
    return lambda model: failure(name)


REJECTED = [
    "openai-401-invalid-key", "openai-401-no-key", "openai-400-unsupported-parameter",
    "openai-400-unsupported-value", "openai-400-context-length", "openai-403-country",
    "openai-404-model", "openai-429-request-too-large", "mistral-422-extra-field", "mistral-401",
    "vllm-400", "llamacpp-401", "ollama-404",
]
BUSY = {"openai-429-tpm": 2, "openai-429-rpm": 20, "openai-429-slow-down": 5, "azure-429": 60,
        "openai-503-overloaded": 10, "tgi-429": 1, "llamacpp-503-loading": 1}
QUOTA = [
    "openai-429-insufficient-quota", "openai-429-credit-balance-exhausted",
    "openai-429-organization-spend-limit-exceeded", "openai-429-project-spend-limit-exceeded",
    "openai-429-organization-usage-limit-exceeded",
]

# Before the first piece of text: a reply with a status of its own.
EARLY = [
    *[(name, sample(name), 502, "upstream_rejected") for name in REJECTED],
    *[(name, sample(name), 503, "upstream_busy") for name in BUSY],
    *[(name, sample(name), 503, "upstream_quota") for name in QUOTA],
    ("500", sample("openai-500"), 502, "upstream_failed"),
    ("502-html", sample("gateway-502-html"), 502, "upstream_failed"),
    ("200-html", lambda model: html(200), 502, "upstream_failed"),
    ("500-html", lambda model: html(500), 502, "upstream_failed"),
    ("503-empty", lambda model: Http(503, {}, b""), 503, "upstream_busy"),
    ("302", lambda model: Http(302, {"Location": "http://127.0.0.1:1/"}, b""), 502,
     "upstream_rejected"),
    ("no-http", lambda model: Wire(b"\x00\x01nonsense\r\n\r\n"), 502, "upstream_failed"),
    ("no-bytes", lambda model: Wire(b""), 502, "upstream_failed"),
    ("reset", lambda model: Wire(b"", end=End.RESET), 502, "upstream_failed"),
    ("half-a-head", lambda model: Wire(b"HTTP/1.1 200 OK\r\nContent-Ty"), 502, "upstream_failed"),
    ("endless-head", lambda model: EndlessHead(), 502, "upstream_failed"),
    ("empty-body", lambda model: Body(b""), 502, "upstream_failed"),
    ("only-done", no_text(end=End.DONE_WITHOUT_FINISH), 502, "upstream_failed"),
    ("no-text", no_text(), 502, "upstream_failed"),
    ("no-events", lambda model: Body(b"hello\n\nworld\n\n"), 502, "upstream_failed"),
    ("no-json", lambda model: Body(b"data: hello\n\n"), 502, "upstream_failed"),
    ("other-json", lambda model: Body(b"data: [1,2]\n\ndata: [DONE]\n\n"), 502, "upstream_failed"),
    ("cut", no_text(end=End.CUT), 502, "upstream_failed"),
    ("cut-reset", no_text(end=End.RESET), 502, "upstream_failed"),
    ("error-record", no_text(end=End.ERROR), 502, "upstream_failed"),
    ("error-record-done", no_text(end=End.ERROR_DONE), 502, "upstream_failed"),
    ("error-string", no_text(end=End.ERROR, error_form=ErrorForm.STRING), 502, "upstream_failed"),
    ("error-event", no_text(end=End.ERROR, error_form=ErrorForm.EVENT), 502, "upstream_failed"),
    ("error-line", no_text(end=End.ERROR, error_form=ErrorForm.LINE), 502, "upstream_failed"),
    ("gzip", lambda model: model.say("some", "text", gzip=True), 502, "upstream_failed"),
    ("silence", lambda model: Silence(), 504, "upstream_timeout"),
    ("stall", no_text(end=End.STALL), 504, "upstream_timeout"),
    ("stall-in-head", lambda model: Wire(b"HTTP/1.1 200 OK\r\nConte", end=End.STALL), 504,
     "upstream_timeout"),
]

# After some text was said: the last event of a stream.
LATE = [
    ("cut", some_text(End.CUT), 502, "upstream_failed"),
    ("cut-in-record", some_text(End.CUT_IN_RECORD), 502, "upstream_failed"),
    ("reset", some_text(End.RESET), 502, "upstream_failed"),
    ("no-finish", some_text(End.NO_FINISH), 502, "upstream_failed"),
    ("only-done", some_text(End.DONE_WITHOUT_FINISH), 502, "upstream_failed"),
    ("error-record", some_text(End.ERROR), 502, "upstream_failed"),
    ("error-record-done", some_text(End.ERROR_DONE), 502, "upstream_failed"),
    ("error-string", some_text(End.ERROR, error_form=ErrorForm.STRING), 502, "upstream_failed"),
    ("error-event", some_text(End.ERROR, error_form=ErrorForm.EVENT), 502, "upstream_failed"),
    ("error-overloaded", some_text(End.ERROR, error={
        "message": "x", "type": "service_unavailable_error", "code": "server_is_overloaded"}),
     503, "upstream_busy"),
    ("stall", some_text(End.STALL), 504, "upstream_timeout"),
    ("bad-utf8", lambda model: model.say("some", b"\xff\xfe", "text"), 502, "upstream_failed"),
    ("too-long", lambda model: model.say("some", *["x" * 1000] * 200), 502, "upstream_failed"),
    ("too-slow-in-all", lambda model: model.say(*["piece "] * 9, delay=0.4), 504,
     "upstream_timeout"),
]


def by_name(rows):
    return pytest.mark.parametrize("make, status, code", [row[1:] for row in rows],
                                   ids=[row[0] for row in rows])


@by_name(EARLY)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_fault_before_the_first_word_is_a_status(stack, streamed, make, status, code):
    chat = stack.chat()
    chat.say("before")
    kept = stack.redis.dump()
    _on_a_new_connection(stack)
    stack.model.will(make(stack.model))
    reply = chat.stream("hi").whole() if streamed else chat.say("hi")
    problem = reply.problem(status, code)
    assert len(stack.model.requests) == 2
    assert "sk-test" not in str(problem)
    _as_before(stack, chat, kept)


@by_name(LATE)
def test_a_fault_within_the_answer_ends_the_stream_with_an_error(stack, make, status, code):
    chat = stack.chat()
    chat.say("before")
    kept = stack.redis.dump()
    stack.model.will(make(stack.model))
    with chat.stream("hi") as stream:
        assert stream.next_text() in ("some", "piece ")
        stream.error(status, code)
    _as_before(stack, chat, kept)


@by_name(LATE)
def test_and_is_a_status_where_the_answer_comes_whole(stack, make, status, code):
    chat = stack.chat()
    chat.say("before")
    kept = stack.redis.dump()
    stack.model.will(make(stack.model))
    chat.say("hi").problem(status, code)
    _as_before(stack, chat, kept)


def _on_a_new_connection(stack):
    """Where a kept one ends before a byte of the answer, libcurl asks again on another."""
    stack.model.drop_idle()
    stack.model.wait_for(lambda: stack.model.open_connections == 0)


def _as_before(stack, chat, kept):
    assert stack.redis.dump() == kept
    assert chat.say("after").status == 200
    assert stack.model.last_asked == ["before", "You said: before", "after"]
    assert "sk-test" not in stack.pool.logged()


@pytest.mark.parametrize("name, seconds", BUSY.items())
def test_retry_after_is_passed_on(stack, name, seconds):
    stack.model.will_fail(name)
    assert stack.chat().say("hi").headers["Retry-After"] == str(seconds)


def test_a_server_that_is_not_there_is_502(stack):
    chat = stack.chat()
    chat.say("before")
    stack.model.stop()
    try:
        chat.say("hi").problem(502, "upstream_failed")
        chat.stream("hi").whole().problem(502, "upstream_failed")
    finally:
        stack.model.start()
    assert chat.say("after").status == 200
    assert stack.model.last_asked == ["before", "You said: before", "after"]


def test_silence_is_not_waited_out_longer_than_set(stack):
    stack.model.will(Silence())
    reply = stack.chat().say("hi")
    assert LIMIT <= reply.seconds < LIMIT + 1
    stack.model.wait_for(lambda: stack.model.gone)


@pytest.mark.parametrize("end", [End.NO_DONE, End.CUT_BEFORE_DONE])
def test_an_answer_with_a_finish_reason_is_whole(stack, end):
    stack.model.will_say("some ", "text", end=end)
    assert stack.chat().say("hi").bot_text == "some text"


@pytest.mark.parametrize("finish", ["content_filter", "length"])
def test_an_answer_may_be_empty_when_the_model_says_why(stack, finish):
    stack.model.will_say(finish=finish)
    assert stack.chat().say("hi").bot_text == ""


def test_a_kept_connection_that_the_server_has_closed_is_no_fault(stack):
    for _ in range(3):
        assert stack.chat().say("hi").status == 200
        stack.model.drop_idle()


# Retries, which the stack above does not make

@pytest.fixture(scope="module")
def patient():
    with Stack(runner=False, children=1, MODEL_RETRY_AFTER_MAX="3s") as stack:
        yield stack


@pytest.fixture
def trying(patient):
    patient.fresh()
    yield patient
    patient.check()


@pytest.mark.parametrize("name", ["openai-500", "gateway-502-html", "llamacpp-503-loading"])
def test_a_passing_fault_is_not_seen(trying, name):
    trying.model.will_fail(name)
    assert trying.chat().say("hi").bot_text == "You said: hi"
    assert len(trying.model.requests) == 2


def test_a_stream_is_tried_again_as_well(trying):
    trying.model.will(Wire(b"", end=End.RESET))
    trying.model.will_fail("openai-500")
    assert trying.chat().stream("hi").text == "You said: hi"
    assert len(trying.model.requests) == 3


def test_tries_have_an_end(trying):
    for _ in range(3):
        trying.model.will_fail("openai-500")
    trying.chat().say("hi").problem(502, "upstream_failed")
    assert len(trying.model.requests) == 3


def test_retry_after_is_obeyed(trying):
    trying.model.will_fail("openai-500", {"Retry-After": "1"})
    reply = trying.chat().say("hi")
    assert reply.status == 200 and 1.0 <= reply.seconds < 2.5


def test_a_long_retry_after_is_passed_on_at_once(trying):
    trying.model.will_fail("openai-429-rpm")
    reply = trying.chat().say("hi")
    reply.problem(503, "upstream_busy")
    assert reply.headers["Retry-After"] == "20" and reply.seconds < 1
    assert len(trying.model.requests) == 1


@pytest.mark.parametrize("name", [*QUOTA, "openai-401-invalid-key", "openai-400-context-length"])
def test_what_cannot_pass_is_not_tried_again(trying, name):
    trying.model.will_fail(name)
    assert trying.chat().say("hi").status in (502, 503)
    assert len(trying.model.requests) == 1


def test_nothing_is_tried_again_after_the_first_word(trying):
    trying.model.will_say("some", end=End.CUT)
    with trying.chat().stream("hi") as stream:
        assert stream.next_text() == "some"
        stream.error(502, "upstream_failed")
    assert len(trying.model.requests) == 1


def test_a_client_that_leaves_ends_the_tries(trying):
    trying.model.will_fail("openai-500", {"Retry-After": "1"})
    stream = trying.chat().open("hi")
    trying.model.wait_asked()
    stream.close()
    assert trying.chat().say("other").status == 200
    assert trying.chat().say("and another", timeout=5).status == 200
    assert [asked.user_text for asked in trying.model.requests] == ["hi", "other", "and another"]


# Servers of other kinds

@pytest.mark.parametrize("flavor, settings", [
    ("azure", {"MODEL_AUTH_HEADER": "api-key"}),
    ("mistral", {"MODEL_TOKEN_LIMIT": 100, "MODEL_TOKEN_LIMIT_FIELD": "max_tokens",
                 "MODEL_USAGE": "omit"}),
    ("new", {"MODEL_TOKEN_LIMIT": 100, "MODEL_SYSTEM_ROLE": "developer"}),
])
def test_settings_fit_other_kinds_of_servers(stacks, flavor, settings):
    stack = stacks(runner=False, children=1, flavor=flavor, **settings)
    assert stack.chat().say("hi").bot_text == "You said: hi"
    assert not stack.model.refused

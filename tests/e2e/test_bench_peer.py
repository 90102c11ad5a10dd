"""What confab is measured against (bench/peer) keeps the same contract, or the comparison would be
none: it passes the tests of the routes that it has, and either goes on with what the other has
stored."""

import inspect

import pytest

from bench.rig import Front, Peer
from tests.e2e import (test_bad_input, test_chat, test_idempotency, test_one_at_a_time,
                       test_stream)
from tests.support.dialog import Dialog, Task
from tests.support.http import Client
from tests.support.proc import until
from tests.support.stack import Stack


class PeerStack(Stack):
    """The client speaks with the peer, behind the nginx of the benchmark. confab is there too."""

    def __init__(self, app):
        super().__init__()
        self.app = app

    def start(self, *, wait=True):
        super().start(wait=wait)
        self.confab = self.client
        self.peer = Peer(self.directory, self.app)
        self.peer.start(self.redis.socket, f"{self.model.url}/v1", "sk-test", "gpt-4o-mini")
        self.front = Front(self.directory, "nginx-peer", self.peer.site())
        self.front.configure(self.env, self.pool.socket)
        self.front.start(self.env)
        self.client = Client(self.front.host, self.front.port)
        return self

    def stop(self):
        self.front.stop()
        self.front.free()
        self.peer.stop()
        super().stop()

    @property
    def processes(self):
        return [*super().processes, self.peer, self.front]


@pytest.fixture(scope="module", params=["plain", "stripped"])
def shared(request):
    with PeerStack(request.param) as stack:
        stack.chat("known").say("something is there already")
        yield stack


key = test_idempotency.key

# Of other routes and methods, and of what FastAPI makes of a path. Nor has the peer any settings.
NOT_THE_PEERS = {
    "test_a_body_that_is_cut_reaches_nobody", "test_what_is_no_http_is_not_answered_well",
    "test_headers_without_end_are_refused", "test_another_method_is_405",
    "test_options_tells_the_methods", "test_an_unknown_route_is_404", "test_an_unknown_task_is_404",
    "test_dots_have_no_place_in_a_path", "test_a_broken_path_is_400",
    "test_a_request_id_is_taken_over_if_it_is_sane", "test_write_to_doc_knows_keys_as_well",
}
for module in (test_bad_input, test_chat, test_idempotency, test_one_at_a_time, test_stream):
    for name, test in vars(module).items():
        if (name.startswith("test_") and name not in NOT_THE_PEERS
                and "stacks" not in inspect.signature(test).parameters):
            globals()[name] = test

TEXTS = ["Grüße, \"quoted\"\n", "日本語 🙂 and so on " * 9, "three", "\x7f\u2028 / \\ four"]


def test_either_goes_on_with_the_dialog_of_the_other(stack):
    asked = {}
    for first, second in ((stack.client, stack.confab), (stack.confab, stack.client)):
        dialog = stack.chat().session
        for number, text in enumerate(TEXTS):
            client = second if number % 2 else first
            assert Dialog(client, dialog).say(text).bot_text == f"You said: {text}"
        asked[first] = [request.request.body for request in stack.model.requests[-4:]]
        messages = stack.confab.get(f"/api/v1/sessions/{dialog}/messages").json["items"]
        assert [message["content"] for message in messages[::2]] == TEXTS
        assert all(message["created_at"] for message in messages)
    assert asked[stack.client] == asked[stack.confab]       # to the byte


def test_both_store_the_same(stack):
    stored = {}
    for client in (stack.client, stack.confab):
        dialog = Dialog(client, stack.chat().session)
        for text in (TEXTS[1], "two"):
            dialog.say(text)
        key = f"c1:{{default}}:s:{len(dialog.session)}:{dialog.session}"
        entries = stack.redis.command("LRANGE", f"{key}:msgs", 0, -1)
        stored[client] = (
            {name: value for name, value in stack.redis.hash(key).items() if name not in
             ("created", "updated")}, [entry.split(b"\n")[1] for entry in entries],
            set(stack.redis.hash(f"{key}:lock")), stack.redis.command("TTL", key) // 3600)
    assert stored[stack.client] == stored[stack.confab]


def test_a_document_is_written_of_what_it_stored(stack, key):
    dialog = stack.chat()
    dialog.say("hi")
    task = dialog.write_to_doc(headers=key)
    assert Dialog(stack.confab, dialog.session).write_to_doc(headers=key).id == task.id
    assert dialog.write_to_doc().id != task.id
    record = Task(stack.confab, task.id).wait()
    assert record["session_id"] == dialog.session and task.status == "finished"
    stack.client.get("/api/v1/status/unknown").problem(404, "task_not_found")


def test_they_wait_for_each_other(stack):
    held = stack.model.hold()
    session = stack.chat().session
    first = Dialog(stack.confab, session).open("one")
    held.wait_asked()
    second = Dialog(stack.client, session).open("two")
    held.send("1")
    held.finish()
    assert first.whole().bot_text == "1"
    reply = second.whole()
    assert reply.status == 200 and reply.seconds < 5        # it is woken
    assert stack.model.last_asked == ["one", "1", "two"]


def test_each_request_leaves_a_line(stack):
    reply = stack.chat().say("hi", headers={"X-Request-Id": "abc.1"})
    assert reply.headers["X-Request-Id"] == "abc.1"
    [line] = [line for line in stack.peer.logged().splitlines() if " req=abc.1 " in line]
    assert line.endswith(f" bytes={len(reply.body)}")
    assert " request method=POST route=/api/v1/chat status=200 ms=" in line


def test_redis_may_go_and_come_back(stack):
    held = stack.model.hold()
    first = stack.chat("known").open("one")
    held.wait_asked()
    stack.redis.stop()
    reply = stack.chat().say("hi")
    reply.problem(503, "storage_unavailable")
    assert reply.seconds < 2 and reply.headers["Retry-After"]
    stack.redis.start()
    until(lambda: stack.redis.hash("c1:{default}:s:5:known:lock"), "the first has its lock again")
    second = stack.chat("known").open("two")
    held.send("1")
    held.finish()
    assert first.whole().bot_text == "1"
    assert second.whole().seconds < 5       # it is woken

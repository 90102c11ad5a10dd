"""Redis fails over to a replica, or has too few of them: what was acknowledged is never lost, and
nothing is acknowledged that could be."""

import secrets
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.confabctl import confabctl
from tests.support.failover import Replicated
from tests.support.proc import until

BACK = 5.0      # seconds after the promotion within which both programs go on
ONE = {"redis": False, "REDIS_MIN_REPLICAS": 1}


@pytest.fixture
def watched():
    with Replicated(2, watched=True) as redis:
        yield redis


@pytest.fixture
def replicated():
    with Replicated(1) as redis:
        yield redis


class Load:
    """Clients that chat and have their dialogs written, all the time. Who is refused asks again."""

    def __init__(self, stack, clients=4):
        self.turns = {}         # session -> texts whose answer was acknowledged
        self.tasks = {}         # id -> when it was acknowledged
        self.statuses = {}      # id -> those seen, in their order
        self.refused_at = 0.0
        self.faults = []
        self._stack = stack
        self._over = threading.Event()
        work = [self._client] * clients + [self._watch]
        self._threads = [threading.Thread(target=self._run, args=(what,)) for what in work]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()
        assert not self.faults, self.faults

    def wait_more(self, count, timeout=20):
        """Waits until so many more tasks are accepted."""
        enough = len(self.tasks) + count
        until(lambda: self.faults or len(self.tasks) >= enough, "tasks are accepted", timeout)

    def last_refused(self):
        """When, once nobody has been refused for a while."""
        until(lambda: self.faults or time.monotonic() - self.refused_at > 1, "nobody is refused")
        return self.refused_at

    def _run(self, what):
        try:
            what()
        except BaseException as why:        # told by __exit__
            self.faults.append(repr(why))

    def _client(self):
        while not self._over.is_set():
            chat = self._stack.chat()
            for number in range(3):
                self._say(chat, f"{number} of {chat.session}")
            self._write(chat)

    def _say(self, chat, text):
        """Until it is answered; the key makes one turn of it."""
        key = {"Idempotency-Key": secrets.token_hex(8)}
        reply = self._until_taken(lambda: chat.say(text, headers=key))
        if reply:
            assert reply.bot_text == f"You said: {text}"
            self.turns.setdefault(chat.session, []).append(text)

    def _write(self, chat):
        key = {"Idempotency-Key": secrets.token_hex(8)}
        reply = self._until_taken(lambda: chat.write(headers=key))
        if reply:
            self.tasks[reply.json["task_id"]] = time.monotonic()

    def _until_taken(self, ask):
        while True:
            reply = ask()
            if reply.status in (200, 202):
                return reply
            assert reply.status == 503, reply
            self.refused_at = time.monotonic()
            if self._over.is_set():
                return None

    def _watch(self):
        while not self._over.is_set():
            for task_id in list(self.tasks):
                reply = self._stack.client.get(f"/api/v1/status/{task_id}")
                assert reply.status in (200, 503), (task_id, reply)
                if reply.status == 200:
                    self.see(task_id, reply.json["status"])

    def see(self, task_id, status):
        seen = self.statuses.setdefault(task_id, [status])
        if seen[-1] != status:
            seen.append(status)


def _told_truly(statuses):
    """Finished is said once, for good."""
    return "failed" not in statuses and "finished" not in statuses[:-1]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_what_was_acknowledged_outlives_the_master(watched, stacks, how):
    stack = stacks(**ONE, REDIS_URL=watched.url, google="service_account", TASK_LEASE="6s",
                   GOOGLE_TIMEOUT="1s", GOOGLE_UPLOAD_TIMEOUT="1s", LOG_LEVEL="info")
    with Load(stack) as load:
        load.wait_more(10)
        watched.master.send(how)
        watched.wait_promoted()
        promoted = time.monotonic()
        load.wait_more(10)
        assert load.last_refused() < promoted + BACK
        if how == signal.SIGSTOP:       # it believes to be the master still
            watched.master.send(signal.SIGCONT)
            woken = time.monotonic()
            load.wait_more(10)
            assert load.last_refused() < woken + BACK
        task = stack.task(next(id for id, at in load.tasks.items() if at > promoted))
        task.wait(timeout=promoted + 2 * BACK - time.monotonic())
    for task_id in load.tasks:
        load.see(task_id, stack.task(task_id).wait()["status"])
    assert [s for s in load.statuses.values() if not _told_truly(s)] == []
    documents = [file.app_properties["confabTask"] for file in stack.google.visible()]
    assert len(documents) == len(set(documents)) and set(documents) >= set(load.tasks)
    for session, texts in load.turns.items():
        messages = stack.client.get(f"/api/v1/sessions/{session}/messages").json["items"]
        said = [m["content"] for m in messages if m["role"] == "user"]
        assert [text for text in said if text in texts] == texts and len(said) == len(set(said))


def test_without_enough_replicas_nothing_is_acknowledged_and_nothing_lost(replicated, stacks):
    stack = stacks(**ONE, REDIS_URL=replicated.url, SAVE_TIMEOUT="1500ms")
    chat = stack.chat()
    chat.say("before")
    asked = len(stack.model.requests)
    key = {"Idempotency-Key": "once"}
    with replicated.replicas[0].frozen():
        refused = chat.write(headers=key)
        refused.problem(503, "storage_unavailable")
        assert int(refused.headers["Retry-After"]) >= 1 and refused.seconds < 2
        chat.say("meanwhile").problem(503, "storage_unavailable")
        assert len(stack.model.requests) == asked       # no answer was bought in vain
        chat.write(headers=key).problem(503, "storage_unavailable")
    task = chat.write_to_doc(headers=key)
    task.wait()
    [listed] = stack.client.get(f"/api/v1/tasks?session_id={chat.session}").json["items"]
    assert listed["task_id"] == task.id
    chat.say("after")
    assert stack.model.last_asked == ["before", "You said: before", "after"]


def test_a_turn_is_done_when_the_replica_has_it(replicated, stacks):
    stack = stacks(**ONE, REDIS_URL=replicated.url, runner=False, REDIS_REPLICA_TIMEOUT="5s",
                   SESSION_LEASE="60s", SAVE_TIMEOUT="20s")
    chat = stack.chat()
    chat.say("before")
    held = stack.model.hold()
    with ThreadPoolExecutor(1) as client:
        turn = client.submit(chat.say, "hi")
        held.wait_asked()
        with replicated.replicas[0].frozen():
            held.send("text")
            held.finish()
            until(lambda: _turns(stack, chat) == 2, "the turn is written")
            with pytest.raises(TimeoutError):
                turn.result(timeout=0.3)
        assert turn.result().bot_text == "text"


def _turns(stack, chat):
    return stack.client.get(f"/api/v1/sessions/{chat.session}").json["turns"]


def test_no_document_is_filled_before_the_replica_knows_it(replicated, stacks):
    stack = stacks(**ONE, REDIS_URL=replicated.url, google="service_account", runner=False)
    chat = stack.chat()
    chat.say("hi")
    task = chat.write_to_doc()
    with replicated.replicas[0].frozen():
        stack.runner.start(stack.env)
        waits = _waits(replicated.master)
        until(lambda: _waits(replicated.master) >= waits + 3, "the record is repeated")
        assert [len(file.content) for file in stack.google.staged()] == [0]
        assert task.status == "running"
    task.wait()
    assert len(stack.google.visible()) == 1


def _waits(redis):
    stats = redis.command("INFO", "commandstats").decode()
    return int(stats.partition("cmdstat_wait:calls=")[2].partition(",")[0] or 0)


def test_missing_replicas_are_named(replicated, stacks):
    stack = stacks(**ONE, REDIS_URL=replicated.url, runner=False)
    replicated.replicas[0].kill()
    said = stack.wait_ready("unavailable")["checks"]["durability"]["problem"]
    assert said == "replicas connected: 0, REDIS_MIN_REPLICAS wants 1"
    stack.chat().write().problem(503, "storage_unavailable")
    ran = confabctl(stack, "check")
    assert ran.status == 1 and said in ran.out
    replicated.replicas[0].start()
    stack.wait_ready()

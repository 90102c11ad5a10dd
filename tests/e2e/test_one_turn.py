"""One turn at a time in a session, whatever is killed: twenty clients talk in one session while
children die at random moments. CONFAB_TEST_ROUNDS makes it as long as one likes."""

import collections
import json
import os
import random
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.proc import until

ROUNDS = int(os.environ.get("CONFAB_TEST_ROUNDS", 60))
SEED = int(os.environ.get("CONFAB_TEST_SEED", secrets.randbits(32)))
CLIENTS = 20
LEASE = 0.6             # seconds


@pytest.fixture(scope="module")
def dice():
    print(f"CONFAB_TEST_SEED={SEED}")
    return random.Random(SEED)


@pytest.fixture
def fragile(stacks):
    stack = stacks(runner=False, children=3, LOG_LEVEL="warn", SESSION_LEASE="600ms",
                   REDIS_TIMEOUT="200ms", STREAM_KEEPALIVE="5s", CONTEXT_MESSAGES=4)
    stack.model.otherwise = lambda asked: _answer(stack.model, asked)
    return stack


def _answer(model, asked):
    """In three pieces, with a while between them in which one can be killed."""
    say = model.say("re: ", asked.user_text, " !")
    say.delay = random.random() * 0.02
    return say


def _dialog(stack, session):
    """All stored turns in their order, as (user's text, answer)."""
    [key] = [key for key in stack.redis.keys() if session in key and key.endswith(":msgs")]
    turns, ids = [], []
    for entry in stack.redis.command("LRANGE", key, 0, -1):
        head, pair = entry.split(b"\n")
        ids.append(json.loads(head)["id"])
        user, bot = json.loads(b"[" + pair + b"]")
        assert (user["role"], bot["role"]) == ("user", "assistant")
        turns.append((user["content"], bot["content"]))
    assert ids == sorted(set(ids))
    return turns


class Killer:
    """Kills a child at a random moment, again and again, but never the last one that lives."""

    def __init__(self, stack, dice):
        self.kills = 0
        self._stack, self._dice = stack, dice
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        while not self._over.wait(self._dice.uniform(0.05, 1.0)):
            children = self._stack.pool.children()
            if len(children) > 1:
                self._stack.pool.kill_child(self._dice.choice(children))
                self.kills += 1


def _turn(stack, session, text, dice):
    """(text, was it acknowledged?, answer); as a stream or whole."""
    chat = stack.chat(session)
    try:
        if dice.random() < 0.5:
            reply = chat.say(text, timeout=30)
            assert reply.status in (200, 502, 503), reply       # 502: nginx has lost its child
            return text, reply.status == 200, reply.json["bot_text"] if reply.status == 200 else ""
        with chat.stream(text) as stream:
            if stream.status != 200:
                assert stream.status in (502, 503)
                return text, False, ""
            events = stream.all()
            done = bool(events) and events[-1].event == "done"
            return text, done, "".join(e.json["text"] for e in events if e.event == "delta")
    except (OSError, EOFError):
        return text, False, ""


def test_every_dialog_is_whole_whoever_is_killed(fragile, dice):
    session = f"hammered-{secrets.token_hex(4)}"
    acknowledged = {}
    slowest = 0.0
    with ThreadPoolExecutor(CLIENTS) as clients, Killer(fragile, dice) as killer:
        for number in range(ROUNDS):
            began = time.monotonic()
            own = [random.Random(dice.random()) for _ in range(CLIENTS)]
            said = list(clients.map(
                lambda n: _turn(fragile, session, f"{number}/{n}", own[n]), range(CLIENTS)))
            slowest = max(slowest, time.monotonic() - began)
            acknowledged |= {text: answer for text, ok, answer in said if ok}
    assert killer.kills >= ROUNDS / 4, killer.kills
    _session_is_free(fragile, session)
    turns = _dialog(fragile, session)
    stored = dict(turns)
    texts = [user for user, _ in turns]
    assert [text for text, count in collections.Counter(texts).items() if count > 1] == []
    assert all(bot == f"re: {user} !" for user, bot in turns)
    assert {text: stored.get(text) for text in acknowledged} == acknowledged
    assert len(acknowledged) > ROUNDS * CLIENTS / 3, f"{len(acknowledged)}, {killer.kills} kills"
    print(f"rounds={ROUNDS} kills={killer.kills} acknowledged={len(acknowledged)} "
          f"stored={len(turns)} slowest={slowest:.1f}s")


def _session_is_free(stack, session):
    """Nothing holds it for longer than a lease; what waits behind a dead one comes in its turn."""
    stack.wait_ready()
    began = time.monotonic()
    reply = stack.chat(session).say("the last", timeout=30)
    assert reply.bot_text == "re: the last !"
    assert time.monotonic() - began < LEASE + 1.5, time.monotonic() - began


def test_a_repeated_request_is_one_turn_whoever_is_killed(fragile, dice):
    """Each request has a key, and is repeated, streamed or whole, until it is answered."""
    session = f"keyed-{secrets.token_hex(4)}"
    batch = max(ROUNDS // 2, 10)

    def insist(number):
        own = random.Random(dice.random())
        key = {"Idempotency-Key": f"{session}-{number}"}
        end = time.monotonic() + 60
        while time.monotonic() < end:
            chat = fragile.chat(session)
            try:
                if own.random() < 0.5:
                    reply = chat.say(f"{number}", headers=key, timeout=30)
                    if reply.status == 200:
                        return reply.bot_text
                else:
                    with chat.stream(f"{number}", headers=key) as stream:
                        if stream.status == 200 and (events := stream.all()) \
                                and events[-1].event == "done":
                            return "".join(e.json["text"] for e in events if e.event == "delta")
            except (OSError, EOFError):
                pass
        raise TimeoutError(f"{number} was never answered")

    # Two clients insist on each request, until enough children have died meanwhile.
    answers = []
    with ThreadPoolExecutor(CLIENTS) as clients, Killer(fragile, dice) as killer:
        while killer.kills < 3:
            done = len(answers) // 2
            answers += clients.map(insist, [n for n in range(done, done + batch) for _ in range(2)])
    asked = len(answers) // 2
    assert answers == [f"re: {n} !" for n in range(asked) for _ in range(2)]
    assert sorted(_dialog(fragile, session), key=lambda turn: int(turn[0])) == \
        [(f"{n}", f"re: {n} !") for n in range(asked)]


def test_a_session_of_a_dead_child_is_free_after_its_lease(fragile):
    chat = fragile.chat()
    for _ in range(3):
        held = fragile.model.hold()
        stream = chat.stream("one")
        held.send("x")
        assert stream.next_text() == "x"
        [busy] = [each["pid"] for each in until(
            lambda: [e for e in fragile.status()["processes"] if e["streams"]], "it streams")]
        died = time.monotonic()
        fragile.pool.kill_child(busy)
        reply = chat.say("two", timeout=20)
        while reply.status != 200:      # the queue of the dead child's connections
            reply = chat.say("two", timeout=20)
        assert time.monotonic() - died < LEASE + 1
        fragile.wait_ready()

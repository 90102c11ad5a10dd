"""The places of the pool: however many come at once, and to whichever child, as many are served as
there are places, and the others hear at once that they are not."""

import signal
import time

import pytest

from tests.support.proc import until

EACH = 20       # places that a child brings
ALL = 2 * EACH


@pytest.fixture(name="stack")
def _stack(stacks):
    return stacks(runner=False, LOG_LEVEL="error", MAX_REQUESTS=EACH)


def crowd(stack, count=2 * ALL):
    """So many streams at once; those that were served go on until they are closed, or
    forgotten."""
    for _ in range(count):
        stack.model.hold().send("x")
    began = time.monotonic()
    streams = [stack.chat().stream("hi") for _ in range(count)]
    refused = [stream for stream in streams if stream.status != 200]
    for stream in refused:
        stream.whole().problem(503, "pool_busy")
        assert int(stream.headers["Retry-After"]) >= 1
    assert time.monotonic() - began < 5     # nobody has waited for a stream to end
    served = [stream for stream in streams if stream not in refused]
    assert {stream.next_text() for stream in served} <= {"x"}
    return served


def leave(stack, streams):
    left = stack.status()["streams"] - len(streams)
    for stream in streams:
        stream.close()
    until(lambda: stack.status()["streams"] == left, "their places are free")


def held_by(stack):
    """How many streams each child has, by pid."""
    return {each["pid"]: each["streams"] for each in stack.status()["processes"]}


def wait_replaced(stack, child):
    until(lambda: len(set(stack.pool.children()) - {child}) == 2, "there is another")
    until(lambda: len(held_by(stack)) == 2, "it has joined")


def test_all_of_them_are_taken_before_anyone_is_refused(stack):
    served = crowd(stack)
    assert len(served) == ALL
    leave(stack, served[:3])
    assert len(crowd(stack)) == 3


def test_what_needs_none_is_answered_while_all_are_taken(stack):
    served = crowd(stack)
    assert len(served) == ALL
    stack.chat().say("one too many").problem(503, "pool_busy")
    stack.client.get("/api/v1/sessions").problem(503, "pool_busy")
    for path in ("/api/v1/health", "/api/v1/ready", "/api/v1/openapi.json", "/docs"):
        assert {stack.client.get(path).status for _ in range(10)} == {200}, path
    stack.client.get("/api/v1/nothing").problem(404, "route_not_found")
    assert stack.status()["rejected"] >= ALL + 2


@pytest.mark.parametrize("of", [0, 1])
def test_those_of_a_killed_child_are_free_once_it_is_replaced(stack, of):
    served = crowd(stack)
    assert len(served) == ALL
    child = stack.pool.children()[of]
    lost = held_by(stack)[child]
    stack.pool.kill_child(child)
    wait_replaced(stack, child)
    assert len(crowd(stack)) == lost


def test_a_child_that_is_to_end_leaves_its_places_to_the_next_one(stack):
    served = crowd(stack)
    leave(stack, served[:EACH])
    ending, other = stack.pool.children()
    held = held_by(stack)
    stack.pool.kill_child(ending, signal.SIGUSR1)
    until(lambda: stack.status()["draining"] == 1, "it takes no new ones")
    until(lambda: stack.pool.connections() == EACH, "nginx has closed what it kept")
    late = crowd(stack)
    assert len(late) == EACH - held[other]
    leave(stack, served[EACH:] + late)
    wait_replaced(stack, ending)
    assert len(crowd(stack)) == ALL

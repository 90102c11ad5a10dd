"""POST /api/v1/write_to_doc: accepted once, done once, never lost; documents in a folder."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.support.dialog import path_of
from tests.support.proc import until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def document(stack, task):
    """The text of a task's document."""
    return Path(path_of(task.wait()["document_url"])).read_text()


def soon(stack):
    """Has the task that tries for all, while a fault pauses the queue, begin now."""
    stack.redis.command("HSET", "c1:tasks:control", "next", 1)


def test_the_dialog_becomes_a_file(stack):
    chat = stack.chat()
    chat.say("What is the answer?")
    task = chat.write_to_doc()
    record = task.wait()
    path = Path(path_of(record["document_url"]))
    assert path.parent == stack.documents
    assert path.name == f"{chat.session}--{task.id}.html"
    text = path.read_text()
    assert "What is the answer?" in text and "You said: What is the answer?" in text
    assert task.status == "finished"


def test_the_record_tells_all(stack):
    chat = stack.chat()
    chat.say("hi")
    task = chat.write_to_doc()
    record = task.wait()
    assert list(record) == ["task_id", "session_id", "status", "attempts", "created_at",
                            "started_at", "finished_at", "document_url", "error"]
    times = [record[name] for name in ("created_at", "started_at", "finished_at")]
    assert all(TIME.fullmatch(time) for time in times) and times == sorted(times)
    assert (record["task_id"], record["session_id"]) == (task.id, chat.session)
    assert (record["status"], record["attempts"], record["error"]) == ("finished", 1, None)


def test_each_task_makes_a_document_of_its_own(stack):
    chat = stack.chat()
    chat.say("hi")
    urls = {task.wait()["document_url"] for task in [chat.write_to_doc() for _ in range(3)]}
    assert len(urls) == 3


def test_a_name_that_is_no_file_name_is_made_one(stack):
    for session in ("../../etc/passwd", "a/b c", "🙂 日本", "-rf", "x" * 256):
        chat = stack.chat(session)
        chat.say("hi")
        path = Path(path_of(chat.write_to_doc().wait()["document_url"]))
        assert path.parent == stack.documents and path.is_file(), path


def test_a_long_dialog_is_written_whole(stacks):
    stack = stacks(children=1)
    chat = stack.chat()
    for number in range(120):
        assert chat.say(f"question {number:03d}").status == 200
    text = document(stack, chat.write_to_doc())
    assert re.findall(r"You said: question (\d{3})", text) == [f"{n:03d}" for n in range(120)]


def test_many_tasks_are_done_together(stack):
    chats = [stack.chat() for _ in range(30)]
    for chat in chats:
        chat.say("hi")
    tasks = [chat.write_to_doc() for chat in chats]
    assert all(task.wait()["attempts"] == 1 for task in tasks)
    assert len({task.record["document_url"] for task in tasks}) == 30


def test_a_finished_task_leaves_little_behind(stack):
    chat = stack.chat()
    chat.say("hi")
    task = chat.write_to_doc()
    task.wait()
    assert stack.redis.command("XLEN", "c1:tasks:stream") == 0
    assert stack.redis.command("ZCARD", "c1:{default}:idx:open") == 0
    assert stack.redis.command("ZCARD", "c1:tasks:due") == 0
    assert stack.redis.command("PTTL", f"c1:task:{task.id}") > 0
    assert not list(stack.documents.glob(".*")) and not list(stack.documents.glob("*.tmp"))


# Without a runner, then with one

def test_a_task_waits_for_a_runner_and_keeps_the_dialog_as_it_was(stacks):
    stack = stacks(runner=False)
    chat = stack.chat()
    chat.say("words of the first turn")
    task = chat.write_to_doc()
    assert (task.status, task.record["started_at"]) == ("pending", None)
    chat.say("words of the second turn")
    stack.runner.start(stack.env)
    text = document(stack, task)
    assert "words of the first turn" in text and "words of the second turn" not in text
    chat.write_to_doc().wait()


def test_the_dialog_is_kept_while_a_task_is_open(stacks):
    stack = stacks(runner=False, SESSION_TTL="1h")
    chat = stack.chat()
    chat.say("hi")
    keys = [key for key in stack.redis.keys("c1:{default}:s:*")
            if chat.session in key and not key.endswith(":lock")]
    assert all(stack.redis.command("PTTL", key) > 0 for key in keys) and len(keys) == 2
    task = chat.write_to_doc()
    assert all(stack.redis.command("PTTL", key) == -1 for key in keys)
    chat.say("more")
    assert all(stack.redis.command("PTTL", key) == -1 for key in keys)
    stack.runner.start(stack.env)
    task.wait()
    assert all(stack.redis.command("PTTL", key) > 0 for key in keys)


def test_an_accepted_task_survives_the_death_of_redis(stacks):
    stack = stacks(runner=False)
    chat = stack.chat()
    chat.say("hi")
    task = chat.write_to_doc()
    stack.redis.kill()
    stack.redis.start()
    stack.runner.start(stack.env)
    stack.wait_connected()
    task.wait()


def test_a_runner_outlives_redis(stacks):
    stack = stacks()
    chat = stack.chat()
    chat.say("hi")
    chat.write_to_doc().wait()
    runner = stack.runner.pid
    stack.redis.kill()
    stack.redis.start()
    stack.wait_connected()
    chat.write_to_doc().wait()
    assert stack.runner.alive and stack.runner.pid == runner


def test_a_doorbell_that_redis_has_lost_is_rung_again(stacks):
    stack = stacks(runner=False)
    chat = stack.chat()
    chat.say("hi")
    task = chat.write_to_doc()
    stack.redis.command("DEL", "c1:tasks:stream")
    stack.runner.start(stack.env)
    task.wait()


def test_several_runners_share_the_work(stacks):
    stack = stacks(runner=False, JOBRUNNER_CONCURRENCY=2)
    chats = [stack.chat() for _ in range(20)]
    for chat in chats:
        chat.say("hi")
    tasks = [chat.write_to_doc() for chat in chats]
    stack.runner.start(stack.env)
    stack.add_runner()
    stack.add_runner()
    assert all(task.wait()["attempts"] == 1 for task in tasks)
    assert len(list(stack.documents.glob("*.html"))) == 20


def test_a_runner_that_stops_gives_nothing_up(stacks):
    stack = stacks()
    chat = stack.chat()
    chat.say("hi")
    tasks = [chat.write_to_doc() for _ in range(20)]
    assert stack.runner.stop() == 0
    stack.runner.start(stack.env)
    assert {task.wait()["status"] for task in tasks} == {"finished"}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_runner_stops_at_once(stacks, how):
    stack = stacks()
    chat = stack.chat()
    chat.say("hi")
    chat.write_to_doc().wait()
    assert stack.runner.stop(how, timeout=4) == 0


# A folder that does not take documents

def test_a_folder_is_made_when_it_is_missing(stacks):
    stack = stacks(runner=False)
    stack.configure(DOC_FOLDER=stack.directory / "folder")
    stack.runner.start(stack.env)
    chat = stack.chat()
    chat.say("hi")
    chat.write_to_doc().wait()
    assert len(list((stack.directory / "folder").iterdir())) == 1


def test_a_folder_that_goes_away_is_told_and_waited_for(stacks):
    stack = stacks()
    chat = stack.chat()
    chat.say("hi")
    chat.write_to_doc().wait()
    stack.documents.rename(stack.directory / "moved")
    stack.documents.write_text("in the way")
    task = chat.write_to_doc()
    record = task.wait_for(lambda r: r["error"] and r["status"] == "pending", "the fault is told")
    assert record["error"]["code"] == "document_store_misconfigured"
    assert "DOC_FOLDER" in record["error"]["detail"]
    assert record["attempts"] == 0
    stack.documents.unlink()
    soon(stack)
    assert task.wait()["error"] is None


def test_a_runner_does_not_start_without_a_folder(stacks):
    stack = stacks(runner=False)
    stack.documents.write_text("in the way")
    stack.runner.start(stack.env)
    assert stack.runner.wait() != 0
    assert "DOC_FOLDER" in stack.runner.logged()


# Acceptance

def problem(stack):
    """Of Redis's durability, as /ready tells it."""
    said = stack.ready()
    return said and said["checks"]["durability"]["problem"] or ""


def test_a_redis_that_forgets_accepts_no_tasks(stacks):
    stack = stacks(durable=False, runner=False, wait=False)
    until(lambda: "appendonly" in problem(stack), "/ready says what to change")
    assert stack.ready()["status"] == "unavailable"
    chat = stack.chat()
    assert chat.say("hi").status == 200
    reply = chat.write()
    reply.problem(503, "storage_unavailable")
    assert reply.headers["Retry-After"]
    assert not stack.redis.keys("c1:task*")


def test_it_may_be_told_to_accept_them_all_the_same(stacks):
    stack = stacks(durable=False, wait=False, REDIS_DURABILITY="warn")
    until(lambda: "appendonly" in problem(stack), "/ready says what to change")
    assert stack.ready()["status"] == "degraded"
    chat = stack.chat()
    chat.say("hi")
    chat.write_to_doc().wait()


def test_the_url_is_told_only_once_there_is_a_document(stacks):
    stack = stacks(runner=False)
    chat = stack.chat()
    chat.say("hi")
    task = chat.write_to_doc()
    record = task.record
    assert (record["document_url"], record["finished_at"], record["error"]) == (None, None, None)
    stack.runner.start(stack.env)
    assert os.path.exists(path_of(task.wait()["document_url"]))

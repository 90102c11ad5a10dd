"""Tasks as people manage them: listed, tried again, cancelled, forgotten; a queue that is paused."""

import pytest

from tests.support.confabctl import confabctl
from tests.support.proc import until

TASKS = "/api/v1/tasks"


@pytest.fixture
def idle(stacks):
    """A stack whose tasks wait: nobody is there to run them."""
    return stacks(runner=False)


def written(stack, session=None):
    chat = stack.chat(session)
    chat.say("hi")
    return chat, chat.write_to_doc()


def page(stack, **query):
    reply = stack.client.get(TASKS + "?" + "&".join(f"{k}={v}" for k, v in query.items()))
    assert reply.status == 200 and list(reply.json) == ["items", "next_cursor"], reply
    return reply.json["items"], reply.json["next_cursor"]


def ids(stack, **query):
    return [item["task_id"] for item in page(stack, **query)[0]]


def failed(stack, task):
    """The task as it is after a fault for good, which a runner would have told."""
    stack.redis.command("EVAL", """
        for _, set in ipairs({'open', 'waiting', 'due'}) do
            redis.call('ZREM', 'c1:tasks:' .. set, ARGV[1])
        end
        redis.call('XDEL', 'c1:tasks:stream', redis.call('HGET', KEYS[1], 'en'))
        redis.call('HDEL', KEYS[1], 'en')
        redis.call('HSET', KEYS[1], 'st', 'failed', 't2', 1772357400000, 'ec', 'document_refused',
                   'ed', 'no', 'at', 3)
        redis.call('ZADD', 'c1:{default}:idx:failed', 1772357400000, ARGV[1])
        """, 1, f"c1:task:{task.id}", task.id)
    assert task.status == "failed"


# Listed

def test_tasks_are_listed_newest_first(idle):
    tasks = [written(idle)[1].id for _ in range(5)]
    assert ids(idle) == tasks[::-1]
    found, cursor = [], ""
    while cursor is not None:
        items, cursor = page(idle, limit=2, **({"cursor": cursor} if cursor else {}))
        found += [item["task_id"] for item in items]
    assert found == tasks[::-1]
    assert page(idle)[0][0] == idle.task(tasks[-1]).record


def test_tasks_are_listed_by_status_and_by_session(stack):
    chat, task = written(stack)
    task.wait()
    other = chat.write_to_doc()
    other.wait()
    assert ids(stack, session_id=chat.session) == [other.id, task.id]
    assert ids(stack, session_id=chat.session, status="finished") == [other.id, task.id]
    assert ids(stack, session_id=chat.session, status="failed") == []
    assert task.id in ids(stack, status="finished", limit=200)
    assert task.id not in ids(stack, status="pending") + ids(stack, status="running")


@pytest.mark.parametrize("query, field", [
    ("status=done", "status"), ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"),
    ("cursor=x", "cursor"), ("cursor=%2b", "cursor"), ("session_id=a%0ab", "session_id"),
    ("status=", "status"), ("cursor=1:a", "cursor"), ("cursor=1-1&status=pending", "cursor"),
    ("cursor=1-99999999999999999999", "cursor"),
])
def test_a_wrong_parameter_is_named(stack, query, field):
    stack.client.get(f"{TASKS}?{query}").refused(field)


def test_an_unknown_sessions_tasks_are_404(stack):
    stack.client.get(f"{TASKS}?session_id=nobody").problem(404, "session_not_found")


# Tried again

def test_a_failed_task_is_tried_again(idle):
    _, task = written(idle)
    failed(idle, task)
    assert ids(idle, status="failed") == [task.id]
    reply = idle.client.post(f"{TASKS}/{task.id}/retry", {})
    assert reply.status == 200 and reply.json == task.record
    assert reply.json["status"] == "pending" and reply.json["attempts"] == 0
    assert reply.json["error"] is None
    idle.runner.start(idle.env)
    assert task.wait()["document_url"]


def test_only_a_failed_task_is_tried_again(stack):
    _, task = written(stack)
    task.wait()
    stack.client.post(f"{TASKS}/{task.id}/retry", {}).problem(409, "task_state")
    stack.client.post(f"{TASKS}/nosuchtask/retry", {}).problem(404, "task_not_found")
    stack.client.post(f"{TASKS}/no%20id/retry", {}).problem(404, "task_not_found")


def test_without_its_dialog_a_task_is_not_tried_again(idle):
    chat, task = written(idle)
    failed(idle, task)
    assert idle.client.call("DELETE", f"/api/v1/sessions/{chat.session}").status == 204
    idle.client.post(f"{TASKS}/{task.id}/retry", {}).problem(409, "session_deleted")


# Taken away

def delete(stack, task):
    return stack.client.call("DELETE", f"{TASKS}/{task.id}")


def test_a_task_that_waits_is_cancelled(idle):
    _, task = written(idle)
    reply = delete(idle, task)
    assert reply.status == 204 and not reply.body
    record = task.record
    assert record["status"] == "failed" and record["error"]["code"] == "cancelled"
    idle.runner.start(idle.env)
    _, next_task = written(idle)
    next_task.wait()
    assert task.status == "failed"


def test_of_a_finished_task_the_record_goes_and_the_document_stays(stack):
    _, task = written(stack)
    task.wait()
    documents = len(list(stack.documents.iterdir()))
    assert delete(stack, task).status == 204
    delete(stack, task).problem(404, "task_not_found")
    stack.client.get(f"/api/v1/status/{task.id}").problem(404, "task_not_found")
    assert task.id not in ids(stack, limit=200)
    assert len(list(stack.documents.iterdir())) == documents


def test_a_running_task_is_left_alone(stacks):
    stack = stacks(google="service_account", children=1)
    hang = stack.google.faults.add("files.update", "hang")
    _, task = written(stack)
    stack.google.wait_for(lambda: hang.hits)
    delete(stack, task).problem(409, "task_state")
    assert task.status == "running"


def test_a_deleted_sessions_tasks_are_cancelled(idle):
    chat, task = written(idle)
    assert idle.client.call("DELETE", f"/api/v1/sessions/{chat.session}").status == 204
    assert task.record["error"]["code"] == "cancelled"
    assert ids(idle, status="failed") == [task.id]


def test_a_running_task_of_a_deleted_session_still_writes_its_dialog(stacks):
    stack = stacks(google="service_account", children=1, GOOGLE_TIMEOUT="2s",
                   GOOGLE_UPLOAD_TIMEOUT="2s", TASK_LEASE="6s")
    lag = stack.google.faults.add("token", "lag", ms=500)
    chat, task = written(stack)
    stack.google.wait_for(lambda: lag.hits)
    assert stack.client.call("DELETE", f"/api/v1/sessions/{chat.session}").status == 204
    task.wait()
    assert [file for file in stack.google.visible() if file.name == chat.session]
    assert not [key for key in stack.redis.keys() if key.endswith((":kept", ":kept:msgs"))]


# A paused queue

def test_a_paused_queue_is_told_and_goes_on_by_itself(stacks):
    stack = stacks(google="service_account", children=1, TASK_CANARY_BASE="200ms",
                   TASK_CANARY_MAX="400ms")
    stack.google.role = "writer"
    tasks = [written(stack)[1] for _ in range(5)]
    said = stack.wait_ready("degraded")["checks"]["tasks"]
    assert said["paused"] == "document_store_misconfigured" and "fileOrganizer" in said["problem"]
    assert said["since"] and said["next_try"] and said["open"] == 5
    stack.google.role = "fileOrganizer"
    for task in tasks:
        assert task.wait()["attempts"] == 1
    said = stack.wait_ready("ready")["checks"]["tasks"]
    assert said["paused"] is None and said["open"] == 0


def test_one_document_that_cannot_be_written_does_not_hold_up_the_others(stacks):
    stack = stacks(google="service_account", children=1, runner=False, TASK_ATTEMPTS="2",
                   TASK_CANARY_BASE="100ms", TASK_CANARY_MAX="200ms")
    _, bad = written(stack)
    stack.google.faults.add(
        "files.update", "no_permission", count=None, upload=True,
        match=lambda call: bad.id in stack.google.files.now[call.file_id].app_properties.values())
    stack.runner.start(stack.env)
    stack.wait_ready("degraded")
    for _ in range(3):
        written(stack)[1].wait()
    assert bad.wait("failed")["attempts"] == 2
    stack.wait_ready("ready")


# Crashes

SHORT = {"GOOGLE_TIMEOUT": "500ms", "GOOGLE_UPLOAD_TIMEOUT": "500ms", "TASK_LEASE": "2500ms"}


def test_a_runner_that_dies_twice_with_all_its_tasks_condemns_none(stacks):
    stack = stacks(google="service_account", children=1, runner=False, **SHORT)
    tasks = [written(stack)[1] for _ in range(4)]
    hang = stack.google.faults.add("files.update", "hang", upload=True, count=None)
    for hits in (4, 8):
        stack.runner.start(stack.env)
        stack.google.wait_for(lambda: hang.hits >= hits)
        stack.runner.kill()
    hang.remove()
    stack.runner.start(stack.env)
    for task in tasks:
        task.wait(timeout=60)
    assert stack.runner.logged().count("runner isolating") == 4


# Google's quota and staging folder

def test_runners_together_keep_to_the_writes_per_minute(stacks):
    stack = stacks(google="service_account", children=1, GOOGLE_WRITES_PER_MINUTE="600")
    stack.add_runner()
    for task in [written(stack)[1] for _ in range(40)]:
        task.wait(timeout=60)
    times = sorted(call.at for call in stack.google.calls
                   if call.method in ("files.create", "files.update"))
    # Ten seconds' worth at once, the others as they come, ten a second; the first may have been on
    # their way for half a second.
    first, last = times[1], times[-1]
    assert len(times) - 100 <= (last - first + 0.5) * 10 + 2


def test_what_a_crash_left_in_staging_is_trashed(stacks):
    stack = stacks(google="service_account", children=1, GOOGLE_ORPHAN_AGE="8s", **SHORT)
    stack.google.faults.add("files.create", "cut", "after", skip=1)     # after the folder
    chat, task = written(stack)
    task.wait()
    [orphan] = stack.google.staged()
    until(lambda: not stack.google.staged(), "the orphan is trashed", 20)
    assert stack.redis.command("ZSCORE", "c1:tasks:swept", orphan.id)
    assert [file for file in stack.google.visible() if file.name == chat.session]


# confabctl

def ctl(stack, *words, status=0):
    ran = confabctl(stack, "tasks", *words)
    assert ran.status == status, ran
    return ran


def test_the_operators_list_has_the_tasks_of_all_tenants(idle):
    _, task = written(idle)
    chat, other = written(idle)
    idle.redis.command("HSET", "c1:task:theirs", "tn", "acme", "se", "s", "st", "pending", "nt", 0,
                       "t0", 1772357400000)
    idle.redis.command("XADD", "c1:{acme}:idx:tasks", "*", "t", "theirs")
    idle.redis.command("ZADD", "c1:tasks:tenants", 0, "acme")
    assert {line.split()[0] for line in ctl(idle, "list").lines} == {task.id, other.id, "theirs"}
    assert ctl(idle, "list", "--tenant", "acme").lines[0].split()[-2:] == ["acme", "s"]
    assert [line.split()[0] for line in ctl(idle, "list", "--session", chat.session).lines] \
        == [other.id]
    assert len(ctl(idle, "list", "--limit", "2").lines) == 2
    assert not ctl(idle, "list", "--status", "failed").lines
    assert ctl(idle, "show", task.id).lines == [
        idle.client.get(f"{TASKS}/{task.id}").body.decode()]


def test_the_operator_cancels_retries_and_deletes(idle):
    tasks = [written(idle)[1] for _ in range(3)]
    ctl(idle, "cancel", tasks[0].id)
    told = ctl(idle, "cancel", tasks[0].id, "nosuchtask", status=1).err
    assert f"{tasks[0].id}: the task is failed" in told and "nosuchtask: there is no" in told
    failed(idle, tasks[1])
    failed(idle, tasks[2])
    assert ctl(idle, "retry-all", "--code", "another").out.startswith("0 tried again")
    assert ctl(idle, "retry-all").out.startswith("2 tried again")
    assert [task.status for task in tasks] == ["failed", "pending", "pending"]
    ctl(idle, "retry", tasks[0].id)
    idle.runner.start(idle.env)
    for task in tasks:
        task.wait()
    ctl(idle, "delete", *(task.id for task in tasks))
    assert not ctl(idle, "list").lines


def test_the_operator_pauses_and_resumes(stacks):
    stack = stacks(children=1)
    ctl(stack, "pause", "Google is being moved")
    _, task = written(stack)
    said = stack.wait_ready("degraded")["checks"]["tasks"]
    assert said["paused"] == "by_hand" and said["problem"] == "Google is being moved"
    assert "by hand" in ctl(stack, "queue").out
    assert task.status == "pending"
    ctl(stack, "resume")
    task.wait()
    stack.wait_ready("ready")


@pytest.mark.parametrize("words", [
    ["show"], ["retry"], ["list", "--status", "done"], ["list", "x"], ["list", "--limit", "0"],
    ["pause", "a", "b"], ["resume", "x"], ["retry-all", "x"],
])
def test_the_operator_is_told_the_usage(stack, words):
    ran = ctl(stack, *words, status=2)
    assert f"confabctl tasks {words[0]}" in ran.err

"""The google store: exactly one visible document per task, whatever goes wrong on the way."""

import pytest

from tests.support.google_files import DOCUMENT
from tests.support.keys import USER
from tests.support.seed import seed
from tests.support.stack import Stack

# Short, so that a hang or a dead runner is noticed soon.
QUICK = {"GOOGLE_TIMEOUT": "500ms", "GOOGLE_UPLOAD_TIMEOUT": "500ms", "TASK_LEASE": "2500ms"}


@pytest.fixture(scope="module")
def shared():
    with Stack(google="service_account", children=1, **QUICK) as stack:
        yield stack


@pytest.fixture(autouse=True)
def never_seen_unfinished(request):
    """Nobody ever sees an empty document, or two of one task."""
    yield
    for stack in Stack.living:
        if stack.google:
            assert not stack.google.ever_visible_empty()
            assert stack.google.most_visible(lambda f: (f.name, *_task_of(f))) <= 1


def _task_of(file):
    return tuple(sorted(file.app_properties.items()))


def one_of(stack, chat):
    """The one document of this session."""
    [document] = [file for file in stack.google.visible() if file.name == chat.session]
    return document


def written(stack, **settings):
    """A dialog, and the task that writes it."""
    chat = stack.chat()
    chat.say("What is the answer?")
    return chat, chat.write_to_doc(**settings)


def test_the_dialog_becomes_a_document(stack):
    chat, task = written(stack)
    record = task.wait()
    document = one_of(stack, chat)
    assert document.mime_type == DOCUMENT and not document.trashed
    assert "You said: What is the answer?" in document.text
    assert document.id in record["document_url"]
    assert record["document_url"].startswith("https://docs.google.com/document/d/")
    assert task.id in document.app_properties.values()
    assert not stack.google.staged()


def test_it_is_made_empty_and_out_of_sight_then_filled_then_moved(stack):
    chat, task = written(stack)
    task.wait()
    states = [change.after for change in stack.google.history(one_of(stack, chat).id)]
    assert [(bool(s.content), s.parent == stack.google.folder) for s in states] == [
        (False, False), (True, False), (True, True)]


def test_a_token_serves_many_tasks(stack):
    tasks = [written(stack)[1] for _ in range(8)]
    for task in tasks:
        task.wait()
    good = [request for request in stack.google.tokens.requests if request.status == 200]
    assert len(good) == 1


def test_a_token_that_is_revoked_is_replaced(stack):
    stack.google.tokens.revoke()
    chat, task = written(stack)
    assert task.wait()["attempts"] == 1
    assert one_of(stack, chat)


STEPS = [("files.create", None), ("files.update", True), ("files.update", False)]


@pytest.mark.parametrize("kind, when", [
    ("cut", "before"), ("cut", "after"), ("reset", "after"), ("cut_body", "after"),
    ("status", "before"), ("status", "after"), ("html", "after"), ("hang", "before"),
    ("hang", "after"), ("401", "before"), ("user_rate", "before"), ("429", "before"),
])
@pytest.mark.parametrize("method, upload", STEPS, ids=["create", "fill", "move"])
def test_a_fault_at_any_step_makes_no_second_document(stack, method, upload, kind, when):
    fault = stack.google.faults.add(method, kind, when, upload=upload)
    chat, task = written(stack)
    record = task.wait()
    assert fault.hits == 1
    assert "You said: What is the answer?" in one_of(stack, chat).text
    assert record["error"] is None


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_faults_passes(stack, seed):
    stack.google.faults.storm(seed, rate=0.3)
    dialogs = [written(stack) for _ in range(10)]
    for chat, task in dialogs:
        task.wait(timeout=60)
        assert one_of(stack, chat)


def test_a_quota_answer_costs_no_attempt(stack):
    stack.google.faults.add("files.update", "user_rate", count=4)
    chat, task = written(stack)
    assert task.wait()["attempts"] == 1


def test_a_document_that_somebody_deleted_is_made_again(stack):
    fault = stack.google.faults.add("files.update", "status", "before", upload=True, count=None)
    chat, task = written(stack)
    [staged] = stack.google.wait_for(lambda: [
        file for file in stack.google.staged() if task.id in file.app_properties.values()])
    stack.google.wait_for(lambda: fault.hits)
    stack.google.delete(staged.id)
    fault.remove()
    task.wait()
    assert one_of(stack, chat).id != staged.id


# What an operator has to change: told, waited for, and then it goes on

def told(task, *words):
    record = task.wait_for(lambda r: r["error"] and r["status"] == "pending", "the fault is told")
    assert record["error"]["code"] == "document_store_misconfigured", record
    assert record["attempts"] == 0
    assert all(word in record["error"]["detail"] for word in words), record


def soon(stack):
    """Has the task that tries for all, while a fault pauses the queue, begin now."""
    stack.redis.command("HSET", "c1:tasks:control", "next", 1)


def test_a_role_too_low_is_told(stack):
    stack.google.role = "writer"
    try:
        chat, task = written(stack)
        told(task, "fileOrganizer")
        assert not [file for file in stack.google.visible() if file.name == chat.session]
    finally:
        stack.google.role = "fileOrganizer"
    soon(stack)
    task.wait()
    assert one_of(stack, chat)


def test_an_unknown_folder_is_told(stacks):
    stack = stacks(google="service_account", GOOGLE_DRIVE_FOLDER_ID="1nosuchfolder", **QUICK)
    _, task = written(stack)
    told(task, "GOOGLE_DRIVE_FOLDER_ID")


def test_a_service_account_without_storage_is_told(stacks):
    stack = stacks(google="service_account", runner=False, **QUICK)
    stack.configure(GOOGLE_DRIVE_FOLDER_ID=stack.google.add_my_drive_folder())
    stack.runner.start(stack.env)
    _, task = written(stack)
    told(task, "shared drive")


def test_credentials_that_are_not_valid_any_more_are_told(stacks):
    stack = stacks(google="service_account", **QUICK)
    stack.google.faults.add("token", sample_id="token-400-signature", kind="sample", count=None)
    _, task = written(stack)
    told(task, "GOOGLE_APPLICATION_CREDENTIALS")


def test_a_persons_credentials_serve_as_well(stacks):
    stack = stacks(google="authorized_user", **QUICK)
    chat, task = written(stack)
    task.wait()
    assert one_of(stack, chat)
    assert USER not in stack.runner.logged()


def test_secrets_stay_out_of_the_log(stack):
    _, task = written(stack)
    task.wait()
    log = stack.runner.logged()
    sent = [call.request.headers.get("authorization") for call in stack.google.calls]
    tokens = {header.split()[1] for header in sent if header}
    assertions = {request.form.get("assertion") for request in stack.google.tokens.requests}
    assert tokens and assertions
    assert not [secret for secret in tokens | assertions | {"PRIVATE KEY"} if secret in log]


# Large dialogs

@pytest.fixture
def roomy(stacks):
    return stacks(google="service_account", children=1, GOOGLE_UPLOAD_TIMEOUT="20s",
                  TASK_LEASE="1m")


def pages_of(stack, chat):
    """(name, text) of the dialog's documents, by their numbers."""
    return sorted((file.name, file.text) for file in stack.google.visible()
                  if file.name.startswith(chat.session))


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_a_dialog_of_ten_thousand_turns_goes_up_in_pieces(roomy, cut):
    chat = roomy.chat("long")
    seed(roomy, chat.session, 10_000, "- **a**\\n- *b*\\n- `c`\\n- **d**")
    if cut:
        roomy.google.faults.add("upload.put", "cut", "partly")
    chat.write_to_doc().wait()
    pages = [text for _, text in pages_of(roomy, chat)]
    assert max(len(text.encode()) for text in pages) > 5 << 20
    assert roomy.google.calls_of("upload.put")
    for turn in (1, 5_000, 10_000):
        assert sum(text.count(f"question {turn}<") for text in pages) == 1


@pytest.mark.parametrize("fault", [None, ("files.create", "cut", 3), ("files.update", "cut", 4),
                                   ("files.update", "cut", 9)])
def test_a_dialog_too_large_for_one_document_becomes_several_numbered_ones(roomy, fault):
    chat = roomy.chat("huge")
    seed(roomy, chat.session, 6_000, "a\u00e4\U0001f600" * 200)     # 800 units each
    if fault:
        method, kind, skip = fault
        roomy.google.faults.add(method, kind, "after", skip=skip)
    record = chat.write_to_doc().wait()
    pages = pages_of(roomy, chat)
    assert [name for name, _ in pages] == [f"huge ({n}/7)" for n in range(1, 8)]
    whole = "".join(text for _, text in pages)
    assert [whole.count(f"question {turn}<") for turn in (1, 3_000, 6_000)] == [1, 1, 1]
    assert "question 1<" in pages[0][1] and "question 6000<" in pages[6][1]
    [first] = [file for file in roomy.google.visible() if file.name == "huge (1/7)"]
    assert first.id in record["document_url"]
    assert len(roomy.google.staged()) == (fault is not None and fault[0] == "files.create")


# Runners that die

@pytest.mark.parametrize("method, upload", STEPS, ids=["create", "fill", "move"])
def test_a_killed_runner_is_replaced_by_another(stacks, method, upload):
    stack = stacks(google="service_account", children=1, **QUICK)
    hang = stack.google.faults.add(method, "hang", "after", upload=upload)
    chat, task = written(stack)
    stack.google.wait_for(lambda: hang.hits)
    assert task.status == "running"
    stack.runner.kill()
    stack.add_runner()
    record = task.wait()
    assert one_of(stack, chat) and record["attempts"] == 2


def test_a_runner_that_slept_does_not_come_between(stacks):
    """A stalled runner wakes up after its lease: what it holds is another's by then."""
    stack = stacks(google="service_account", children=1, **QUICK)
    lag = stack.google.faults.add("files.update", "hang", upload=True)
    chat, task = written(stack)
    stack.google.wait_for(lambda: lag.hits)
    with stack.runner.frozen():
        stack.add_runner()
        task.wait()
    chat2, task2 = written(stack)
    task2.wait()
    assert one_of(stack, chat) and one_of(stack, chat2)


def test_a_killed_redis_loses_nothing(stacks):
    stack = stacks(google="service_account", children=1, **QUICK)
    lag = stack.google.faults.add("files.update", "lag", upload=True, ms=300)
    chat, task = written(stack)
    stack.google.wait_for(lambda: lag.hits)
    stack.redis.kill()
    stack.redis.start()
    stack.wait_ready()
    task.wait()
    assert one_of(stack, chat)

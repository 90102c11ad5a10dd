"""What crashes leave in the staging folder goes, and nothing else does."""

import secrets

import pytest

from tests.support.google_files import DOCUMENT, FOLDER, File
from tests.support.keys import SERVICE_CLIENT_ID
from tests.support.proc import until
from tests.support.stack import Stack

PAGE = 100      # documents that one question tells of


@pytest.fixture(scope="module")
def shared():
    with Stack(google="service_account", children=1, TASK_LEASE="4500ms", GOOGLE_TIMEOUT="1500ms",
               GOOGLE_UPLOAD_TIMEOUT="1500ms", GOOGLE_ORPHAN_AGE="14s") as stack:
        yield stack


@pytest.fixture
def leave(stack):
    """Puts an old, empty document of this task into the staging folder. Returns its id."""
    chat = stack.chat()
    chat.say("hi")
    chat.write_to_doc().wait()      # there is a staging folder now
    install = stack.redis.hash("c1:install")
    [folder] = [value for field, value in install.items() if field.startswith("staging_")]
    google = stack.google

    def put(task, parent=folder):
        owner = {"confabInstallation": install["id"], "confabTask": task}
        document = File(google.files.new_id(DOCUMENT), f"confab {task}", DOCUMENT, parent,
                        google.files.drive_id, private={SERVICE_CLIENT_ID: owner},
                        clients=frozenset([SERVICE_CLIENT_ID]), created_time=1e9)
        with google.changed:
            return google.files.put(document)
    return put


def trashed(stack, document):
    return stack.google.files.now[document].trashed


def task_with(stack, **fields):
    """A record, as far as the sweeper looks at it."""
    task = secrets.token_hex(8)
    for field, value in ({"st": "failed"} | fields).items():
        stack.redis.command("HSET", f"c1:task:{task}", field, value)
    return task


def test_a_document_that_no_task_knows_goes(stack, leave):
    undecided, other = task_with(stack), task_with(stack, do="another")
    mine = task_with(stack)
    kept = leave(mine)
    stack.redis.command("HSET", f"c1:task:{mine}", "do", f"first {kept}")
    unnamed = leave(undecided)      # its task may be about to record it
    gone = [leave(other), leave("0123456789abcdef")]
    until(lambda: all(trashed(stack, document) for document in gone), "orphans are trashed")
    assert not trashed(stack, kept) and not trashed(stack, unnamed)
    assert stack.redis.command("ZSCORE", "c1:tasks:swept", gone[0])


def test_those_behind_a_page_of_others_go(stack, leave):
    waiting = task_with(stack)
    orphan = leave("0123456789abcdef")      # the last to be told, as the youngest come first
    others = [leave(waiting) for _ in range(PAGE)]
    # The second page is asked for in another second, and yet it is of the same search.
    stack.google.faults.add("files.list", "lag", "after", count=None, ms=1100)
    until(lambda: trashed(stack, orphan), "the orphan is trashed")
    assert not any(trashed(stack, document) for document in others)


def test_what_was_published_since_the_search_looked_stays(stack, leave):
    google = stack.google
    late = google.faults.add("files.list", "lag", "after", count=None, ms=250)
    began = len(google.calls_of("files.list"))
    document, orphan = leave("0123456789abcdef"), leave("0123456789abcdef")
    google.wait_for(lambda: any(call.status for call in google.calls_of("files.list")[began:]))
    google.move(document, google.folder)
    late.remove()
    until(lambda: trashed(stack, orphan), "the other one is trashed")
    assert not trashed(stack, document)


def test_a_refused_id_of_the_staging_folder_is_no_fault_of_the_task(stacks):
    stack = stacks(google="service_account", children=1)
    refused = stack.google.faults.add(
        "files.create", "sample", count=None, sample_id="drive-400-generated-id",
        match=lambda call: FOLDER.encode() in call.request.body)
    chat = stack.chat()
    chat.say("hi")
    task = chat.write_to_doc()
    task.wait_for(lambda record: refused.hits >= 3, "several ids are refused")
    assert task.status in ("pending", "running")
    refused.remove()
    task.wait()
    assert len(stack.google.visible()) == 1

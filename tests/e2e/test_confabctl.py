"""The operator's command: what it checks, and what it says about each fault."""

import json
import re
from pathlib import Path

import pytest

from tests.support.confabctl import confabctl
from tests.support.proc import until
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def shared():
    with Stack() as stack:
        yield stack


def verdicts(ran):
    """{what: (verdict, words)}"""
    found = {}
    for line in ran.lines:
        verdict, what, *words = re.split(r" +", line, maxsplit=2)
        if verdict in ("ok", "note", "FAULT"):
            found[what] = (verdict, words[0])
    return found


def fault(stack, what, **settings):
    """The words about the one fault that these settings are."""
    ran = confabctl(stack, "check", **settings)
    faults = {name: words for name, (verdict, words) in verdicts(ran).items() if verdict == "FAULT"}
    assert ran.status == 1 and list(faults) == [what], ran
    assert ran.lines[-1] == "1 fault"
    return faults[what]


def test_all_is_well(stack):
    ran = confabctl(stack, "check", API_KEY="x", OPENAI_MODEL="stand-in",
                    DOC_FOLDER=str(stack.directory))
    assert ran.status == 0 and not ran.err, ran
    found = verdicts(ran)
    assert {verdict for verdict, _ in found.values()} == {"ok"}, ran
    assert list(found) == ["settings", "prompts", "redis", "durability", "keys", "model",
                           "documents"]


def test_settings_that_are_wrong_are_named(stack):
    ran = confabctl(stack, "check", SESSION_TTL="soon", KEY_IN_FLIGHT="-1")
    assert ran.status == 1 and "SESSION_TTL" in ran.err and "KEY_IN_FLIGHT" in ran.err


def test_prompts(stack, tmp_path):
    assert "CONFAB_PROMPTS_DIR" in fault(stack, "prompts", CONFAB_PROMPTS_DIR=str(tmp_path))


def test_redis_away(stack, tmp_path):
    assert "REDIS_URL" in fault(stack, "redis", REDIS_URL=f"unix://{tmp_path}/nothing.sock")


def test_redis_that_forgets(stacks):
    forgetful = stacks(wait=False, durable=False, runner=False, REDIS_DURABILITY="warn")
    forgetful.wait_ready("degraded")
    assert "appendonly" in fault(forgetful, "durability", REDIS_DURABILITY="require")
    ran = confabctl(forgetful, "check")
    assert ran.status == 0 and verdicts(ran)["durability"][0] == "note"


def test_the_models_server(stack):
    assert "OPENAI_BASE_URL" in fault(stack, "model", OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert "OPENAI_API_KEY" in fault(stack, "model", OPENAI_BASE_URL="", OPENAI_API_KEY="")
    unlisted = verdicts(confabctl(stack, "check", OPENAI_MODEL="gpt-9"))["model"]
    assert unlisted[0] == "note" and "OPENAI_MODEL" in unlisted[1]
    demo = verdicts(confabctl(stack, "check", OPENAI_BASE_URL="", OPENAI_API_KEY="",
                              DEMO="fallback"))["model"]
    assert demo[0] == "note" and "demo" in demo[1]


def test_a_key_that_the_server_refuses(stack):
    assert "OPENAI_API_KEY" in fault(stack, "model", OPENAI_API_KEY="sk-other")
    assert stack.model.refused.pop()


def test_documents_in_a_folder(stack, tmp_path):
    (tmp_path / "file").touch()
    assert "DOC_FOLDER" in fault(stack, "documents", DOC_FOLDER=str(tmp_path / "file"))
    missing = verdicts(confabctl(stack, "check", DOC_FOLDER=str(tmp_path / "new")))["documents"]
    assert missing[0] == "note"


@pytest.fixture
def google(stacks):
    return stacks(google="service_account", runner=False)


def test_google(google):
    ran = confabctl(google, "check")
    assert ran.status == 0 and verdicts(ran)["google"][0] == "ok", ran


def test_google_faults(google, tmp_path):
    assert "GOOGLE_DRIVE_FOLDER_ID" in fault(google, "google", GOOGLE_DRIVE_FOLDER_ID="nowhere")
    assert "GOOGLE_APPLICATION_CREDENTIALS" in fault(
        google, "google", GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "none.json"))
    known = json.loads(Path(google.env["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    stranger = tmp_path / "stranger.json"
    stranger.write_text(json.dumps(known | {"client_email": "nobody@example.com"}))
    fault(google, "google", GOOGLE_APPLICATION_CREDENTIALS=str(stranger))


def test_no_secret_is_printed(stack):
    ran = confabctl(stack, "check", OPENAI_API_KEY="sk-secret-words", API_KEY="another-secret")
    assert "secret" not in ran.out + ran.err
    assert stack.model.refused.pop()


# The command line

@pytest.mark.parametrize("words", [
    (), ("nothing",), ("key",), ("key", "add"), ("key", "add", "x"), ("key", "add", "--speed", "1"),
    ("key", "list", "x"), ("key", "revoke"), ("key", "revoke", "a", "b"), ("check", "x"),
    ("pool", "x"), ("usage", "x")], ids=str)
def test_wrong_usage_is_told(stack, words):
    ran = confabctl(stack, *words)
    assert ran.status == 2 and not ran.out and "confabctl" in ran.err, ran


@pytest.mark.parametrize("words", [
    ("usage", "--days", "0"), ("usage", "--days", "x"), ("usage", "--days", "401"),
    ("tasks", "list", "--status", "done"), ("tasks", "list", "--limit", "0")], ids=str)
def test_a_wrong_option_is_named(stack, words):
    ran = confabctl(stack, *words)
    assert ran.status == 2 and not ran.out and f"confabctl: {words[-2]}: has to be" in ran.err, ran


@pytest.mark.parametrize("words, named", [
    (("key", "add", "--tenant", "a b"), "tenant"),
    (("key", "add", "--tenant", "{x}"), "tenant"),
    (("key", "add", "--tenant", "a", "--name", ""), "name"),
    (("key", "add", "--tenant", "a", "--rpm", "many"), "requests_per_minute"),
    (("key", "add", "--tenant", "a", "--in-flight", "-1"), "in_flight"),
    (("key", "revoke", "a:nobody"), "a:nobody"),
    (("key", "revoke", "0123"), "0123"),
    (("usage", "--tenant", "a b"), "tenant")], ids=str)
def test_what_cannot_be_is_said(stack, words, named):
    ran = confabctl(stack, *words)
    assert ran.status == 1 and named in ran.err and not ran.out, ran


def test_a_name_is_taken_once(stack):
    assert confabctl(stack, "key", "add", "--tenant", "taken", "--name", "web").status == 0
    again = confabctl(stack, "key", "add", "--tenant", "taken", "--name", "web")
    assert again.status == 1 and "taken:web" in again.err and not again.out


def test_keys_are_listed_with_their_limits(stack):
    options = ("--rpm", "60", "--in-flight", "0")
    assert confabctl(stack, "key", "add", "--tenant", "listed", "--name", "web", *options).status == 0
    line = confabctl(stack, "key", "list", "--tenant", "listed").lines[1]
    assert re.fullmatch(r"[0-9a-f]{16} +listed +web +\S+Z +60 +none +default", line), line


def test_help_and_version(stack):
    told = confabctl(stack, "--help")
    assert told.status == 0 and all(word in told.out for word in ("key add", "check", "usage"))
    assert re.match(r"confabctl \d", confabctl(stack, "--version").out)


def test_the_pool(stack):
    def whole():
        ran = confabctl(stack, "pool")
        return ran if ran.status == 0 else None
    ran = until(whole, "two children and a runner are at work")
    assert "2 of 2 children, 1 runners" in ran.out
    children = [line.split() for line in ran.lines if line.startswith("fcgi")]
    assert {int(child[1]) for child in children} == set(stack.pool.children())
    assert {child[2] for child in children} == {"idle"}


def test_redis_away_is_told_by_all(stack, tmp_path):
    for words in (("key", "list"), ("key", "add", "--tenant", "a"), ("usage",),
                  ("key", "revoke", "a:b")):
        ran = confabctl(stack, *words, REDIS_URL=f"unix://{tmp_path}/nothing.sock")
        assert ran.status == 1 and ran.err and not ran.out, ran

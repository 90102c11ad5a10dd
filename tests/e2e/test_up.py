"""scripts/up and scripts/down, with programs that are built already."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.proc import until
from tests.support.programs import BUILD, TOP


@pytest.fixture
def env(tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    for folder in ("fcgi", "jobrunner", "confabctl"):
        (build / folder).symlink_to(BUILD / folder)
    (build / "Makefile").write_text("all:\n")
    (build / "configured-with").write_text("CFLAGS=-O2 -g")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {"PATH": os.environ["PATH"], "CONFAB_STATE": str(tmp_path), "HTTP_PORT": str(port)}
    yield env
    run("down", env)


def run(name, env, *words):
    return subprocess.run([TOP / "scripts" / name, *words], env=env, capture_output=True, text=True,
                          timeout=90, check=False)


def test_it_says_which_model_answers(env):
    assert "The demo model answers" in run("up", env).stderr
    up = run("up", {**env, "OPENAI_API_KEY": "sk-any"})
    assert up.returncode == 0 and "demo model" not in up.stderr, up


def test_an_address_that_is_taken_is_not_taken_for_ours(env, stack):
    """Even if confab answers there: another one's."""
    up = run("up", {**env, "HTTP_LISTEN": stack.nginx.host, "HTTP_PORT": str(stack.nginx.port)})
    assert up.returncode == 1 and "somebody else listens" in up.stderr, up


def test_help_stops_nothing(env):
    assert run("up", env).returncode == 0
    assert "Stops all" in run("down", env, "--help").stdout
    assert run("down", env, "--now").returncode == 1
    assert "Restarting" not in run("up", env).stderr
    assert "Stopping nginx" in run("down", env).stderr


@pytest.mark.parametrize("name", ["nginx", "pool", "jobrunner"])
def test_a_killed_one_leaves_nothing_behind(env, name):
    run("up", env)
    pid = int((Path(env["CONFAB_STATE"]) / "run" / name).read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    until(lambda: not _group(pid, zombies=False, leader=True), "it is dead")
    assert _group(pid), "it had children"
    assert run("up", env).returncode == 0
    until(lambda: not _group(pid, zombies=False), "its children have ended")


def test_confabctl_knows_the_settings(env):
    assert run("confabctl", env, "key", "list").returncode == 1
    run("up", env)
    pool = run("confabctl", {**env, "FCGI_CHILDREN": "9"}, "pool")
    assert "2 of 2 children, 1 runners" in pool.stdout, pool
    assert run("confabctl", env, "key", "add", "--tenant", "a b").returncode != 0


def _group(pgid, zombies=True, leader=False):
    """Who is of this process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(") ")[2].split()[:3]
        except OSError:
            continue
        pid = int(stat.parent.name)
        if int(group) == pgid and (pid == pgid) == leader and (zombies or state != "Z"):
            found.append(pid)
    return found

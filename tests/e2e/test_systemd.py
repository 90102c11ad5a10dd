"""The units for systemd. What they start is started here as systemd does it, with the pool's socket
as descriptor 3, which outlives the pool."""

import os
import re
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.confabctl import CONFABCTL
from tests.support.proc import until
from tests.support.programs import BUILD, TOP, Pool

UNITS = [".service", ".socket", ".target"]
PROGRAMS = ["fcgi/confab-fcgi", "jobrunner/confab-jobrunner", "confabctl/confabctl"]


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """A folder with the units of programs as they were built."""
    folder = tmp_path_factory.mktemp("units")
    programs = tmp_path_factory.mktemp("bin")
    for program in PROGRAMS:
        (programs / os.path.basename(program)).symlink_to(BUILD / program)
    shutil.copytree(TOP / "systemd", folder, dirs_exist_ok=True)
    for unit in folder.glob("*.in"):
        text = unit.read_text().replace("@bindir@", str(programs))
        unit.with_suffix("").write_text(text.replace("@pkgdatadir@", str(TOP / "scripts")))
    return folder


def test_systemd_finds_no_fault_in_them(units):
    names = [unit.name for unit in units.iterdir() if unit.suffix in UNITS]
    assert len(names) == 5
    looked = subprocess.run(["systemd-analyze", "--man=no", "verify", *names], text=True,
                            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
                            capture_output=True, check=False)
    assert (looked.returncode, looked.stderr) == (0, "")


class UnitPool(Pool):
    """The pool as confab-fcgi.service has it."""

    def __init__(self, directory, units):
        super().__init__(directory)
        self._unit = (units / "confab-fcgi.service").read_text()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen(self.backlog)
        self._listener.setblocking(False)

    def start(self, env):
        self.run("sh", "-c", f"exec {self._line('ExecStart')} 3<&0 0</dev/null", env=env,
                 stdin=self._listener)
        return self

    def reload(self, env):
        self.expected_deaths += len(self.children())
        with self._control("ExecReload", env) as works:
            _, said = works.communicate(timeout=60)
            return works.returncode, said

    def stop(self, *_, **__):
        if self.alive:
            with self._control("ExecStop", {}) as asks:
                try:
                    self.wait()
                    assert asks.wait(timeout=10) == 0
                finally:
                    asks.kill()

    def _control(self, which, env):
        env = {**env, "MAINPID": str(self.pid), "CONFABCTL": str(CONFABCTL)}
        return subprocess.Popen(["sh", "-c", self._line(which)], env=env, stderr=subprocess.PIPE,
                                text=True)

    def _line(self, which):
        return re.search(rf"^{which}=(.*)$", self._unit, re.M)[1]


@pytest.fixture
def stack(stacks, units):
    made = stacks(runner=False)
    made.pool.stop()
    made.pool.socket.unlink()
    made.pool = UnitPool(made.directory, units)
    made.pool.start(made.env)
    made.wait_ready()
    return made


def test_the_pool_serves_the_socket_that_it_is_given(stack):
    assert len(stack.pool.children()) == 2
    assert stack.chat().say("hi").status == 200


def test_a_reload_replaces_all_children(stack):
    before = set(stack.pool.children())
    status, said = stack.pool.reload(stack.env)
    assert status == 0, said
    until(lambda: len(stack.pool.children()) == 2, "as many as before")
    assert not before & set(stack.pool.children())
    assert stack.chat().say("hi").status == 200


def test_what_comes_while_the_pool_is_down_waits_for_the_next(stack):
    stack.pool.stop()
    with ThreadPoolExecutor() as threads:
        reply = threads.submit(stack.chat().say, "hi")
        until(lambda: stack.pool.connections(waiting=True) == 1, "the request has come")
        stack.pool.start(stack.env)
        assert reply.result().status == 200

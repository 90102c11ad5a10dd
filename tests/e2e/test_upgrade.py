"""scripts/reload: new children and a new nginx under load, and nobody notices."""

import os
import threading

import pytest

from tests.support.started import adopt, reload, run_reload

STREAMS = int(os.environ.get("CONFAB_TEST_STREAMS", 500))


class Turns:
    """Plain turns, one after the other, from several clients, until told to stop."""

    def __init__(self, stack, clients=4):
        self.failed, self.count = [], 0
        self._stack, self._going = stack, True
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._going = False
        for thread in self._threads:
            thread.join()

    def _ask(self):
        while self._going:
            try:
                reply = self._stack.chat().say("hi", timeout=30)
                if reply.status != 200:
                    self.failed.append(reply)
            except OSError as why:
                self.failed.append(why)
            self.count += 1


def test_under_load_no_request_fails_and_no_stream_is_cut(stacks):
    stack = stacks(runner=False, LOG_LEVEL="warn", DRAIN_TIMEOUT="60s")
    stack.model.otherwise = _slowly_if_asked(stack.model)
    children, workers = set(stack.pool.children()), set(stack.nginx.children())
    with Turns(stack) as turns:
        streams = [stack.chat().stream("slow") for _ in range(STREAMS)]
        stack.model.wait_for(lambda: stack.model.in_flight >= STREAMS, timeout=60)
        began = turns.count
        ended = reload(stack, timeout=120)
        assert ended.returncode == 0, ended.stderr
        later = [stack.chat().stream("slow") for _ in range(20)]
        texts = [stream.text for stream in streams + later]
        assert turns.count > began + 20
    assert not turns.failed
    assert set(texts) == {"word " * 10} and len(texts) == STREAMS + 20
    assert not children & set(stack.pool.children())
    assert set(stack.nginx.children()) - workers
    assert {stream.done()["finish_reason"] for stream in streams} == {"stop"}


def _slowly_if_asked(model):
    def answer(asked):
        if asked.user_text != "slow":
            return model.echo(asked)
        say = model.say(*["word "] * 10)
        say.delay = 0.4
        return say
    return answer


def test_new_settings_are_taken_into_use(stacks):
    stack = stacks(runner=False)
    (stack.directory / "confab.ini").write_text("[model]\nname = newer\n")
    assert reload(stack).returncode == 0
    assert stack.chat().say("hi").status == 200
    assert stack.model.requests[-1].json["model"] == "newer"


def test_wrong_settings_change_nothing(stacks):
    stack = stacks(runner=False)
    children, workers = stack.pool.children(), stack.nginx.children()
    (stack.directory / "confab.ini").write_text("[model]\nnane = newer\n")
    ended = reload(stack)
    assert ended.returncode != 0 and "nane" in ended.stderr and "nothing" in ended.stderr
    (stack.directory / "confab.ini").write_text("")
    configuration = stack.nginx.state / "nginx.conf"
    configuration.write_text(configuration.read_text() + "nonsense;\n")
    ended = reload(stack)
    assert ended.returncode != 0 and "nonsense" in ended.stderr
    assert (stack.pool.children(), stack.nginx.children()) == (children, workers)


def test_wrong_settings_make_no_configuration_of_nginx(stacks):
    stack = stacks(runner=False)
    made = (stack.nginx.state / "confab.conf").read_text()
    (stack.directory / "confab.ini").write_text("[model]\nnane = newer\n")
    with pytest.raises(AssertionError, match="nane"):
        stack.nginx.configure(stack.env, stack.pool.socket)
    assert (stack.nginx.state / "confab.conf").read_text() == made


def test_without_a_pool_it_says_so(stacks):
    stack = stacks(runner=False)
    env = adopt(stack)
    stack.pool.stop()
    ended = run_reload(env)
    assert ended.returncode != 0 and "no pool" in ended.stderr

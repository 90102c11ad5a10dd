"""nginx's limits per client address."""

import subprocess

import pytest

from tests.support.dialog import EVENTS
from tests.support.programs import FCGI, TOP

ALIVE = "/api/v1/health"


def statuses(stack, count):
    return [stack.client.get(ALIVE).status for _ in range(count)]


def test_requests_of_an_address_are_limited(stacks):
    stack = stacks(runner=False, HTTP_LIMIT_EXEMPT="10.0.0.0/8", HTTP_REQUESTS_PER_SECOND=1,
                   HTTP_BURST=20)
    seen = statuses(stack, 40)
    # Those of the start were counted too; and one a second comes free.
    assert 10 <= seen.count(200) <= 25 and seen.count(429) >= 15, seen
    stack.client.get(ALIVE).problem(429, "too_many_requests")
    assert int(stack.client.get(ALIVE).headers["Retry-After"]) >= 1


def test_open_connections_of_an_address_are_limited(stacks):
    stack = stacks(runner=False, HTTP_LIMIT_EXEMPT="", HTTP_CONNECTIONS=3)
    held = [stack.model.hold() for _ in range(3)]
    for answer in held:
        answer.send("Hel")
    streams = [stack.chat().stream("hi", headers=EVENTS) for _ in range(3)]
    for stream in streams:
        assert stream.next_text() == "Hel"
    stack.client.get(ALIVE).problem(429, "too_many_requests")
    stack.model.release()
    for stream in streams:
        stream.done()


@pytest.mark.parametrize("settings", [
    {"HTTP_REQUESTS_PER_SECOND": 1, "HTTP_BURST": 0, "HTTP_CONNECTIONS": 1},
    {"HTTP_REQUESTS_PER_SECOND": 0, "HTTP_CONNECTIONS": 0, "HTTP_LIMIT_EXEMPT": ""},
], ids=["exempt", "off"])
def test_this_host_is_not_limited_nor_anybody_when_they_are_off(stacks, settings):
    stack = stacks(runner=False, **settings)
    assert statuses(stack, 50) == [200] * 50


@pytest.mark.parametrize("setting", ["HTTP_REQUESTS_PER_SECOND", "HTTP_BURST", "HTTP_CONNECTIONS",
                                     "HTTP_PORT"])
def test_one_that_is_not_a_number_is_named(setting, tmp_path):
    made = subprocess.run([TOP / "scripts" / "nginx-conf"], capture_output=True, text=True,
                          check=False, env={"PATH": "/usr/bin:/bin", "CONFAB_STATE": str(tmp_path),
                                            "FCGI_SOCKET": "x", "CONFAB_FCGI": str(FCGI),
                                            setting: "many"})
    assert made.returncode == 1 and f'{setting}: "many"' in made.stderr, made

"""What all end-to-end tests share. A test that breaks nothing takes `stack`, which lives as
long as the run; one that kills, freezes or configures something makes its own with `stacks`."""

from __future__ import annotations

import pytest

from tests.support.stack import Stack


@pytest.fixture(scope="session")
def session_stack():
    with Stack() as stack:
        yield stack


@pytest.fixture(scope="module")
def shared(session_stack):
    """A module overrides it when all of its tests need other settings."""
    return session_stack


@pytest.fixture
def stack(shared):
    shared.fresh()
    yield shared
    shared.check()


@pytest.fixture
def stacks():
    """Makes stacks, as Stack() does, and ends them with the test."""
    made = []

    def make(*, wait=True, **options):
        made.append(Stack(**options))
        return made[-1].start(wait=wait)

    yield make
    for one in reversed(made):
        one.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the ends of the logs, and keeps the stack's directory."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for stack in Stack.living:
        stack.keep = True
        for name, log in stack.logs().items():
            report.sections.append((f"{name}, {stack.directory}", log))

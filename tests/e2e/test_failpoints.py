"""Failure points are for a build of their own."""

from tests.support.programs import FCGI, JOBRUNNER


def test_what_is_shipped_cannot_be_told_to_die():
    for program in (FCGI, JOBRUNNER):
        assert b"CONFAB_FAILPOINTS" not in program.read_bytes(), program

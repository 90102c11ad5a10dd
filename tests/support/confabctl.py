"""The operator's command, with the settings of a stack."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from tests.support.programs import BUILD
from tests.support.stack import Stack

CONFABCTL = BUILD / "confabctl" / "confabctl"


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def confabctl(stack: Stack, *words: str, **settings: str) -> Ran:
    """settings: over those of the stack."""
    done = subprocess.run([CONFABCTL, *words], env=stack.env | settings, capture_output=True,
                          text=True, timeout=30, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def make_key(stack: Stack, tenant: str, *options: str) -> str:
    ran = confabctl(stack, "key", "add", "--tenant", tenant, *options)
    assert ran.status == 0, ran
    return ran.out.strip()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}

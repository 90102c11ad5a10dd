"""Certificates for servers of tests and benchmarks, by an authority made on the spot."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")


class Identity(NamedTuple):
    certificate: Path
    key: Path
    authority: Path     # who signed it
    trusted: Path       # all authorities of the system, and that one


def issue(directory: Path, address: str, name: str = "localhost") -> Identity:
    """For a server at this address that may be called by this name."""
    authority, authority_key = _request(directory, "authority")
    certificate, key = _request(
        directory, "server", "-CA", authority, "-CAkey", authority_key, "-addext",
        "basicConstraints=critical,CA:FALSE", "-addext", f"subjectAltName=DNS:{name},IP:{address}")
    trusted = directory / "trusted.pem"
    trusted.write_text(SYSTEM.read_text() + authority.read_text())
    return Identity(certificate, key, authority, trusted)


def _request(directory: Path, name: str, *more: str | Path) -> tuple[Path, Path]:
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-out", certificate, "-keyout", key, *more], check=True, capture_output=True)
    return certificate, key

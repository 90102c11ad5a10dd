"""Google's credential files, for keys that are made when first asked for."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PROJECT = "confab-test"
SERVICE_ACCOUNT = f"writer@{PROJECT}.iam.gserviceaccount.com"
SERVICE_CLIENT_ID = "100000000000000000001"
KEY_ID = "0123456789abcdef0123456789abcdef01234567"

USER = "person@example.com"
USER_CLIENT_ID = "200000000000-test.apps.googleusercontent.com"
USER_CLIENT_SECRET = "GOCSPX-test-secret"
REFRESH_TOKEN = "1//0test-refresh-token"


def private_key(name: str = "writer") -> rsa.RSAPrivateKey:
    """The key of this name: the same one as long as the process lives."""
    return _private_key(name)


@functools.lru_cache(maxsize=None)
def _private_key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_key_pem(name: str = "writer") -> str:
    return private_key(name).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()).decode()


def service_account_file(directory: Path | str, google_url: str, **changes: object) -> Path:
    """changes: fields to replace, or to leave out if None."""
    return _write(Path(directory) / "service-account.json", {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": KEY_ID,
        "private_key": private_key_pem(),
        "client_email": SERVICE_ACCOUNT,
        "client_id": SERVICE_CLIENT_ID,
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": f"{google_url}/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "universe_domain": "googleapis.com",
    } | changes)


def authorized_user_file(directory: Path | str, google_url: str, **changes: object) -> Path:
    """changes: fields to replace, or to leave out if None."""
    return _write(Path(directory) / "authorized-user.json", {
        "type": "authorized_user",
        "client_id": USER_CLIENT_ID,
        "client_secret": USER_CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
        "token_uri": f"{google_url}/token",
        "universe_domain": "googleapis.com",
    } | changes)


def _write(path: Path, fields: dict) -> Path:
    present = {name: value for name, value in fields.items() if value is not None}
    path.touch(mode=0o600)
    path.write_text(json.dumps(present, indent=2) + "\n")
    return path

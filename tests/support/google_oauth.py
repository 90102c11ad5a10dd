"""The token endpoint: assertions of a service account and refresh tokens in,
short-lived access tokens out."""

from __future__ import annotations

import base64
import binascii
import json
import random
import re
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support import keys
from tests.support.google_errors import Refusal, sample
from tests.support.google_schema import SCOPES, SCOPE_PREFIX
from tests.support.http1 import Request

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
MAX_LIFE = 3600     # of an assertion, in seconds
_CLAIMS = {"iss", "scope", "aud", "iat", "exp"}
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_DRIVE = frozenset({SCOPE_PREFIX + "drive"})


@dataclass(frozen=True)
class Caller:
    """Who calls, and by which program."""
    email: str
    client: str             # the OAuth client: appProperties and drive.file belong to it
    bare: bool              # a service account that acts for nobody: it has no storage
    scopes: frozenset[str]  # without their prefix

    @property
    def only_own_files(self) -> bool:
        return self.scopes <= {"drive.file", "drive.appdata"}


@dataclass
class TokenRequest:
    """What was asked of the token endpoint, and how it ended."""
    at: float               # monotonic
    form: dict[str, str] = field(default_factory=dict, repr=False)
    claims: dict = field(default_factory=dict)
    status: int = 0
    error: str | None = None


@dataclass
class _Token:
    caller: Caller
    ends: float             # monotonic


class TokenEndpoint:
    """Tests may set everything that has no underscore, at any time."""

    def __init__(self) -> None:
        self.url = ""                       # what `aud` must be
        self.ttl = 3599.0                   # of access tokens, in seconds
        self.skew = 300                     # how far a client's clock may be off
        self.clock_offset = 0               # Google's clock minus ours
        self.public_keys: dict[str, rsa.RSAPublicKey] = {
            keys.KEY_ID: keys.private_key().public_key()}
        self.disabled = False               # the service account
        self.people = {keys.USER}           # users that exist
        self.delegates = {keys.USER}        # for whom the service account may act
        self.refresh_tokens = {keys.REFRESH_TOKEN: keys.USER}
        self.user_scopes = _DRIVE           # what the user has granted
        self.requests: list[TokenRequest] = []
        self._tokens: dict[str, _Token] = {}
        self._random = random.Random()

    def revoke(self) -> None:
        """All tokens given so far are refused from now on."""
        self._tokens.clear()

    def caller(self, authorization: str | None) -> Caller:
        """Who is behind an Authorization header; Refusal if it is nobody."""
        scheme, _, text = (authorization or "").partition(" ")
        token = self._tokens.get(text) if scheme == "Bearer" else None
        if token is None or time.monotonic() >= token.ends:
            raise sample("drive-401-auth")
        return token.caller

    def answer(self, request: Request) -> dict:
        asked = TokenRequest(time.monotonic())
        self.requests.append(asked)
        try:
            asked.form = _form(request)
            caller = self._grant(asked)
        except Refusal as why:
            asked.status, asked.error = why.status, why.body["error"]
            raise
        asked.status = 200
        return self._issue(caller)

    def _grant(self, asked: TokenRequest) -> Caller:
        grant_type = asked.form.get("grant_type")
        if grant_type == JWT_BEARER:
            _only(asked.form, "grant_type", "assertion")
            return self._service_account(asked)
        if grant_type == "refresh_token":
            _only(asked.form, "grant_type", "client_id", "client_secret", "refresh_token")
            return self._user(asked.form)
        raise _refusal("unsupported_grant_type", f"Invalid grant_type: {grant_type}")

    def _issue(self, caller: Caller) -> dict:
        token = "ya29." + "".join(self._random.choices(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", k=180))
        self._tokens[token] = _Token(caller, time.monotonic() + self.ttl)
        return {"access_token": token, "expires_in": int(self.ttl), "token_type": "Bearer"}

    def _user(self, form: dict[str, str]) -> Caller:
        if form["client_id"] != keys.USER_CLIENT_ID:
            raise _refusal("invalid_client", "The OAuth client was not found.", 401)
        if form["client_secret"] != keys.USER_CLIENT_SECRET:
            raise _refusal("invalid_client", "Unauthorized", 401)
        email = self.refresh_tokens.get(form["refresh_token"])
        if email is None:
            raise _refusal("invalid_grant", "Token has been expired or revoked.")
        return _caller(email, form["client_id"], self.user_scopes, bare=False)

    def _service_account(self, asked: TokenRequest) -> Caller:
        signed, _, signature = asked.form["assertion"].rpartition(".")
        header_text, _, claims_text = signed.partition(".")
        header, claims = _decode_object(header_text), _decode_object(claims_text)
        asked.claims = claims
        self._check_signature(header, signed, _decode(signature))
        self._check_claims(claims)
        if self.disabled:
            raise sample("token-401-disabled")
        scopes = _scopes(claims["scope"])
        subject = claims.get("sub")
        if subject is not None:
            self._check_subject(subject)
        return _caller(subject or claims["iss"], keys.SERVICE_CLIENT_ID, scopes,
                       bare=subject is None)

    def _check_signature(self, header: dict, signed: str, signature: bytes) -> None:
        if header.get("alg") != "RS256" or header.get("typ") != "JWT":
            raise _refusal("invalid_grant", "Invalid JWT: alg must be RS256 and typ JWT.")
        if header.keys() - {"alg", "typ", "kid"}:
            raise _refusal("invalid_grant", "Invalid JWT: unknown header fields.")
        key_id = header.get("kid")
        candidates = (self.public_keys.values() if key_id is None else
                      [key for name, key in self.public_keys.items() if name == key_id])
        if not any(_signed_by(key, signed, signature) for key in candidates):
            raise sample("token-400-signature")

    def _check_claims(self, claims: dict) -> None:
        if claims.get("iss") != keys.SERVICE_ACCOUNT:
            raise _refusal("invalid_grant", "Not a valid email or user ID.")
        if not _CLAIMS <= claims.keys() or claims.keys() - _CLAIMS - {"sub"}:
            raise _refusal("invalid_grant", "Invalid JWT: claims missing or unknown: "
                           + ", ".join(sorted(claims.keys() ^ _CLAIMS)))
        if claims["aud"] != self.url:
            raise _refusal("invalid_grant", "Invalid JWT: Failed audience check.")
        now = time.time() + self.clock_offset
        iat, exp = claims["iat"], claims["exp"]
        if (type(iat) is not int or type(exp) is not int or not 0 < exp - iat <= MAX_LIFE
                or iat > now + self.skew or exp <= now):
            raise sample("token-400-clock")

    def _check_subject(self, subject: object) -> None:
        if not isinstance(subject, str) or not _EMAIL.fullmatch(subject) \
                or subject not in self.people:
            raise sample("token-400-bad-sub")
        if subject not in self.delegates:
            raise sample("token-401-delegation")


def _caller(email: str, client: str, scopes: frozenset[str], *, bare: bool) -> Caller:
    return Caller(email, client, bare, frozenset(s.removeprefix(SCOPE_PREFIX) for s in scopes))


def _form(request: Request) -> dict[str, str]:
    content_type = request.headers.get("content-type", "").replace(" ", "").lower()
    if content_type not in ("application/x-www-form-urlencoded",
                            "application/x-www-form-urlencoded;charset=utf-8"):
        raise _refusal("invalid_request", f"Unsupported content type: {content_type}")
    if "?" in request.target:
        raise _refusal("invalid_request", "Parameters belong into the body.")
    try:
        pairs = parse_qsl(request.body.decode("ascii"), strict_parsing=True, errors="strict",
                          keep_blank_values=True)
    except ValueError:
        raise _refusal("invalid_request", "The body is not form-encoded.") from None
    if len(dict(pairs)) != len(pairs):
        raise _refusal("invalid_request", "OAuth 2 parameters can only have a single value.")
    return dict(pairs)


def _only(form: dict[str, str], *names: str) -> None:
    if form.keys() != set(names):
        raise _refusal("invalid_request", "Missing or unknown parameters: "
                       + ", ".join(sorted(form.keys() ^ set(names))))


def _scopes(text: object) -> frozenset[str]:
    scopes = text.split(" ") if isinstance(text, str) else []
    if not scopes or not SCOPES.issuperset(scopes):
        raise sample("token-400-scope")
    return frozenset(scopes)


def _decode(text: str) -> bytes:
    """base64url without padding, in its one canonical form."""
    if not _BASE64URL.fullmatch(text):
        raise _bad_jwt()
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise _bad_jwt() from None
    if base64.urlsafe_b64encode(value).rstrip(b"=").decode() != text:
        raise _bad_jwt()
    return value


def _decode_object(text: str) -> dict:
    try:
        value = json.loads(_decode(text))
    except ValueError:
        raise _bad_jwt() from None
    if not isinstance(value, dict):
        raise _bad_jwt()
    return value


def _bad_jwt() -> Refusal:
    return _refusal("invalid_grant", "Bad Request")


def _refusal(error: str, description: str, status: int = 400) -> Refusal:
    return Refusal(status, {"error": error, "error_description": description})


def _signed_by(key: rsa.RSAPublicKey, signed: str, signature: bytes) -> bool:
    try:
        key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True

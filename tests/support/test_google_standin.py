"""The stand-in for Google does what the tests of the document store rely on."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from urllib.parse import quote, urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.support import keys
from tests.support.google import Google
from tests.support.google_files import DOCUMENT, FOLDER
from tests.support.google_oauth import JWT_BEARER
from tests.support.google_schema import SCOPE_PREFIX, format_time, parse_time

ALL = {"supportsAllDrives": "true"}
EVERYWHERE = ALL | {"includeItemsFromAllDrives": "true"}
HTML = "text/html; charset=UTF-8"
KIB = 1024


class Client:
    """The shortest client that speaks all of it, over one kept connection."""

    def __init__(self, google: Google) -> None:
        self.google = google
        self.connection = http.client.HTTPConnection("127.0.0.1", google.port, timeout=10)
        self.token = ""
        self.headers: dict[str, str] = {}

    def call(self, verb, target, body=None, headers=None):
        """(status, parsed body)."""
        given = {"Authorization": f"Bearer {self.token}"} | (headers or {})
        try:
            self.connection.request(verb, target, body, given)
            answer = self.connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        is_json = self.headers.get("content-type", "").startswith("application/json")
        return answer.status, json.loads(data) if is_json else data

    def ask(self, form):
        body = urlencode(form) if isinstance(form, dict) else form
        return self.call("POST", "/token", body,
                         {"Content-Type": "application/x-www-form-urlencoded"})

    def login(self, **claims):
        status, body = self.ask({"grant_type": JWT_BEARER, "assertion": jwt(self.google, **claims)})
        self.token = body.get("access_token", "")
        return status, body

    def drive(self, verb, path, query=None, body=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body) if isinstance(body, dict) else body
        return self.call(verb, f"/drive/v3/{path}?{urlencode(ALL if query is None else query)}",
                         data, headers)

    def create(self, *parents, query=None, **metadata):
        body = {"name": "n", "mimeType": DOCUMENT} | metadata
        if parents:
            body["parents"] = list(parents)
        return self.drive("POST", "files", query, body)

    def upload(self, verb, path, metadata, content, **changes):
        data = changes.get("data") or multipart(metadata, content)
        kind = changes.get("content_type", "multipart/related; boundary=B")
        query = ALL | {"uploadType": "multipart"} | changes.get("query", {})
        return self.call(verb, f"/upload/drive/v3/{path}?{urlencode(query)}", data,
                         {"Content-Type": kind})

    def find(self, q, **query):
        status, body = self.drive("GET", "files", EVERYWHERE | {"q": q} | query)
        assert status == 200, body
        return [f["id"] for f in body["files"]]


def multipart(metadata, content, content_type=HTML):
    return (b"--B\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
            + json.dumps(metadata).encode() + b"\r\n--B\r\nContent-Type: "
            + content_type.encode() + b"\r\n\r\n" + content + b"\r\n--B--")


def encode(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(google, *, header=None, key="writer", **changes):
    """An assertion that is right, but for the changes; None leaves a claim out."""
    now = int(time.time())
    claims = {"iss": keys.SERVICE_ACCOUNT, "scope": SCOPE_PREFIX + "drive",
              "aud": f"{google.url}/token", "iat": now, "exp": now + 3600} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    header = {"alg": "RS256", "typ": "JWT", "kid": keys.KEY_ID} | (header or {})
    signed = f"{encode(header)}.{encode(claims)}"
    signature = keys.private_key(key).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{encode(signature)}"


def reason(answer):
    return answer[0], answer[1]["error"]["errors"][0]["reason"]


@pytest.fixture
def google():
    with Google() as standin:
        yield standin
        assert standin.failures == []


@pytest.fixture
def client(google):
    one = Client(google)
    assert one.login()[0] == 200
    yield one
    one.connection.close()


# Tokens

def test_a_right_assertion_gives_a_token(google):
    status, body = Client(google).login()
    assert status == 200 and body["token_type"] == "Bearer" and body["expires_in"] == 3599
    assert google.tokens.requests[0].claims["iss"] == keys.SERVICE_ACCOUNT


NOW = int(time.time())


@pytest.mark.parametrize("status, error, changes", [
    (400, "invalid_grant", {"key": "another"}),
    (400, "invalid_grant", {"header": {"alg": "HS256"}}),
    (400, "invalid_grant", {"header": {"alg": "none"}}),
    (400, "invalid_grant", {"header": {"typ": "jwt"}}),
    (400, "invalid_grant", {"header": {"kid": "f" * 40}}),
    (400, "invalid_grant", {"iss": "nobody@example.com"}),
    (400, "invalid_grant", {"aud": "https://oauth2.googleapis.com/token"}),
    (400, "invalid_grant", {"exp": NOW + 7200}),
    (400, "invalid_grant", {"iat": NOW + 600, "exp": NOW + 900}),
    (400, "invalid_grant", {"iat": NOW - 4000, "exp": NOW - 400}),
    (400, "invalid_grant", {"iat": str(NOW)}),
    (400, "invalid_grant", {"iat": None}),
    (400, "invalid_grant", {"nbf": NOW}),
    (400, "invalid_scope", {"scope": ""}),
    (400, "invalid_scope", {"scope": "drive"}),
    (400, "invalid_scope", {"scope": SCOPE_PREFIX + "drive," + SCOPE_PREFIX + "drive.file"}),
    (400, "invalid_grant", {"sub": "stranger@example.com"}),
    (401, "unauthorized_client", {"sub": "undelegated@example.com"}),
])
def test_a_wrong_assertion_is_refused(google, status, error, changes):
    google.tokens.people.add("undelegated@example.com")
    answer = Client(google).login(**changes)
    assert (answer[0], answer[1]["error"]) == (status, error)


@pytest.mark.parametrize("spoil", [
    lambda t: t + "=", lambda t: t[:-3], lambda t: t.replace(".", ":"), lambda t: t + ".x",
    lambda t: "", lambda t: "a.b.c"])
def test_an_assertion_of_another_form_is_refused(google, spoil):
    answer = Client(google).ask({"grant_type": JWT_BEARER, "assertion": spoil(jwt(google))})
    assert answer[0] == 400 and answer[1]["error"] == "invalid_grant"


def test_a_token_request_is_a_form_and_nothing_else(google):
    client, assertion = Client(google), jwt(google)
    form = {"grant_type": JWT_BEARER, "assertion": assertion}
    wrong = [client.ask(form | {"extra": "1"}), client.ask({"assertion": assertion}),
             client.ask(urlencode(form) + "&grant_type=x"), client.ask("nonsense"),
             client.ask(form | {"grant_type": "password"}),
             client.call("POST", "/token", json.dumps(form), {"Content-Type": "application/json"})]
    assert {status for status, _ in wrong} == {400}
    assert [r.status for r in google.tokens.requests] == [400] * 6


def test_a_refresh_token_gives_a_token(google):
    form = {"grant_type": "refresh_token", "client_id": keys.USER_CLIENT_ID,
            "client_secret": keys.USER_CLIENT_SECRET, "refresh_token": keys.REFRESH_TOKEN}
    client = Client(google)
    status, body = client.ask(form)
    client.token = body["access_token"]
    assert status == 200 and client.create()[0] == 200   # into the person's own root
    assert client.ask(form | {"refresh_token": "old"})[1]["error"] == "invalid_grant"
    assert client.ask(form | {"client_secret": "x"})[1]["error"] == "invalid_client"


def test_a_token_ends_or_is_revoked(google, client):
    google.tokens.revoke()
    assert reason(client.create(google.folder)) == (401, "authError")
    google.tokens.ttl = 0
    client.login()
    assert client.create(google.folder)[0] == 401
    assert google.visible() == []


def test_a_scope_that_does_not_suffice(google, client):
    client.login(scope=SCOPE_PREFIX + "drive.readonly")
    assert reason(client.create(google.folder)) == (403, "insufficientPermissions")


def test_credential_files_hold_what_google_hands_out(google, tmp_path):
    account = json.loads(keys.service_account_file(tmp_path, google.url).read_text())
    user = json.loads(keys.authorized_user_file(tmp_path, google.url).read_text())
    assert account["type"] == "service_account" and user["type"] == "authorized_user"
    assert account["token_uri"] == f"{google.url}/token"
    assert account["private_key"].startswith("-----BEGIN PRIVATE KEY-----")


# The road of a document

def test_staged_then_filled_then_moved(google, client):
    staging = client.create(google.files.drive_id, mimeType=FOLDER)[1]["id"]
    document = client.create(staging, appProperties={"task": "7"})[1]["id"]
    assert [f.id for f in google.staged()] == [document] and google.visible() == []
    for _ in range(2):
        assert client.upload("PATCH", f"files/{document}", {}, "<p>Grüße 🙂".encode())[0] == 200
    move = ALL | {"addParents": google.folder, "removeParents": staging, "fields": "parents,name"}
    for _ in range(2):
        answer = client.drive("PATCH", f"files/{document}", move, {"name": "s1", "trashed": False})
        assert answer == (200, {"name": "s1", "parents": [google.folder]})
    [shown] = google.visible()
    assert (shown.name, shown.text, shown.app_properties) == ("s1", "<p>Grüße 🙂", {"task": "7"})
    assert google.ever_visible_empty() == [] and google.most_visible() == 1
    assert [c.method for c in google.history(document)] == ["files.create"] + 4 * ["files.update"]


def test_what_was_visible_and_empty_is_not_forgotten(google, client):
    for _ in range(2):
        document = client.create(google.folder)[1]["id"]
    google.delete(document)
    assert len(google.ever_visible_empty()) == 2 and google.most_visible() == 2


def test_an_upload_creates_and_converts(google, client):
    metadata = {"name": "n", "mimeType": DOCUMENT, "parents": [google.folder]}
    status, body = client.upload("POST", "files", metadata, b"<p>hi")
    assert status == 200 and body == {"kind": "drive#file", "id": body["id"], "name": "n",
                                      "mimeType": DOCUMENT}
    assert client.drive("GET", f"files/{body['id']}/export", {"mimeType": "text/html"}) \
        == (200, b"<p>hi")
    assert client.drive("GET", f"files/{body['id']}", ALL | {"alt": "media"})[0] == 403
    plain = client.upload("POST", "files", metadata | {"mimeType": "text/html"}, b"<p>hi")[1]["id"]
    assert google.files.now[plain].mime_type == "text/html"
    assert [f.id for f in google.visible()] == [body["id"]]


@pytest.mark.parametrize("data", [
    multipart({}, b"x").replace(b"\r\n", b"\n"),
    multipart({}, b"x")[:-2],
    multipart({}, b"x")[:-8],
    multipart({}, b"x") + b"more",
    b"preamble\r\n" + multipart({}, b"x"),
    multipart({}, b"x").replace(b"--B--", b"--B\r\nContent-Type: text/html\r\n\r\ny\r\n--B--"),
    multipart({}, b"x\r\n--Bother"),
    multipart({}, b"x").replace(b"application/json", b"text/json"),
    multipart({}, b"x").replace(b"text/html; charset=UTF-8", b"nothing"),
    multipart({}, b"x", "text/html; charset=latin-1"),
    multipart({}, b"x", "image/png"),
    multipart({}, b"\xff\xfe"),
    multipart({}, b"x").replace(b"{}", b'{"name":"a","name":"b"}'),
    multipart({}, b"x").replace(b"{}", b"[]"),
    multipart({"nmae": "x"}, b"x"),
])
def test_a_multipart_body_of_another_form_is_refused(google, client, data):
    document = client.create(google.folder)[1]["id"]
    assert client.upload("PATCH", f"files/{document}", None, None, data=data)[0] == 400
    assert google.files.now[document].content == b""


def test_the_boundary_may_be_quoted_but_must_be_there(google, client):
    document = client.create(google.folder)[1]["id"]
    kinds = {'multipart/related; boundary="B"': 200, "multipart/related": 400,
             "multipart/form-data; boundary=B": 400, "multipart/related; boundary=C": 400}
    for kind, status in kinds.items():
        answer = client.upload("PATCH", f"files/{document}", {}, b"x", content_type=kind)
        assert answer[0] == status, kind


def test_a_multipart_upload_needs_its_length(google, client):
    document = client.create(google.folder)[1]["id"]
    target = f"/upload/drive/v3/files/{document}?uploadType=multipart&supportsAllDrives=true"
    answer = client.call("PATCH", target, iter([multipart({}, b"x")]),
                         {"Content-Type": "multipart/related; boundary=B"})
    assert answer[0] == 411


# Resumable uploads

def begin(client, document, size):
    target = f"/upload/drive/v3/files/{document}?uploadType=resumable&supportsAllDrives=true"
    answer = client.call("PATCH", target, "{}", {
        "Content-Type": "application/json", "X-Upload-Content-Type": HTML,
        "X-Upload-Content-Length": str(size)})
    assert answer == (200, b"")
    return client.headers["location"].removeprefix(client.google.url)


def put(client, location, content, content_range):
    status, _ = client.call("PUT", location, content, {"Content-Range": content_range})
    return status, client.headers.get("range")


def test_a_resumable_upload_in_pieces(google, client):
    document, text = client.create(google.folder)[1]["id"], b"x" * (600 * KIB)
    at, total = 512 * KIB, 600 * KIB
    location = begin(client, document, total)
    assert put(client, location, b"", f"bytes */{total}") == (308, None)
    assert put(client, location, text[:1000], f"bytes 0-999/{total}")[0] == 400
    assert put(client, location, text[:at], f"bytes 0-{at - 1}/{total}") \
        == (308, f"bytes=0-{at - 1}")
    assert put(client, location, text[:at], f"bytes 0-{at - 1}/{total}")[0] == 400
    assert google.files.now[document].content == b""
    assert put(client, location, text[at:], f"bytes {at}-{total - 1}/{total}")[0] == 200
    assert put(client, location, b"", f"bytes */{total}")[0] == 200
    assert google.files.now[document].content == text
    google.uploads.expire()
    assert put(client, location, b"", f"bytes */{total}")[0] == 404


def test_an_interrupted_piece_is_kept_in_part(google, client):
    document, text = client.create(google.folder)[1]["id"], b"x" * (1024 * KIB)
    location = begin(client, document, len(text))
    google.faults.add("upload.put", "cut", "partly")
    with pytest.raises(http.client.RemoteDisconnected):
        put(client, location, text, f"bytes 0-{len(text) - 1}/{len(text)}")
    half = 512 * KIB
    assert put(client, location, b"", f"bytes */{len(text)}") == (308, f"bytes=0-{half - 1}")


# Rules

def test_without_support_for_all_drives_nothing_is_found(google, client):
    document = client.create(google.folder)[1]["id"]
    assert reason(client.drive("GET", f"files/{document}", {})) == (404, "notFound")
    assert reason(client.drive("PATCH", f"files/{document}", {}, {})) == (404, "notFound")
    assert reason(client.create(google.folder, query={})) == (404, "notFound")
    for query in ({}, ALL, {"includeItemsFromAllDrives": "true"}):
        status, body = client.drive("GET", "files", query)
        assert (status, body["files"]) == (200, [])


def test_generated_ids_are_for_folders_and_blobs(google, client):
    status, body = client.drive("GET", "files/generateIds", {"count": "3"})
    one, two, three = body["ids"]
    assert reason(client.create(google.folder, id=one)) == (400, "generatedIdNotSupported")
    assert client.create(google.folder, id=one, mimeType=FOLDER)[1]["id"] == one
    assert client.create(google.folder, id=two, mimeType="text/plain")[0] == 200
    assert reason(client.create(google.folder, id=one, mimeType=FOLDER)) == (409, "fileIdInUse")
    google.delete(one)
    assert client.create(google.folder, id=one, mimeType=FOLDER)[0] == 409
    assert client.create(google.folder, id="1" * 33, mimeType=FOLDER)[0] == 400
    converted = client.upload("POST", "files", {"id": three, "mimeType": DOCUMENT,
                                                "parents": [google.folder]}, b"x")
    assert reason(converted) == (400, "generatedIdNotSupported")


def test_a_file_has_exactly_one_parent(google, client):
    other = google.add_folder()
    document = client.create(google.folder)[1]["id"]
    assert client.create(google.folder, other)[0] == 403
    assert reason(client.drive("PATCH", f"files/{document}", None, {"parents": [other]})) \
        == (403, "fieldNotWritable")
    add = ALL | {"addParents": other}
    assert reason(client.drive("PATCH", f"files/{document}", add, {})) == (403, "cannotAddParent")
    remove = ALL | {"removeParents": google.folder}
    assert client.drive("PATCH", f"files/{document}", remove, {})[0] == 403
    gone = add | {"addParents": "1nowhere", "removeParents": google.folder}
    assert client.drive("PATCH", f"files/{document}", gone, {})[0] == 404
    assert [f.id for f in google.visible()] == [document]


def test_a_writer_neither_moves_nor_trashes(google, client):
    google.role = "writer"
    other = google.add_folder()
    document = client.create(other)[1]["id"]
    assert client.upload("PATCH", f"files/{document}", {}, b"x")[0] == 200
    move = ALL | {"addParents": google.folder, "removeParents": other}
    refused = (403, "insufficientFilePermissions")
    assert reason(client.drive("PATCH", f"files/{document}", move, {"name": "n"})) == refused
    assert reason(client.drive("PATCH", f"files/{document}", None, {"trashed": True})) == refused
    google.role = "reader"
    assert reason(client.create(google.folder)) == refused
    google.role = None
    assert reason(client.create(google.folder)) == (404, "notFound")
    google.role = "fileOrganizer"
    assert reason(client.drive("DELETE", f"files/{document}")) == refused
    assert client.drive("PATCH", f"files/{document}", None, {"trashed": True})[0] == 200
    assert google.staged() == []


def test_a_service_account_owns_nothing(google, client):
    private = google.add_my_drive_folder()
    refused = (403, "storageQuotaExceeded")
    assert reason(client.create()) == refused
    assert reason(client.create(private)) == refused
    client.login(sub=keys.USER)
    assert client.create(private)[0] == 200 and client.create()[0] == 200


def test_drive_file_sees_only_what_is_its_own(google, client):
    client.login(scope=SCOPE_PREFIX + "drive.file")
    assert reason(client.drive("GET", f"files/{google.folder}")) == (404, "notFound")
    document = client.create(google.folder)[1]["id"]
    assert client.drive("GET", f"files/{document}")[0] == 200
    assert client.find("") == [document]
    google.grant(google.folder)
    assert client.drive("GET", f"files/{google.folder}")[0] == 200


@pytest.mark.parametrize("body", [
    {"colour": "red"}, {"id": 7}, {"name": 7}, {"parents": "x"}, {"trashed": "no"}, {"size": "1"},
    {"appProperties": {"k": 1}}, {"appProperties": {"k": "v" * 124}}, {"createdTime": "today"},
    {"appProperties": {str(n): "v" for n in range(31)}}, {"name": "a\0b"}, {"webViewLink": "x"},
    {"mimeType": "application/vnd.google-apps.unknown"}])
def test_a_body_that_is_no_file_is_refused(google, client, body):
    assert client.create(**{"parents": [google.folder]} | body)[0] in (400, 403)
    assert google.visible() == []


@pytest.mark.parametrize("query", [
    {"supportAllDrives": "true"}, {"supportsAllDrives": "1"}, {"fields": "nonexistentfield"},
    {"fields": "id,"}, {"fields": ""}, {"fields": "capabilities(canEdit"}, {"fields": "id,id)"},
    {"fields": "files(id)"}, {"access_token": "x"}, {"uploadType": "multipart"}, {"alt": "xml"}])
def test_a_query_that_is_not_known_is_refused(google, client, query):
    assert client.drive("GET", f"files/{google.folder}", ALL | query)[0] == 400
    assert client.create(google.folder, query=ALL | query)[0] == 400
    assert google.visible() == []


def test_a_body_that_is_not_json_is_refused(client):
    for body in (b"", b"{", b'{"name":"\xff"}', b'{"name":"a","name":"a"}', b"[]", b"{} x"):
        assert client.drive("POST", "files", ALL, body)[0] == 400, body


def test_only_the_fields_that_were_asked_for_come_back(google, client):
    status, body = client.create(google.folder, appProperties={"a": "b"}, query=ALL | {
        "fields": "id,parents,appProperties/a,capabilities(canEdit,canTrash)"})
    assert body == {"id": body["id"], "parents": [google.folder], "appProperties": {"a": "b"},
                    "capabilities": {"canEdit": True, "canTrash": True}}
    listed = client.drive("GET", "files", EVERYWHERE | {
        "q": "appProperties has { key='a' and value='b' }", "fields": "files(id,name)"})[1]
    assert listed == {"files": [{"id": body["id"], "name": "n"}]}
    everything = client.drive("GET", f"files/{body['id']}", ALL | {"fields": "*"})[1]
    assert everything["driveId"] == google.files.drive_id
    assert everything["webViewLink"].startswith("https://docs.google.com/document/d/")


def test_about_needs_fields(client):
    assert client.drive("GET", "about", {})[0] == 400
    answer = client.drive("GET", "about", {"fields": "user/emailAddress,storageQuota(limit)"})
    assert answer == (200, {"user": {"emailAddress": keys.SERVICE_ACCOUNT},
                            "storageQuota": {"limit": "0"}})


# Searching

@pytest.mark.parametrize("q, found", [
    ("appProperties has { key='k' and value='it\\'s \\\\' }", "ab"),
    ("appProperties has { key='k' and value='other' }", ""),
    ("trashed = false", "a"), ("trashed=true", "b"), ("not trashed != true", "b"),
    ("'FOLDER' in parents and trashed = false", "a"), ("'x' in parents", ""),
    ("mimeType = 'application/vnd.google-apps.document'", "ab"),
    ("mimeType != 'application/vnd.google-apps.document'", ""),
    ("name = 'a' or (name = 'b' and trashed = false)", "a"),
    ("name contains 'a'", "a"), ("createdTime < '2000-01-01T00:00:00'", ""),
    ("createdTime >= '2000-01-01T00:00:00.000Z'", "ab"),
    ("createdTime < '2999-01-01T00:00:00+02:00'", "ab"), ("", "ab")])
def test_a_search_finds(google, client, q, found):
    ids = {name: client.create(google.folder, name=name, appProperties={"k": "it's \\"})[1]["id"]
           for name in "ab"}
    google.trash(ids["b"])
    wanted = q.replace("FOLDER", google.folder) + (" and " if q else "") + \
        "mimeType != 'application/vnd.google-apps.folder'"
    if " or " in q:
        wanted = q
    assert sorted(client.find(wanted)) == sorted(ids[name] for name in found)


@pytest.mark.parametrize("q", [
    "trashed", "trashed = maybe", "trashed < true", "name = 'a", "name == 'a'", "name = a",
    "name = 'a' and", "(name = 'a'", "name = 'a')", "nmae = 'a'", "'x' in owners",
    "appProperties has { key='k' }", "appProperties has { value='v' and key='k' }",
    "createdTime < 'yesterday'", "createdTime < 2012", "name = 'a\\n'", "name = 'a' name = 'b'",
    "not", "(" * 300, "name = 'a' and name = 'b' or name = 'c'"])
def test_a_search_that_is_wrong_is_refused(client, q):
    answer = client.drive("GET", "files", EVERYWHERE | {"q": q})
    assert reason(answer) == (400, "invalid")


def test_a_search_lags(google, client):
    google.list_lag = 3600
    document = client.create(google.folder, appProperties={"k": "v"})[1]["id"]
    q = "appProperties has { key='k' and value='v' }"
    assert client.find(q) == [] and client.drive("GET", f"files/{document}")[0] == 200
    google.list_lag = 0
    assert client.find(q) == [document]


def test_a_search_has_pages(google, client):
    made = [client.create(google.folder, name=f"{n}")[1]["id"] for n in range(5)]
    query = EVERYWHERE | {"q": f"'{google.folder}' in parents", "pageSize": "2", "orderBy": "name"}
    found, token = [], None
    while True:
        more = {"pageToken": token} if token else {}
        body = client.drive("GET", "files", query | more)[1]
        found += [f["id"] for f in body["files"]]
        token = body.get("nextPageToken")
        if token is None:
            break
    assert found == made
    assert client.drive("GET", "files", query | {"pageToken": "!"})[0] == 400


def test_app_properties_belong_to_one_client(google, client):
    document = client.create(google.folder, appProperties={"k": "v", "l": "w"})[1]["id"]
    form = {"grant_type": "refresh_token", "client_id": keys.USER_CLIENT_ID,
            "client_secret": keys.USER_CLIENT_SECRET, "refresh_token": keys.REFRESH_TOKEN}
    other = Client(google)
    other.token = other.ask(form)[1]["access_token"]
    assert other.find("appProperties has { key='k' and value='v' }") == []
    answer = client.drive("PATCH", f"files/{document}", ALL | {"fields": "appProperties"},
                          {"appProperties": {"k": None, "m": "x"}})
    assert answer == (200, {"appProperties": {"l": "w", "m": "x"}})


def test_times_are_read_as_they_are_written():
    for seconds in (0.0, 1795233600.123, 951782400.5):
        assert parse_time(format_time(seconds)) == pytest.approx(seconds, abs=0.001)
    assert parse_time("1970-01-01T01:00:00.5+01:00") == 0.5


def test_a_document_can_be_made_older(google, client):
    document = client.create(google.folder)[1]["id"]
    q = f"createdTime < '{format_time(time.time() - 60)}' and mimeType = '{DOCUMENT}'"
    assert client.find(q) == []
    google.backdate(document, 3600)
    assert client.find(q) == [document]


# Faults

def test_the_answer_is_lost_but_the_work_is_done(google, client):
    fault = google.faults.add("files.create", "cut", "after")
    with pytest.raises(http.client.RemoteDisconnected):
        client.create(google.folder)
    assert len(google.visible()) == 1 and fault.hits == 1
    assert google.calls_of("files.create")[0].fault == "cut after"
    assert client.create(google.folder)[0] == 200


@pytest.mark.parametrize("kind, when, made", [
    ("cut", "before", 0), ("reset", "before", 0), ("reset", "after", 1), ("cut_body", "after", 1)])
def test_the_connection_breaks(google, client, kind, when, made):
    google.faults.add("files.create", kind, when)
    with pytest.raises((OSError, http.client.HTTPException)):
        client.create(google.folder)
    assert len(google.visible()) == made


@pytest.mark.parametrize("kind, when, status, made, options", [
    ("status", "before", 503, 0, {}), ("status", "after", 500, 1, {"status": 500}),
    ("html", "after", 502, 1, {"status": 502}), ("user_rate", "before", 403, 0, {}),
    ("429", "before", 429, 0, {"retry_after": 7}), ("401", "before", 401, 0, {}),
    ("no_storage", "before", 403, 0, {}), ("sample", "before", 500, 0, {"sample_id": "drive-500"})])
def test_an_error_instead_of_the_answer(google, client, kind, when, status, made, options):
    google.faults.add("files.*", kind, when, **options)
    assert client.create(google.folder)[0] == status
    assert client.headers.get("retry-after") == ("7" if "retry_after" in options else None)
    assert len(google.visible()) == made
    assert client.create(google.folder)[0] == 200


def test_a_fault_for_one_step_only(google, client):
    document = client.create(google.folder)[1]["id"]
    google.faults.add("files.update", "status", count=None, upload=True)
    google.faults.add("files.update", "429", skip=1)
    assert client.upload("PATCH", f"files/{document}", {}, b"x")[0] == 503
    statuses = [client.drive("PATCH", f"files/{document}", None, {})[0] for _ in range(3)]
    assert statuses == [200, 429, 200]


def test_no_answer_until_the_client_leaves(google, client):
    google.faults.add("files.create", "hang", "after")
    client.connection.request("POST", "/drive/v3/files?supportsAllDrives=true",
                              json.dumps({"mimeType": DOCUMENT, "parents": [google.folder]}),
                              {"Authorization": f"Bearer {client.token}",
                               "Content-Type": "application/json"})
    google.wait_for(google.visible)
    client.connection.sock.shutdown(socket.SHUT_RDWR)
    google.wait_for(lambda: not google.in_flight["files.create"])


def test_an_answer_comes_late(google, client):
    google.faults.add("files.create", "lag", ms=50)
    google.faults.add("files.create", "status", "after")
    start = time.monotonic()
    assert client.create(google.folder)[0] == 503
    assert time.monotonic() - start >= 0.05 and len(google.visible()) == 1


def storm(seed):
    with Google() as google:
        client = Client(google)
        client.login()
        google.faults.storm(seed, rate=0.5, method="files.*")
        statuses = []
        for _ in range(60):
            try:
                statuses.append(client.create(google.folder)[0])
            except (OSError, http.client.HTTPException):
                statuses.append(0)
        client.connection.close()
        return statuses


def test_a_storm_is_the_same_for_the_same_seed():
    assert storm(1) == storm(1) != storm(2)
    assert {0, 200, 403, 503} <= set(storm(1) + storm(2) + storm(3))


def test_somebody_deletes_the_document(google, client):
    document = client.create(google.folder)[1]["id"]
    google.delete(document)
    assert reason(client.upload("PATCH", f"files/{document}", {}, b"x")) == (404, "notFound")


def test_the_quota_of_a_minute_ends(google, client):
    google.quota.per_minute_and_user = 100
    for _ in range(300):   # a new minute may begin in between, not three
        answer = client.create(google.folder)
        if answer[0] != 200:
            break
    assert reason(answer) == (403, "userRateLimitExceeded") and google.quota.refused == 1


def test_an_unknown_address_is_404(client):
    for target in ("/", "/drive/v3/nothing", "/drive/v2/files", "/drive/v3/files/a/b"):
        assert client.call("GET", target)[0] == 404


def test_an_unknown_sample_or_fault_is_an_error_of_the_test(google):
    for wrong in ({"kind": "sample", "sample_id": "nope"}, {"kind": "nope"}, {"when": "never"}):
        with pytest.raises((KeyError, ValueError)):
            google.faults.add(**wrong)


def test_a_quoted_id_in_the_path(google, client):
    assert client.drive("GET", f"files/{quote(google.folder, safe='')}")[0] == 200

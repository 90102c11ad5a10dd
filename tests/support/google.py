"""A stand-in for Google: OAuth2 tokens and Drive v3, stricter than the original.

    with Google() as google:
        google.folder                                  # the dialogs folder, on a shared drive
        google.faults.add("files.create", "cut", "after")      # made, but nobody is told
        ...
        google.wait_for(lambda: google.visible())
        [document] = google.visible()                  # .name .text .app_properties

It keeps all that ever happened (files.changes, calls, tokens.requests), so a
test can ask for what must never have been: see ever() and most_visible().
Standalone: python3 -m tests.support.google --port N --keys DIR
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support import keys
from tests.support.google_drive import Drive
from tests.support.google_errors import Refusal, bad_value, drive_error, sample
from tests.support.google_faults import Fault, Faults, Quota
from tests.support.google_fields import selection
from tests.support.google_files import FOLDER, Change, File, Files
from tests.support.google_oauth import Caller, TokenEndpoint
from tests.support.google_routes import UPLOAD, route
from tests.support.google_schema import METHODS, check_query
from tests.support.google_upload import (CHUNK, Media, Session, Sessions, check_simple_size,
                                         json_body, media_of, progress, read_multipart, take_piece)
from tests.support.standin import Reply, Request, StandIn


@dataclass(eq=False)
class Call:
    """One request, from its arrival on; status is 0 until it is answered."""
    at: float
    method: str                 # such as "files.create", "token", "upload.put"; "" if none
    file_id: str | None         # in the path
    upload: bool                # brings content, or begins to
    request: Request = field(repr=False)
    caller: Caller | None = None
    status: int = 0
    fault: str | None = None    # what was made to go wrong, such as "cut after"

    @property
    def query(self) -> dict[str, str]:
        return self.request.query


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, result: Any) -> _Answer:
        if isinstance(result, Media):
            return cls(200, {"content-type": result.type}, result.content)
        if result is None:
            return cls(204, {}, b"")
        if isinstance(result, _Answer):
            return result
        refusal = Refusal(200, result)      # the same JSON
        return cls.refused(refusal)

    @classmethod
    def refused(cls, why: Refusal) -> _Answer:
        return cls(why.status, why.headers, why.text)


class Google(StandIn):
    """Tests may hold `changed` to look at several things at the same moment."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.tokens = TokenEndpoint()
        self.files = Files()
        self.drive = Drive(self.files)
        self.uploads = Sessions()
        self.faults = Faults()
        self.quota = Quota()
        self.calls: list[Call] = []
        self.in_flight: Counter[str] = Counter()
        self.most_in_flight: Counter[str] = Counter()   # at the same time, by method

    def start(self) -> Google:
        super().start()
        self.tokens.url = f"{self.url}/token"
        return self

    # What tests set

    @property
    def folder(self) -> str:
        """The id of the dialogs folder."""
        return self.files.folder

    @property
    def role(self) -> str | None:
        """Of every caller on the shared drive: None, reader, writer, fileOrganizer, organizer."""
        return self.files.role

    @role.setter
    def role(self, role: str | None) -> None:
        self.files.role = role

    @property
    def list_lag(self) -> float:
        """Searches see all files as they were so many seconds ago."""
        return self.drive.list_lag

    @list_lag.setter
    def list_lag(self, seconds: float) -> None:
        self.drive.list_lag = seconds

    def add_folder(self, name: str = "Folder", parent: str | None = None) -> str:
        """On the shared drive, made by a person. Returns its id."""
        with self.changed:
            return self.files.put(File(self.files.new_id(), name, FOLDER,
                                       parent or self.files.drive_id,
                                       drive_id=self.files.drive_id))

    def add_my_drive_folder(self, owner: str = keys.USER, *, shared: bool = True) -> str:
        """In a person's My Drive, shared for writing: a service account cannot create in it."""
        with self.changed:
            folder = self.files.put(File(self.files.new_id(), "Private", FOLDER,
                                         self.files.root_of(owner), owner=owner))
            if shared:
                self.files.shared_by_people.add(folder)
            return folder

    def grant(self, file_id: str, client: str = keys.SERVICE_CLIENT_ID) -> None:
        """What a person does to let a program with drive.file see a file."""
        self._change(file_id, lambda f: replace(f, clients=f.clients | {client}))

    def trash(self, file_id: str) -> None:
        self._change(file_id, lambda f: replace(f, trashed=True))

    def move(self, file_id: str, folder: str) -> None:
        self._change(file_id, lambda f: replace(f, parent=folder))

    def delete(self, file_id: str) -> None:
        """As if somebody did it by hand: for good."""
        with self.changed:
            self.files.delete(file_id)
        self.notify()

    def backdate(self, file_id: str, seconds: float) -> None:
        """Have the file been created earlier, for what looks at createdTime."""
        self._change(file_id, lambda f: replace(f, created_time=f.created_time - seconds))

    def _change(self, file_id: str, how: Callable[[File], File]) -> None:
        with self.changed:
            self.files.put(how(self.files.now[file_id]))
        self.notify()

    # What tests ask

    def visible(self, folder: str | None = None) -> list[File]:
        """Documents in a folder (the dialogs folder), without those in the trash."""
        wanted = folder or self.folder
        with self.changed:
            return [f for f in self._documents() if f.parent == wanted]

    def staged(self) -> list[File]:
        """Documents anywhere but in the dialogs folder, without those in the trash."""
        with self.changed:
            return [f for f in self._documents() if f.parent != self.folder]

    def _documents(self) -> list[File]:
        return [f for f in self.files.now.values()
                if f.is_document and not self.files.is_trashed(f)]

    def history(self, file_id: str) -> list[Change]:
        """All changes of one file, the first one and a last one (deleted) too."""
        with self.changed:
            return [c for c in self.files.changes if (c.after or c.before).id == file_id]

    def ever(self, wanted: Callable[[File], bool]) -> list[Change]:
        """The changes after which some file was so: mostly expected to be none."""
        with self.changed:
            return self.files.ever(wanted)

    def ever_visible_empty(self) -> list[Change]:
        return self.ever(lambda f: f.is_document and f.parent == self.folder
                         and not f.trashed and not f.content)

    def most_visible(self, key: Callable[[File], Any] = lambda f: f.name) -> int:
        """How many documents with the same key were ever visible at the same
        time in the dialogs folder."""
        most, shown, counts = 0, {}, Counter()
        with self.changed:
            changes = list(self.files.changes)
        for change in changes:
            file_id = (change.after or change.before).id
            if file_id in shown:
                counts[shown.pop(file_id)] -= 1
            after = change.after
            if after and after.is_document and after.parent == self.folder and not after.trashed:
                shown[file_id] = key(after)
                counts[shown[file_id]] += 1
                most = max(most, counts[shown[file_id]])
        return most

    def calls_of(self, method: str, *, upload: bool | None = None) -> list[Call]:
        return [c for c in list(self.calls)
                if c.method == method and upload in (None, c.upload)]

    # Answering

    async def handle(self, request: Request, reply: Reply) -> None:
        call = _call_of(request)
        with self.changed:
            self.calls.append(call)
            self.in_flight[call.method] += 1
            self.most_in_flight[call.method] = max(self.most_in_flight[call.method],
                                                   self.in_flight[call.method])
        try:
            await self._handle(call, reply)
        finally:
            with self.changed:
                self.in_flight[call.method] -= 1

    async def _handle(self, call: Call, reply: Reply) -> None:
        fault = None
        for struck in self.faults.of(call):
            if struck.kind == "lag" and struck.when == "before":
                await asyncio.sleep(struck.seconds)
            else:
                fault = struck
                call.fault = f"{struck.kind} {struck.when}"
        if fault is not None and fault.when == "before":
            await self._strike(fault, call, reply, None)
            return
        with self.changed:
            answer = self._answer(call, partly=fault is not None and fault.when == "partly")
            call.status = answer.status
        if fault is not None:
            await self._strike(fault, call, reply, answer)
        else:
            await reply.send(answer.status, answer.headers, answer.body)

    async def _strike(self, fault: Fault, call: Call, reply: Reply,
                      answer: _Answer | None) -> None:
        self.notify()
        if fault.kind == "cut":
            reply.cut()
        elif fault.kind == "reset":
            reply.reset()
        elif fault.kind == "cut_body":
            await _send_half(reply, answer or _Answer(200, {}, b"{}"))
        elif fault.kind == "hang":
            await reply.client_gone()
            reply.cut()
        elif fault.kind == "lag":
            await asyncio.sleep(fault.seconds)
            await reply.send(answer.status, answer.headers, answer.body)
        else:
            call.status = fault.reply.status
            await reply.send(fault.reply.status, fault.reply.headers, fault.reply.text)

    def _answer(self, call: Call, *, partly: bool) -> _Answer:
        try:
            return _Answer.of(self._result(call, partly))
        except Refusal as why:
            return _Answer.refused(why)

    def _result(self, call: Call, partly: bool) -> Any:
        if call.method == "token":
            return self.tokens.answer(call.request)
        if call.method == "upload.put":
            return self._continue_upload(call, partly)
        if not call.method:
            raise Refusal(404, "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>",
                          {"content-type": "text/html; charset=UTF-8"})
        call.caller = self.tokens.caller(call.request.headers.get("authorization"))
        _check_scope(call)
        self.quota.charge(call.method, call.caller.email)
        query = check_query(call.method, call.request.query_list)
        _check_upload_type(call, query)
        if call.upload:
            return self._upload(call, query)
        if call.method in ("files.create", "files.update"):
            metadata = json_body(call.request, required=call.method == "files.create")
            return self._write(call.method, call.caller, query, call.file_id, metadata, None)
        if call.request.body:
            raise drive_error(400, "badRequest", "This method has no body.")
        return self._read(call, query)

    def _read(self, call: Call, query: dict[str, Any]) -> Any:
        drive, caller = self.drive, call.caller
        if query.get("alt", "json") not in (("json", "media") if call.method == "files.get"
                                            else ("json",)):
            raise bad_value("alt")
        if call.method == "files.list":
            return drive.list(caller, query)
        if call.method == "files.generateIds":
            return drive.generate_ids(caller, query)
        if call.method == "about.get":
            return drive.about(caller, query)
        method = {"files.get": drive.get, "files.delete": drive.delete,
                  "files.export": drive.export}[call.method]
        return method(caller, query, call.file_id)

    def _write(self, method: str, caller: Caller, query: dict[str, Any], file_id: str | None,
               metadata: dict, media: Media | None) -> dict:
        if method == "files.create":
            return self.drive.create(caller, query, metadata, media)
        return self.drive.update(caller, query, file_id, metadata, media)

    def _upload(self, call: Call, query: dict[str, Any]) -> Any:
        request, kind = call.request, query["uploadType"]
        if kind == "resumable":
            return self._begin_upload(call, query)
        if kind == "media":
            check_simple_size(request.body)
            metadata, media = {}, media_of(request.headers.get("content-type"), request.body)
        else:
            metadata, media = read_multipart(request)
        return self._write(call.method, call.caller, query, call.file_id, metadata, media)

    def _begin_upload(self, call: Call, query: dict[str, Any]) -> _Answer:
        selection(query.get("fields"), "File")
        if call.file_id is not None:    # a wrong id is refused here, not at the end
            self.drive.get(call.caller, {"supportsAllDrives": query.get("supportsAllDrives")},
                           call.file_id)
        session = self.uploads.begin(call.method, call.caller, call.file_id, query, call.request)
        location = f"{self.url}{UPLOAD}files?uploadType=resumable&upload_id={session.id}"
        return _Answer(200, {"Location": location, "X-GUploader-UploadID": session.id[:20]}, b"")

    def _continue_upload(self, call: Call, partly: bool) -> Any:
        session = self.uploads.of(call.request)
        call.file_id, call.caller = session.file_id, session.caller
        if session.result is not None:
            return session.result
        half = len(call.request.body) // 2 // CHUNK * CHUNK if partly else None
        if not take_piece(session, call.request, at_most=half):
            raise progress(session)
        session.result = self._finish_upload(session)
        return session.result

    def _finish_upload(self, session: Session) -> dict:
        media = media_of(session.media_type, bytes(session.received))
        return self._write(session.method, session.caller, session.query, session.file_id,
                           session.metadata, media)


def _call_of(request: Request) -> Call:
    method, file_id, upload = route(request)
    return Call(time.monotonic(), method, file_id, upload, request)


def _check_scope(call: Call) -> None:
    if call.caller.scopes.isdisjoint(METHODS[call.method]["scopes"]):
        raise sample("drive-403-scope")


def _check_upload_type(call: Call, query: dict[str, Any]) -> None:
    allowed = ("multipart", "media", "resumable") if call.upload else (None,)
    if query.get("uploadType") not in allowed:
        raise bad_value("uploadType", "uploadType and the path do not go together.")


async def _send_half(reply: Reply, answer: _Answer) -> None:
    await reply.start(answer.status, answer.headers | {"Content-Length": str(len(answer.body))})
    await reply.write(answer.body[:len(answer.body) // 2])
    reply.cut()


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for Google's tokens and Drive v3.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--keys", help="directory to write the two credential files to")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    with Google(options.port) as google:
        if options.keys:
            print(keys.service_account_file(options.keys, google.url))
            print(keys.authorized_user_file(options.keys, google.url))
        print(google.url, google.folder, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()

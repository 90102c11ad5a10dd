"""The files of a stand-in Drive, with all that ever happened to them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.google_oauth import Caller
from tests.support.google_schema import format_time

FOLDER = "application/vnd.google-apps.folder"
DOCUMENT = "application/vnd.google-apps.document"

# What each role on a shared drive may do; "writer" can neither move nor trash.
_POWERS = {
    None: (),
    "reader": ("see",),
    "writer": ("see", "edit", "add"),
    "fileOrganizer": ("see", "edit", "add", "move", "trash"),
    "organizer": ("see", "edit", "add", "move", "trash", "delete"),
}
_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass(frozen=True)
class File:
    """A file between one change and the next; it is never altered, but replaced."""
    id: str
    name: str
    mime_type: str
    parent: str | None              # None: the root of a drive
    drive_id: str | None = None     # None: in somebody's My Drive
    owner: str | None = None        # only in My Drive
    trashed: bool = False           # itself; see Files.is_trashed
    content: bytes = field(default=b"", repr=False)
    source_type: str = ""           # what the content was uploaded as
    # Private to each OAuth client, {client: {key: value}}.
    private: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)   # fields without a meaning here
    clients: frozenset[str] = frozenset()   # the programs that drive.file lets see it
    created_time: float = 0.0       # seconds since 1970
    modified_time: float = 0.0
    version: int = 1

    @property
    def app_properties(self) -> dict[str, str]:
        """Of all clients together: for tests, which use only one."""
        return {key: value for pairs in self.private.values() for key, value in pairs.items()}

    @property
    def is_document(self) -> bool:
        return self.mime_type == DOCUMENT

    @property
    def text(self) -> str:
        return self.content.decode()


@dataclass(frozen=True)
class Change:
    at: float               # monotonic
    method: str             # the call that did it; "test" if a test did
    before: File | None     # None: it was made here
    after: File | None      # None: it was deleted here


class Files:
    """role: what the callers are on the shared drive; None is no member."""

    def __init__(self) -> None:
        self.role: str | None = "fileOrganizer"
        self.now: dict[str, File] = {}
        self.changes: list[Change] = []
        self.shared_by_people: set[str] = set()   # My Drive folders the callers may write to
        self.generated: set[str] = set()
        self.used: set[str] = set()               # ids of files, deleted ones too
        self._random = random.Random()
        self.drive_id = self.put(File("0A" + self._letters(14) + "PVA", "Drive", FOLDER, None))
        self.now[self.drive_id] = replace(self.now[self.drive_id], drive_id=self.drive_id)
        self.folder = self.put(File(self.new_id(), "Dialogs", FOLDER, self.drive_id,
                                    drive_id=self.drive_id))

    # Changing

    def new_id(self, mime_type: str = FOLDER) -> str:
        return "1" + self._letters(43 if mime_type == DOCUMENT else 32)

    def put(self, file: File, method: str = "test") -> str:
        """A new file, or the new state of one. Returns its id."""
        before = self.now.get(file.id)
        now = time.time()
        created = file.created_time or now
        version = before.version + 1 if before else 1
        after = replace(file, created_time=created, modified_time=now, version=version)
        self.now[file.id] = after
        self.used.add(file.id)
        self.changes.append(Change(time.monotonic(), method, before, after))
        return file.id

    def delete(self, file_id: str, method: str = "test") -> None:
        """For good, with all that is in it."""
        for child in [f.id for f in self.now.values() if f.parent == file_id]:
            self.delete(child, method)
        before = self.now.pop(file_id)
        self.changes.append(Change(time.monotonic(), method, before, None))

    def root_of(self, email: str) -> str:
        """The id of somebody's My Drive, made when first needed."""
        for file in self.now.values():
            if file.parent is None and file.owner == email:
                return file.id
        return self.put(File("0A" + self._letters(14) + "UK", "My Drive", FOLDER, None,
                             owner=email))

    # Looking

    def as_of(self, at: float) -> dict[str, File]:
        """All files as they were at a (monotonic) time."""
        files = dict(self.now)
        for change in reversed(self.changes):
            if change.at <= at:
                break
            if change.before is None:
                files.pop(change.after.id, None)
            else:
                files[change.before.id] = change.before
        return files

    def ever(self, wanted: Callable[[File], bool]) -> list[Change]:
        """The changes after which a file was so."""
        return [c for c in list(self.changes) if c.after is not None and wanted(c.after)]

    def is_trashed(self, file: File, files: dict[str, File] | None = None) -> bool:
        """Itself, or because a folder above it is."""
        return any(f.trashed for f in self.line(file, files))

    def line(self, file: File, files: dict[str, File] | None = None) -> Iterator[File]:
        """The file, its folder, and so on up to the root."""
        files = self.now if files is None else files
        current: File | None = file
        while current is not None:
            yield current
            current = files.get(current.parent) if current.parent else None

    def may(self, caller: Caller, power: str, file: File) -> bool:
        if file.drive_id is not None:
            return power in _POWERS[self.role]
        if file.owner == caller.email:
            return True
        shared = any(f.id in self.shared_by_people for f in self.line(file))
        return shared and power in _POWERS["writer"]

    def has_granted(self, caller: Caller, file: File) -> bool:
        """False if the scope hides the file from this program."""
        return not caller.only_own_files or caller.client in file.clients

    def _letters(self, count: int) -> str:
        return "".join(self._random.choices(_ID_LETTERS, k=count))


class View:
    """A file as one caller sees it: what searches test and answers show."""

    __slots__ = ("file", "caller", "files", "all")

    def __init__(self, file: File, caller: Caller, files: Files,
                 snapshot: dict[str, File] | None = None) -> None:
        self.file, self.caller, self.files, self.all = file, caller, files, snapshot

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def mime_type(self) -> str:
        return self.file.mime_type

    @property
    def created_time(self) -> float:
        return self.file.created_time

    @property
    def modified_time(self) -> float:
        return self.file.modified_time

    @property
    def trashed(self) -> bool:
        return self.files.is_trashed(self.file, self.all)

    @property
    def properties(self) -> Mapping[str, str]:
        return self.file.properties

    @property
    def app_properties(self) -> Mapping[str, str]:
        return self.file.private.get(self.caller.client, {})

    def parent_matches(self, folder: str) -> bool:
        if folder == "root":
            folder = self.files.root_of(self.caller.email)
        return self.file.parent == folder

    def resource(self) -> dict[str, Any]:
        """All that Google would tell; see google_fields for what is asked."""
        file = self.file
        shown = {
            "kind": "drive#file", "id": file.id, "name": file.name, "mimeType": file.mime_type,
            "trashed": self.trashed, "explicitlyTrashed": file.trashed,
            "createdTime": format_time(file.created_time),
            "modifiedTime": format_time(file.modified_time),
            "version": str(file.version), "webViewLink": _link(file),
            "capabilities": self._capabilities(), **file.other,
        }
        if file.parent is not None:
            shown["parents"] = [file.parent]
        if file.drive_id is not None:
            shown["driveId"] = shown["teamDriveId"] = file.drive_id
        else:
            shown["ownedByMe"] = file.owner == self.caller.email
        if file.mime_type != FOLDER:
            shown["size"] = str(len(file.content))
        if self.app_properties:
            shown["appProperties"] = dict(self.app_properties)
        if file.properties:
            shown["properties"] = dict(file.properties)
        return shown

    def _capabilities(self) -> dict[str, bool]:
        can = {name: self.files.may(self.caller, power, self.file) for name, power in (
            ("canEdit", "edit"), ("canTrash", "trash"), ("canDelete", "delete"),
            ("canMoveItemWithinDrive", "move"), ("canRename", "edit"))}
        can["canAddChildren"] = self.file.mime_type == FOLDER and self.files.may(
            self.caller, "add", self.file)
        return can


def _link(file: File) -> str:
    if file.mime_type == FOLDER:
        return f"https://drive.google.com/drive/folders/{file.id}"
    if file.is_document:
        return f"https://docs.google.com/document/d/{file.id}/edit?usp=drivesdk"
    return f"https://drive.google.com/file/d/{file.id}/view?usp=drivesdk"

"""The Drive methods: who may do what to which file, and what comes back."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.support.google_errors import (Refusal, bad_body, bad_value, drive_error, not_found,
                                         not_writable, sample)
from tests.support.google_fields import select, selection
from tests.support.google_files import DOCUMENT, FOLDER, File, Files, View
from tests.support.google_oauth import Caller
from tests.support.google_query import compile_query
from tests.support.google_schema import check_file, parse_time
from tests.support.google_upload import Media

# What becomes a document when asked to.
IMPORTS = ("text/html", "text/plain", "text/markdown", "text/rtf", "application/rtf",
           "application/vnd.oasis.opendocument.text",
           "application/vnd.openxmlformats-officedocument.wordprocessingml.document")
MAX_IMPORT = 50 * 1024 * 1024
MAX_CHARACTERS = 1_000_000
_APPS = "application/vnd.google-apps."
_PLAIN = ("description", "starred", "folderColorRgb", "writersCanShare",
          "copyRequiresWriterPermission", "originalFilename")
# Fields of a File that have an effect of their own; of others the stand-in knows nothing.
_TREATED = {"id", "name", "mimeType", "parents", "trashed", "appProperties", "properties",
            "createdTime", "modifiedTime", *_PLAIN}


class Drive:
    """list_lag: a search sees all files as they were so many seconds ago."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.list_lag = 0.0

    # files.create

    def create(self, caller: Caller, query: dict[str, Any], metadata: dict,
               media: Media | None = None) -> dict:
        chosen = selection(query.get("fields"), "File")
        check_file(metadata, update=False)
        _check_treated(metadata)
        if metadata.get("trashed"):
            raise not_writable()
        parent = self._parent_for_create(caller, query, metadata)
        mime_type = _type_for(metadata.get("mimeType"), media)
        file_id = self._id_for_create(metadata.get("id"), mime_type)
        private = metadata.get("appProperties", {})
        file = File(
            id=file_id, name=metadata.get("name", "Untitled"), mime_type=mime_type,
            parent=parent.id, drive_id=parent.drive_id, owner=parent.owner,
            content=media.content if media else b"", source_type=media.type if media else "",
            private={caller.client: dict(private)} if private else {},
            properties=dict(metadata.get("properties", {})),
            other={name: metadata[name] for name in _PLAIN if name in metadata},
            clients=frozenset({caller.client}),
            created_time=parse_time(metadata["createdTime"]) if "createdTime" in metadata else 0.0)
        self.files.put(file, "files.create")
        return self._shown(file_id, caller, chosen)

    def _parent_for_create(self, caller: Caller, query: dict[str, Any], metadata: dict) -> File:
        parents = metadata.get("parents", ["root"])
        if len(parents) != 1:
            raise _wrong_parent_count()
        parent = self.files.now.get(self._real_id(parents[0], caller))
        if parent is None or not query.get("supportsAllDrives") \
                or not self.files.may(caller, "see", parent):
            raise not_found(parents[0])
        self._check_folder(parent)
        if parent.drive_id is None and caller.bare:
            raise sample("drive-403-service-account-quota")
        if not self.files.may(caller, "add", parent):
            raise sample("drive-403-permission")
        return parent

    def _id_for_create(self, file_id: str | None, mime_type: str) -> str:
        if file_id is None:
            return self.files.new_id(mime_type)
        if mime_type.startswith(_APPS) and mime_type != FOLDER:
            raise sample("drive-400-generated-id")
        if file_id in self.files.used:
            raise drive_error(409, "fileIdInUse", "A file already exists with the provided ID.")
        if file_id not in self.files.generated:
            raise bad_value("file.id", "The provided file ID is not usable.")
        return file_id

    # files.update

    def update(self, caller: Caller, query: dict[str, Any], file_id: str, metadata: dict,
               media: Media | None = None) -> dict:
        chosen = selection(query.get("fields"), "File")
        check_file(metadata, update=True)
        _check_treated(metadata)
        before = self._reach(caller, query, file_id)
        if not self.files.may(caller, "edit", before):
            raise sample("drive-403-permission")
        after = self._with_metadata(before, caller, metadata)
        if media is not None:
            after = self._with_media(after, metadata, media)
        elif after.mime_type != before.mime_type:
            raise bad_value("mimeType", "The type of a file cannot be changed.")
        after = self._trashed(caller, before, after)
        after = self._moved(caller, query, after)
        self.files.put(after, "files.update")
        return self._shown(before.id, caller, chosen)

    def _with_metadata(self, file: File, caller: Caller, metadata: dict) -> File:
        private, other = dict(file.private), dict(file.other)
        if "appProperties" in metadata:
            private[caller.client] = _merged(file.private.get(caller.client, {}),
                                             metadata["appProperties"])
        for name in _PLAIN:
            if name in metadata:
                other = _merged(other, {name: metadata[name]})
        created = metadata.get("createdTime")
        return replace(
            file, name=_or(metadata.get("name"), file.name),
            mime_type=_or(metadata.get("mimeType"), file.mime_type),
            trashed=_or(metadata.get("trashed"), file.trashed), private=private, other=other,
            properties=_merged(file.properties, metadata.get("properties")),
            created_time=parse_time(created) if created else file.created_time)

    def _with_media(self, file: File, metadata: dict, media: Media) -> File:
        wanted = metadata.get("mimeType") or (file.mime_type if file.is_document else None)
        if file.mime_type == FOLDER:
            raise bad_body("A folder has no content.")
        mime_type = _type_for(wanted, media)
        if (mime_type == DOCUMENT) != self.files.now[file.id].is_document:
            raise bad_value("mimeType", "The type of a file cannot be changed.")
        return replace(file, mime_type=mime_type, content=media.content, source_type=media.type)

    def _trashed(self, caller: Caller, before: File, after: File) -> File:
        if before.trashed != after.trashed and not self.files.may(caller, "trash", before):
            raise sample("drive-403-permission")
        return after

    def _moved(self, caller: Caller, query: dict[str, Any], file: File) -> File:
        """Adding the folder it is in, or removing one it is not in, changes
        nothing: so a move can be repeated."""
        added = [self._real_id(i, caller) for i in _ids(query.get("addParents"))]
        removed = [self._real_id(i, caller) for i in _ids(query.get("removeParents"))]
        for folder_id in added + removed:
            self._check_folder(self._reach_folder(caller, folder_id))
        parents = ({file.parent} - set(removed)) | set(added)
        if parents == {file.parent}:
            return file
        if len(parents) > 1:
            raise drive_error(403, "cannotAddParent", "Increasing the number of parents is not "
                                                      "allowed")
        if not parents or file.parent is None:
            raise _wrong_parent_count()
        return self._into(caller, file, self.files.now[parents.pop()])

    def _into(self, caller: Caller, file: File, folder: File) -> File:
        if any(f.id == file.id for f in self.files.line(folder)):
            raise bad_value("addParents", "A folder cannot be moved into itself.")
        if folder.drive_id is None and caller.bare:
            raise sample("drive-403-service-account-quota")
        if not self.files.may(caller, "move", file) or not self.files.may(caller, "add", folder):
            raise sample("drive-403-permission")
        return replace(file, parent=folder.id, drive_id=folder.drive_id, owner=folder.owner)

    # files.get, files.delete, files.export

    def get(self, caller: Caller, query: dict[str, Any], file_id: str) -> Any:
        file = self._reach(caller, query, file_id)
        if query.get("alt") != "media":
            return self._shown(file.id, caller, selection(query.get("fields"), "File"))
        if file.mime_type.startswith(_APPS):
            raise drive_error(403, "fileNotDownloadable", "Only files with binary content can be "
                              "downloaded. Use Export with Docs Editors files.",
                              location="alt")
        return Media(file.mime_type, file.content)

    def delete(self, caller: Caller, query: dict[str, Any], file_id: str) -> None:
        file = self._reach(caller, query, file_id)
        if not self.files.may(caller, "delete", file) or file.parent is None:
            raise sample("drive-403-permission")
        self.files.delete(file.id, "files.delete")

    def export(self, caller: Caller, query: dict[str, Any], file_id: str) -> Media:
        """Has no supportsAllDrives. Only in the form in which it came."""
        file = self._reach(caller, query | {"supportsAllDrives": True}, file_id)
        if not file.is_document:
            raise drive_error(403, "fileNotExportable", "Export only supports Docs Editors files.")
        if query.get("mimeType") != (file.source_type or "text/html"):
            raise bad_value("mimeType", "The requested conversion is not supported.")
        return Media(query["mimeType"], file.content)

    # files.list

    def list(self, caller: Caller, query: dict[str, Any]) -> dict:
        chosen = selection(query.get("fields"), "FileList")
        wanted = compile_query(query["q"]) if query.get("q") else lambda view: True
        order = _order(query.get("orderBy"))
        visible = self._listed(caller, query)
        found = [view for view in visible if wanted(view)]
        for key, reverse in reversed(order):
            found.sort(key=key, reverse=reverse)
        start, size = _page(query), query.get("pageSize", 100)
        answer = {"kind": "drive#fileList", "incompleteSearch": False,
                  "files": [view.resource() for view in found[start:start + size]]}
        if start + size < len(found):
            answer["nextPageToken"] = _page_token(start + size, query)
        return select(answer, chosen)

    def _listed(self, caller: Caller, query: dict[str, Any]) -> list[View]:
        """All that the corpora and the scope let a search see."""
        drive_id = _check_corpora(query)
        if drive_id is not None and (drive_id != self.files.drive_id or self.files.role is None):
            raise drive_error(404, "notFound", f"Shared drive not found: {drive_id}",
                              location="driveId")
        self.files.root_of(caller.email)    # a search for it must not make it
        shared_drives = query.get("supportsAllDrives") and query.get("includeItemsFromAllDrives")
        snapshot = self.files.as_of(time.monotonic() - self.list_lag) if self.list_lag else None
        candidates = (self.files.now if snapshot is None else snapshot).values()
        return [View(f, caller, self.files, snapshot) for f in candidates
                if shared_drives and f.parent is not None
                and (drive_id is None or f.drive_id == drive_id)
                and self.files.has_granted(caller, f) and self.files.may(caller, "see", f)]

    # files.generateIds, about.get

    def generate_ids(self, caller: Caller, query: dict[str, Any]) -> dict:
        chosen = selection(query.get("fields"), "GeneratedIds")
        if query.get("space", "drive") != "drive" or query.get("type", "files") != "files":
            raise bad_value("space" if "space" in query else "type")
        ids = [self.files.new_id() for _ in range(query.get("count", 10))]
        self.files.generated.update(ids)
        return select({"kind": "drive#generatedIds", "space": "drive", "ids": ids}, chosen)

    def about(self, caller: Caller, query: dict[str, Any]) -> dict:
        chosen = selection(query.get("fields"), "About")
        return select({
            "kind": "drive#about",
            "user": {"kind": "drive#user", "displayName": caller.email, "me": True,
                     "emailAddress": caller.email, "permissionId": "00000000000000000001"},
            "storageQuota": {"limit": "0" if caller.bare else "16106127360", "usage": "0"},
            "importFormats": {kind: [DOCUMENT] for kind in IMPORTS},
            "maxImportSizes": {DOCUMENT: str(MAX_IMPORT)},
            "maxUploadSize": "5242880000000", "canCreateDrives": False, "appInstalled": False,
        }, chosen)

    # What several methods need

    def _real_id(self, file_id: str, caller: Caller) -> str:
        return self.files.root_of(caller.email) if file_id == "root" else file_id

    def _reach(self, caller: Caller, query: dict[str, Any], file_id: str) -> File:
        """A file by its id: 404 for one that the caller or its scope does not see."""
        file = self.files.now.get(self._real_id(file_id, caller))
        if file is None or not query.get("supportsAllDrives") \
                or not self.files.may(caller, "see", file) \
                or not self.files.has_granted(caller, file):
            raise not_found(file_id)
        return file

    def _reach_folder(self, caller: Caller, folder_id: str) -> File:
        """As a parent: there the scope does not matter."""
        folder = self.files.now.get(folder_id)
        if folder is None or not self.files.may(caller, "see", folder):
            raise not_found(folder_id)
        return folder

    def _check_folder(self, file: File) -> None:
        if file.mime_type != FOLDER:
            raise drive_error(403, "parentNotAFolder", "The specified parent is not a folder.",
                              location="parents")

    def _shown(self, file_id: str, caller: Caller, chosen: dict) -> dict:
        return select(View(self.files.now[file_id], caller, self.files).resource(), chosen)


def _check_treated(metadata: dict) -> None:
    unknown = metadata.keys() - _TREATED
    if unknown:
        raise bad_body(f"This stand-in knows nothing of {', '.join(sorted(unknown))}.")


def _type_for(wanted: str | None, media: Media | None) -> str:
    """The type a file gets, from the one asked for and the one sent."""
    if wanted == FOLDER and media is not None:
        raise bad_body("A folder has no content.")
    if wanted is None or not wanted.startswith(_APPS):
        if media is not None and wanted not in (None, media.type):
            raise bad_value("mimeType", f"{media.type} cannot be converted to {wanted}.")
        return wanted or (media.type if media else "application/octet-stream")
    if wanted not in (FOLDER, DOCUMENT):
        raise bad_value("mimeType", f"This stand-in has no {wanted}.")
    if media is not None:
        _check_import(media)
    return wanted


def _check_import(media: Media) -> None:
    if media.type not in IMPORTS:
        raise bad_body("Bad Request")   # Google says no more either
    if len(media.content) > MAX_IMPORT:
        raise bad_body("The file is too large to be converted.")
    if len(media.content) > MAX_CHARACTERS and media.type.startswith("text/"):
        text = re.sub(r"<[^>]*>", "", media.content.decode())
        if len(text) > MAX_CHARACTERS:
            raise bad_body(f"A document has at most {MAX_CHARACTERS} characters.")


def _wrong_parent_count() -> Refusal:
    return drive_error(403, "teamDrivesParentLimit",
                       "A shared drive item must have exactly one parent.")


def _merged(old: Any, new: Any) -> dict:
    """Patch semantics: null takes a name away."""
    together = dict(old) | (new or {})
    return {name: value for name, value in together.items() if value is not None}


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _ids(text: str | None) -> list[str]:
    if text is None:
        return []
    ids = text.split(",")
    if not all(ids):
        raise bad_value("addParents")
    return ids


def _check_corpora(query: dict[str, Any]) -> str | None:
    """The one drive to search, or None."""
    corpora, drive_id = query.get("corpora", "user"), query.get("driveId")
    if corpora not in ("user", "domain", "drive", "allDrives"):
        raise bad_value("corpora")
    if (corpora == "drive") != (drive_id is not None):
        raise bad_value("driveId", "driveId and corpora=drive belong together.")
    if corpora in ("drive", "allDrives") and not (
            query.get("supportsAllDrives") and query.get("includeItemsFromAllDrives")):
        raise bad_value("includeItemsFromAllDrives", "corpora needs includeItemsFromAllDrives "
                                                     "and supportsAllDrives.")
    if query.get("spaces", "drive") != "drive":
        raise bad_value("spaces")
    return drive_id


_SORT_KEYS: dict[str, Callable[[View], Any]] = {
    "name": lambda v: v.name, "createdTime": lambda v: v.created_time,
    "modifiedTime": lambda v: v.modified_time, "folder": lambda v: v.mime_type != FOLDER,
}


def _order(text: str | None) -> list[tuple[Callable[[View], Any], bool]]:
    order = []
    for item in (text.split(",") if text is not None else ["modifiedTime desc"]):
        name, _, direction = item.strip().partition(" ")
        if name not in _SORT_KEYS or direction not in ("", "desc"):
            raise bad_value("orderBy")
        order.append((_SORT_KEYS[name], direction == "desc"))
    return order


def _page_token(start: int, query: dict[str, Any]) -> str:
    """Good only for the search it was made for."""
    return base64.urlsafe_b64encode(f"{start}|{query.get('q')}".encode()).decode()


def _page(query: dict[str, Any]) -> int:
    token = query.get("pageToken")
    if token is None:
        return 0
    try:
        start, _, q = base64.urlsafe_b64decode(token).decode().partition("|")
    except ValueError:
        raise bad_value("pageToken") from None
    if q != str(query.get("q")) or not start.isdigit():
        raise bad_value("pageToken")
    return int(start)

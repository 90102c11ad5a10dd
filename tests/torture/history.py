"""What happens to the documents, looked at while it goes on: what was seen needs not be kept, and
nothing that lasts only for a moment is missed."""

from __future__ import annotations

import threading
import time
from collections import Counter

from tests.support.google import Google
from tests.support.google_files import Change, File

_MARGIN = 10.0      # seconds that the stand-in keeps beyond what its searches look back


class History:
    """broken: what must never be, in words. doubles: tasks that had two documents in sight."""

    def __init__(self, google: Google) -> None:
        self.google = google
        self.broken: list[str] = []
        self.doubles: set[str] = set()
        self.trashed = 0
        self._visible: dict[str, str] = {}          # document: its task
        self._staged: dict[str, str] = {}
        self._count: Counter[str] = Counter()       # of visible ones, by task
        self._seen = 0                              # changes
        self._lock = threading.Lock()

    def look(self) -> None:
        """At all that has happened since."""
        with self._lock:
            for change in self._news():
                self._take(change)

    def is_visible(self, task: str) -> bool:
        with self._lock:
            return self._count[task] > 0

    @property
    def visible(self) -> int:
        return len(self._visible)

    @property
    def staged(self) -> dict[str, str]:
        """The documents that lie in the staging folder, with their tasks."""
        with self._lock:
            return dict(self._staged)

    def _news(self) -> list[Change]:
        google = self.google
        with google.changed:
            changes = google.files.changes
            news = changes[self._seen:]
            self._seen = len(changes)
            oldest, old = time.monotonic() - google.list_lag - _MARGIN, 0
            while old < self._seen and changes[old].at < oldest:
                old += 1
            del changes[:old]
            self._seen -= old
            google.calls.clear()
            google.tokens.requests.clear()
        return news

    def _take(self, change: Change) -> None:
        document = (change.after or change.before).id
        task = self._visible.pop(document, None)
        if task is not None:
            self._count[task] -= 1
        self._staged.pop(document, None)
        file = change.after
        if file is None or not file.is_document:
            return
        task = file.app_properties.get("confabTask", "")
        if file.trashed:
            self.trashed += 1
            if change.before.parent == self.google.folder:
                self.broken.append(f"the visible document {document} of task {task} was trashed")
        elif file.parent == self.google.folder:
            self._appears(file, task)
        else:
            self._staged[document] = task

    def _appears(self, file: File, task: str) -> None:
        self._visible[file.id] = task
        self._count[task] += 1
        if not file.content:
            self.broken.append(f"the document {file.id} of task {task} is visible while empty")
        if self._count[task] > 1:
            self.doubles.add(task)

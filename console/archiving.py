"""Retention in a running service: every few hours, what is older than the settings allow goes to the archive.

`xisuan up` keeps one and calls `look` in its round; the work is done on a thread, one at a time. A failure is logged and
tried again at the next turn: old events that stay where they are harm nobody.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from inventory.store.errors import StoreError
from scheduler.store.opening import open_store

log = logging.getLogger("xisuan.retention")
EVERY_MS = 6 * 3_600_000


class Archiving:
    def __init__(self, store_url: str, folder: Path, now_ms: Callable[[], int]) -> None:
        self._store_url = store_url
        self._folder = folder
        self._now_ms = now_ms
        self._next_ms = 0
        self._thread: threading.Thread | None = None

    def look(self, after_days: int) -> None:
        """Begins a turn when one is due; 0 days: never. Returns at once."""
        is_busy = self._thread is not None and self._thread.is_alive()
        if not after_days or is_busy or self._now_ms() < self._next_ms:
            return
        self._next_ms = self._now_ms() + EVERY_MS
        self._thread = threading.Thread(target=self._archive, args=(after_days,), name="archiving", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until the turn that is under way has ended."""
        if self._thread is not None:
            self._thread.join()

    def _archive(self, after_days: int) -> None:
        from scheduler.store.retention import (
            DAY_MS,
            archive_finished,
        )  # loads Parquet, which no start shall wait for

        now_ms = self._now_ms()
        try:
            store = open_store(self._store_url)
            try:
                count = archive_finished(
                    store,
                    self._folder,
                    before_ms=now_ms - after_days * DAY_MS,
                    now_ms=now_ms,
                    told=lambda file: log.info("archived %d events to %s", file.count, file.name),
                )
            finally:
                store.close()
        except StoreError as error:
            log.warning("archiving is tried again later: %s", error)
        else:
            log.info("%d events of workloads that ended more than %d days ago were archived", count, after_days)

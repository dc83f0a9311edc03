"""The store of this home, opened by a command itself where no service runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from console.home import Home
from inventory.store.event_store import Store
from scheduler.store.opening import open_store


@contextmanager
def local_store(home: Home, *, writing: bool) -> Iterator[Store]:
    """The store, closed at the end of the block; writers hold the home's lock. Raises StoreError, Fault."""
    home.create()
    if writing:
        with home.writer_lock(), _opened(home) as store:
            yield store
    else:
        with _opened(home) as store:
            yield store


@contextmanager
def _opened(home: Home) -> Iterator[Store]:
    store = open_store(home.store_url)
    try:
        yield store
    finally:
        store.close()

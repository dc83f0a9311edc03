"""What can go wrong with the store, as one clear line in Chinese and English.

Every error that a user can cause or cure is a StoreError: it names the value, the rule and the remedy, and never
a password. The command line prints it as it is; the services map it to a status by its class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class StoreError(Exception):
    """Base of all errors of the store. `str()` is the whole message: "中文 / English"."""

    def __init__(self, chinese: str, english: str) -> None:
        super().__init__(f"{chinese} / {english}")
        self.chinese = chinese
        self.english = english

    def __reduce__(self) -> tuple[Callable[..., StoreError], tuple[Any, ...]]:
        """Actors raise it across processes. By default Python makes an exception anew from its message alone."""
        return _made_again, (type(self), self.chinese, self.english)


class BadDatabaseUrl(StoreError):
    """The URL names no database that this program can use."""


class NotOurDatabase(StoreError):
    """The file is not a database, or is the database of another program."""


class NewerSchema(StoreError):
    """A newer release of Xisuan wrote this database; this one must not touch it."""


class Unreachable(StoreError):
    """The server does not answer, refuses us, or the folder or file cannot be written. Retry after the remedy."""


class Locked(StoreError):
    """Another process has held the database longer than we wait. Nothing was written; the caller may retry."""


class UnknownEventKind(StoreError):
    """No projection of this store knows the kind: a mistake in the program's wiring."""

    def __init__(self, kind: str, known: frozenset[str]) -> None:
        names = ", ".join(sorted(known)) or "-"
        super().__init__(
            f"未知的事件类型 {kind!r}，已知：{names}",
            f"unknown event kind {kind!r}; known kinds: {names}; give the store the projection that applies it",
        )


def _made_again(kind: type[StoreError], chinese: str, english: str) -> StoreError:
    """Without the class's own `__init__`, whose arguments differ from class to class."""
    error = kind.__new__(kind)
    StoreError.__init__(error, chinese, english)
    return error

"""What a PostgreSQL server says when it cannot serve us now, in words for people; our own faults pass unchanged."""

from __future__ import annotations

import pickle

import pytest

from inventory.store.engine import _explain_server
from inventory.store.errors import Locked, StoreError, UnknownEventKind

# SQLSTATE and first line, as psycopg gives them.
SAID = {
    "its disk is full": (
        "53100",
        'could not extend file "base/5/1": No space left on device',
        "cannot be written",
    ),
    "it has no memory": ("53200", "out of memory", "cannot be written"),
    "we were frozen within a transaction": (
        "25P03",
        "terminating connection due to idle-in-transaction timeout",
        "stood still for too long",
    ),
    "it ends": ("57P01", "terminating connection due to administrator command", "starting, recovering or ending"),
    "another of its processes was killed": (
        "57P02",
        "terminating connection because of crash of another server process",
        "starting, recovering or ending",
    ),
    "it recovers": (
        "",
        "connection to server failed: FATAL:  the database system is in recovery mode",
        "starting, recovering or ending",
    ),
    "it has no room for one more connection": ("53300", "FATAL:  sorry, too many clients already", "refuses us"),
    "the password is wrong": ("", "connection failed: FATAL:  password authentication failed", "refuses us"),
    "nobody listens": ("", "connection failed: Connection refused", "cannot be reached"),
}


@pytest.mark.parametrize(("code", "line", "words"), SAID.values(), ids=SAID)
def test_what_the_server_says_becomes_a_line_with_its_remedy(code: str, line: str, words: str) -> None:
    known = _explain_server("postgresql://h:1/d", line, code, lost=False)
    assert known is not None
    assert words in known.english


def test_a_fault_of_ours_is_none_of_the_servers() -> None:
    assert _explain_server("postgresql://h:1/d", "duplicate key value", "23505", lost=False) is None


@pytest.mark.parametrize("error", [Locked("中文", "English"), UnknownEventKind("a.b", frozenset({"c.d"}))])
def test_an_error_of_the_store_reaches_another_process_as_it_is(error: StoreError) -> None:
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.chinese, arrived.english) == (str(error), error.chinese, error.english)

"""The chain of events: gapless, linked, in one transaction with its projections; on both databases."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, select, text

from inventory.store.chain import GENESIS, Draft, Event, Head, civil_day, link
from inventory.store.engine import open_engine
from inventory.store.errors import UnknownEventKind
from inventory.store.event_store import Projection, Store
from inventory.store.verify import Fault, rebuild_projections, verify

NOW = 1_763_800_000_000  # 2025-11-22 in China
notes = Table("notes", MetaData(), Column("subject", Text, primary_key=True), Column("lines", Integer))


def _apply_noted(connection: Connection, events: Sequence[Event]) -> None:
    for event in events:
        found = connection.execute(select(notes.c.lines).where(notes.c.subject == event.subject)).scalar()
        if found is None:
            connection.execute(insert(notes).values(subject=event.subject, lines=event.payload["lines"]))
        else:
            lines = found + event.payload["lines"]
            connection.execute(notes.update().where(notes.c.subject == event.subject).values(lines=lines))


NOTES = Projection("notes", (notes,), {"note.noted": _apply_noted})


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        notes.create(connection)
    store = Store(engine, [NOTES])
    yield store
    store.close()


def noted(subject: str, lines: int = 1, **more: object) -> Draft:
    return Draft("note.noted", subject, {"lines": lines, **more})


def append(store: Store, *drafts: Draft) -> tuple[Event, ...]:
    with store.transaction() as transaction:
        return transaction.append(drafts, actor="张三", recorded_ms=NOW)


def lines_of(store: Store) -> dict[str, int]:
    with store.connect() as connection:
        return {row.subject: row.lines for row in connection.execute(select(notes))}


def test_events_are_numbered_from_one_without_gaps_and_linked_by_hash(store: Store) -> None:
    assert store.head() == Head(0, GENESIS)
    first, second = append(store, noted("甲"), noted("乙"))
    (third,) = append(store, noted("甲", 3))
    assert [first.seq, second.seq, third.seq] == [1, 2, 3]
    assert [first.previous_hash, second.previous_hash, third.previous_hash] == [GENESIS, first.hash, second.hash]
    assert store.head() == Head(3, third.hash)
    assert store.read() == (first, second, third)
    assert lines_of(store) == {"甲": 4, "乙": 1}
    assert verify(store).holds


def test_an_event_holds_from_the_civil_day_in_china_unless_it_says_otherwise(store: Store) -> None:
    late_in_china = 1_763_827_200_000  # 2025-11-22 16:00 UTC is midnight of the 23rd
    with store.transaction() as transaction:
        plain, stated = transaction.append(
            [noted("甲"), Draft("note.noted", "乙", {"lines": 1}, effective_on=date(2021, 6, 30))],
            actor="张三",
            recorded_ms=late_in_china,
        )
    assert plain.effective_on == date(2025, 11, 23) == civil_day(late_in_china)
    assert stated.effective_on == date(2021, 6, 30)


def test_reading_pages_by_seq_and_filters_by_kind_and_subject(store: Store) -> None:
    append(store, noted("甲"), noted("乙"), noted("甲"), noted("丙"))
    assert [event.seq for event in store.read(1, 2)] == [2, 3]
    assert [event.seq for event in store.read(subject="甲")] == [1, 3]
    assert [event.seq for event in store.read(2, kinds={"note.noted"})] == [3, 4]
    assert store.read(kinds={"other"}) == ()


def test_the_hash_can_be_recomputed_with_the_standard_library_alone(store: Store) -> None:
    append(store, noted("甲", 1, text='含"引号"、换行\n和\x00'), noted("", 2))
    previous = "0" * 64
    with store.connect() as connection:
        rows = connection.execute(text("SELECT * FROM events ORDER BY seq")).mappings().all()
    for row in rows:
        digest = hashlib.sha256()
        names = ("kind", "subject", "effective_on", "recorded_ms", "actor", "payload")
        for field in (previous, row["seq"], *(row[name] for name in names)):
            octets = str(field).encode()
            digest.update(str(len(octets)).encode() + b":" + octets + b",")
        assert digest.hexdigest() == row["hash"]
        previous = row["hash"]


@pytest.mark.parametrize("where", ["in the projection", "after the append"])
def test_an_error_leaves_neither_event_nor_projection_behind(store: Store, where: str) -> None:
    append(store, noted("甲"))
    with pytest.raises((ZeroDivisionError, TypeError)), store.transaction() as transaction:
        transaction.append([noted("乙")], actor="", recorded_ms=NOW)
        if where == "in the projection":
            transaction.append([noted("甲", None)], actor="", recorded_ms=NOW)  # type: ignore[arg-type]  # the fault
        raise ZeroDivisionError
    assert store.head().seq == 1
    assert lines_of(store) == {"甲": 1}


def test_a_failed_append_that_is_caught_cannot_be_committed(store: Store) -> None:
    with pytest.raises(RuntimeError, match="nothing of it may be committed"), store.transaction() as transaction:
        transaction.append([noted("甲")], actor="", recorded_ms=NOW)
        with pytest.raises(TypeError):
            transaction.append([noted("甲", None)], actor="", recorded_ms=NOW)  # type: ignore[arg-type]  # the fault
    assert store.head().seq == 0
    assert lines_of(store) == {}


def test_an_unknown_kind_is_refused_and_the_known_ones_are_listed(store: Store) -> None:
    with pytest.raises(UnknownEventKind, match=r"'note\.lost'.*note\.noted"):
        append(store, Draft("note.lost", "甲", {}))
    assert store.head().seq == 0


@pytest.mark.parametrize("payload", [{"x": float("nan")}, {"x": "\ud800"}, {"x": {1, 2}}])
def test_a_payload_that_is_not_json_is_refused(store: Store, payload: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        append(store, Draft("note.noted", "甲", payload))
    assert store.head().seq == 0


def test_what_is_read_in_one_block_is_one_state(store: Store) -> None:
    append(store, noted("甲"))
    with store.connect() as connection:
        before = connection.execute(select(notes.c.lines)).scalar()
        append(store, noted("甲"))
        assert connection.execute(select(notes.c.lines)).scalar() == before == 1
    assert lines_of(store) == {"甲": 2}


_APPENDER = """
import sys
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from tests.store.test_store_chain import NOTES, append, noted
store = Store(open_engine(sys.argv[1], lock_wait_ms=30_000), [NOTES])
for number in range(int(sys.argv[3])):
    append(store, noted(sys.argv[2]), noted("全部"))
"""


def test_any_number_of_processes_append_without_gaps_or_forks(store: Store, database_url: str) -> None:
    names = ("a", "b")
    processes = [subprocess.Popen([sys.executable, "-c", _APPENDER, database_url, name, "15"]) for name in names]
    mine = 0
    while any(process.poll() is None for process in processes):
        append(store, noted("我"))
        mine += 1
    assert [process.returncode for process in processes] == [0, 0]
    assert store.head().seq == 60 + mine
    assert lines_of(store) == {"a": 15, "b": 15, "全部": 30, "我": mine}
    assert verify(store).holds


def test_rebuilding_restores_projections_that_were_tampered_with(store: Store) -> None:
    append(store, noted("甲", 2), noted("乙"), noted("甲"))
    with store.engine.begin() as connection:
        connection.execute(notes.update().where(notes.c.subject == "甲").values(lines=9))
        connection.execute(notes.delete().where(notes.c.subject == "乙"))
    (difference,) = verify(store).differences
    assert (difference.table, difference.key, difference.column) == ("notes", ("乙",), None)
    assert rebuild_projections(store) == 3
    assert lines_of(store) == {"甲": 3, "乙": 1}
    assert verify(store).holds


@pytest.mark.parametrize(
    ("statement", "seq", "fault"),
    [
        ("UPDATE events SET payload = '{\"lines\":8}' WHERE seq = 3", 3, Fault.ALTERED),
        ("UPDATE events SET actor = '李四' WHERE seq = 1", 1, Fault.ALTERED),
        ("DELETE FROM events WHERE seq = 2", 2, Fault.MISSING),
        ("DELETE FROM events WHERE seq = 1", 1, Fault.MISSING),
        ("DELETE FROM events WHERE seq = 4", 4, Fault.HEAD),
        ("DELETE FROM events", 1, Fault.HEAD),
        ("UPDATE chain_head SET seq = 2", 3, Fault.HEAD),
        ("DELETE FROM chain_head", 5, Fault.HEAD),
        ("UPDATE events SET seq = 9 WHERE seq = 3", 3, Fault.MISSING),
    ],
)
def test_verify_names_the_first_event_that_is_wrong(store: Store, statement: str, seq: int, fault: Fault) -> None:
    append(store, noted("甲"), noted("乙"), noted("丙"), noted("丁"))
    with store.engine.begin() as connection:
        connection.execute(text(statement.replace(":", "\\:")))
    broken = verify(store).chain_break
    assert broken is not None
    assert (broken.seq, broken.fault) == (seq, fault)


def test_a_history_that_was_replaced_as_a_whole_is_told_by_a_head_written_down_earlier(store: Store) -> None:
    append(store, noted("甲"), noted("乙"))
    anchor = store.head()
    append(store, noted("丙"))
    assert verify(store, anchor=anchor).holds
    with store.engine.begin() as connection:
        connection.execute(text("DELETE FROM events"))
        connection.execute(text("DELETE FROM notes"))
        connection.execute(text(f"UPDATE chain_head SET seq = 0, hash = '{GENESIS}'"))
    append(store, noted("甲"), noted("假"), noted("丙"))
    assert verify(store).holds
    broken = verify(store, anchor=anchor).chain_break
    assert broken is not None
    assert broken.seq == 2


def test_an_event_forged_with_its_own_new_hash_is_told_by_the_next_one(store: Store) -> None:
    _, second, _ = append(store, noted("甲"), noted("乙"), noted("丙"))
    forged = link(Head(1, second.previous_hash), noted("乙", 7), actor="张三", recorded_ms=NOW)
    with store.engine.begin() as connection:
        connection.execute(
            text("UPDATE events SET payload = :payload, hash = :hash WHERE seq = 2"),
            {"payload": forged.payload_json, "hash": forged.hash},
        )
    broken = verify(store).chain_break
    assert broken is not None
    assert (broken.seq, broken.fault) == (3, Fault.REORDERED)

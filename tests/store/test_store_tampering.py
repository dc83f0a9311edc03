"""Properties of the chain: any altered byte of any event is found, and named by its number."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.store.chain import Draft, canonical_json
from inventory.store.engine import open_engine
from inventory.store.event_store import Projection, Store
from inventory.store.verify import Fault, verify

NOW = 1_763_800_000_000
EVENTS = 5
COLUMNS = ("kind", "subject", "payload", "effective_on", "recorded_ms", "actor", "previous_hash", "hash")
SILENT = Projection("silent", (), {"note.noted": lambda _connection, _events: None})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    path = tmp_path_factory.mktemp("chain") / "chain.db"
    store = Store(open_engine(f"sqlite:///{path}"), [SILENT])
    with store.transaction() as transaction:
        drafts = [Draft("note.noted", f"系统{number}", {"备注": "内容", "n": number}) for number in range(EVENTS)]
        transaction.append(drafts, actor="张三", recorded_ms=NOW)
    assert verify(store).holds
    return store, path


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seq=st.integers(1, EVENTS), column=st.sampled_from(COLUMNS), place=st.integers(0), byte=st.integers(1, 255))
def test_any_altered_byte_is_found_at_its_event(
    written: tuple[Store, Path], seq: int, column: str, place: int, byte: int
) -> None:
    store, path = written
    with sqlite3.connect(path) as connection:
        query = f"SELECT CAST({column} AS BLOB) FROM events WHERE seq = ?"
        (before,) = connection.execute(query, (seq,)).fetchone()
        index = place % len(before)
        after = before[:index] + bytes([before[index] ^ byte]) + before[index + 1 :]
        kind = "INTEGER" if column == "recorded_ms" and after.isdigit() else "TEXT"
        connection.execute(f"UPDATE events SET {column} = CAST(? AS {kind}) WHERE seq = ?", (after, seq))
    try:
        broken = verify(store).chain_break
        assert broken is not None
        assert broken.seq == seq
        assert broken.fault is Fault.ALTERED
    finally:
        with sqlite3.connect(path) as connection:
            kind = "INTEGER" if column == "recorded_ms" else "TEXT"
            connection.execute(f"UPDATE events SET {column} = CAST(? AS {kind}) WHERE seq = ?", (before, seq))
    assert verify(store).holds


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_equal_payloads_have_one_form_whatever_their_order(payload: dict[str, object]) -> None:
    backwards = dict(reversed(list(payload.items())))
    assert canonical_json(payload) == canonical_json(backwards)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=5), json_values), max_size=6), st.integers(1, 4))
def test_whatever_is_appended_is_read_back_and_verifies(noted: list[tuple[str, object]], cut: int) -> None:
    store = Store(open_engine("sqlite://"), [SILENT])
    drafts = [Draft("note.noted", subject.replace("\x00", ""), {"value": value}) for subject, value in noted]
    for part in (drafts[:cut], drafts[cut:]):
        with store.transaction() as transaction:
            transaction.append(part, actor="张三", recorded_ms=NOW)
    assert [event.payload for event in store.read()] == [draft.payload for draft in drafts]
    assert verify(store).holds
    store.close()

"""Upgrade across one version: a store as the version before wrote it is brought up, and is true; the way back is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, inspect, text

from inventory.model.workload import Run, RunState, WorkloadState
from inventory.store import migrations
from inventory.store.chain import Event, Head, link
from inventory.store.engine import connect_engine, name_of, open_engine, writing
from inventory.store.errors import NewerSchema
from inventory.store.migrations import REVISIONS, VERSION_TABLE, migrate
from inventory.store.schema import metadata
from inventory.store.verify import verify
from scheduler.core.admission import Known, admit
from scheduler.core.book import Book
from scheduler.core.changes import RunPlaced
from scheduler.store.opening import over
from scheduler.store.projection import draft_of
from tests.lifecycle.bookkeeping import submission
from tests.operation.stores import NOW_MS, History

PREVIOUS = REVISIONS[-2]


def store_of_the_version_before(url: str) -> None:
    """The tables of the revision before, and rows in them written by plain SQL, as that version's program did."""
    engine = connect_engine(url)
    with writing(engine) as connection:
        if inspect(connection).has_table(VERSION_TABLE):
            for table in reversed(metadata.sorted_tables):
                connection.execute(text(f'DROP TABLE IF EXISTS "{table.name}"'))
            connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
        migrate(connection, name_of(engine), PREVIOUS)
        _fill(connection)
    engine.dispose()


def _fill(connection: Connection) -> None:
    book, head = Book(), Head()
    numbers = iter(range(1, 10))
    items = [submission("queued"), submission("runs")]
    _, changes = admit(book, Known({}, {}), items, lambda: f"w-abcdef-{next(numbers)}", NOW_MS)
    run = Run("w-abcdef-2.1", "w-abcdef-2", 1, "p", ("n",), RunState.PLACED, placed_ms=NOW_MS)
    drafts = [draft_of(change) for change in (*changes, RunPlaced(run))]
    recorded: list[Event] = []
    for draft in drafts:
        recorded.append(link(head, draft, actor="control-plane", recorded_ms=NOW_MS))
        head = Head(recorded[-1].seq, recorded[-1].hash)
    for event in recorded:
        _insert(
            connection,
            "events",
            {
                "seq": event.seq, "kind": event.kind, "subject": event.subject, "payload": event.payload_json,
                "effective_on": event.effective_on.isoformat(), "recorded_ms": event.recorded_ms,
                "actor": event.actor, "previous_hash": event.previous_hash, "hash": event.hash,
            },
        )  # fmt: skip
    connection.execute(
        text("UPDATE chain_head SET seq = :seq, hash = :hash"), {"seq": head.seq, "hash": head.hash}
    )
    projected = create_engine("sqlite://")
    metadata.create_all(projected)
    with projected.begin() as scratch:
        over(projected).projector.apply(scratch, recorded)
        for name in ("workloads", "runs"):
            present = {column["name"] for column in inspect(connection).get_columns(name)}
            for row in scratch.execute(text(f"SELECT * FROM {name}")).mappings():
                _insert(connection, name, {key: value for key, value in row.items() if key in present})


def _insert(connection: Connection, table: str, row: dict[str, object]) -> None:
    columns = ", ".join(f'"{name}"' for name in row)
    places = ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({places})"), row)


class TestAStoreOfTheVersionBefore:
    def test_is_brought_up_by_opening_it_and_is_true(self, database_url: str) -> None:
        store_of_the_version_before(database_url)
        store = over(open_engine(database_url))
        try:
            assert verify(store).holds
            with store.connect() as connection:
                found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one()
            assert found == REVISIONS[-1]
        finally:
            store.close()

    def test_is_gone_on_with_where_it_was_left(self, database_url: str) -> None:
        store_of_the_version_before(database_url)
        store = over(open_engine(database_url))
        try:
            history = History(store)
            assert [workload.client_key for workload in history.book.queued()] == ["queued"]
            assert history.book.live_run_of("w-abcdef-2") is not None
            (new,) = history.submit("new")
            history.run(new, RunState.RUNNING, RunState.SUCCEEDED)
            finished = history.scheduler.workload(new)
            assert finished is not None and finished[0].state is WorkloadState.SUCCEEDED
            assert verify(store).holds
        finally:
            store.close()


def test_the_version_before_refuses_the_newer_store_in_one_line(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_engine(database_url).dispose()
    monkeypatch.setattr(migrations, "REVISIONS", REVISIONS[:-1])
    with pytest.raises(NewerSchema, match="upgrade Xisuan") as refused:
        open_engine(database_url)
    assert "\n" not in str(refused.value)
    assert REVISIONS[-1] in str(refused.value)


def test_an_upgrade_that_is_cut_short_leaves_the_version_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    store_of_the_version_before(url)

    def fails(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken, pytest.raises(OSError, match="disk"):
        broken.setattr("alembic.runtime.migration.HeadMaintainer.update_to_step", fails)
        open_engine(url)
    engine = connect_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one() == PREVIOUS
    engine.dispose()
    store = over(open_engine(url))
    assert verify(store).holds
    store.close()

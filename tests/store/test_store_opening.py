"""Opening a database: what it brings about, and one clear line for everything that stands in the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

import inventory.store.ledger.tables  # noqa: F401  (its tables belong to the metadata)
from inventory.store import migrations
from inventory.store.engine import name_of, open_engine, reading, writing
from inventory.store.errors import (
    BadDatabaseUrl,
    Locked,
    NewerSchema,
    NotOurDatabase,
    StoreError,
    Unreachable,
)
from inventory.store.schema import chain_head, metadata


def refusal(url: str, kind: type[StoreError]) -> str:
    """The one line with which opening is refused."""
    with pytest.raises(kind) as caught:
        open_engine(url, lock_wait_ms=100)
    message = str(caught.value)
    assert "\n" not in message
    assert " / " in message
    return message


def test_the_migrations_make_the_tables_that_the_code_knows(database_url: str) -> None:
    engine = open_engine(database_url)
    with reading(engine) as connection:
        mine = set(metadata.tables)

        def ours(name: str | None, kind: str, _parents: object) -> bool:
            return kind != "table" or name in mine

        options = {"version_table": migrations.VERSION_TABLE, "include_name": ours, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        constraints = inspect(connection).get_check_constraints("chain_head")
        assert [constraint["name"] for constraint in constraints] == ["one_head"]
    engine.dispose()


def test_the_list_of_revisions_is_the_folder_in_order() -> None:
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert tuple(reversed([revision.revision for revision in script.walk_revisions()])) == migrations.REVISIONS
    assert script.get_heads() == [migrations.REVISIONS[-1]]


def test_sqlite_is_opened_for_durability(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with reading(engine) as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in pragmas]
    assert values == ["wal", 2, 1, 5_000]
    engine.dispose()


@pytest.mark.postgres
def test_postgresql_ends_the_transaction_of_a_writer_that_is_frozen_and_its_lock_with_it(
    emptied_postgres_database: str,
) -> None:
    frozen = open_engine(emptied_postgres_database, idle_writer_ms=100)
    other = open_engine(emptied_postgres_database)
    lock = select(chain_head.c.seq).with_for_update()
    with pytest.raises(Unreachable, match="stood still for too long"), writing(frozen) as connection:
        connection.execute(lock)
        with writing(other) as successor:  # waits for the lock, which the server takes from the frozen one
            assert successor.execute(lock).scalar_one() == 0
        connection.execute(lock)
    with writing(frozen) as connection:  # it goes on with a new connection
        assert connection.execute(lock).scalar_one() == 0
    frozen.dispose()
    other.dispose()


def test_several_may_open_a_new_database_at_the_same_time(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with ThreadPoolExecutor(3) as pool:
        openings = [pool.submit(open_engine, url, lock_wait_ms=30_000) for _ in range(3)]
    for opening in openings:
        opening.result().dispose()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        assert connection.execute(f"SELECT version_num FROM {migrations.VERSION_TABLE}").fetchall() == [
            (migrations.REVISIONS[-1],)
        ]


def test_an_interrupted_migration_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    monkeypatch.setattr("alembic.op.bulk_insert", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_engine(url)
    monkeypatch.undo()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    open_engine(url).dispose()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://root:geheim@localhost/x", "'mysql' is not supported"),
        ("oracle+cx_oracle://x", "is not supported"),
        ("ledger.db", "cannot be read; write sqlite:///FILE"),
        ("", "cannot be read"),
        ("postgresql://user:geheim@host:port/x", "cannot be read"),
    ],
)
def test_a_url_that_names_no_database_of_ours(url: str, expected: str) -> None:
    message = refusal(url, BadDatabaseUrl)
    assert expected in message
    assert "geheim" not in message


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    message = refusal(f"sqlite:///{tmp_path / 'no' / 'a.db'}", Unreachable)
    assert f"the folder {tmp_path / 'no'} of the database does not exist" in message


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert f"{tmp_path} is a folder" in refusal(f"sqlite:///{tmp_path}", NotOurDatabase)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 not a database at all" * 40, b"SQLite format 3\x00" + b"\xff" * 2000]
)
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    message = refusal(f"sqlite:///{path}", NotOurDatabase)
    assert str(path) in message
    assert path.read_bytes() == content


def test_the_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (id INTEGER)")
    assert "it holds the table bookmarks" in refusal(f"sqlite:///{path}", NotOurDatabase)


def test_a_newer_database_is_left_alone(database_url: str) -> None:
    engine = open_engine(database_url)
    with writing(engine) as connection:
        connection.execute(text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9041'"))
    name = name_of(engine)
    engine.dispose()
    try:
        message = refusal(database_url, NewerSchema)
        assert f"{name} was written by a newer Xisuan (revision 9041; this program knows up to" in message
        assert "upgrade Xisuan" in message
    finally:
        _set_revision(database_url, migrations.REVISIONS[-1])


def _set_revision(url: str, revision: str) -> None:
    """The PostgreSQL database goes to the next test: it must have its true revision again."""
    statement = f"UPDATE {migrations.VERSION_TABLE} SET version_num = '{revision}'"
    if url.startswith("postgresql"):
        with psycopg.connect(url) as connection:
            connection.execute(statement.encode())


def test_a_writer_that_waits_too_long_is_told_who_holds_the_database(database_url: str) -> None:
    first, second = open_engine(database_url), open_engine(database_url, lock_wait_ms=100)
    lock = text("SELECT seq FROM chain_head" + (" FOR UPDATE" if "postgresql" in database_url else ""))
    with writing(first) as holder:
        holder.execute(lock)
        with (
            pytest.raises(Locked, match="is locked by another process; try again, or stop"),
            writing(second) as late,
        ):
            late.execute(lock)
        with reading(second) as reader:
            assert reader.execute(text("SELECT seq FROM chain_head")).scalar() == 0
    first.dispose()
    second.dispose()


def test_opening_does_not_wait_for_a_writer(database_url: str) -> None:
    first = open_engine(database_url)
    with writing(first) as holder:
        holder.execute(text("UPDATE chain_head SET seq = 0"))
        open_engine(database_url, lock_wait_ms=100).dispose()
    first.dispose()


def test_a_place_where_nothing_may_be_written() -> None:
    message = refusal("sqlite:////proc/xisuan.db", Unreachable)  # where even root may not write
    assert "/proc/xisuan.db cannot be written" in message
    assert "check its permissions" in message


def test_a_server_that_does_not_answer() -> None:
    message = refusal("postgresql://xisuan:geheim@127.0.0.1:1/ledger", Unreachable)
    assert "postgresql://127.0.0.1:1/ledger cannot be reached" in message
    assert "geheim" not in message


@pytest.mark.postgres
def test_a_server_that_refuses_us(new_postgres_database: Callable[[], str]) -> None:
    url = new_postgres_database().replace("xisuan@", "nobody:geheim@")
    message = refusal(url, Unreachable)
    assert "refuses us" in message
    assert "geheim" not in message
    missing = url.replace("nobody:geheim@", "xisuan@") + "_missing"
    assert "_missing" in refusal(missing, Unreachable)

"""Brings a database to the revision that this program knows, under the lock of the caller's transaction.

Adding a revision: write `versions/NNNN_what.py` with `revision = "NNNN"` and `down_revision` = the one before,
then append "NNNN" to REVISIONS. The list stands here in plain sight so that opening an up-to-date database need
not load Alembic; a test holds it equal to the files. History is linear, and a migration writes its tables out in
full (it does not import `schema`), because it must do the same in ten years.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from inventory.store.errors import NewerSchema, NotOurDatabase

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
VERSION_TABLE = "xisuan_revision"
# Any constant will do; it only must not be another program's advisory lock in the same database.
_ADVISORY_LOCK = 0x5849_5355_414E


def is_current(connection: Connection, name: str) -> bool:
    """True when nothing is to be done: reading is enough to know, so opening never waits for a writer.

    `name` is the database for messages. Raises NewerSchema when the database holds a revision that is not in
    REVISIONS, NotOurDatabase when an SQLite file has tables and none of them is ours.
    """
    current = _current(connection, name)
    if current is not None and current not in REVISIONS:
        raise NewerSchema(
            f"数据库 {name} 由更新版本的西算写成（版本 {current}，本程序只到 {REVISIONS[-1]}）；请升级西算",
            f"the database {name} was written by a newer Xisuan (revision {current}; this program knows up to "
            f"{REVISIONS[-1]}); upgrade Xisuan",
        )
    return current == REVISIONS[-1]


def migrate(connection: Connection, name: str, target: str = "head") -> None:
    """Runs what is missing, up to the revision `target`. `connection` is in a write transaction. Raises as
    `is_current` does."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    if is_current(connection, name):
        return  # another process was faster
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def _current(connection: Connection, name: str) -> str | None:
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
        return None if found is None else str(found)
    if connection.dialect.name == "sqlite" and tables:
        raise NotOurDatabase(
            f"{name} 是其他程序的数据库（含表 {tables[0]}）；请换一个路径",
            f"{name} is the database of another program (it holds the table {tables[0]}); name another path",
        )
    return None

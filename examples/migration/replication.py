"""What the runbook of the worked example does with the databases. Every action may be repeated: each looks first.

    LEGACY_URL=... TARGET_URL=... python replication.py ACTION DATABASE

    prepare / discard     the database and its tables on the target, empty / gone
    clone / discard-clone a copy of the legacy database beside it, for the rehearsal / gone
    replicate / sever     logical replication legacy → target, with the first copy / gone
    freeze / thaw         the legacy database takes no writes / takes them again
    drain                 waits until everything committed on the legacy side is on the target; prints the
                          milliseconds that took
    turn / turn-back      after freeze and drain: replication now goes target → legacy, so that a rollback loses
                          nothing / everything written on the target is on the legacy side, and replication ends
    prove                 a commit on the target reaches the legacy side, and all rows up to it are equal there;
                          prints the number of rows
    retire                replication ends and the legacy database is dropped

The URLs come through the environment, because arguments are seen by every user of a machine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import psycopg
from psycopg import sql

Connection = psycopg.Connection[tuple[object, ...]]
_TABLES = """
CREATE TABLE IF NOT EXISTS notices (
    id bigserial PRIMARY KEY, key text NOT NULL UNIQUE, text text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS replication_marks (mark text PRIMARY KEY);
"""
_PATIENCE_S = 30.0
_POLL_S = 0.05
# Ids that the other side may have given out and not told are left out.
_GAP = 1000


class Side:
    """One server, and one database on it."""

    def __init__(self, url: str, database: str) -> None:
        self.url, self.database = url, database

    def open(self, database: str = "") -> Connection:
        connection = psycopg.connect(self.url, dbname=database or self.database, autocommit=True)
        # Our own work goes on while the database takes no writes from anybody else.
        connection.execute("SET default_transaction_read_only = off")
        return connection

    def exists(self) -> bool:
        with self.open("postgres") as admin:
            return _has(admin, "SELECT 1 FROM pg_database WHERE datname = %s", self.database)

    def create(self) -> None:
        if not self.exists():
            with self.open("postgres") as admin:
                admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database)))
        with self.open() as connection:
            connection.execute(_TABLES)

    def drop(self) -> None:
        with self.open("postgres") as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.database)))

    def set_read_only(self, is_read_only: bool) -> None:
        """For every session that begins from now on; those that are open are ended."""
        word = sql.SQL("on" if is_read_only else "off")
        with self.open("postgres") as admin:
            admin.execute(
                sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(
                    sql.Identifier(self.database), word
                )
            )
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
                [self.database],
            )


class Replication:
    """From `source` to `sink`, by a publication and a subscription of one name."""

    def __init__(self, source: Side, sink: Side, name: str) -> None:
        self.source, self.sink, self.name = source, sink, name

    def start(self, *, copy: bool) -> None:
        name = sql.Identifier(self.name)
        with self.source.open() as source, self.sink.open() as sink:
            if not _has(source, "SELECT 1 FROM pg_publication WHERE pubname = %s", self.name):
                source.execute(sql.SQL("CREATE PUBLICATION {} FOR ALL TABLES").format(name))
            if self._is_subscribed(sink):
                return
            self._drop_slot(source)  # of an attempt that did not come to its end
            where = psycopg.conninfo.make_conninfo(self.source.url, dbname=self.source.database)
            sink.execute(
                sql.SQL("CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {} WITH (copy_data = {})").format(
                    name, sql.Literal(where), name, sql.Literal(copy)
                )
            )

    def stop(self) -> None:
        """Gone on both sides, also where one of the databases is gone already."""
        if self.sink.exists():
            with self.sink.open() as sink:
                if self._is_subscribed(sink):
                    name = sql.Identifier(self.name)
                    sink.execute(sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(name))
                    sink.execute(sql.SQL("ALTER SUBSCRIPTION {} SET (slot_name = NONE)").format(name))
                    sink.execute(sql.SQL("DROP SUBSCRIPTION {}").format(name))
        if self.source.exists():
            with self.source.open() as source:
                self._drop_slot(source)
                source.execute(sql.SQL("DROP PUBLICATION IF EXISTS {}").format(sql.Identifier(self.name)))

    def drain(self) -> int:
        """Milliseconds until a commit made now was on the other side; everything before it is there, too."""
        began = time.monotonic()
        mark = f"{self.name}-{time.time_ns()}"
        with self.sink.open() as sink, self.source.open() as source:
            _until(lambda: self._is_copied(sink), "the first copy is not done")
            source.execute("INSERT INTO replication_marks VALUES (%s)", [mark])
            _until(
                lambda: _has(sink, "SELECT 1 FROM replication_marks WHERE mark = %s", mark),
                "the mark did not arrive",
            )
        return int((time.monotonic() - began) * 1000)

    def _is_subscribed(self, sink: Connection) -> bool:
        return _has(
            sink,
            "SELECT 1 FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid"
            " WHERE d.datname = current_database() AND subname = %s",
            self.name,
        )

    def _is_copied(self, sink: Connection) -> bool:
        return not _has(
            sink,
            "SELECT 1 FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid"
            " WHERE s.subname = %s AND r.srsubstate <> 'r'",
            self.name,
        )

    def _drop_slot(self, source: Connection) -> None:
        held = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s AND active"
        if _has(source, held, self.name):
            source.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s AND active",
                [self.name],
            )
            _until(lambda: not _has(source, held, self.name), "the slot is still in use")
        source.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
            [self.name],
        )


class Move:
    """The actions on one database of both sides."""

    def __init__(self, legacy_url: str, target_url: str, database: str) -> None:
        self.legacy, self.target = Side(legacy_url, database), Side(target_url, database)
        self.forward = Replication(self.legacy, self.target, f"xisuan_{database}")
        self.backward = Replication(self.target, self.legacy, f"xisuan_{database}_back")

    def prepare(self) -> None:
        self.target.create()

    def discard(self) -> None:
        self.target.drop()

    def clone(self) -> None:
        """The rows of one moment, read while the service goes on writing."""
        original = Side(self.legacy.url, self.legacy.database.removesuffix("_rehearsal"))
        self.legacy.drop()
        self.legacy.create()
        with original.open() as source, self.legacy.open() as copy:
            with (
                source.cursor().copy("COPY notices TO STDOUT") as rows,
                copy.cursor().copy("COPY notices FROM STDIN") as sink,
            ):
                for block in rows:
                    sink.write(block)
            _move_sequence(copy)
        self.target.create()
        self.forward.start(copy=True)
        self.forward.drain()

    def discard_clone(self) -> None:
        self.forward.stop()
        self.backward.stop()
        self.target.drop()
        self.legacy.drop()

    def replicate(self) -> None:
        self.forward.start(copy=True)

    def sever(self) -> None:
        self.forward.stop()

    def freeze(self) -> None:
        self.legacy.set_read_only(True)

    def thaw(self) -> None:
        self.legacy.set_read_only(False)

    def drain(self) -> None:
        say(self.forward.drain())

    def turn(self) -> None:
        with self.target.open() as target:
            _move_sequence(target)
        self.forward.stop()
        self.backward.start(copy=False)
        self.backward.drain()

    def turn_back(self) -> None:
        """Nothing that users were told is stored may be lost: the target stops writing before its last mark."""
        if not self.target.exists():
            return
        with self.legacy.open() as legacy:
            is_turned = self.backward._is_subscribed(legacy)
        if is_turned:
            self.target.set_read_only(True)
            self.backward.drain()
        self.backward.stop()
        with self.legacy.open() as legacy:
            _move_sequence(legacy)

    def prove(self) -> None:
        with self.target.open() as target, self.legacy.open() as legacy:
            (last,) = target.execute("SELECT coalesce(max(id), 0) FROM notices").fetchone() or (0,)
            self.backward.drain()
            query = (
                "SELECT count(*), coalesce(sum(('x' || left(md5(to_jsonb(t)::text), 15))::bit(60)::bigint), 0)"
                " FROM notices t WHERE id <= %s"
            )
            here, there = (side.execute(query, [last]).fetchone() for side in (target, legacy))
        if here is None or here != there:
            sys.exit(f"rows up to {last} differ: target {here}, legacy {there}")
        say(here[0])

    def retire(self) -> None:
        self.backward.stop()
        self.forward.stop()
        self.legacy.drop()


def say(number: object) -> None:
    """The last line of the output is the value of the step's evidence."""
    sys.stdout.write(f"{number}\n")


def _move_sequence(connection: Connection) -> None:
    """Replication carries rows, not sequences: the next id is one that nobody has."""
    connection.execute("SELECT setval('notices_id_seq', (SELECT coalesce(max(id), 0) FROM notices) + %s)", [_GAP])


def _has(connection: Connection, query: str, name: str) -> bool:
    return connection.execute(query.encode(), [name]).fetchone() is not None


def _until(reached: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not reached():
        if time.monotonic() > deadline:
            sys.exit(f"{otherwise} within {_PATIENCE_S:.0f} s")
        time.sleep(_POLL_S)


def main(action: str, database: str) -> None:
    move = Move(os.environ["LEGACY_URL"], os.environ["TARGET_URL"], database)
    actions: dict[str, Callable[[], None]] = {
        "prepare": move.prepare,
        "discard": move.discard,
        "clone": move.clone,
        "discard-clone": move.discard_clone,
        "replicate": move.replicate,
        "sever": move.sever,
        "freeze": move.freeze,
        "thaw": move.thaw,
        "drain": move.drain,
        "turn": move.turn,
        "turn-back": move.turn_back,
        "prove": move.prove,
        "retire": move.retire,
    }
    if action not in actions:
        sys.exit(f"{action}: unknown action; there are {', '.join(actions)}")
    actions[action]()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

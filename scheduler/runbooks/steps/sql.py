"""The steps that ask PostgreSQL: `sql_compare` (are the rows the same) and `sql_check` (is a number small enough).

Rows are compared by the SHA-like digest md5 of their JSON form, whose keys PostgreSQL sorts, so neither the order of
the columns nor of the rows matters. Each side is read in one unchanging snapshot, read-only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from scheduler.runbooks.steps.context import StepContext, StepResult, done, failed

_CONNECT_S = 5
_NAMED = 5

_COUNT = "SELECT count(*), '' FROM {table} t"
# The sum of 60-bit digests does not depend on the order of the rows, and needs no sorting of a large table.
_CHECKSUM = (
    "SELECT count(*), coalesce(sum(('x' || left(md5(to_jsonb(t)::text), 15))::bit(60)::bigint), 0)::text"
    " FROM {table} t"
)
_SAMPLE = (
    "SELECT {key}::text, md5(to_jsonb(t)::text) FROM {table} t ORDER BY md5({key}::text), {key}::text LIMIT {rows}"
)
_ROWS = 'SELECT {key}::text, md5(to_jsonb(t)::text) FROM {table} t ORDER BY {key}::text COLLATE "C"'

Connection = psycopg.Connection[tuple[Any, ...]]


def compare(context: StepContext) -> StepResult:
    action = context.action
    counts: dict[str, int] = {}
    try:
        with _reading(context, action["source"]) as source, _reading(context, action["target"]) as target:
            for table in action["tables"]:
                difference, count = _difference(source, target, table)
                if difference:
                    return failed(f"{table['name']} ({table['mode']}): {difference}")
                counts[table["name"]] = count
    except psycopg.Error as error:
        return failed(f"数据库 / database: {_said(error)}")
    return done(rows=counts)


def check(context: StepContext) -> StepResult:
    """Asks until the number is at most `at_most`, or the time is up."""
    action = context.action
    last: list[object] = [None]

    def ask() -> StepResult | None:
        try:
            with _reading(context, action["database"]) as connection:
                row = connection.execute(sql.SQL(action["query"])).fetchone()
        except psycopg.Error as error:
            last[0] = _said(error)
            return None
        last[0] = row[0] if row else None
        if row is None or not isinstance(row[0], int):
            return None
        return done(value=row[0]) if row[0] <= action["at_most"] else None

    return context.until(ask) or failed(f"得到 / got {last[0]}，须 / must be ≤ {action['at_most']}")


@contextmanager
def _reading(context: StepContext, name: str) -> Iterator[Connection]:
    """A read-only snapshot of the database whose URL is the secret `name`."""
    other = context.action.get("database", "") if context.action["kind"] == "sql_compare" else ""
    named = {"dbname": other} if other else {}
    where = make_conninfo(context.secret(name), connect_timeout=_CONNECT_S, **named)
    with psycopg.connect(where) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection


def _difference(source: Connection, target: Connection, table: Mapping[str, Any]) -> tuple[str, int]:
    """In what the table differs (empty: in nothing), and the number of rows compared."""
    if table["mode"] == "sample":
        here, there = (dict(_keyed(side, table, _SAMPLE)) for side in (source, target))
        different = sorted(key for key in here.keys() | there.keys() if here.get(key) != there.get(key))
        return _named(different), len(here)
    query = _COUNT if table["mode"] == "count" else _CHECKSUM
    here_row, there_row = (_one(side, table, query) for side in (source, target))
    if here_row == there_row:
        return "", int(here_row[0])
    rows = f"行数 / rows {here_row[0]} ↔ {there_row[0]}"
    if table["mode"] == "count":
        return rows, 0
    return f"{rows}; {_named(list(_differing(source, target, table)))}", 0


def _differing(source: Connection, target: Connection, table: Mapping[str, Any]) -> Iterator[str]:
    """The keys of the first rows that differ: both sides are read in the order of the keys, side by side."""
    here, there = _keyed(source, table, _ROWS), _keyed(target, table, _ROWS)
    left, right = next(here, None), next(there, None)
    found = 0
    while (left or right) and found < _NAMED:
        if left == right:
            left, right = next(here, None), next(there, None)
            continue
        found += 1
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            yield left[0]
            left = next(here, None)
        elif left is None or right[0] < left[0]:
            yield right[0]
            right = next(there, None)
        else:
            yield left[0]
            left, right = next(here, None), next(there, None)


def _keyed(side: Connection, table: Mapping[str, Any], query: str) -> Iterator[tuple[str, str]]:
    with side.cursor(name="compared") as cursor:
        for row in cursor.execute(_filled(table, query)):
            yield str(row[0]), str(row[1])


def _one(side: Connection, table: Mapping[str, Any], query: str) -> tuple[Any, ...]:
    row = side.execute(_filled(table, query)).fetchone()
    assert row is not None  # an aggregate without GROUP BY gives one row
    return row


def _filled(table: Mapping[str, Any], query: str) -> sql.Composed:
    return sql.SQL(query).format(  # the literal queries of this module
        table=sql.Identifier(*table["name"].split(".")),
        key=sql.Identifier(table["key"]),
        rows=sql.Literal(table["rows"]),
    )


def _named(keys: list[str]) -> str:
    if not keys:
        return ""
    more = " …" if len(keys) > _NAMED else ""
    return f"不一致的主键 / keys that differ: {', '.join(keys[:_NAMED])}{more}"


def _said(error: psycopg.Error) -> str:
    """The server's own line, else psycopg's last one; both name host, port and user, never the password."""
    if error.diag.message_primary:
        return error.diag.message_primary
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__

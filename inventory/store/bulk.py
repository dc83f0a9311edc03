"""Writes many rows of one table fast: the statement is compiled once, the values go to the driver as they are.

For events and projections, where SQLAlchemy's work for each row (naming, copying, converting parameters) costs
several times what the database does. Values must be plain: str, int, bool, float, None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts `rows`, which all name the same columns (at least two); columns not named become NULL."""
    if not rows:
        return
    names = tuple(rows[0])
    insert_values(connection, table, names, list(map(itemgetter(*names), rows)))


def insert_values(
    connection: Connection, table: Table, names: tuple[str, ...], values: list[tuple[Any, ...]]
) -> None:
    """Inserts rows that are given as the values of the columns `names`; columns not named become NULL."""
    if values:
        connection.exec_driver_sql(_statement(connection.dialect, table, names), values)


def update_values(
    connection: Connection,
    table: Table,
    names: tuple[str, ...],
    values: list[tuple[Any, ...]],
    kept: frozenset[str] = frozenset(),
) -> None:
    """Sets columns of rows that are there: `names` are the columns, last the one by which a row is found, and `values` is
    one tuple of them a row. Columns of `kept` stay as they are where None is given."""
    if values:
        connection.exec_driver_sql(_update(connection.dialect, table, names, kept), values)


@lru_cache(maxsize=64)
def _update(dialect: Dialect, table: Table, names: tuple[str, ...], kept: frozenset[str]) -> str:
    quote = dialect.identifier_preparer
    place = "?" if dialect.paramstyle == "qmark" else "%s"
    *changed, key = ((name, quote.format_column(table.c[name])) for name in names)
    settings = [
        f"{column} = coalesce({place}, {column})" if name in kept else f"{column} = {place}"
        for name, column in changed
    ]
    return f"UPDATE {quote.format_table(table)} SET {', '.join(settings)} WHERE {key[1]} = {place}"


@lru_cache(maxsize=64)
def _statement(dialect: Dialect, table: Table, names: tuple[str, ...]) -> str:
    quote = dialect.identifier_preparer
    columns = ", ".join(quote.format_column(table.c[name]) for name in names)
    places = ", ".join(["?" if dialect.paramstyle == "qmark" else "%s"] * len(names))
    return f"INSERT INTO {quote.format_table(table)} ({columns}) VALUES ({places})"

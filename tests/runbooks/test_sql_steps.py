"""The steps that ask PostgreSQL, on a real server: equal, different in ways that matter, different in none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from scheduler.core.migration.phases import Phase
from scheduler.core.migration.run import Step
from scheduler.runbooks.steps import sql
from scheduler.runbooks.steps.context import StepContext, StepPorts, StepResult
from tests.runbooks.runbooks import MemoryPools, MovedClock
from tests.runbooks.test_migration_decisions import a_run

pytestmark = pytest.mark.postgres
ROWS = 300
MAKE = "CREATE TABLE cases (id int PRIMARY KEY, name text, at timestamptz DEFAULT '2026-01-01', note json)"
OTHER_ORDER = "CREATE TABLE cases (note json, name text, at timestamptz DEFAULT '2026-01-01', id int PRIMARY KEY)"
FILL = f"INSERT INTO cases (id, name) SELECT n, '案件' || n FROM generate_series(1, {ROWS}) n"


@pytest.fixture(scope="module")
def databases(new_postgres_database: Callable[[], str]) -> tuple[str, str]:
    return new_postgres_database(), new_postgres_database()


def make(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in ("DROP TABLE IF EXISTS cases", *statements):
            connection.execute(statement.encode())


def carried_out(action: dict[str, Any], urls: tuple[str, str]) -> StepResult:
    step = Step("compare", Phase.VERIFICATION, action["kind"], "", action, None, timeout_ms=300)
    ports = StepPorts(MovedClock(), MemoryPools(), MemoryPools(), Path("unused"))
    values = {"old": urls[0], "new": urls[1]}
    context = StepContext(
        replace(a_run(), steps=(step,)), step, action, "1", False, ports, values.__getitem__, None
    )
    return (sql.compare if action["kind"] == "sql_compare" else sql.check)(context)


def compared(mode: str, urls: tuple[str, str], rows: int = ROWS) -> StepResult:
    table = {"name": "public.cases", "key": "id", "mode": mode, "rows": rows}
    return carried_out({"kind": "sql_compare", "source": "old", "target": "new", "tables": [table]}, urls)


@pytest.mark.parametrize("mode", ["count", "checksum", "sample"])
def test_the_same_rows_are_equal_whatever_their_order_and_that_of_the_columns(
    mode: str, databases: tuple[str, str]
) -> None:
    make(databases[0], MAKE, FILL)
    backwards = FILL.replace(f"generate_series(1, {ROWS})", f"generate_series({ROWS}, 1, -1)")
    make(databases[1], OTHER_ORDER, backwards)
    result = compared(mode, databases)
    assert result.is_done and result.evidence["rows"] == {"public.cases": ROWS}


@pytest.mark.parametrize(
    ("change", "named", "seen_by_count"),
    [
        pytest.param("UPDATE cases SET name = 'x' WHERE id = 7", "7", False, id="a value"),
        pytest.param("UPDATE cases SET name = NULL WHERE id = 7", "7", False, id="a value that is missing"),
        pytest.param("UPDATE cases SET name = '' WHERE id = 7", "7", False, id="a value that is empty"),
        pytest.param("DELETE FROM cases WHERE id = 300", "300", True, id="a row too few"),
        pytest.param("INSERT INTO cases VALUES (999)", "999", True, id="a row too many"),
        pytest.param("UPDATE cases SET id = 999 WHERE id = 1", "999", False, id="another key"),
        pytest.param(
            "UPDATE cases SET at = '2026-01-01 00:00:00.000001+00'", "1", False, id="a microsecond everywhere"
        ),
        pytest.param("TRUNCATE cases", "1", True, id="nothing at all"),
    ],
)
def test_a_difference_is_found_and_named(
    change: str, named: str, seen_by_count: bool, databases: tuple[str, str]
) -> None:
    make(databases[0], MAKE, FILL)
    make(databases[1], MAKE, FILL, change)
    for mode in ("checksum", "sample"):
        result = compared(mode, databases)
        assert not result.is_done and named in result.message, result.message
    assert compared("count", databases).is_done is not seen_by_count


def test_a_table_that_is_missing_and_a_server_that_is_gone_are_one_line(databases: tuple[str, str]) -> None:
    make(databases[0], MAKE, FILL)
    make(databases[1])
    assert "cases" in compared("count", databases).message
    gone = "postgresql://xisuan:the-password@127.0.0.1:1/nowhere"
    result = compared("count", (databases[0], gone))
    assert not result.is_done and "the-password" not in result.message and "\n" not in result.message


@pytest.mark.parametrize(("at_most", "is_done"), [(300, True), (299, False)])
def test_a_number_is_small_enough_or_told(at_most: int, is_done: bool, databases: tuple[str, str]) -> None:
    make(databases[0], MAKE, FILL)
    action = {"kind": "sql_check", "database": "old", "query": "SELECT count(*) FROM cases", "at_most": at_most}
    result = carried_out(action, databases)
    assert result.is_done is is_done
    assert result.evidence.get("value") == 300 if is_done else "300" in result.message


def test_a_check_changes_nothing(databases: tuple[str, str]) -> None:
    make(databases[0], MAKE, FILL)
    action = {"kind": "sql_check", "database": "old", "query": "DELETE FROM cases RETURNING 1", "at_most": 1}
    assert "read-only" in carried_out(action, databases).message

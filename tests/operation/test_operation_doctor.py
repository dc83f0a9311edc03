"""`xisuan doctor`: each check finds what it is there for, and says what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from console.examination import examine
from console.home import Home
from inventory.model.workload import RunState
from inventory.store.engine import writing
from scheduler.operation.checks import DAY_MS, Check, certificate, clock_skew, end_of_chain, leftovers, libraries
from tests.operation.stores import NOW_MS, History, history_in


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    made = history_in(tmp_path / "home")
    (workload_id,) = made.submit("a")
    made.run(workload_id, RunState.RUNNING)
    yield made
    made.store.close()


def test_a_whole_chain_is_good_and_says_where_it_ends(history: History) -> None:
    found = end_of_chain(history.store)
    assert found.good and f"{history.store.head().seq}:" in found.found


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE events SET actor = 'nobody' WHERE seq = 2",
        "UPDATE chain_head SET hash = 'x'",
        "UPDATE events SET previous_hash = 'x' WHERE seq = 3",
    ],
)
def test_a_chain_that_was_touched_is_bad_and_names_the_remedy(history: History, tampering: str) -> None:
    with writing(history.store.engine) as connection:
        connection.execute(text(tampering))
    found = end_of_chain(history.store)
    assert not found.good and "xisuan verify" in found.remedy


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (clock_skew("p", None), True),
        (clock_skew("p", -900), True),
        (clock_skew("p", 1_500), False),
        (certificate("tls.crt", NOW_MS + 31 * DAY_MS, NOW_MS), True),
        (certificate("tls.crt", NOW_MS + 29 * DAY_MS, NOW_MS), False),
        (certificate("tls.crt", NOW_MS - 1, NOW_MS), False),
    ],
    ids=lambda value: value.found if isinstance(value, Check) else str(value),
)
def test_skew_beyond_a_second_and_certificates_of_a_month_are_bad(check: Check, good: bool) -> None:
    assert check.good is good
    assert bool(check.remedy) is not good


def test_a_process_that_outlived_its_service_is_named_with_its_end(tmp_path: Path) -> None:
    assert leftovers(tmp_path).good
    left = subprocess.Popen([sys.executable, "-c", "input()", f"{tmp_path}/adapters/x"], stdin=subprocess.PIPE)
    try:
        found = leftovers(tmp_path)
        assert not found.good and f"kill {left.pid}" in found.remedy
    finally:
        left.kill()
        left.communicate()


def test_the_libraries_of_this_environment_are_those_that_are_needed() -> None:
    assert libraries().good, libraries().found


def test_every_bad_check_of_a_home_that_cannot_be_used_has_a_remedy_or_says_it(tmp_path: Path) -> None:
    (tmp_path / "xisuan.db").write_text("this is no database")
    found = examine(Home(tmp_path, f"sqlite:///{tmp_path / 'xisuan.db'}"))
    bad = [check for check in found if not check.good]
    assert bad
    assert all(check.remedy or "/" in check.found for check in bad)

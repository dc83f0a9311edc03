"""The table at the end of `make bench`: the first run ever, a run like the last one, and benchmarks that came or went."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.rates import table


def a_benchmark(name: str, median: float, floor: int | None = None, count: int = 1000) -> dict[str, Any]:
    said = {"work": name, "count": count, "rate_per_second": round(count / median), "floor_per_second": floor}
    return {
        "fullname": f"tests/benchmarks/test_x.py::{name}",
        "stats": {"median": median},
        "extra_info": {**said, "times_naive_numpy": 12.5},
    }


def cells(line: str) -> list[str]:
    return [cell for cell in line.split("  ") if cell.strip()]


def test_the_first_run_has_nothing_to_be_compared_with() -> None:
    heading, row = table([a_benchmark("best fit", 0.001, 500_000)], {})
    assert [cell.strip() for cell in cells(row)] == ["best fit", "1,000,000/s", "500,000/s met", "12.5", "new"]
    assert len(heading) == len(row)


def test_a_rate_below_what_was_asked_says_so() -> None:
    _, row = table([a_benchmark("best fit", 0.01, 500_000)], {})
    assert "500,000/s MISSED" in row


def test_a_run_is_compared_by_the_median_of_the_last_one() -> None:
    last = a_benchmark("best fit", 0.002)
    last["extra_info"] = {}  # recorded before rates were
    _, row = table([a_benchmark("best fit", 0.001)], {last["fullname"]: last})
    assert "500,000/s (+100%)" in row


def test_benchmarks_that_came_or_went_are_told() -> None:
    gone = a_benchmark("gone", 0.002)
    _, row, missing = table([a_benchmark("best fit", 0.001)], {gone["fullname"]: gone})
    assert row.endswith("new")
    assert missing == "in the last run and not in this one: test_x.py::gone"


def test_benchmarks_that_say_no_rate_are_left_to_the_table_of_medians() -> None:
    silent = a_benchmark("silent", 0.002)
    silent["extra_info"] = {}
    assert len(list(table([silent], {}))) == 1

"""Utilisation and traffic files: what is read, how it is graded, and what is refused in one line."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.utilisation.csv_table import MeasurementFileError
from inventory.utilisation.document import measurement_json, read_measurement
from inventory.utilisation.measurement import Coverage, coverage_of, spread_of
from inventory.utilisation.traffic_csv import read_traffic
from inventory.utilisation.utilisation_csv import read_utilisation

TODAY = date(2026, 11, 22)
HEAD = "系统名称,单位,日期,CPU平均利用率,CPU峰值利用率,内存平均利用率,活跃用户,办件量\n"


def read(rows: str, *, head: str = HEAD, encoding: str = "utf-8"):  # type: ignore[no-untyped-def]  # measured systems
    return read_utilisation((head + rows).encode(encoding), "利用率.csv", TODAY)


@pytest.mark.parametrize(
    ("measured", "window", "grade"),
    [
        (0, 90, "none"),
        (1, 90, "D"),
        (44, 90, "D"),
        (45, 90, "C"),
        (71, 90, "C"),
        (72, 90, "B"),
        (85, 90, "B"),
        (86, 90, "A"),
        (1, 1, "A"),
    ],
)
def test_the_grade_is_the_share_of_days_with_data(measured: int, window: int, grade: str) -> None:
    assert coverage_of(measured, window) is Coverage(grade)


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_percentiles_are_values_that_were_measured(values: list[float]) -> None:
    found = spread_of(values)
    assert found is not None
    assert {found.p50, found.p95, found.p99, found.maximum} <= set(values)
    assert min(values) <= found.p50 <= found.p95 <= found.p99 <= found.maximum == max(values)
    assert sum(value <= found.p95 for value in values) >= 0.95 * len(values)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_one_row_a_system_and_day(encoding: str) -> None:
    (one,) = read(
        "甲系统,区教委,2026-11-01,3%,9,10.5,0,0\n甲系统,区教委,2026/11/3,５,11,-,7,1\n", encoding=encoding
    )
    found = one.measurement
    assert (one.name, one.department) == ("甲系统", "区教委")
    assert (found.days, found.window_days, found.coverage_pct) == (2, 3, 66.7)
    assert found.cpu is not None and (found.cpu.maximum, found.cpu_is_peak) == (11, True)
    assert (found.mem_average, found.users, found.cases) == (10.5, 7, 1)
    assert found.last_used_on == date(2026, 11, 3)
    assert (found.busy_months, found.quiet_months) == (("2026-11",), ())
    assert read_measurement(measurement_json(found)) == found


def test_an_empty_cell_is_unknown_and_not_zero() -> None:
    (one,) = read("甲系统,,2026-11-01,,,,,\n")
    assert one.measurement.days == 0 and one.measurement.coverage is Coverage.NONE
    assert one.measurement.users is None and one.measurement.cpu is None


def test_the_window_is_the_file_s_and_not_the_system_s() -> None:
    late, whole = read(
        "甲系统,,2026-11-20,1,,,,\n"
        + "".join(f"乙系统,,{date(2026, 9, 1) + timedelta(days=at)},1,,,,\n" for at in range(81))
    )
    assert whole.measurement.coverage is Coverage.FULL
    assert late.measurement.window_days == 81 and late.measurement.coverage is Coverage.THIN


@pytest.mark.parametrize(
    ("case", "rows", "fragment"),
    [
        ("a day that is none", "甲,,2026-02-30,1,,,,\n", "利用率.csv:2: day '2026-02-30'"),
        ("a day to come", "甲,,2026-12-01,1,,,,\n", "after 2026-11-22"),
        ("no day", "甲,,,1,,,,\n", "day is missing"),
        ("no system", ",,2026-11-01,1,,,,\n", "system is missing"),
        ("more than everything", "甲,,2026-11-01,101,,,,\n", "0 to 100"),
        ("less than nothing", "甲,,2026-11-01,-3,,,,\n", "0 to 100"),
        ("a word for a number", "甲,,2026-11-01,很低,,,,\n", "'很低'"),
        ("half a user", "甲,,2026-11-01,,,,0.5,\n", "whole number"),
        ("infinity", "甲,,2026-11-01,,,,inf,\n", "whole number"),
        ("two stories of one day", "甲,,2026-11-01,1,,,,\n甲,,2026-11-01,2,,,,\n", "two different rows"),
        ("no rows", "", "no row"),
        ("ten years and more", "甲,,2012-11-01,1,,,,\n甲,,2026-11-01,1,,,,\n", "over ten years"),
    ],
)
def test_a_faulty_utilisation_file(case: str, rows: str, fragment: str) -> None:
    with pytest.raises(MeasurementFileError) as refused:
        read(rows)
    assert fragment in str(refused.value), case
    assert "\n" not in str(refused.value) and " / " in str(refused.value)


@pytest.mark.parametrize(
    ("case", "content", "fragment"),
    [
        ("no day column", "系统,CPU平均利用率\n甲,1\n".encode(), "columns day are missing"),
        ("no metric", "系统,日期\n甲,2026-11-01\n".encode(), "cpu_avg_pct|"),
        ("one heading twice", "系统,系统名称,日期,办件量\n甲,甲,2026-11-01,1\n".encode(), "stands twice"),
        ("a picture", b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", "no text"),
        ("nothing", b"", "no row"),
        ("an open quote", b'system,day,cases\n"A,2026-11-01,1\n', "no valid CSV"),
    ],
)
def test_what_is_no_utilisation_file(case: str, content: bytes, fragment: str) -> None:
    with pytest.raises(MeasurementFileError) as refused:
        read_utilisation(content, "利用率.csv", TODAY)
    assert fragment in str(refused.value), case


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_readers(content: bytes) -> None:
    for reader in (read_utilisation, read_traffic):
        with pytest.raises(MeasurementFileError):
            reader(content, "x.csv", TODAY)


def test_traffic_is_read_row_by_row() -> None:
    rows = '甲,乙,"1,200",,2026-11-01\n乙,甲,0,0,2026-11-05\n'
    table = read_traffic(f"源系统,目标系统,请求数,字节数,日期\n{rows}".encode(), "流量.csv", TODAY)
    read_rows = [(row.source, row.target, row.requests, row.bytes) for row in table.rows]
    assert read_rows == [("甲", "乙", 1200, 0), ("乙", "甲", 0, 0)]
    assert (table.first_day, table.last_day) == (date(2026, 11, 1), date(2026, 11, 5))


def test_a_traffic_row_that_says_nothing_is_refused() -> None:
    with pytest.raises(MeasurementFileError, match="write 0 for no traffic"):
        read_traffic("source,target,requests\n甲,乙,\n".encode(), "流量.csv", TODAY)

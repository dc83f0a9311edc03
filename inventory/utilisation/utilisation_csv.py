"""Reads a utilisation file: one row a system and day, made into one measurement a system.

Who calls this: `inventory.assessment.measuring`. Columns are documented in docs/assessment.md. The window of every
system is the window of the file: a system that has rows on five days of ninety was measured on five of ninety.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from inventory.utilisation.csv_table import Cells, MeasurementFileError, read_table, require_columns
from inventory.utilisation.measurement import Measurement, spread_of

_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "system": ("系统名称", "系统", "信息系统名称", "政务信息系统名称", "name"),
    "department": ("单位", "单位名称", "部门"),
    "day": ("日期", "date"),
    "cpu_avg_pct": ("CPU平均利用率", "cpu平均", "cpu_avg"),
    "cpu_peak_pct": ("CPU峰值利用率", "cpu峰值", "cpu_peak"),
    "mem_avg_pct": ("内存平均利用率", "内存平均", "mem_avg"),
    "mem_peak_pct": ("内存峰值利用率", "内存峰值", "mem_peak"),
    "active_users": ("活跃用户", "活跃用户数", "users"),
    "cases": ("办件量", "业务量"),
}
_METRICS = ("cpu_avg_pct", "cpu_peak_pct", "mem_avg_pct", "mem_peak_pct", "active_users", "cases")


@dataclass(frozen=True, slots=True)
class MeasuredSystem:
    """One system as the file names it."""

    name: str
    department: str | None
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class _Day:
    day: date
    cpu_avg: float | None
    cpu_peak: float | None
    mem_avg: float | None
    mem_peak: float | None
    users: int | None
    cases: int | None

    @property
    def has_data(self) -> bool:
        return any(value is not None for value in (self.cpu_avg, self.cpu_peak, self.mem_avg, self.mem_peak)) or (
            self.users is not None or self.cases is not None
        )

    @property
    def is_used(self) -> bool:
        return bool(self.users) or bool(self.cases)


def read_utilisation(content: bytes, file_name: str, today: date) -> tuple[MeasuredSystem, ...]:
    """The systems of the file, in its order. Raises MeasurementFileError; days after `today` are refused."""
    days: dict[tuple[str, str | None], dict[date, _Day]] = defaultdict(dict)
    for cells in read_table(content, file_name, _HEADINGS):
        if not days:
            require_columns(cells, ("system", "day"), _METRICS, _HEADINGS)
        key = (cells.required("system"), cells.text("department"))
        row = _day(cells, today)
        known = days[key].setdefault(row.day, row)
        if known != row:
            raise cells.fault(
                (
                    f"{key[0]} 在 {row.day} 有两行不同的数据，请保留一行",
                    f"{key[0]} has two different rows for {row.day}; keep one",
                )
            )
    window = _window(days, file_name)
    return tuple(
        MeasuredSystem(name, department, _measurement(list(rows.values()), window))
        for (name, department), rows in days.items()
    )


def _day(cells: Cells, today: date) -> _Day:
    day = cells.day("day", today)
    if day is None:
        raise cells.fault(("缺少 day，请写明日期", "day is missing; write the day"))
    return _Day(
        day,
        cells.percent("cpu_avg_pct"),
        cells.percent("cpu_peak_pct"),
        cells.percent("mem_avg_pct"),
        cells.percent("mem_peak_pct"),
        cells.count("active_users"),
        cells.count("cases"),
    )


def _window(days: Mapping[tuple[str, str | None], Mapping[date, _Day]], file_name: str) -> tuple[date, date]:
    every = [day for rows in days.values() for day in rows]
    first, last = min(every), max(every)
    if (last - first).days > 3660:
        raise MeasurementFileError(
            file_name,
            None,
            (f"{first} 至 {last} 超过十年，请核对日期", f"{first} to {last} is over ten years; check the days"),
        )
    return first, last


def _measurement(rows: Sequence[_Day], window: tuple[date, date]) -> Measurement:
    rows = sorted(rows, key=lambda row: row.day)
    cpu_peaks = [row.cpu_peak for row in rows if row.cpu_peak is not None]
    cpu_averages = [row.cpu_avg for row in rows if row.cpu_avg is not None]
    mem_peaks = [row.mem_peak for row in rows if row.mem_peak is not None]
    mem_averages = [row.mem_avg for row in rows if row.mem_avg is not None]
    users = [row.users for row in rows if row.users is not None]
    cases = [row.cases for row in rows if row.cases is not None]
    used = [row.day for row in rows if row.is_used]
    busy = {_month(day) for day in used}
    seen = {_month(row.day) for row in rows if row.users is not None or row.cases is not None}
    return Measurement(
        first_day=window[0],
        last_day=window[1],
        days=sum(row.has_data for row in rows),
        cpu=spread_of(cpu_peaks or cpu_averages),
        cpu_is_peak=bool(cpu_peaks),
        mem=spread_of(mem_peaks or mem_averages),
        mem_is_peak=bool(mem_peaks),
        mem_average=round(sum(mem_averages) / len(mem_averages), 2) if mem_averages else None,
        mem_average_days=len(mem_averages),
        users=max(users, default=None),
        users_days=len(users),
        cases=sum(cases) if cases else None,
        cases_days=len(cases),
        use_days=sum(row.users is not None or row.cases is not None for row in rows),
        last_used_on=max(used, default=None),
        busy_months=tuple(sorted(busy)),
        quiet_months=tuple(sorted(seen - busy)),
    )


def _month(day: date) -> str:
    return f"{day:%Y-%m}"


def by_name(systems: Sequence[MeasuredSystem]) -> Iterator[tuple[str, MeasuredSystem]]:
    """Each system with the words by which it is looked up: department/name where a department is given."""
    for one in systems:
        yield (f"{one.department}/{one.name}" if one.department else one.name), one

"""What was measured of one system over a window of days, and how far that may be trusted.

Who uses this: rules (zombie, right-sizing) and the assessment that stores it. A window without data says nothing:
its metrics are None, never 0. Percentiles are nearest-rank, so that every number is one that was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import ceil


class Coverage(StrEnum):
    """Which share of the window's days had data. The bounds are the project's own."""

    FULL = "A"  # at least 95 %
    GOOD = "B"  # at least 80 %
    PARTIAL = "C"  # at least 50 %
    THIN = "D"  # less
    NONE = "none"  # nothing was measured


_AT_LEAST = ((95, Coverage.FULL), (80, Coverage.GOOD), (50, Coverage.PARTIAL))


def coverage_of(days_with_samples: int, window_days: int) -> Coverage:
    """The grade. `window_days` is at least 1."""
    if days_with_samples == 0:
        return Coverage.NONE
    share = days_with_samples * 100
    return next((grade for bound, grade in _AT_LEAST if share >= bound * window_days), Coverage.THIN)


@dataclass(frozen=True, slots=True)
class Spread:
    """One metric over the days that had it: average, percentiles and maximum; `days` is how many."""

    days: int
    average: float
    p50: float
    p95: float
    p99: float
    maximum: float


def spread_of(values: Sequence[float]) -> Spread | None:
    """None when nothing was measured."""
    if not values:
        return None
    ordered = sorted(values)
    return Spread(
        days=len(ordered),
        average=round(sum(ordered) / len(ordered), 2),
        p50=_percentile(ordered, 50),
        p95=_percentile(ordered, 95),
        p99=_percentile(ordered, 99),
        maximum=ordered[-1],
    )


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One system from `first_day` to `last_day`, both included.

    `days` counts days with at least one value. `cpu` and `mem` are percent of what is allocated: the spread of the
    days' peaks where the file has peaks, else of the days' averages; `cpu_is_peak` and `mem_is_peak` tell.
    `mem_average` is the mean of the days' averages. `users` is the largest number of active users on a day,
    `cases` the sum of cases handled. `busy_months` are the calendar months ("2026-03") in which the system was used
    (users or cases above 0); `quiet_months` those with data and without use. They show seasons. `mem_average_days`,
    `users_days`, `cases_days` and `use_days` (users or cases) count the days on which that was measured; None: all
    days (files that were read before this was kept).
    """

    first_day: date
    last_day: date
    days: int
    cpu: Spread | None = None
    cpu_is_peak: bool = False
    mem: Spread | None = None
    mem_is_peak: bool = False
    mem_average: float | None = None
    mem_average_days: int | None = None
    users: int | None = None
    users_days: int | None = None
    cases: int | None = None
    cases_days: int | None = None
    use_days: int | None = None
    last_used_on: date | None = None
    busy_months: tuple[str, ...] = ()
    quiet_months: tuple[str, ...] = ()

    @property
    def window_days(self) -> int:
        return (self.last_day - self.first_day).days + 1

    @property
    def coverage(self) -> Coverage:
        return coverage_of(self.days, self.window_days)

    def is_covered_by(self, days: int | None) -> bool:
        """False for a metric that was measured on so few of the days that the grade of them all does not speak for
        it: five days of users in a year of processors."""
        return days is None or coverage_of(days, self.window_days).value <= self.coverage.value

    @property
    def coverage_pct(self) -> float:
        return round(self.days * 100 / self.window_days, 1)

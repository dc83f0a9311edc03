"""Days, freezes and cutover windows: when a system may be moved.

Who calls this: the wave planner and its judge get these plain values; `inventory.holidays` reads the public
holidays and `inventory.freezes` the freeze file, both at the edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from inventory.model.system import Ownership, Zone


class DayKind(StrEnum):
    """What kind of day it is. A year that the holiday calendar does not know is UNKNOWN, never a workday."""

    WORKDAY = "workday"
    MAKEUP_WORKDAY = "makeup_workday"  # a weekend day worked in exchange (调休)
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    UNKNOWN_WEEKDAY = "unknown_weekday"
    UNKNOWN_WEEKEND = "unknown_weekend"  # provisional: it may become a make-up workday

    @property
    def is_day_off(self) -> bool:
        """True where offices are closed, or are expected to be (an unknown weekend)."""
        return self in (DayKind.WEEKEND, DayKind.HOLIDAY, DayKind.UNKNOWN_WEEKEND)

    @property
    def is_unknown(self) -> bool:
        return self in (DayKind.UNKNOWN_WEEKDAY, DayKind.UNKNOWN_WEEKEND)


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """One day. `holiday` names the public holiday that makes it a day off or a make-up workday
    ("spring_festival", ...; None for an ordinary day). `unsettled` marks a day that a notice still to come may
    change: every day of an unknown year, and the last week of December before one."""

    day: date
    kind: DayKind
    holiday: str | None = None
    unsettled: bool = False


@dataclass(frozen=True, slots=True)
class Freeze:
    """封网期: no cutover from `first` to `last` (both included) for systems that match.

    A system matches when each non-empty scope holds it: `sectors` (行业), `zones`, `ownerships`, `tags` (any of
    them), `regions`, `departments` (a department's own blackout); empty scopes mean every
    system. `source` names the rule that ordered the freeze. `overridable_by` names who may allow a cutover all the
    same (None: nobody). `provisional`: the dates stand in for a notice that is not out yet.
    """

    name: str
    first: date
    last: date
    source: str
    sectors: frozenset[str] = frozenset()
    zones: frozenset[Zone] = frozenset()
    ownerships: frozenset[Ownership] = frozenset()
    overridable_by: str | None = None
    provisional: bool = False
    tags: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    departments: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OperationsCalendar:
    """Everything that the planner knows about days: an unbroken run of days, the freezes that touch it, and the
    words by which a department or system name tells its sector (行业: words)."""

    days: Mapping[date, CalendarDay]
    freezes: tuple[Freeze, ...] = ()
    sector_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def day(self, day: date) -> CalendarDay:
        """Raises LookupError for a day outside the calendar."""
        try:
            return self.days[day]
        except KeyError:
            raise LookupError(
                f"{day} 不在日历范围内，请读取更长的日历 / {day} lies outside the calendar that was read;"
                " read a longer one"
            ) from None


@dataclass(frozen=True, slots=True)
class Window:
    """割接窗口: one night in which systems may be cut over. Local time; `ends` may lie on the next day.

    `provisional` marks a window whose days the holiday calendar does not know for certain yet.
    """

    window_id: str
    starts: datetime
    ends: datetime
    provisional: bool = False

    @property
    def first_day(self) -> date:
        return self.starts.date()

    @property
    def last_day(self) -> date:
        """The day on which the window ends; a window that ends at midnight ends on the day before."""
        return (self.ends - timedelta(microseconds=1)).date()

    @property
    def seconds(self) -> int:
        return int((self.ends - self.starts).total_seconds())

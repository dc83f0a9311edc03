"""Days, freezes and cutover windows: when a system may be moved.

The calendar of public holidays is read at the edge (`inventory.holidays`); the wave planner gets plain values.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class DayKind(StrEnum):
    """What kind of day it is. A year that the holiday calendar does not know is UNKNOWN, never a workday."""

    WORKDAY = "workday"
    MAKEUP_WORKDAY = "makeup_workday"  # a weekend day worked in exchange (调休)
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    UNKNOWN_WEEKDAY = "unknown_weekday"
    UNKNOWN_WEEKEND = "unknown_weekend"  # provisional: it may become a make-up workday


@dataclass(frozen=True, slots=True)
class Freeze:
    """封网期: no cutover from `first` to `last` (both included) for systems that match.

    Empty `sectors`/`zones` mean every system. `source` names the rule that ordered the freeze.
    """

    name: str
    first: date
    last: date
    source: str
    sectors: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Window:
    """割接窗口: one night in which systems may be cut over. Local time; `ends` may lie on the next day.

    `provisional` marks a window whose day the holiday calendar does not know yet.
    """

    window_id: str
    starts: datetime
    ends: datetime
    provisional: bool = False

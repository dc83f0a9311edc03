"""Public holidays and make-up workdays (调休) of China, read from the `chinesecalendar` package.

Who calls this: the command line and the control plane, before they ask for a wave plan. The package carries the
State Council's yearly notice, which appears about November of the year before; a year without its notice is
*unknown*: its weekdays are UNKNOWN_WEEKDAY, its weekends UNKNOWN_WEEKEND (provisional, never taken for workdays).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from chinese_calendar import Holiday, constants

from inventory.model.calendar import CalendarDay, DayKind

_SATURDAY = 5
# A notice for the coming year has reached back into December as far as the 29th (2007, 2018: make-up workdays
# before New Year's Day). We take the whole last week as unsettled until the notice is out.
_REACH_OF_NEXT_NOTICE = (12, 25)

_IDENTIFIER: Mapping[str, str] = {member.value: member.name for member in Holiday}


def known_years() -> frozenset[int]:
    """Years whose notice the package carries: those with a Spring Festival and a National Day in its table."""
    spring = {day.year for day, name in constants.holidays.items() if name == Holiday.spring_festival.value}
    national = {day.year for day in constants.holidays if (day.month, day.day) == (10, 1)}
    return frozenset(spring & national)


def holiday_names() -> frozenset[str]:
    """The identifiers by which a freeze may name a public holiday: "spring_festival", "national_day", ..."""
    return frozenset(_IDENTIFIER.values())


def read_days(first: date, last: date) -> dict[date, CalendarDay]:
    """Every day from `first` to `last`, both included."""
    years = known_years()
    return {day: _calendar_day(day, years) for day in _span(first, last)}


def read_holiday_spans(first: date, last: date) -> tuple[tuple[str, date, date], ...]:
    """Each public holiday as (identifier, first day off, last day off), for those that touch the span.

    The span of a holiday holds the weekend days that belong to it (2026: Spring Festival 15 to 23 February).
    """
    years = known_years()
    reach = timedelta(days=31)
    found: list[tuple[str, date, date]] = []
    for day in _span(first - reach, last + reach):
        entry = _calendar_day(day, years)
        if entry.kind is not DayKind.HOLIDAY or entry.holiday is None:
            continue
        if found and found[-1][0] == entry.holiday and found[-1][2] + timedelta(days=1) == day:
            found[-1] = (entry.holiday, found[-1][1], day)
        else:
            found.append((entry.holiday, day, day))
    return tuple(span for span in found if span[1] <= last and span[2] >= first)


def _calendar_day(day: date, years: frozenset[int]) -> CalendarDay:
    weekend = day.weekday() >= _SATURDAY
    if day.year not in years:
        kind = DayKind.UNKNOWN_WEEKEND if weekend else DayKind.UNKNOWN_WEEKDAY
        return CalendarDay(day, kind, unsettled=True)
    unsettled = (day.month, day.day) >= _REACH_OF_NEXT_NOTICE and day.year + 1 not in years
    if day in constants.workdays and weekend:
        return CalendarDay(day, DayKind.MAKEUP_WORKDAY, _IDENTIFIER[constants.workdays[day]], unsettled)
    if day in constants.holidays:
        return CalendarDay(day, DayKind.HOLIDAY, _IDENTIFIER[constants.holidays[day]], unsettled)
    return CalendarDay(day, DayKind.WEEKEND if weekend else DayKind.WORKDAY, unsettled=unsettled)


def _span(first: date, last: date) -> Iterator[date]:
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)

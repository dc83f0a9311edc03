"""Which nights are cutover windows (割接窗口), and why the others are not.

Who calls this: `estate.py`, once a problem. Pure: days in, windows out.

The rule, as operations teams think of it. A cutover starts in the evening and ends next morning, and the day after
belongs to it: users must not need the system while it is verified, or rolled back. So a window is a night
 * that starts on a Friday or Saturday (`WaveSettings.nights`), within the horizon, and
 * whose following day is a day off. A Friday before a make-up Saturday (调休) is no window, nor is a Saturday
   before a make-up Sunday.
Public holidays themselves are not ruled out here: they are days off. That teams do not cut over around them,
because vendors are away and the network is guarded, is a freeze (`inventory/freezes.yaml`), which a person can
lift.

Days that a notice still to come may change make the window *provisional*: it is offered, and marked. An unknown
weekend counts as days off, never as workdays; an unknown weekday never as a day off.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta

from inventory.model.calendar import CalendarDay, DayKind, OperationsCalendar, Window
from inventory.model.migration import Pair, WaveSettings
from scheduler.core.waves.problem import RefusedNight, WindowSlot

_KIND_NAMES: dict[DayKind, Pair] = {
    DayKind.WORKDAY: ("工作日", "a workday"),
    DayKind.MAKEUP_WORKDAY: ("调休工作日", "a make-up workday"),
    DayKind.UNKNOWN_WEEKDAY: ("放假安排未公布的平日", "a weekday of a year whose holidays are not announced"),
}


def nights(calendar: OperationsCalendar, settings: WaveSettings) -> tuple[list[Window], list[RefusedNight]]:
    """The windows of the horizon in order of time, and the nights of the right weekday that are none.

    Raises LookupError where the calendar does not reach over the horizon.
    """
    windows: list[Window] = []
    refused: list[RefusedNight] = []
    for offset in range(settings.horizon_weeks * 7):
        day = settings.starts_on + timedelta(days=offset)
        if day.weekday() not in settings.nights:
            continue
        starts = datetime.combine(day, time(settings.night_starts_hour))
        ends = starts + timedelta(hours=settings.night_hours)
        touched = [calendar.day(day), calendar.day(day + timedelta(days=1))]
        if touched[1].kind.is_day_off:
            provisional = any(each.unsettled for each in touched)
            windows.append(Window(f"W{day.isoformat()}", starts, ends, provisional))
        else:
            refused.append(RefusedNight(day, _why_not(touched[1])))
    return windows, refused


def with_bounds(
    windows: list[Window], settings: WaveSettings, *, piloting: bool, usable: Callable[[Window], bool]
) -> tuple[WindowSlot, ...]:
    """Gives each window its cap. The first usable ones are pilots, if there are systems to pilot with;
    a window that is frozen for everyone is not usable and uses up no pilot."""
    slots: list[WindowSlot] = []
    pilots_left = settings.pilot_windows if piloting else 0
    for window in windows:
        if pilots_left and usable(window):
            pilots_left -= 1
            cap = min(settings.pilot_systems, settings.systems_per_window)
            slots.append(WindowSlot(window, cap, settings.pilot_max_risk))
        else:
            slots.append(WindowSlot(window, settings.systems_per_window))
    return tuple(slots)


def _why_not(following: CalendarDay) -> Pair:
    kind_zh, kind_en = _KIND_NAMES[following.kind]
    return f"次日 {following.day} 是{kind_zh}", f"the next day, {following.day}, is {kind_en}"

"""An estate file as a wave problem: reads the form, refuses what contradicts itself, and makes integers of it.

Who calls this: `xisuan migration plan|check|replan --estate`. Pure: text in, problem out. Every refusal names the rule,
the thing and the remedy, and comes before anything is solved.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from statistics import NormalDist

from pydantic import ValidationError

from inventory.graph import SystemGraph
from inventory.holidays import read_days
from inventory.model.calendar import CalendarDay, DayKind, Freeze, OperationsCalendar, Window
from inventory.model.form_faults import FormFault, form_faults
from inventory.model.migration import Declarations, WaveSettings
from inventory.model.units import GIB, Resources
from scheduler.core.waves.estate_form import CalendarEntry, EstateForm, PoolEntry, SystemEntry, UseEntry
from scheduler.core.waves.estate_rules import EstateError, refuse_contradictions, refuse_too_long
from scheduler.core.waves.forecast import Spread
from scheduler.core.waves.problem import (
    Arrival,
    ConcurrencyCap,
    HeldFreeze,
    Hosts,
    Item,
    Link,
    Pin,
    PoolSlot,
    RefusedNight,
    Team,
    WaveProblem,
    WindowSlot,
)
from scheduler.core.waves.windows import nights, with_bounds

_NO_LIMIT_BYTES_PER_SECOND = 10**13
_GIGABIT_BYTES = 125_000_000
_MILLIONTHS = 1_000_000


def read_estate(text: str | bytes) -> EstateForm:
    """Raises EstateError, one line for each fault (place, value, rule)."""
    try:
        form = EstateForm.model_validate_json(text)
    except ValidationError as refusal:
        raise EstateError("form", *(_line(fault, text) for fault in form_faults(refusal))) from None
    json.loads(text, object_pairs_hook=_once)
    return form


def _once(pairs: list[tuple[str, object]]) -> None:
    """A name that stands twice in one object would lose what the first one said."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        shown = next((value for name, value in pairs if name in ("id", "name") and isinstance(value, str)), "…")
        raise EstateError(
            "form",
            f"{shown} 处有两个 {twice!r}，只能有一个 / {twice!r} stands twice in one object, at {shown}; keep one",
        )


def estate_problem(form: EstateForm) -> WaveProblem:
    """Raises EstateError for an estate that contradicts itself."""
    windows, refused = _windows(form.calendar)
    freezes = tuple(HeldFreeze(freeze) for freeze in _freezes(form))
    settings = _settings(form.calendar, windows)
    slots = _slots(form, settings, windows, freezes)
    refuse_contradictions(form, tuple(slot.window for slot in slots))
    items = tuple(sorted(_items(form), key=lambda item: item.key))
    agreed = {pin.system: pin.window for pin in form.pins if pin.window is not None}
    refuse_too_long(items, tuple(slot.window for slot in slots), agreed)
    return WaveProblem(
        settings=settings,
        declarations=Declarations(),
        items=items,
        pools=tuple(_pool(pool) for pool in sorted(form.pools, key=lambda pool: pool.id)),
        windows=slots,
        freezes=freezes,
        refused_nights=tuple(refused),
        teams=tuple(
            Team(
                team.id,
                team.name or team.id,
                team.skills,
                team.people,
                team.nights,
                tuple((each.first, each.last, each.reason) for each in team.away),
            )
            for team in sorted(form.teams, key=lambda team: team.id)
        ),
        links=tuple(
            Link(link.id, link.id, round(link.gbps * _GIGABIT_BYTES), link.pools)
            for link in sorted(form.links, key=lambda link: link.id)
        ),
        concurrency=tuple(ConcurrencyCap(cap.name or cap.tag, cap.tag, cap.most) for cap in form.concurrency),
        pins=tuple(Pin(pin.system, pin.window, pin.pool, pin.reason) for pin in form.pins),
        budget=form.budget_cny,
        last_plan=tuple((each.system, each.window, each.pool) for each in form.last_plan),
        aims=form.aims,
        weights=tuple(sorted(form.weights.items())),
    )


def spreads_of(form: EstateForm) -> dict[str, Spread]:
    """By system: its duration as the estate gives it, for the forecast."""
    return {system.id: Spread(system.minutes, system.minutes_sd) for system in form.systems}


def quantile_minutes(mean: int, deviation: float, overrun_pct: float | None) -> int:
    """Minutes to plan so that a duration, normally distributed, exceeds them with at most that probability."""
    if overrun_pct is None or deviation == 0:
        return mean
    return math.ceil(mean + NormalDist().inv_cdf(1 - overrun_pct / 100) * deviation)


def _line(fault: FormFault, text: str | bytes) -> str:
    place = ".".join(str(part) for part in fault.place) or "全文/whole text"
    name = _name_of(fault, text)
    return f"{place}{f' ({name})' if name else ''} = {fault.value}: {fault.rule}"


def _name_of(fault: FormFault, text: str | bytes) -> str:
    """The id of the entry that a fault lies in; empty where it lies in none, or has none."""
    if len(fault.place) < 3 or not isinstance(fault.place[1], int):
        return ""
    entry = json.loads(text)[fault.place[0]][fault.place[1]]
    return (
        str(entry.get("id") or entry.get("name") or entry.get("system") or "") if isinstance(entry, dict) else ""
    )


def _settings(calendar: CalendarEntry, windows: Sequence[Window]) -> WaveSettings:
    most = max((each.cap or 0 for each in calendar.windows or ()), default=0)
    return WaveSettings(
        starts_on=calendar.starts_on,
        horizon_weeks=calendar.weeks,
        systems_per_window=max(most, calendar.systems_per_window),
        pilot_windows=calendar.pilot_windows,
        pilot_systems=calendar.pilot_systems,
        pilot_max_risk=calendar.pilot_max_risk,
        nights=calendar.nights,
        night_starts_hour=calendar.night_starts_hour,
        night_hours=calendar.night_hours,
    )


def _require_known(known_until: date | None, last: date) -> None:
    if known_until is not None and known_until < last:
        raise EstateError(
            "calendar_ends_early",
            f"日历只到 {known_until}，计划期到 {last}；请补充日历或缩短计划期"
            f" / the calendar is known until {known_until}, the plan's time ends on {last};"
            " extend it, or plan fewer weeks",
        )


def _windows(calendar: CalendarEntry) -> tuple[list[Window], list[RefusedNight]]:
    if calendar.windows is not None:
        given = [Window(each.id, each.starts, each.ends) for each in calendar.windows]
        _require_known(calendar.known_until, max((window.last_day for window in given), default=date.min))
        return sorted(given, key=lambda window: (window.starts, window.window_id)), []
    settings = WaveSettings(
        starts_on=calendar.starts_on,
        horizon_weeks=calendar.weeks,
        nights=calendar.nights,
        night_starts_hour=calendar.night_starts_hour,
        night_hours=calendar.night_hours,
    )
    last = calendar.starts_on + timedelta(weeks=calendar.weeks, days=2)
    _require_known(calendar.known_until, last - timedelta(days=2))
    if calendar.public_holidays:
        days = dict(read_days(calendar.starts_on, last))
    else:
        days = {day: CalendarDay(day, DayKind.WORKDAY) for day in _each_day(calendar.starts_on, last)}
    for day in days:
        if day in calendar.holidays:
            days[day] = CalendarDay(day, DayKind.HOLIDAY)
        elif day in calendar.makeup_workdays:
            days[day] = CalendarDay(day, DayKind.MAKEUP_WORKDAY)
        elif not calendar.public_holidays and day.weekday() >= 5:
            days[day] = CalendarDay(day, DayKind.WEEKEND)
    return nights(OperationsCalendar(days), settings)


def _each_day(first: date, last: date) -> Iterator[date]:
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def _slots(
    form: EstateForm, settings: WaveSettings, windows: list[Window], freezes: Sequence[HeldFreeze]
) -> tuple[WindowSlot, ...]:
    if form.calendar.windows is not None:
        given = {each.id: each for each in form.calendar.windows}
        return tuple(
            WindowSlot(
                window,
                form.calendar.systems_per_window if (cap := given[window.window_id].cap) is None else cap,
                given[window.window_id].max_risk,
            )
            for window in windows
        )
    unscoped = [
        held.freeze
        for held in freezes
        if not (
            held.freeze.sectors
            or held.freeze.zones
            or held.freeze.ownerships
            or held.freeze.tags
            or held.freeze.regions
            or held.freeze.departments
        )
    ]
    return with_bounds(
        windows,
        settings,
        piloting=any(system.risk <= settings.pilot_max_risk for system in form.systems),
        usable=lambda window: (
            not any(each.first <= window.last_day and window.first_day <= each.last for each in unscoped)
        ),
    )


def _freezes(form: EstateForm) -> list[Freeze]:
    found = [
        Freeze(
            each.name,
            each.first,
            each.last,
            each.source,
            each.sectors,
            each.zones,
            each.ownerships,
            tags=each.tags,
            regions=each.regions,
            departments=each.departments,
        )
        for each in form.freezes
    ]
    month_end = form.calendar.month_end
    if month_end is not None and month_end.days_before + month_end.days_after > 0:
        first = form.calendar.starts_on.replace(day=1)
        last = form.calendar.starts_on + timedelta(weeks=form.calendar.weeks)
        if form.calendar.windows:
            last = max(last, max(each.ends for each in form.calendar.windows).date())
        while first <= last + timedelta(days=31):
            found.append(
                Freeze(
                    f"月末/month end {first:%Y-%m}",
                    first - timedelta(days=month_end.days_before),
                    first + timedelta(days=month_end.days_after - 1),
                    "calendar.month_end",
                    tags=month_end.tags,
                    departments=month_end.departments,
                )
            )
            first = (first + timedelta(days=32)).replace(day=1)
    return sorted(found, key=lambda freeze: (freeze.first, freeze.last, freeze.name))


def _pool(pool: PoolEntry) -> PoolSlot:
    copy = _NO_LIMIT_BYTES_PER_SECOND if pool.window_copy_gbps is None else pool.window_copy_gbps * _GIGABIT_BYTES
    return PoolSlot(
        pool_id=pool.id,
        name=pool.name or pool.id,
        zones=pool.zones,
        level=pool.protection_level,
        hosts=tuple(
            Hosts(
                each.architecture,
                free=_amount(each.vcpu, each.memory_gb, cards=each.cards),
                largest_node=_amount(
                    each.vcpu if each.node_vcpu is None else each.node_vcpu,
                    each.memory_gb if each.node_memory_gb is None else each.node_memory_gb,
                    cards=each.cards if each.node_cards is None else each.node_cards,
                ),
            )
            for each in pool.hosts
        ),
        free_disk_bytes=round(pool.disk_gb * GIB),
        accelerators=pool.accelerators,
        vcpu_price=round(pool.vcpu_hour_cny * _MILLIONTHS),
        card_price=round(pool.card_hour_cny * _MILLIONTHS),
        latency_us=round(pool.one_way_ms * 1000),
        copy_bytes_per_second=round(copy),
        classes=pool.classes,
        arrivals=tuple(
            Arrival(
                each.day,
                each.architecture,
                _amount(each.vcpu, each.memory_gb, disk=each.disk_gb, cards=each.cards),
            )
            for each in sorted(pool.arrivals, key=lambda each: each.day)
        ),
    )


def _items(form: EstateForm) -> Iterator[Item]:
    first_of: dict[str, str] = {}
    for system in sorted(form.systems, key=lambda system: system.id):
        if system.group is not None:
            first_of.setdefault(system.group, system.id)
    uses = {system.id: [use.system for use in map(_use, system.uses)] for system in form.systems}
    dependents = SystemGraph(uses, uses).blast_sizes()
    for system in form.systems:
        yield _item(system, first_of, form, dependents[system.id])


def _item(system: SystemEntry, first_of: dict[str, str], form: EstateForm, dependents: int) -> Item:
    uses = {use.system: use for use in map(_use, system.uses)}
    need = _amount(system.vcpu, system.memory_gb, disk=system.disk_gb, cards=system.cards)
    return Item(
        key=system.id,
        name=system.name or system.id,
        zone=system.zone,
        level=system.protection_level,
        architecture=system.architecture,
        need=need,
        group=system.id if system.group is None else first_of[system.group],
        accelerator=system.accelerator,
        per_server=None if system.servers is None else _share(need, system.servers),
        copy_bytes=round(system.window_gb * GIB),
        uses=tuple(sorted(uses)),
        risk=system.risk,
        dependents=dependents,
        contract_end=system.contract_end,
        sectors=system.sectors,
        ownership=system.ownership,
        tags=system.tags,
        department=system.owner,
        region=system.region,
        earliest=system.earliest,
        deadline=system.deadline,
        skill=system.skill,
        team=system.team,
        crew=system.crew,
        minutes=quantile_minutes(system.minutes, system.minutes_sd, form.max_overrun_pct),
        data_bytes=round(system.data_gb * GIB),
        move_cost=system.move_cost_cny,
        daily_cost=system.daily_cost_cny,
        traffic=tuple(uses[key].traffic_gb_day for key in sorted(uses)),
    )


def _use(use: UseEntry | str) -> UseEntry:
    return UseEntry(system=use) if isinstance(use, str) else use


def _share(need: Resources, servers: int) -> Resources:
    return Resources(
        -(-need.cpu_milli // servers), -(-need.memory_bytes // servers), 0, -(-need.accelerator_milli // servers)
    )


def _amount(vcpu: float, memory_gb: float, *, disk: float = 0, cards: int = 0) -> Resources:
    return Resources(round(vcpu * 1000), round(memory_gb * GIB), round(disk * GIB), cards * 1000)

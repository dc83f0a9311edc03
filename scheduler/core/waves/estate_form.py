"""The JSON form of an estate: everything that a wave plan is made of, in one file, without a ledger behind it.

Who calls this: `estate_file.py` makes a wave problem of it; the generator of estates writes it; the schema that ships in
docs/schemas is made of these classes. Versioned and closed: an unknown field is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NaiveDatetime

from inventory.model.system import Architecture, Ownership, Zone
from scheduler.core.waves.problem import DEFAULT_AIMS, Aim

Word = Annotated[str, Field(min_length=1, max_length=200)]
Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**9)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WindowEntry(_Form):
    """One window, given rather than derived. `cap` systems at most, none riskier than `max_risk`."""

    id: Word
    starts: NaiveDatetime
    ends: NaiveDatetime
    cap: int | None = Field(default=None, ge=0)
    max_risk: int = Field(default=100, ge=0, le=100)


class MonthEnd(_Form):
    """No cutovers on the last `days_before` days of a month and the first `days_after` of the next."""

    days_before: int = Field(default=2, ge=0, le=15)
    days_after: int = Field(default=1, ge=0, le=15)
    tags: frozenset[Word] = frozenset()
    departments: frozenset[Word] = frozenset()


class CalendarEntry(_Form):
    """Either `windows` are given, or they are the evenings of `nights` (Monday 0) whose following day is a day off:
    a weekend that is not in `makeup_workdays`, or a day in `holidays`; with `public_holidays` also as announced for
    mainland China. `known_until` is the last day for which holidays are known: a calendar that ends before the weeks
    do is refused."""

    starts_on: date
    weeks: int = Field(default=52, ge=1, le=520)
    systems_per_window: int = Field(default=8, ge=1, le=1000)
    nights: tuple[Annotated[int, Field(ge=0, le=6)], ...] = Field(default=(4, 5), min_length=1)
    night_starts_hour: int = Field(default=22, ge=0, le=23)
    night_hours: int = Field(default=8, ge=1, le=24)
    pilot_windows: int = Field(default=0, ge=0, le=52)
    pilot_systems: int = Field(default=3, ge=1, le=1000)
    pilot_max_risk: int = Field(default=30, ge=0, le=100)
    public_holidays: bool = False
    holidays: frozenset[date] = frozenset()
    makeup_workdays: frozenset[date] = frozenset()
    known_until: date | None = None
    windows: tuple[WindowEntry, ...] | None = None
    month_end: MonthEnd | None = None


class FreezeEntry(_Form):
    """No cutovers from `first` to `last`, both included, for systems that every non-empty scope holds."""

    name: Word
    first: date
    last: date
    source: str = ""
    zones: frozenset[Zone] = frozenset()
    sectors: frozenset[Word] = frozenset()
    ownerships: frozenset[Ownership] = frozenset()
    tags: frozenset[Word] = frozenset()
    regions: frozenset[Word] = frozenset()
    departments: frozenset[Word] = frozenset()


class HostsEntry(_Form):
    """Free hosts of one architecture, in sum; `node_*` is the largest single one (missing: as much as the sum)."""

    architecture: Architecture
    vcpu: Amount
    memory_gb: Amount
    cards: Count = 0
    node_vcpu: Amount | None = None
    node_memory_gb: Amount | None = None
    node_cards: Count | None = None


class ArrivalEntry(_Form):
    """Capacity that can be used in windows that start on `day` or after."""

    day: date
    architecture: Architecture
    vcpu: Amount = 0
    memory_gb: Amount = 0
    disk_gb: Amount = 0
    cards: Count = 0


class PoolEntry(_Form):
    """`window_copy_gbps`: gigabits a second for the copies inside a window (missing: no limit)."""

    id: Word
    name: str = ""
    zones: frozenset[Zone] = Field(min_length=1)
    protection_level: int = Field(default=3, ge=0, le=4)
    hosts: tuple[HostsEntry, ...] = Field(min_length=1)
    disk_gb: Amount
    accelerators: frozenset[Word] = frozenset()
    arrivals: tuple[ArrivalEntry, ...] = ()
    window_copy_gbps: Amount | None = None
    vcpu_hour_cny: Amount = 0
    card_hour_cny: Amount = 0
    one_way_ms: Amount = 0
    classes: frozenset[Word] = frozenset()


class LinkEntry(_Form):
    """A line shared by `pools` over which data is copied ahead of cutovers, from the plan's first midnight on."""

    id: Word
    gbps: Amount
    pools: frozenset[Word] = Field(min_length=1)


class AwayEntry(_Form):
    first: date
    last: date
    reason: str = ""


class TeamEntry(_Form):
    """`nights` on shift, Monday 0 (empty: every night)."""

    id: Word
    name: str = ""
    skills: frozenset[Word] = frozenset()
    people: int = Field(ge=1, le=10_000)
    nights: frozenset[Annotated[int, Field(ge=0, le=6)]] = frozenset()
    away: tuple[AwayEntry, ...] = ()


class UseEntry(_Form):
    """A system that is used. `hard`: its order may never be broken, not even in a cycle."""

    system: Word
    traffic_gb_day: Count = 1
    hard: bool = False


class SystemEntry(_Form):
    """One system to be moved; `owner` is the department that answers for it. `minutes` (with the standard deviation
    `minutes_sd`) is how long its `crew` works on it in the window; `data_gb` is copied ahead over links, `window_gb`
    inside the window. `risk` 0..100. `group`: systems of one word move together."""

    id: Word
    name: str = ""
    owner: str = ""
    region: str | None = None
    zone: Zone
    protection_level: int = Field(default=0, ge=0, le=4)
    architecture: Architecture = Architecture.X86_64
    vcpu: Amount = 0
    memory_gb: Amount = 0
    disk_gb: Amount = 0
    cards: Count = 0
    accelerator: Word | None = None
    servers: int | None = Field(default=None, ge=1)
    uses: tuple[UseEntry | Word, ...] = ()
    group: Word | None = None
    tags: frozenset[Word] = frozenset()
    sectors: frozenset[Word] = frozenset()
    ownership: Ownership | None = None
    risk: int = Field(default=0, ge=0, le=100)
    earliest: date | None = None
    deadline: date | None = None
    contract_end: date | None = None
    skill: Word | None = None
    team: Word | None = None
    crew: int = Field(default=1, ge=1, le=1000)
    minutes: int = Field(default=0, ge=0, le=100_000)
    minutes_sd: float = Field(default=0, ge=0, le=100_000)
    data_gb: Amount = 0
    window_gb: Amount = 0
    move_cost_cny: Count = 0
    daily_cost_cny: Count = 0


class ConcurrencyEntry(_Form):
    name: str = ""
    tag: Word
    most: int = Field(ge=0, le=10_000)


class PinEntry(_Form):
    """What was agreed: a window, a pool, or both."""

    system: Word
    window: Word | None = None
    pool: Word | None = None
    reason: str = ""


class PlacedEntry(_Form):
    system: Word
    window: Word
    pool: Word


class EstateForm(_Form):
    """The whole file. `last_plan` is what the new plan should change little of. `aims` in order, or `weights` for a
    weighted sum. With `max_overrun_pct`, the minutes planned for a system are the quantile that it exceeds with at most
    that probability (normal distribution), and so are those of a team's night."""

    version: Literal[1]
    name: str = ""
    illustrative: bool = False
    calendar: CalendarEntry
    pools: tuple[PoolEntry, ...] = Field(min_length=1)
    systems: tuple[SystemEntry, ...] = Field(min_length=1)
    freezes: tuple[FreezeEntry, ...] = ()
    links: tuple[LinkEntry, ...] = ()
    teams: tuple[TeamEntry, ...] = ()
    concurrency: tuple[ConcurrencyEntry, ...] = ()
    pins: tuple[PinEntry, ...] = ()
    budget_cny: Count | None = None
    last_plan: tuple[PlacedEntry, ...] = ()
    aims: tuple[Aim, ...] = DEFAULT_AIMS
    weights: Mapping[Aim, Annotated[int, Field(ge=0, le=10**6)]] = Field(default_factory=dict)
    max_overrun_pct: float | None = Field(default=None, gt=0, lt=50)

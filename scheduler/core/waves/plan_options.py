"""What people declare for a plan of the ledger, beyond what the ledger says: one YAML file, validated whole.

Who calls this: the migration desk, for `xisuan migration plan --options FILE.yaml` and `MigrationService.Plan`. Keys are
system keys (department/name). The parts have the same form as in an estate file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inventory.model.calendar import Freeze
from inventory.model.form_faults import form_faults
from inventory.model.migration import Declarations, FreezeOverride, UnplacedRule
from inventory.model.units import GIB
from scheduler.core.waves.estate_file import quantile_minutes
from scheduler.core.waves.estate_form import (
    ConcurrencyEntry,
    Count,
    FreezeEntry,
    LinkEntry,
    PinEntry,
    TeamEntry,
    Word,
)
from scheduler.core.waves.estate_rules import EstateError, refuse_too_long
from scheduler.core.waves.option_rules import refuse_option_faults
from scheduler.core.waves.problem import (
    DEFAULT_AIMS,
    Aim,
    ConcurrencyCap,
    HeldFreeze,
    Item,
    Link,
    Pin,
    Team,
    WaveProblem,
)

_GIGABIT_BYTES = 125_000_000
_GONE = frozenset({UnplacedRule.ALREADY_MIGRATED, UnplacedRule.UNDER_WAY})


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WorkEntry(_Form):
    """What moving one system takes, and when it may move."""

    earliest: date | None = None
    deadline: date | None = None
    skill: Word | None = None
    team: Word | None = None
    crew: int = Field(default=1, ge=1, le=1000)
    minutes: int = Field(default=0, ge=0, le=100_000)
    minutes_sd: float = Field(default=0, ge=0, le=100_000, allow_inf_nan=False)
    data_gb: float = Field(default=0, ge=0, le=1e9, allow_inf_nan=False)
    move_cost_cny: Count = 0
    daily_cost_cny: Count = 0
    tags: frozenset[Word] = frozenset()


class OverrideEntry(_Form):
    """A person's leave to cut over within a freeze; `document` is the number of the approval (文号). No `systems`:
    everyone whom the freeze holds."""

    freeze: Word
    approver: Word
    document: Word
    reason: Word
    systems: frozenset[Word] = frozenset()


class PlanOptions(_Form):
    """The whole file. With `max_overrun_pct`, durations are planned at the quantile that they exceed with at most that
    probability, and a go/no-go sheet holds a window's chance of overrunning against it."""

    version: Literal[1]
    groups: tuple[frozenset[Word], ...] = ()
    contract_ends: Mapping[Word, date] = Field(default_factory=dict)
    systems: Mapping[Word, WorkEntry] = Field(default_factory=dict)
    freezes: tuple[FreezeEntry, ...] = ()
    teams: tuple[TeamEntry, ...] = ()
    links: tuple[LinkEntry, ...] = ()
    concurrency: tuple[ConcurrencyEntry, ...] = ()
    pins: tuple[PinEntry, ...] = ()
    budget_cny: Count | None = None
    aims: tuple[Aim, ...] = DEFAULT_AIMS
    freeze_overrides: tuple[OverrideEntry, ...] = ()
    max_overrun_pct: float | None = Field(default=None, gt=0, lt=100)

    @property
    def declarations(self) -> Declarations:
        return Declarations(
            groups=self.groups,
            contract_ends=dict(self.contract_ends),
            freeze_overrides=tuple(
                FreezeOverride(each.freeze, each.approver, each.document, each.reason, each.systems)
                for each in self.freeze_overrides
            ),
        )


def read_options(text: str) -> PlanOptions:
    """Raises EstateError, one line for each fault. An empty text declares nothing."""
    if not text.strip():
        return PlanOptions(version=1)
    try:
        return PlanOptions.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        cause = " ".join(str(error).split())
        raise EstateError("form", f"选项文件须为 YAML / the options must be YAML: {cause}") from None
    except ValidationError as refusal:
        lines = [f"{'.'.join(map(str, each.place))} = {each.value}: {each.rule}" for each in form_faults(refusal)]
        raise EstateError("form", *lines) from None


def with_options(problem: WaveProblem, options: PlanOptions) -> WaveProblem:
    """The problem with everything that was declared. Raises EstateError for a system, team, pool or window that does
    not exist, and for a cutover that no window has the time for."""
    refuse_option_faults(problem, options)
    # What was agreed for a system that has moved since, or is moving, is kept or past.
    gone = {each.system_key for each in problem.left_out if each.rule in _GONE}
    freezes = tuple(
        HeldFreeze(
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
        )
        for each in options.freezes
    )
    items = tuple(_item(item, options.systems.get(item.key), options.max_overrun_pct) for item in problem.items)
    agreed = {pin.system: pin.window for pin in options.pins if pin.window is not None}
    refuse_too_long(items, tuple(slot.window for slot in problem.windows), agreed)
    return replace(
        problem,
        items=items,
        freezes=(*problem.freezes, *freezes),
        teams=tuple(
            Team(
                each.id,
                each.name or each.id,
                each.skills,
                each.people,
                each.nights,
                tuple((away.first, away.last, away.reason) for away in each.away),
            )
            for each in options.teams
        ),
        links=tuple(
            Link(each.id, each.id, round(each.gbps * _GIGABIT_BYTES), each.pools) for each in options.links
        ),
        concurrency=tuple(
            ConcurrencyCap(each.name or each.tag, each.tag, each.most) for each in options.concurrency
        ),
        pins=tuple(
            Pin(each.system, each.window, each.pool, each.reason)
            for each in options.pins
            if each.system not in gone
        ),
        budget=options.budget_cny,
        aims=options.aims,
    )


def _item(item: Item, work: WorkEntry | None, overrun_pct: float | None) -> Item:
    # A key is department/name, which is how a department's own blackout finds its systems.
    item = replace(item, department=item.key.partition("/")[0])
    if work is None:
        return item
    return replace(
        item,
        tags=work.tags,
        earliest=work.earliest,
        deadline=work.deadline,
        skill=work.skill,
        team=work.team,
        crew=work.crew,
        minutes=quantile_minutes(work.minutes, work.minutes_sd, overrun_pct),
        data_bytes=round(work.data_gb * GIB),
        move_cost=work.move_cost_cny,
        daily_cost=work.daily_cost_cny,
    )

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
from inventory.model.migration import Declarations
from inventory.model.units import GIB
from scheduler.core.waves.estate_form import (
    ConcurrencyEntry,
    Count,
    FreezeEntry,
    LinkEntry,
    PinEntry,
    TeamEntry,
    Word,
)
from scheduler.core.waves.estate_rules import EstateError
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
    data_gb: float = Field(default=0, ge=0, le=1e9, allow_inf_nan=False)
    move_cost_cny: Count = 0
    daily_cost_cny: Count = 0
    tags: frozenset[Word] = frozenset()


class PlanOptions(_Form):
    """The whole file."""

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

    @property
    def declarations(self) -> Declarations:
        return Declarations(groups=self.groups, contract_ends=dict(self.contract_ends))


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
    not exist."""
    _refuse_unknown(problem, options)
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
    return replace(
        problem,
        items=tuple(_item(item, options.systems.get(item.key)) for item in problem.items),
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
        pins=tuple(Pin(each.system, each.window, each.pool, each.reason) for each in options.pins),
        budget=options.budget_cny,
        aims=options.aims,
    )


def _item(item: Item, work: WorkEntry | None) -> Item:
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
        minutes=work.minutes,
        data_bytes=round(work.data_gb * GIB),
        move_cost=work.move_cost_cny,
        daily_cost=work.daily_cost_cny,
    )


def _refuse_unknown(problem: WaveProblem, options: PlanOptions) -> None:
    keys = {item.key for item in problem.items} | {each.system_key for each in problem.left_out}
    for name in [*options.systems, *(pin.system for pin in options.pins)]:
        if name not in keys:
            raise EstateError(
                "unknown_system",
                f"选项中的系统 {name!r} 不在台账中，请写“单位/名称”"
                f" / the system {name!r} of the options is not in the ledger; write department/name",
            )
    teams = {team.id for team in options.teams}
    skills = {skill for team in options.teams for skill in team.skills}
    for name, work in options.systems.items():
        wanted = work.team if work.team is not None and work.team not in teams else None
        wanted = work.skill if wanted is None and work.skill is not None and work.skill not in skills else wanted
        if wanted is not None:
            raise EstateError(
                "unknown_team",
                f"系统 {name!r} 需要的队伍或技能 {wanted!r} 不存在"
                f" / system {name!r} needs {wanted!r}, and no such team or skill is declared; declare it",
            )
    pools = {pool.pool_id for pool in problem.pools}
    windows = {slot.window.window_id for slot in problem.windows}
    for pool in [
        *(p for link in options.links for p in link.pools),
        *(pin.pool for pin in options.pins if pin.pool),
    ]:
        if pool not in pools:
            raise EstateError(
                "unknown_pool", f"算力池 {pool!r} 不存在 / the pool {pool!r} does not exist; name a known one"
            )
    for pin in options.pins:
        if pin.window is not None and pin.window not in windows:
            raise EstateError(
                "unknown_window",
                f"窗口 {pin.window!r} 不在计划期内 / the window {pin.window!r} is not in the plan's time; name another",
            )

"""Systems, pools and problems for tests of the wave planner, in words: `a_system("门户网站", zone=...)`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from inventory.freezes import read_operations_calendar
from inventory.holidays import read_days
from inventory.model.calendar import Freeze, OperationsCalendar
from inventory.model.migration import Declarations, WavePlan, WaveSettings
from inventory.model.pool import NodeGroup, Pool
from inventory.model.system import (
    AcceleratorDemand,
    Architecture,
    Disposition,
    Ownership,
    System,
    Zone,
    system_key,
)
from inventory.model.units import GIB, TIB, Resources
from scheduler.core.waves.estate import NOTHING_DECLARED, build_problem
from scheduler.core.waves.problem import WaveProblem

A_MONDAY = date(2026, 3, 16)
DEPARTMENT = "区示例局"
WITHOUT_PILOTS = WaveSettings(starts_on=A_MONDAY, horizon_weeks=6, pilot_windows=0)


def a_system(name: str, *uses: str, **changes: object) -> System:
    """A small system of the district that is to be moved: extranet, level 2, x86_64, one server of 4C8G."""
    plain = System(
        sheet="系统",
        row=abs(hash_of(name)) % 10_000,
        name=name,
        department=DEPARTMENT,
        ownership=Ownership.DISTRICT,
        zone=Zone.EXTRANET,
        classified=False,
        mlps="2",
        servers=1,
        vcpu=4,
        mem_gb=8,
        disk_gb=100,
        arch=Architecture.X86_64,
        users=50,
        deps=uses,
        disposition=Disposition.REHOST,
        should_migrate=True,
        migrated=False,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # the tests name real fields


def hash_of(name: str) -> int:
    """The same in every process, unlike `hash`."""
    return sum(ord(sign) * (place + 1) for place, sign in enumerate(name))


def key(name: str) -> str:
    return system_key(name, DEPARTMENT)


def cards(model: str, count: int) -> AcceleratorDemand:
    return AcceleratorDemand(model, count)


def a_pool(pool_id: str, *groups: NodeGroup, **changes: object) -> Pool:
    """A pool of the extranet and the internet, level 3, twenty x86_64 nodes of 64C256G."""
    groups = groups or (nodes("general", 20),)
    plain = Pool(
        pool_id=pool_id,
        name=f"示例-{pool_id}",
        hub="成渝",
        adapter="simulated",
        zones=frozenset({Zone.EXTRANET, Zone.INTERNET}),
        protection_level=3,
        architectures=frozenset(group.arch for group in groups),
        accelerator=next((group.accelerator for group in groups if group.accelerator), None),
        cards=sum(group.nodes * group.capacity.accelerator_milli // 1000 for group in groups),
        disk_bytes=100 * TIB,
        one_way_ms=0.6,
        egress_gbps=100,
        pue=1.3,
        green_share=0.5,
        kwh_cny=0.6,
        card_hour_cny=7.0,
        vcpu_hour_cny=0.1,
        classes=frozenset({"通算"}),
        node_groups=groups,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # the tests name real fields


def nodes(
    group: str, count: int, arch: Architecture = Architecture.X86_64, accelerator: str | None = None
) -> NodeGroup:
    size = Resources(64_000, 256 * GIB, 0, 8000 if accelerator else 0)
    return NodeGroup(group, count, arch, size, accelerator)


def days_only(
    settings: WaveSettings, freezes: Iterable[Freeze] = (), **words: tuple[str, ...]
) -> OperationsCalendar:
    """The real public holidays, with only these freezes."""
    last = date.fromordinal(settings.starts_on.toordinal() + settings.horizon_weeks * 7 + 2)
    return OperationsCalendar(read_days(settings.starts_on, last), tuple(freezes), words)


def a_problem(
    systems: Sequence[System],
    pools: Sequence[Pool] = (),
    settings: WaveSettings = WITHOUT_PILOTS,
    calendar: OperationsCalendar | None = None,
    declarations: Declarations = NOTHING_DECLARED,
) -> WaveProblem:
    """No freezes and no pilots unless they are asked for."""
    return build_problem(
        systems, pools or (a_pool("pool-a"),), calendar or days_only(settings), settings, declarations
    )


def with_default_freezes(settings: WaveSettings) -> OperationsCalendar:
    return read_operations_calendar(settings.starts_on, settings.horizon_weeks)


def days_of(plan: WavePlan) -> dict[str, str]:
    """Which system is cut over on which night."""
    return {each.system_name: each.window_id.removeprefix("W") for each in plan.assignments}


def pools_of(plan: WavePlan) -> dict[str, str]:
    return {each.system_name: each.pool_id for each in plan.assignments}

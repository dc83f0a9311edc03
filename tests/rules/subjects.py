"""Systems and measurements as the tests of the rules name them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

from inventory.model.system import Ownership, System, Zone
from inventory.rules.evaluate import ExceptionGrant, Setting, SystemAssessment, assess_system
from inventory.rules.facts import Evidence, Neighbourhood, Standing, system_facts
from inventory.rules.rulebook import Role, Rulebook, read_rulebook
from inventory.utilisation.measurement import Measurement, Spread, spread_of

DAY = date(2026, 11, 22)


@cache
def the_rules() -> Rulebook:
    return read_rulebook()


def a_district_system(**changes: object) -> System:
    """A system of which everything that readiness asks for is known."""
    plain = System(
        sheet="区级系统",
        row=5,
        name="公车调度系统",
        department="区机关事务中心",
        ownership=Ownership.DISTRICT,
        zone=Zone.EXTRANET,
        classified=False,
        mlps="2",
        servers=2,
        vcpu=16,
        mem_gb=32,
        disk_gb=200,
        users=300,
        should_migrate=True,
        migrated=False,
        crypto_plan=True,
        data_catalog=True,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # the tests name real fields


def spread(value: float, days: int = 120) -> Spread:
    found = spread_of([value] * days)
    assert found is not None
    return found


def idle_for(
    days: int, *, measured: int | None = None, cpu: float = 4, mem: float = 9, users: int = 0
) -> Measurement:
    """Nobody used it over a window of so many days, of which `measured` (default: all) had data."""
    return Measurement(
        first_day=DAY - timedelta(days=days - 1),
        last_day=DAY,
        days=days if measured is None else measured,
        cpu=spread(cpu, days if measured is None else max(1, measured)),
        cpu_is_peak=True,
        mem=spread(mem, days if measured is None else max(1, measured)),
        mem_is_peak=True,
        mem_average=mem,
        users=users,
        last_used_on=DAY if users else None,
    )


def assessed(
    system: System,
    measurement: Measurement | None = None,
    *,
    used_by: tuple[str, ...] = (),
    role: Role | None = None,
    closed: bool = False,
    exceptions: tuple[ExceptionGrant, ...] = (),
) -> SystemAssessment:
    around = Neighbourhood(used_by=used_by, blast_radius=len(used_by))
    evidence = Evidence(Standing(DAY, closed=closed, role=role), around, measurement)
    facts = system_facts(system, evidence, the_rules())
    return assess_system(the_rules(), f"{system.department}/{system.name}", facts, Setting(DAY, exceptions))

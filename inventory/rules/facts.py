"""Makes the facts that rules ask for out of a system, its neighbours and its measurements.

Who calls this: `inventory.assessment`. What is not known stays out of the facts: unknown is not no, and not 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from inventory.model.system import Disposition, System
from inventory.rules.condition import Value
from inventory.rules.rulebook import Channel, Role, Rulebook
from inventory.utilisation.measurement import Measurement

_FEWEST_SEASON_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What the dependency graph says of one system: names of systems, and counts."""

    used_by: tuple[str, ...] = ()
    uses_count: int = 0
    blast_radius: int = 0
    shares_database_with: tuple[str, ...] = ()
    in_cycle: bool = False
    unknown_dependencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Likeness:
    """What the search of duplicate functions says: the nearest system, and those of the own department."""

    most_similar: str | None = None
    similarity_pct: int = 0
    in_department: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What has become of the system by the day of the assessment, and what people declared about it."""

    day: date
    closed: bool = False
    merged: bool = False
    migrated: bool | None = None
    role: Role | None = None
    decided: Disposition | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything about one system beside its ledger row."""

    standing: Standing
    neighbourhood: Neighbourhood = Neighbourhood()
    measurement: Measurement | None = None
    likeness: Likeness | None = None


def system_facts(system: System, evidence: Evidence, book: Rulebook) -> dict[str, Value]:
    """The facts of `vocabulary.SYSTEM_FACTS`."""
    standing = evidence.standing
    facts: dict[str, Value] = {
        "name": system.name,
        "department": system.department,
        "ownership": system.ownership,
        "zone": system.zone,
        "classified": system.classified,
        "protection_level": _level(system.mlps),
        "servers": system.servers,
        "vcpu": system.vcpu,
        "mem_gb": system.mem_gb,
        "disk_gb": system.disk_gb,
        "age_years": _age(system.golive, standing.day),
        "arch": system.arch,
        "users": system.users,
        "zombie_claim": system.zombie,
        "cpu_avg_pct": system.cpu_avg_pct,
        "opex_wan": system.opex_wan,
        "crypto_plan": system.crypto_plan,
        "data_catalog": system.data_catalog,
        "has_accelerators": True if system.gpu is not None else None,
        "should_migrate": system.should_migrate,
        "migrated": system.migrated if standing.migrated is None else standing.migrated,
        "closed": standing.closed,
        "merged": standing.merged,
        "merge_target": system.merged_into,
        "ledger_disposition": system.disposition,
        "environment": system.environment,
        "os": system.os,
        "database": system.database,
        "remark": system.remark,
        "defer_reason": system.defer_reason,
        "function": system.function,
        "is_retained": _is_retained(system, standing.decided),
        "role": standing.role or role_of(system, book.role_words),
        "channel": channel_of(system.name, system.function, book.channel_words),
    }
    return facts | _graph_facts(evidence.neighbourhood) | _measured(evidence) | _likeness(evidence.likeness)


def _is_retained(system: System, decided: Disposition | None) -> bool | None:
    """What people decided stands above the ledger's own column."""
    chosen = decided or system.disposition
    return None if chosen is None else chosen is Disposition.RETAIN


def role_of(system: System, words: Mapping[Role, Sequence[str]]) -> Role | None:
    """The role that the system's name, function or remark tells of; None when none does."""
    said = " ".join(text for text in (system.name, system.function, system.remark) if text)
    return next((role for role, listed in words.items() if any(word in said for word in listed)), None)


def channel_of(name: str, function: str | None, words: Mapping[Channel, Sequence[str]]) -> Channel:
    """What a cap counts it as: a website or a mobile app when its name or function says so, else internal."""
    said = f"{name} {function or ''}"
    found = (channel for channel, listed in words.items() if any(word in said for word in listed))
    return next(found, Channel.INTERNAL)


def is_seasonal(measurement: Measurement) -> bool | None:
    """True when a year's data shows months of use and months without; None when less than a year was measured."""
    months = len(measurement.busy_months) + len(measurement.quiet_months)
    if months < _FEWEST_SEASON_MONTHS:
        return None
    return bool(measurement.busy_months) and len(measurement.quiet_months) * 2 >= months


def _level(mlps: str | None) -> int | None:
    if mlps is None:
        return None
    return int(mlps) if mlps.isdecimal() else 0


def _age(golive: str | None, day: date) -> int | None:
    """Whole years since the year of going live; a partial date is taken by its year."""
    return None if golive is None else max(0, day.year - int(golive[:4]))


def _graph_facts(around: Neighbourhood) -> dict[str, Value]:
    return {
        "used_by": around.used_by,
        "used_by_count": len(around.used_by),
        "uses_count": around.uses_count,
        "blast_radius": around.blast_radius,
        "shares_database_with": around.shares_database_with,
        "in_cycle": around.in_cycle,
        "unknown_dependencies": around.unknown_dependencies,
    }


def _measured(evidence: Evidence) -> dict[str, Value]:
    found = evidence.measurement
    if found is None:
        return {}
    facts: dict[str, Value] = {
        "coverage": found.coverage,
        "coverage_pct": found.coverage_pct,
        "window_days": found.window_days,
        "measured_days_ago": (evidence.standing.day - found.last_day).days,
        "cpu_p95_pct": found.cpu.p95 if found.cpu is not None and found.is_covered_by(found.cpu.days) else None,
        "mem_avg_pct": found.mem_average if found.is_covered_by(found.mem_average_days) else None,
        "users_active": found.users if found.is_covered_by(found.users_days) else None,
        "cases_handled": found.cases if found.is_covered_by(found.cases_days) else None,
        "is_seasonal_by_use": is_seasonal(found),
    }
    # Of a window without any use it is only known that there was none in it.
    if (found.users is not None or found.cases is not None) and found.is_covered_by(found.use_days):
        since = found.last_used_on
        facts["days_unused"] = found.window_days if since is None else (found.last_day - since).days
    return facts


def _likeness(found: Likeness | None) -> dict[str, Value]:
    if found is None:
        return {}
    return {
        "most_similar": found.most_similar,
        "similarity_pct": found.similarity_pct,
        "similar_in_department": found.in_department,
    }

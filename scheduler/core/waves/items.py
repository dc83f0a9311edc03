"""One system of the ledger as an item of the wave problem.

Who calls this: `estate.py`, for systems that are to be moved and of which every needed fact is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from inventory.model.system import System
from inventory.model.units import GIB, Resources
from scheduler.core.waves.accelerators import pool_model
from scheduler.core.waves.eligibility import protection_level
from scheduler.core.waves.problem import Item
from scheduler.core.waves.risk import risk_of


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an item takes from around its ledger row, by system key: its move group, the items that it uses, the
    size of its blast radius, its contract's end; and the words that tell a sector, and the share of data (percent)
    that is copied within the window."""

    group_of: Mapping[str, str]
    uses: Mapping[str, tuple[str, ...]]
    dependents: Mapping[str, int]
    contract_ends: Mapping[str, date]
    sector_words: Mapping[str, tuple[str, ...]]
    copy_pct: int


def make_item(key: str, system: System, around: Surroundings) -> Item:
    """Raises ValueError for a system that `eligibility.missing_fact` would have kept out."""
    level = protection_level(system)
    if system.zone is None or system.arch is None or level is None:
        raise ValueError(f"{key}: an item needs zone, architecture and protection level")
    need = need_of(system)
    return Item(
        key=key,
        name=system.name,
        zone=system.zone,
        level=level,
        architecture=system.arch,
        need=need,
        group=around.group_of[key],
        accelerator=pool_model(system.gpu.model) if system.gpu else None,
        per_server=_per_server(need, system.servers),
        copy_bytes=need.disk_bytes * around.copy_pct // 100,
        uses=around.uses[key],
        risk=risk_of(system, level, around.dependents[key]),
        dependents=around.dependents[key],
        contract_end=around.contract_ends.get(key),
        sectors=sectors_of(system, around.sector_words),
        ownership=system.ownership,
    )


def need_of(system: System) -> Resources:
    """What the whole system takes in a pool: the ledger's totals, cards included. Unknown sizes raise
    ValueError."""
    if system.vcpu is None or system.mem_gb is None or system.disk_gb is None:
        raise ValueError(f"{system.name}: an item needs vcpu, mem_gb and disk_gb")
    return Resources(
        cpu_milli=system.vcpu * 1000,
        memory_bytes=round(system.mem_gb * GIB),
        disk_bytes=round(system.disk_gb * GIB),
        accelerator_milli=system.gpu.count * 1000 if system.gpu else 0,
    )


def sectors_of(system: System, words: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """行业, by the words that stand in the names of department and system; none where no word stands there."""
    text = f"{system.department or ''} {system.name}"
    return frozenset(sector for sector, marks in words.items() if any(mark in text for mark in marks))


def _per_server(need: Resources, servers: int | None) -> Resources | None:
    """The average server, rounded up: the largest one is at least as large, so a node that cannot hold the average
    cannot hold the system. None where the number of servers is unknown; disk is the pool's."""
    if not servers:
        return None
    return Resources(
        cpu_milli=-(-need.cpu_milli // servers),
        memory_bytes=-(-need.memory_bytes // servers),
        accelerator_milli=-(-need.accelerator_milli // servers),
    )

"""One pool of the catalogue as a target of the wave problem.

Who calls this: `estate.py`. Prices, latencies and link speeds become integers here, once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from inventory.model.migration import WaveSettings
from inventory.model.pool import NodeGroup, Pool
from inventory.model.system import Architecture
from inventory.model.units import Resources, total
from scheduler.core.waves.problem import Hosts, PoolSlot

_MILLIONTHS = 1_000_000
_BITS_PER_GIGABIT = 10**9


@dataclass(frozen=True, slots=True)
class PoolUse:
    """What is taken in a pool already, on hosts of one architecture: earlier waves, reservations, workloads. `moving` is
    the key of the system for which it is taken while the run `run_id` still moves it (empty: it is there)."""

    pool_id: str
    architecture: Architecture
    amount: Resources
    moving: str = ""
    run_id: str = ""


def make_target(pool: Pool, used: Collection[PoolUse], settings: WaveSettings) -> PoolSlot:
    """What is taken comes off the hosts' CPU, memory and cards, and off the pool's shared disk; never below
    zero."""
    mine = [use for use in used if use.pool_id == pool.pool_id]
    taken_disk = sum(use.amount.disk_bytes for use in mine)
    closed = None
    if pool.adapter in settings.not_targets:
        closed = (
            f"{pool.adapter} 适配器不承接系统迁移",
            f"the {pool.adapter} adapter takes no migrated systems",
        )
    models = {pool.accelerator, *(group.accelerator for group in pool.node_groups)}
    return PoolSlot(
        pool_id=pool.pool_id,
        name=pool.name,
        zones=pool.zones,
        level=pool.protection_level,
        hosts=tuple(_hosts(pool, mine)),
        free_disk_bytes=max(0, pool.disk_bytes - taken_disk),
        accelerators=frozenset(model for model in models if model),
        vcpu_price=round(pool.vcpu_hour_cny * _MILLIONTHS),
        card_price=round((pool.card_hour_cny or 0) * _MILLIONTHS),
        latency_us=round(pool.one_way_ms * 1000),
        copy_bytes_per_second=round(pool.egress_gbps * _BITS_PER_GIGABIT) // 8 * settings.link_share_pct // 100,
        classes=pool.classes,
        closed=closed,
    )


def _hosts(pool: Pool, used: Collection[PoolUse]) -> list[Hosts]:
    groups: dict[Architecture, list[NodeGroup]] = {}
    for group in pool.node_groups:
        groups.setdefault(_instruction_set(group.arch), []).append(group)
    hosts = []
    for architecture, members in sorted(groups.items()):
        whole = total(group.capacity * group.nodes for group in members)
        taken = total(use.amount for use in used if _instruction_set(use.architecture) is architecture)
        free = whole - taken
        hosts.append(
            Hosts(
                architecture,
                free=Resources(
                    max(0, free.cpu_milli), max(0, free.memory_bytes), 0, max(0, free.accelerator_milli)
                ),
                largest_node=Resources(
                    max(group.capacity.cpu_milli for group in members),
                    max(group.capacity.memory_bytes for group in members),
                    0,
                    max(group.capacity.accelerator_milli for group in members),
                ),
            )
        )
    return hosts


def _instruction_set(architecture: Architecture) -> Architecture:
    """c86 hosts run x86_64 programs and the other way round, so they count together."""
    return Architecture.X86_64 if architecture.runs_on(Architecture.X86_64) else architecture

"""Which pools could take a system, and which of them is best: the planner's own view of rule 1, and its scores.

Who calls this: `board.py`. Pure. Scores are integers 0..100 and are weighed by `WEIGHTS`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from inventory.model.migration import Pair
from inventory.model.placement import ReasonCode
from inventory.model.units import Resources, format_resources
from scheduler.core.waves.problem import Hosts, Item, PoolSlot

WEIGHTS: Mapping[str, int] = {"price": 3, "latency": 3, "purpose": 3, "balance": 2, "nearness": 2}
# One-way latency at which a pool scores 0: the 20 ms circle between hubs (domain, Western compute).
_FAR_US = 20_000
_GENERAL, _INTELLIGENT = "通算", "智算"


@dataclass(frozen=True, slots=True)
class PoolRefusal:
    """Why one pool does not take one system."""

    pool_id: str
    code: ReasonCode
    text: Pair


@dataclass(frozen=True, slots=True)
class Eligible:
    """The pools that could ever take an item, and the refusals of the others."""

    pools: tuple[PoolSlot, ...]
    refused: tuple[PoolRefusal, ...]


def eligible_pools(item: Item, pools: Sequence[PoolSlot]) -> Eligible:
    """Judges what does not change while a plan is made; how much is free is the board's matter."""
    answers = [(pool, _refusal(item, pool)) for pool in pools]
    return Eligible(
        tuple(pool for pool, refusal in answers if refusal is None),
        tuple(
            PoolRefusal(pool.pool_id, refusal[0], refusal[1]) for pool, refusal in answers if refusal is not None
        ),
    )


def hosts_for(item: Item, pool: PoolSlot) -> Hosts | None:
    """The pool's hosts that run the item's programs without a port."""
    return next((hosts for hosts in pool.hosts if item.architecture.runs_on(hosts.architecture)), None)


def hourly_price(item: Item, pool: PoolSlot) -> int:
    """What the item costs in the pool, in thousandths of the pool's price unit an hour."""
    return item.need.cpu_milli * pool.vcpu_price + item.need.accelerator_milli * pool.card_price


def fixed_scores(item: Item, pools: Sequence[PoolSlot]) -> dict[str, dict[str, int]]:
    """By pool id: price (the cheapest eligible pool scores 100, one of twice its price 50), latency, and purpose
    (a pool built for such systems, with cards or without, scores 100: a website is not for a supercomputer)."""
    purpose = _INTELLIGENT if item.need.accelerator_milli else _GENERAL
    prices = {pool.pool_id: hourly_price(item, pool) for pool in pools}
    cheapest = min(prices.values(), default=0)
    return {
        pool.pool_id: {
            "price": 100 * cheapest // prices[pool.pool_id] if prices[pool.pool_id] else 100,
            "latency": max(0, 100 - 100 * pool.latency_us // _FAR_US),
            "purpose": 100 if purpose in pool.classes else 0,
        }
        for pool in pools
    }


def weigh(scores: Mapping[str, int]) -> int:
    return sum(WEIGHTS[name] * score for name, score in scores.items()) // sum(WEIGHTS[name] for name in scores)


def nearness(pool_id: str, partners: Collection[str]) -> int:
    """The share of the system's partners (same group, used, or using it) that this pool has; they talk most."""
    return 100 * sum(partner == pool_id for partner in partners) // len(partners) if partners else 0


def balance(left: Resources, whole: Resources) -> int:
    """The percentage that stays free of the scarcest dimension."""
    shares = [
        100 * rest // all_of_it
        for rest, all_of_it in (
            (left.cpu_milli, whole.cpu_milli),
            (left.memory_bytes, whole.memory_bytes),
            (left.disk_bytes, whole.disk_bytes),
        )
        if all_of_it
    ]
    return min(shares, default=0)


def _refusal(item: Item, pool: PoolSlot) -> tuple[ReasonCode, Pair] | None:
    if pool.closed is not None:
        return ReasonCode.POOL_NOT_ALLOWED, pool.closed
    if item.zone not in pool.zones:
        offered = "|".join(sorted(pool.zones))
        return ReasonCode.ZONE, (
            f"网络区域 {item.zone} 不在其 {offered} 内",
            f"zone {item.zone} not in {offered}",
        )
    if item.level > pool.level:
        return ReasonCode.PROTECTION_LEVEL, (
            f"等保 {item.level} 级高于其 {pool.level} 级",
            f"protection level {item.level} above {pool.level}",
        )
    hosts = hosts_for(item, pool)
    if hosts is None:
        return ReasonCode.ARCHITECTURE, (f"没有 {item.architecture} 主机", f"no {item.architecture} hosts")
    if item.need.accelerator_milli and item.accelerator not in pool.accelerators:
        offered = "|".join(sorted(pool.accelerators)) or "无/none"
        return ReasonCode.ACCELERATOR, (
            f"加速卡 {item.accelerator} 不是其 {offered}",
            f"accelerator {item.accelerator} is not {offered}",
        )
    if item.need.accelerator_milli and not hosts.largest_node.accelerator_milli:
        return ReasonCode.ACCELERATOR, (
            f"其 {item.accelerator} 不在 {item.architecture} 主机上",
            f"its {item.accelerator} cards are not on {item.architecture} hosts",
        )
    if item.per_server is not None and not item.per_server.fits_in(hosts.largest_node):
        need, node = format_resources(item.per_server), format_resources(hosts.largest_node)
        return ReasonCode.TOO_LARGE, (
            f"单台 {need} 大于其最大节点 {node}",
            f"one server ({need}) exceeds its largest node ({node})",
        )
    return None

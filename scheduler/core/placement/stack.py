"""The one place where filters and scores are assembled into the stack that a cycle uses.

The runtime builds it from configuration, simulations from a scenario, explain and dry-run reuse the same. Policies
are found in explicit maps: nothing registers itself by being imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scheduler.core.placement.filters import (
    accelerator,
    allowed_pools,
    architecture,
    capacity,
    cordon,
    health,
    protection_level,
    runtime,
    too_large,
    zone,
)
from scheduler.core.placement.protocol import Filter, Score
from scheduler.core.placement.scores import carbon, energy, free_capacity, input_locality, latency, price

# In the order in which people read the reasons: may it at all, can it technically, is there room, is it open.
FILTERS: Mapping[str, Filter] = {
    "allowed_pools": allowed_pools.refuse,  # the submitter's own choice comes before all else
    "zone": zone.refuse,
    "protection_level": protection_level.refuse,
    "architecture": architecture.refuse,
    "accelerator": accelerator.refuse,
    "runtime": runtime.refuse,
    "too_large": too_large.refuse,
    "health": health.refuse,
    "cordon": cordon.refuse,
    "capacity": capacity.refuse,
}

SCORES: Mapping[str, Score] = {
    "free_capacity": free_capacity.score,
    "price": price.score,
    "latency": latency.score,
    "energy": energy.score,
    "carbon": carbon.score,
    "data_locality": input_locality.score,
}

# Room first, because a full pool costs waiting time for all; then money and distance alike. Energy and carbon are for
# owners who ask for them: a pool that does not state its power must not lose workloads for it unasked. Data counts
# as much as room, and the same everywhere for workloads without inputs.
DEFAULT_WEIGHTS: Mapping[str, int] = {"free_capacity": 2, "price": 1, "latency": 1, "data_locality": 2}

# Policies that read `PoolView.free`. All others give one answer a shape and pool for the whole cycle, so they are
# asked once; a policy that reads `free` and is missing here would be answered from before the last placement.
READS_FREE = frozenset({"capacity", "free_capacity"})


class UnknownPolicy(ValueError):
    """A filter or score that no map knows."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Filters and weighted scores, each split in two: fixed for a whole cycle, and reading `free`."""

    declared_filters: tuple[Filter, ...]
    free_filters: tuple[Filter, ...]
    declared_scores: tuple[tuple[str, Score, int], ...]
    free_scores: tuple[tuple[str, Score, int], ...]


def build_stack(filters: Iterable[str] = tuple(FILTERS), weights: Mapping[str, int] = DEFAULT_WEIGHTS) -> Stack:
    """The stack of the named filters and of the scores with a weight above 0.

    Raises UnknownPolicy for a name that no map knows, ValueError for a negative weight.
    """
    chosen = frozenset(filters)
    _require_known("过滤器", "filter", chosen, FILTERS)
    _require_known("评分", "score", weights, SCORES)
    for name, weight in weights.items():
        if weight < 0:
            raise ValueError(
                f"评分 {name} 的权重 {weight} 为负，应不小于 0 / score {name} has weight {weight}; give 0 or more"
            )
    weighted = [(name, score, weights[name]) for name, score in SCORES.items() if weights.get(name, 0) > 0]
    return Stack(
        declared_filters=tuple(f for name, f in FILTERS.items() if name in chosen and name not in READS_FREE),
        free_filters=tuple(f for name, f in FILTERS.items() if name in chosen and name in READS_FREE),
        declared_scores=tuple(entry for entry in weighted if entry[0] not in READS_FREE),
        free_scores=tuple(entry for entry in weighted if entry[0] in READS_FREE),
    )


def parse_weights(text: str) -> dict[str, int]:
    """ "price:2,carbon:1" as weights; a weight left out is 1. Raises UnknownPolicy, or ValueError with the rule."""
    weights: dict[str, int] = {}
    for part in text.split(","):
        name, colon, number = part.strip().partition(":")
        if (colon and not number.strip().isdecimal()) or not name:
            raise ValueError(
                f"{part.strip()!r} 不是评分权重，请写成 price:2 / is not a weighted score; write price:2"
            )
        if name in weights:
            raise ValueError(f"评分 {name} 写了两次，请只写一次 / score {name} is given twice; give it once")
        weights[name] = int(number) if colon else 1
    _require_known("评分", "score", weights, SCORES)
    return weights


def _require_known(kind_zh: str, kind_en: str, names: Iterable[str], known: Mapping[str, object]) -> None:
    unknown, valid = ", ".join(sorted(set(names) - set(known))), ", ".join(sorted(known))
    if unknown:
        raise UnknownPolicy(
            f"未知的{kind_zh} {unknown}，可用的有：{valid} / unknown {kind_en} {unknown}; valid ones: {valid}"
        )

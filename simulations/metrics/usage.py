"""Measures of resources: how much was held, how much of it did lasting work, what was wasted. Called by `measure`.

Amounts are integrals over the whole simulation, from its beginning to its end: resource x time, not samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inventory.model.units import Resources
from simulations.engine.outcome import DIMENSIONS, Ending, Outcome

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

CPU, MEMORY, DISK, ACCELERATOR = range(DIMENSIONS)
NAMED = {"cpu": CPU, "memory": MEMORY, "accelerator": ACCELERATOR}  # disk is a pool's shared storage: no load
HOUR_MS = 3_600_000
MILLI = 1000


def vector(amount: Resources) -> tuple[int, int, int, int]:
    return (amount.cpu_milli, amount.memory_bytes, amount.disk_bytes, amount.accelerator_milli)


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """Resource x milliseconds by pool (p, 4): offered by nodes that were up, held by runs, kept of what was held
    (work that no later run does again). `need` (r, 4) is what each run holds."""

    need: Int64s
    offered: Floats
    held: Floats
    kept: Floats


def run_needs(outcome: Outcome) -> Int64s:
    """What each run holds while it runs (r, 4)."""
    by_shape = np.array([vector(shape.total) for shape in outcome.trace.shapes], dtype=np.int64)
    return by_shape.reshape(-1, DIMENSIONS)[outcome.trace.shape[outcome.runs.job]]


def usage(outcome: Outcome) -> Usage:
    runs, pools = outcome.runs, len(outcome.pools)
    need = run_needs(outcome)
    length = (runs.ended_ms - runs.started_ms).astype(np.float64)
    return Usage(
        need=need,
        offered=_offered(outcome),
        held=_by_pool(runs.pool, need * length[:, None], pools),
        kept=_by_pool(runs.pool, need * runs.kept_ms.astype(np.float64)[:, None], pools),
    )


def step_ends(outcome: Outcome) -> Int64s:
    """Until when each capacity step holds: the next step of its pool, or the end."""
    steps = outcome.capacity
    ends = np.full(len(steps.at_ms), outcome.ended_ms, dtype=np.int64)
    for pool in range(len(outcome.pools)):
        mine = np.flatnonzero(steps.pool == pool)
        ends[mine[:-1]] = steps.at_ms[mine[1:]]
    return ends


def _offered(outcome: Outcome) -> Floats:
    steps = outcome.capacity
    length = (step_ends(outcome) - steps.at_ms).astype(np.float64)
    return _by_pool(steps.pool, steps.offered * length[:, None], len(outcome.pools))


def _by_pool(pool: npt.NDArray[np.int32], amounts: Floats, pools: int) -> Floats:
    columns = [np.bincount(pool, amounts[:, i], pools) for i in range(DIMENSIONS)]
    return np.stack(columns, axis=1)


def shares(part: Floats, whole: Floats, name: str) -> dict[str, float]:
    """part/whole for each named resource that there is any of."""
    return {f"{name}_{resource}": float(part[i] / whole[i]) for resource, i in NAMED.items() if whole[i] > 0}


def usage_measures(outcome: Outcome, used: Usage) -> dict[str, float]:
    """Allocation and utilisation of all pools together; preempted and wasted work."""
    offered, held, kept = used.offered.sum(axis=0), used.held.sum(axis=0), used.kept.sum(axis=0)
    found = shares(held, offered, "allocation") | shares(kept, offered, "utilisation")
    runs = outcome.runs
    lost = (runs.ended_ms - runs.started_ms - runs.kept_ms).astype(np.float64)
    preempted = runs.ending == Ending.PREEMPTED
    for name, which in (("wasted", runs.ending != Ending.CUT), ("preempted", preempted)):
        found[f"{name}_core_hours"] = float((used.need[which, CPU] * lost[which]).sum() / MILLI / HOUR_MS)
        if offered[ACCELERATOR] > 0:
            found[f"{name}_card_hours"] = float(
                (used.need[which, ACCELERATOR] * lost[which]).sum() / MILLI / HOUR_MS
            )
    found["preemptions"] = float(preempted.sum())
    found["moves"] = float((runs.ending == Ending.MOVED).sum())
    found["failed_runs"] = float((runs.ending == Ending.FAILED).sum())
    return found


def pool_usage(used: Usage, pool: int) -> dict[str, float]:
    """Allocation and utilisation of one pool."""
    offered = used.offered[pool]
    return shares(used.held[pool], offered, "allocation") | shares(used.kept[pool], offered, "utilisation")

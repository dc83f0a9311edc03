"""What is the smallest capacity that keeps waiting below a limit? A search over the number of nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from simulations.metrics.result import Result
from simulations.metrics.statistics import Estimate
from simulations.questions.asking import Ask, only_capacity, over_seeds
from simulations.scenarios.capacity import CapacityForm
from simulations.scenarios.cell import cells
from simulations.scenarios.form import Scenario

MOST, LEAST = 64.0, 1 / 256
CLOSE = 1.005  # scales nearer to each other than half a percent are one


@dataclass(frozen=True, slots=True)
class TriedCapacity:
    """One size: `nodes` of the pools that are resized. It is enough when every job can be placed and started, and the
    mean of the metric over the seeds is at most the limit."""

    scale: float
    nodes: int
    value: Estimate | None
    left_out: float
    is_enough: bool


@dataclass(frozen=True, slots=True)
class SmallestCapacity:
    """`best` is None where not even `MOST` times the capacity is enough. `tried`: each size once, in the order of the search."""

    best: TriedCapacity | None
    tried: tuple[TriedCapacity, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """`metric` (a key of `metrics.definitions`, lower is better) may be at most `value`, in the metric's unit."""

    metric: str
    value: float


def smallest_capacity(
    scenario: Scenario, folder: Path, version: str, ask: Ask, limit: Limit, pool_id: str | None = None
) -> SmallestCapacity:
    """Resizes all pools alike, or only `pool_id`, and searches by doubling and bisection until two sizes differ by
    one node, or two scales by less than half a percent. Groups of nodes keep their proportions, each rounded up: with
    several of them not every number of nodes is a size, and `pool_id` finds the smallest of one pool.

    More capacity almost always means less waiting; where a scheduler has anomalies (more nodes, a longer wait) the
    search ends at a size that is enough beside one that is not. Raises ValueError for several capacities or an
    unknown pool.
    """
    name, capacity = only_capacity(scenario)
    pools = [plan.pool.pool_id for plan in capacity.plans(folder)]
    if pool_id is not None and pool_id not in pools:
        raise ValueError(
            f"没有池 {pool_id}，可用 {'、'.join(pools)} / there is no pool {pool_id}; there are {', '.join(pools)}"
        )

    def sized(scale: float) -> CapacityForm:
        if pool_id is None:
            return capacity.model_copy(update={"scale": capacity.scale * scale})
        scales = capacity.scales | {pool_id: capacity.scales.get(pool_id, 1.0) * scale}
        return capacity.model_copy(update={"scales": scales})

    measured: dict[tuple[int, ...], TriedCapacity] = {}  # by the nodes of each pool: many scales give the same

    def attempt(scale: float) -> TriedCapacity:
        form = sized(scale)
        plans = form.plans(folder)
        size = tuple(len(plan.nodes) for plan in plans)
        if size in measured:
            return replace(measured[size], scale=scale)
        asked = scenario.model_copy(update={"capacities": {f"{name}-x{scale:.6g}": form}})
        results = ask(list(cells(asked, str(folder), version, counts_unplaceable=True)))
        nodes = sum(len(plan.nodes) for plan in plans if pool_id in (None, plan.pool.pool_id))
        measured[size] = _judged(scale, nodes, results, limit)
        return measured[size]

    best = _search(attempt)
    return SmallestCapacity(best, tuple(measured.values()))


def _judged(scale: float, nodes: int, results: Sequence[Result], limit: Limit) -> TriedCapacity:
    value = over_seeds(results, limit.metric)
    left_out = sum(
        result.measures.metrics["jobs_unplaceable"] + result.measures.metrics["jobs_unstarted"]
        for result in results
    )
    is_enough = not left_out and value is not None and value.mean <= limit.value
    return TriedCapacity(scale, nodes, value, left_out, is_enough)


def _search(attempt: Callable[[float], TriedCapacity]) -> TriedCapacity | None:
    last = attempt(1.0)
    enough, short = (last, None) if last.is_enough else (None, last)
    while enough is None and last.scale < MOST:
        last = attempt(last.scale * 2)
        if last.is_enough:
            enough = last
        else:
            short = last
    while enough is not None and short is None and enough.scale > LEAST:
        smaller = attempt(enough.scale / 2)
        if smaller.nodes == enough.nodes:
            break  # one node a group is the least there is
        if smaller.is_enough:
            enough = smaller
        else:
            short = smaller
    while enough is not None and short is not None and _differ(short, enough):
        middle = attempt((short.scale * enough.scale) ** 0.5)
        if middle.is_enough:
            enough = middle
        else:
            short = middle
    return enough


def _differ(short: TriedCapacity, enough: TriedCapacity) -> bool:
    return enough.nodes > short.nodes + 1 and enough.scale / short.scale > CLOSE

"""From nodes, tasks and demand to the flat arrays of the kernels: once per pool and list, not once per run.

All amounts are int64; card models become numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.fgd import sigmoid_steps
from scheduler.core.placement.policies.future_fill import HORIZON, MICRO, asked, grid, scarcity
from scheduler.core.placement.policies.shape import WHOLE_CARD, NodeFree, Scale, TaskShape

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
MAX_CARDS = 32  # cards of one node


class NodeColumns(NamedTuple):
    """n empty nodes in the run's order, int64. `model` is their card model's number; nodes of equal `trait` suit the
    same shapes; `kind` numbers nodes that are equal in everything."""

    cpu: Int64s
    memory: Int64s
    cards: Int64s
    model: Int64s
    trait: Int64s
    kind: Int64s

    def reordered(self, order: Int64s) -> NodeColumns:
        return NodeColumns(*(column[order] for column in self))


class DemandTables(NamedTuple):
    """What fragmentation and FGD look up instead of walking the demand; exact.

    With level = the typical CPU requests (of tasks with cards) that the node's free CPU covers, and rung = the
    typical single-card requests that a card's free milli covers:
    F * total = idle * total - sum over cards of free * single[model, level, rung] - several[model, level, whole],
    where `whole` counts wholly free cards. `total` 0 means: do not track fragmentation.

    `cpu_level` [min(free CPU, len - 1)], `rung` [0..1000], `single` (models, levels, rungs), `several` (models,
    levels, MAX_CARDS + 1), `steps` (99) from `sigmoid_steps`.
    """

    total: int
    cpu_level: Int32s
    rung: Int32s
    single: Int64s
    several: Int64s
    steps: Int64s


class FillTables(NamedTuple):
    """What future fill looks up, see `policies.future_fill`. `values` (models, levels, grid + 1): worth of a card in
    micro-cards, levels as in `DemandTables`; `place` [0..1000] is the position of a free milli in the grid;
    `scarcity` (models); `asked_milli`, `asked_cpu` as of `future_fill.asked`."""

    values: Int64s
    place: Int32s
    scarcity: Int64s
    asked_milli: int
    asked_cpu: int


def model_numbers(nodes: Sequence[NodeFree]) -> dict[str, int]:
    models = sorted({node.model for node in nodes})
    return {model: i for i, model in enumerate(models)}


def scale_of(nodes: Sequence[NodeFree]) -> Scale:
    """The pool when empty. The largest node counts 1 in a dimension of which the pool has nothing."""
    models: Counter[str] = Counter()
    for node in nodes:
        models[node.model] += WHOLE_CARD * len(node.free_cards)
    return Scale(
        model_milli=tuple(sorted(models.items())),
        cpu_milli=max([node.cpu_capacity for node in nodes] + [1]),
        memory=max([node.memory_capacity for node in nodes] + [1]),
        card_milli=max([WHOLE_CARD * len(node.free_cards) for node in nodes] + [1]),
    )


def encode_nodes(nodes: Sequence[NodeFree], models: Mapping[str, int]) -> NodeColumns:
    """Nodes as they are when empty; their trait is their model. Raises ValueError for a node with too many cards."""
    if any(len(node.free_cards) > MAX_CARDS for node in nodes):
        raise ValueError(f"a node has more than {MAX_CARDS} cards")
    rows = [(n.cpu_capacity, n.memory_capacity, len(n.free_cards), models[n.model]) for n in nodes]
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    _, kind = np.unique(table, axis=0, return_inverse=True)
    cpu, memory, cards, model = np.ascontiguousarray(table.T)
    return NodeColumns(cpu, memory, cards, model, model, kind.astype(np.int64).reshape(-1))


def encode_shapes(shapes: Sequence[TaskShape]) -> Int64s:
    """int64 (shapes, 4): CPU, memory, cards, milli of one card."""
    rows = [(s.cpu_milli, s.memory, s.cards, s.card_milli) for s in shapes]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def suited_models(shapes: Sequence[TaskShape], models: Mapping[str, int]) -> npt.NDArray[np.uint8]:
    """(shapes, models): 1 where a node with the model may take the shape."""
    suits = [[shape.suits(model) for model in models] for shape in shapes]
    return np.array(suits, dtype=np.uint8).reshape(len(shapes), len(models))


def encode_fill(demand: Demand, scale: Scale, models: Mapping[str, int]) -> FillTables:
    step = grid(demand)
    scarce = scarcity(scale, demand)
    milli, cpu = asked(demand)
    return FillTables(
        values=_card_values(demand, models, step),
        place=(np.arange(WHOLE_CARD + 1) // step).astype(np.int32),
        scarcity=np.array([scarce.get(model, 0) for model in models] or [0], dtype=np.int64),
        asked_milli=milli,
        asked_cpu=cpu,
    )


def no_fill() -> FillTables:
    """For the policies that do not look at it."""
    nothing = np.zeros((1, 1, 1), dtype=np.int64)
    return FillTables(nothing, np.zeros(WHOLE_CARD + 1, dtype=np.int32), np.zeros(1, dtype=np.int64), 0, 0)


def _card_values(demand: Demand, models: Mapping[str, int], step: int) -> Int64s:
    """`future_fill.card_values` for every model and CPU level at once."""
    singles = [(s, n) for s, n in zip(demand.shapes, demand.counts, strict=True) if s.cards == 1]
    cpus = sorted({shape.cpu_milli for shape in demand.shapes if shape.cards})
    sizes = sorted({shape.card_milli for shape, _ in singles})
    allowed = np.zeros((len(sizes), max(1, len(models)), len(cpus) + 1, 1), dtype=np.int64)
    for shape, count in singles:
        runs_on = [number for model, number in models.items() if shape.suits(model)]
        allowed[sizes.index(shape.card_milli), runs_on, cpus.index(shape.cpu_milli) + 1 :] += count
    values = np.zeros((*allowed.shape[1:3], WHOLE_CARD // step + 1), dtype=np.int64)
    for _ in range(HORIZON if demand.total else 0):
        gains = np.zeros_like(values)
        for milli, counts in zip(sizes, allowed, strict=True):
            first = milli // step
            rest = values[:, :, : values.shape[2] - first]
            gains[:, :, first:] += counts * np.maximum(0, milli * MICRO + rest - values[:, :, first:])
        values += gains // max(1, demand.total)
    return values


def encode_demand(demand: Demand, models: Mapping[str, int]) -> DemandTables:
    asking = [(s, n) for s, n in zip(demand.shapes, demand.counts, strict=True) if s.cards]
    cpus = np.array(sorted({s.cpu_milli for s, _ in asking}), dtype=np.int64)
    millis = np.array(sorted({s.card_milli for s, _ in asking if s.cards == 1}), dtype=np.int64)
    top = int(cpus[-1]) if len(cpus) else 0
    single = np.zeros((max(1, len(models)), len(cpus) + 1, len(millis) + 1), dtype=np.int64)
    several = np.zeros((max(1, len(models)), len(cpus) + 1, MAX_CARDS + 1), dtype=np.int64)
    for shape, count in asking:
        level = int(np.searchsorted(cpus, shape.cpu_milli)) + 1  # from this level on the CPU suffices
        runs_on = [number for model, number in models.items() if shape.suits(model)]
        if shape.cards == 1:
            rung = int(np.searchsorted(millis, shape.card_milli)) + 1
            single[runs_on, level:, rung:] += count
        else:
            for whole in range(shape.cards, MAX_CARDS + 1):
                several[runs_on, level:, whole] += count * WHOLE_CARD * whole
    return DemandTables(
        total=demand.total,
        cpu_level=np.searchsorted(cpus, np.arange(top + 1), side="right").astype(np.int32),
        rung=np.searchsorted(millis, np.arange(WHOLE_CARD + 1), side="right").astype(np.int32),
        single=single,
        several=several,
        steps=np.array(sigmoid_steps(demand.total) if demand.total else [0] * 99, dtype=np.int64),
    )

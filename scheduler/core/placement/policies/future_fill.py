"""Future fill, our own policy: the node, and the card, that lose least of what they could still be filled with.

FGD asks what the *next* typical task could not use, and so counts a 350 milli rest as lost although one of the many
320 milli tasks to come will surely take it. Future fill looks `HORIZON` tasks ahead instead:

1. The value of a card with r milli free is the expected milli that it still sells when `HORIZON` typical tasks pass
   by and it takes the ones that pay: V0(r) = 0, V(k+1)(r) = V(k)(r) + sum over tasks m of
   p(m) * max(0, m + V(k)(r - m) - V(k)(r)). What it declines goes to another card. Only tasks for one card count,
   and of those only the ones that may run on the node's model and for which its free CPU suffices.
2. A node is worth the sum over its cards, but no more than its free CPU can feed at the demand's own ratio of cards
   to CPU: cards without CPU are worth nothing, and CPU beyond the cards costs nothing.
3. A card of a model that many tasks insist on is worth more: half of the model's `scarcity`, see there.

Score: `TOP` minus the loss of worth in steps of `STEP`, so that near-equal nodes tie and the first one fills up.
Everything is an exact integer; worths are in micro-cards (a thousandth of a milli-card). docs/placement.md says what
each part brings and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd

from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.shape import WHOLE_CARD, NodeFree, Scale, TaskShape, put

HORIZON = 60  # tasks
STEP = 10_000  # micro-cards: a hundredth of a card
TOP = 10_000  # above the greatest loss of a 32-card node in steps, with scarcity at its limit
MICRO = 1000  # micro-cards in a milli-card
SCARCITY_LIMIT = 2000  # thousandths; a model ten times oversubscribed is as scarce as one three times


class FutureFill:
    def __init__(self, scale: Scale, demand: Demand) -> None:
        self._demand = demand
        self._scarcity = scarcity(scale, demand)
        self._asked_milli, self._asked_cpu = asked(demand)
        self._grid = grid(demand)
        self._values: dict[tuple[tuple[int, int], ...], list[int]] = {}

    def score(self, task: TaskShape, node: NodeFree) -> int:
        return TOP + (-self._best(task, node)[0]) // STEP

    def card(self, task: TaskShape, node: NodeFree) -> int:
        return self._best(task, node)[2]

    def _best(self, task: TaskShape, node: NodeFree) -> tuple[int, int, int]:
        """(loss, free milli of the card, card) of the best card: the least loss, then the tightest, the lowest."""
        cards = [-1]
        if task.shares_card:
            cards = [i for i, free in enumerate(node.free_cards) if free >= task.card_milli]
        before = self._worth(node)
        return min(
            (before - self._worth(put(task, node, i)[0]), node.free_cards[i] if i >= 0 else 0, i) for i in cards
        )

    def _worth(self, node: NodeFree) -> int:
        values = self._card_values(node)
        fill = sum(values[free // self._grid] for free in node.free_cards)
        if self._asked_cpu:
            fill = min(fill, node.free_cpu * self._asked_milli * MICRO // self._asked_cpu)
        return fill + node.idle_milli * self._scarcity.get(node.model, 0) // 2

    def _card_values(self, node: NodeFree) -> list[int]:
        sizes = sizes_for(self._demand, node.model, node.free_cpu)
        if sizes not in self._values:
            self._values[sizes] = card_values(sizes, self._demand.total, self._grid)
        return self._values[sizes]


def grid(demand: Demand) -> int:
    """Card values are made for free milli in multiples of this: what all typical requests and a card share."""
    return gcd(WHOLE_CARD, *(shape.card_milli for shape in demand.shapes))


def sizes_for(demand: Demand, model: str, free_cpu: int) -> tuple[tuple[int, int], ...]:
    """(milli, how many) of the typical single-card tasks that the model and the CPU allow, by rising milli."""
    sizes: dict[int, int] = {}
    for shape, count in zip(demand.shapes, demand.counts, strict=True):
        if shape.cards == 1 and shape.suits(model) and shape.cpu_milli <= free_cpu:
            sizes[shape.card_milli] = sizes.get(shape.card_milli, 0) + count
    return tuple(sorted(sizes.items()))


def card_values(sizes: Sequence[tuple[int, int]], total: int, step: int) -> list[int]:
    """The value in micro-cards of a card with 0, step, 2 step ... 1000 milli free; `total` tasks in the demand."""
    values = [0] * (WHOLE_CARD // step + 1)
    for _ in range(HORIZON):
        gains = [0] * len(values)
        for milli, count in sizes:
            for r in range(milli // step, len(values)):
                gains[r] += count * max(0, milli * MICRO + values[r - milli // step] - values[r])
        values = [value + gain // total for value, gain in zip(values, gains, strict=True)]
    return values


def asked(demand: Demand) -> tuple[int, int]:
    """Milli-cards and milli-CPU that the typical tasks with cards ask in sum."""
    pairs = [(s, n) for s, n in zip(demand.shapes, demand.counts, strict=True) if s.cards]
    return sum(n * s.total_card_milli for s, n in pairs), sum(n * s.cpu_milli for s, n in pairs)


def scarcity(scale: Scale, demand: Demand) -> Mapping[str, int]:
    """By card model, in thousandths of its capacity: how much more demand falls on it than on the least sought.

    Demand as large as the pool is spread: each typical task over the models that it accepts, by their capacity.
    """
    capacity = dict(scale.model_milli)
    total, _ = asked(demand)
    load = dict.fromkeys(capacity, 0)
    for shape, count in zip(demand.shapes, demand.counts, strict=True):
        accepted = [model for model in capacity if shape.suits(model)]
        held = sum(capacity[model] for model in accepted)
        if not shape.cards or not held:
            continue
        share = count * shape.total_card_milli * sum(capacity.values()) * 1000 // (total * held)
        for model in accepted:
            load[model] += share
    least = min((load[model] for model in load if capacity[model]), default=0)
    return {model: min(max(0, load[model] - least), SCARCITY_LIMIT) for model in load}

"""The readable run: tasks arrive and leave one after the other, each goes where a policy says. The kernels' twin.

Obvious rather than fast, but for one thing: a score is asked again only when its node has changed, so that a
policy without a kernel runs the public trace in seconds. Tests hold the kernels equal to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.fragmentation import fragmentation
from scheduler.core.placement.policies.protocol import Policy
from scheduler.core.placement.policies.random_node import RandomNode, draw_card, draw_node
from scheduler.core.placement.policies.shape import NodeFree, TaskShape, fits, put, release

_UNFIT = -1  # below every score


@dataclass(slots=True)
class Outcome:
    """What a run did, one entry an event. `nodes`: where the arrival went, -1 where it fitted nowhere; -2 for a
    departure. `allocated` (milli-cards) and `fragmentation` (see `fragmentation`) are sums after the event."""

    nodes: list[int]
    cards: list[int]
    allocated: list[int]
    fragmentation: list[int]


@dataclass(frozen=True, slots=True)
class _Place:
    task: TaskShape
    node: int
    mask: int


class PlainRun:
    """A cluster on which a policy places. `nodes` stand in the run's order: of equal scores the first wins."""

    def __init__(self, policy: Policy, nodes: Sequence[NodeFree], demand: Demand) -> None:
        self._policy = policy
        self._demand = demand
        self.nodes = list(nodes)
        self._fragmentation = [fragmentation(node, demand) for node in nodes]
        self._total_fragmentation = sum(self._fragmentation)
        self._changes: list[int] = []  # nodes, in the order in which they changed
        self._scores: dict[TaskShape, tuple[list[int], int]] = {}

    def arrive(self, task: TaskShape, draw: int, barred: int = -1) -> tuple[int, int]:
        """Places the task; gives its node (-1: fits nowhere) and the mask of the cards that it took.

        It does not go to the node `barred`.
        """
        scores = self._scores_of(task)
        if barred >= 0:
            scores = [_UNFIT if i == barred else score for i, score in enumerate(scores)]
        best = max(scores, default=_UNFIT)
        if best == _UNFIT:
            return -1, 0
        if isinstance(self._policy, RandomNode):
            fitting = [i for i, score in enumerate(scores) if score != _UNFIT]
            chosen = fitting[draw_node(draw, len(fitting))]
            card = draw_card(draw, task, self.nodes[chosen]) if task.shares_card else -1
        else:
            chosen = scores.index(best)
            card = self._policy.card(task, self.nodes[chosen]) if task.shares_card else -1
        after, mask = put(task, self.nodes[chosen], card)
        self._set(chosen, after)
        return chosen, mask

    def adopt(self, task: TaskShape, node: int, mask: int) -> None:
        """Records a task that another run placed on these cards of the node."""
        after, taken = put(task, self.nodes[node], mask.bit_length() - 1)
        if taken != mask:
            raise ValueError(f"the task does not lie on cards {mask:b} of node {node}: it would take {taken:b}")
        self._set(node, after)

    def depart(self, task: TaskShape, node: int, mask: int) -> None:
        """Takes off a task that `arrive` placed."""
        self._set(node, release(task, self.nodes[node], mask))

    def run(self, tasks: Sequence[TaskShape], events: Sequence[int], draws: Sequence[int]) -> Outcome:
        """`events`: k >= 0, task k arrives; ~k, it leaves (nothing happens where it was never placed).

        `draws[k]` is the random number of task k.
        """
        outcome = Outcome([], [], [], [])
        placed: dict[int, _Place] = {}
        allocated = 0
        for event in events:
            node, mask = -2, 0
            if event >= 0:
                task = tasks[event]
                node, mask = self.arrive(task, draws[event])
                if node >= 0:
                    placed[event] = _Place(task, node, mask)
                    allocated += task.total_card_milli
            elif ~event in placed:
                left = placed.pop(~event)
                self.depart(left.task, left.node, left.mask)
                allocated -= left.task.total_card_milli
            outcome.nodes.append(node)
            outcome.cards.append(mask)
            outcome.allocated.append(allocated)
            outcome.fragmentation.append(self._total_fragmentation)
        return outcome

    def _scores_of(self, task: TaskShape) -> list[int]:
        """The score of every node, _UNFIT where the task does not fit; kept up to date by reading `_changes`."""
        if task not in self._scores:
            self._scores[task] = ([self._score(task, node) for node in self.nodes], len(self._changes))
        scores, read = self._scores[task]
        for i in set(self._changes[read:]):
            scores[i] = self._score(task, self.nodes[i])
        self._scores[task] = (scores, len(self._changes))
        return scores

    def _score(self, task: TaskShape, node: NodeFree) -> int:
        return self._policy.score(task, node) if fits(task, node) else _UNFIT

    def _set(self, i: int, node: NodeFree) -> None:
        self.nodes[i] = node
        self._changes.append(i)
        now = fragmentation(node, self._demand)
        self._total_fragmentation += now - self._fragmentation[i]
        self._fragmentation[i] = now

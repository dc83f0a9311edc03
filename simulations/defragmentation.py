"""What if a few running pods were moved: how much more could be allocated, and at what cost.

A what-if on the final state of an evaluation run: whoever was dropped is offered again after the moves. The cost is
counted, not guessed: pods moved, and their milli-cards.

The method. For each dropped pod, the largest first, and each node, the idlest first: look for a few running pods of
fewer cards without which the dropped one would fit, and which fit elsewhere without pushing anyone out. Move them,
place the newcomer, go on until the moves are used up. Every step is feasible by itself: a pod that moves has its new
place before it leaves the old one. It is a greedy search, so what it finds is a lower bound of what moving can do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.core.placement.kernels.events import place
from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.plain_run import PlainRun
from scheduler.core.placement.policies.protocol import Policy
from scheduler.core.placement.policies.registry import policy_named
from scheduler.core.placement.policies.shape import NodeFree, TaskShape, fits, release
from simulations.evaluation import OpenbRuns

MOST_LEAVERS = 4  # pods that may make room for one


@dataclass(frozen=True, slots=True)
class Defragmented:
    """Milli-cards allocated before and after; `moves` of `running` pods, `moved_milli` their milli-cards;
    `admitted` dropped pods that run now."""

    allocated_before: int
    allocated_after: int
    running: int
    moves: int
    moved_milli: int
    admitted: int


@dataclass(frozen=True, slots=True)
class _Running:
    task: TaskShape
    node: int
    mask: int


def defragment_openb(runs: OpenbRuns, policy: str, seed: int, share: float = 0.05) -> Defragmented:
    """The state in which `policy` leaves the trace, then at most `share` of the running pods moved."""
    order = runs.order(seed)
    nodes, pods = runs.in_order(order)
    pool, tasks = runs.arrays(policy, order)
    placed = place(pool, tasks)
    cluster = Defragmentation(policy_named(policy, runs.scale, runs.demand), nodes, runs.demand)
    for pod, node, mask in zip(pods, placed.node.tolist(), placed.cards.tolist(), strict=True):
        cluster.adopt(pod, node, mask)
    return cluster.improve(int(share * cluster.running))


class Defragmentation:
    """Running and dropped pods on a cluster. The policy chooses where a moved pod and a newcomer go."""

    def __init__(self, policy: Policy, nodes: Sequence[NodeFree], demand: Demand) -> None:
        self._run = PlainRun(policy, nodes, demand)
        self._on: dict[int, list[_Running]] = {i: [] for i in range(len(nodes))}
        self._dropped: Counter[TaskShape] = Counter()
        self._allocated = 0
        self.running = 0

    def adopt(self, task: TaskShape, node: int, mask: int) -> None:
        """A pod as the run left it: on these cards of the node, or dropped where `node` is -1."""
        if node < 0:
            self._dropped[task] += 1
            return
        self._run.adopt(task, node, mask)
        self._record(task, node, mask)

    def improve(self, most_moves: int) -> Defragmented:
        """Moves at most so many pods; stops early where no such exchange is left."""
        before, running = self._allocated, self.running
        moves = moved_milli = admitted = 0
        # Largest first: what the moves make room for should be worth them.
        for wanted in sorted(self._dropped, key=lambda task: -task.total_card_milli):
            for i in self._candidates(wanted):
                if self._dropped[wanted] == 0:
                    break
                leavers = self._leavers(wanted, i)
                if not leavers or moves + len(leavers) > most_moves or not self._move(leavers, i):
                    continue
                moves += len(leavers)
                moved_milli += _milli(leavers)
                self._record(wanted, *self._run.arrive(wanted, 0))  # it fits: at least where the pods have left
                self._dropped[wanted] -= 1
                admitted += 1
        return Defragmented(before, self._allocated, running, moves, moved_milli, admitted)

    def _record(self, task: TaskShape, node: int, mask: int) -> None:
        self._on[node].append(_Running(task, node, mask))
        self._allocated += task.total_card_milli
        self.running += 1

    def _candidates(self, wanted: TaskShape) -> list[int]:
        """Nodes of a fitting model that have idle cards, most idle first."""
        nodes = self._run.nodes
        idle = [
            (node.idle_milli, i) for i, node in enumerate(nodes) if node.idle_milli and wanted.suits(node.model)
        ]
        return [i for _, i in sorted(idle, key=lambda pair: (-pair[0], pair[1]))]

    def _leavers(self, wanted: TaskShape, i: int) -> list[_Running]:
        """At most MOST_LEAVERS pods of node `i`, of fewer cards than `wanted`, without which it fits; or none.

        All of one card, the smallest first; a shortage of CPU is met by pods without cards. The card that
        needs the least moved wins.
        """
        best: list[_Running] = []
        for card in range(len(self._run.nodes[i].free_cards)):
            chosen: list[_Running] = []
            node = self._run.nodes[i]
            on_card = [pod for pod in self._on[i] if pod.mask in (0, 1 << card)]
            for pod in sorted(on_card, key=lambda pod: (pod.task.total_card_milli, -pod.task.cpu_milli)):
                if len(chosen) == MOST_LEAVERS:
                    break
                chosen.append(pod)
                node = release(pod.task, node, pod.mask)
                if fits(wanted, node):
                    if _milli(chosen) < wanted.total_card_milli and (not best or _milli(chosen) < _milli(best)):
                        best = chosen
                    break
        return best

    def _move(self, leavers: Sequence[_Running], i: int) -> bool:
        """Starts each pod elsewhere and then stops it on node `i`; all of them, or none."""
        arrived: list[_Running] = []
        for pod in leavers:
            node, mask = self._run.arrive(pod.task, 0, barred=i)
            if node < 0:
                for moved in arrived:
                    self._run.depart(moved.task, moved.node, moved.mask)
                return False
            arrived.append(_Running(pod.task, node, mask))
        for pod, moved in zip(leavers, arrived, strict=True):
            self._run.depart(pod.task, pod.node, pod.mask)
            self._on[i].remove(pod)
            self._on[moved.node].append(moved)
        return True


def _milli(pods: Sequence[_Running]) -> int:
    return sum(pod.task.total_card_milli for pod in pods)

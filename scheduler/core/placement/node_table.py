"""The nodes of one pool as arrays: what they are, what they offer, and which of them suit a run.

`PoolState` builds one whenever the nodes change and lets runs take from it; positions are those of the arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.workload import Requirements
from scheduler.core.placement.node_choice import DIMENSIONS, Flags, Int64s, NodeArrays, need_of
from scheduler.core.placement.node_refusal import Eligibility

_ARCHITECTURES = tuple(Architecture)


class NodeTable:
    """Nodes in the order of their ids. `gone` names nodes that no adapter lists and runs still hold: they offer
    nothing and suit nobody."""

    def __init__(self, nodes: Mapping[str, Node], gone: Iterable[str]) -> None:
        self.ids = sorted({*nodes, *gone})
        self.position = {node_id: i for i, node_id in enumerate(self.ids)}
        size = len(self.ids)
        allocatable = np.zeros((DIMENSIONS, size), dtype=np.int64)
        self.is_open: Flags = np.zeros(size, dtype=np.bool_)
        self._is_listed: Flags = np.zeros(size, dtype=np.bool_)
        self._architecture = np.zeros(size, dtype=np.int8)
        self._model = np.full(size, -1, dtype=np.int32)
        self._model_codes: dict[str, int] = {}
        self._eligibility: dict[tuple[frozenset[Architecture], str | None], Eligibility] = {}
        for node_id, node in nodes.items():
            i = self.position[node_id]
            allocatable[:, i] = need_of(node.allocatable)
            self._is_listed[i] = True
            self.is_open[i] = not node.cordoned
            self._architecture[i] = _ARCHITECTURES.index(node.arch)
            if node.accelerator is not None:
                self._model[i] = self._model_codes.setdefault(node.accelerator, len(self._model_codes))
        self.arrays = NodeArrays.of(allocatable)

    def take(self, nodes: Sequence[str], requirements: Requirements) -> None:
        """One task of `requirements` on each of `nodes`. Raises KeyError for a node that is not in the table."""
        self.arrays.take(self._positions(nodes), need_of(requirements.per_task))

    def give_back(self, nodes: Sequence[str], requirements: Requirements) -> None:
        self.arrays.give_back(self._positions(nodes), need_of(requirements.per_task))

    def take_all(self, tasks: Iterable[tuple[Sequence[str], Requirements]]) -> None:
        """`take` for many runs at once."""
        rows = [(self.position[node_id], *need_of(asked.per_task)) for nodes, asked in tasks for node_id in nodes]
        if rows:
            columns = np.array(rows, dtype=np.int64)
            self.arrays.take_each(columns[:, 0], columns[:, 1:])

    def eligibility(self, requirements: Requirements) -> Eligibility:
        """Nodes of the right architecture and card model; kept, because runs of few kinds ask again and again."""
        key = (requirements.architectures, requirements.accelerator)
        found = self._eligibility.get(key)
        if found is None:
            found = self._eligibility[key] = self._judge(*key)
        return found

    def _judge(self, builds: frozenset[Architecture], model: str | None) -> Eligibility:
        runs_on = [not builds or any(build.runs_on(host) for build in builds) for host in _ARCHITECTURES]
        of_architecture: Flags = np.array(runs_on, dtype=np.bool_)[self._architecture] & self._is_listed
        if model is None:
            suited = of_architecture
        else:
            # An unknown model has a code that no node has: -1 stands for nodes without cards.
            suited = of_architecture & (self._model == self._model_codes.get(model, -2))
        return Eligibility(of_architecture, suited, suited & self.is_open)

    def _positions(self, nodes: Sequence[str]) -> Int64s:
        return np.array([self.position[node_id] for node_id in nodes], dtype=np.int64)

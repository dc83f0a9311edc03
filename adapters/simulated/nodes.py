"""The room on the nodes of a simulated pool: three lists of integers, whatever the number of nodes."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

from inventory.model.pool import Node, NodeGroup, Pool
from inventory.model.units import Resources


class NodeRoom:
    """What is free on each node and on the shared storage. Nodes are called "<group>-<number>", from 00001 on."""

    def __init__(self, pool: Pool) -> None:
        self._groups = tuple(group for group in pool.node_groups if group.nodes > 0)
        self._starts: list[int] = []  # index of the first node of each group
        self._index: dict[str, int] = {}
        self._cpu: list[int] = []
        self._memory: list[int] = []
        self._cards: list[int] = []
        for group in self._groups:
            self._starts.append(len(self._cpu))
            for number in range(group.nodes):
                self._index[_node_id(group, number)] = self._starts[-1] + number
            self._cpu += [group.capacity.cpu_milli] * group.nodes
            self._memory += [group.capacity.memory_bytes] * group.nodes
            self._cards += [group.capacity.accelerator_milli] * group.nodes
        self._ids = list(self._index)
        self.free_disk_bytes = pool.disk_bytes

    @property
    def count(self) -> int:
        return len(self._ids)

    def __contains__(self, node_id: str) -> bool:
        return node_id in self._index

    def free(self, node_id: str) -> Resources:
        i = self._index[node_id]
        return Resources(self._cpu[i], self._memory[i], 0, self._cards[i])

    def nodes(self, first: int, limit: int) -> list[Node]:
        """Nodes number `first` (from 0) and following, at most `limit`, in a stable order."""
        return [self._node(i) for i in range(first, min(first + limit, self.count))]

    def take(self, node_ids: Sequence[str], load: Resources, disk_bytes: int) -> bool:
        """Takes `load` on each node (as often as it is named) and the disk: all of it, or nothing and False.

        A node that is not known has no room.
        """
        if disk_bytes > self.free_disk_bytes:
            return False
        # Most runs have one task: counting would cost more than everything else here.
        tasks = {node_ids[0]: 1} if len(node_ids) == 1 else Counter(node_ids)
        for node_id, times in tasks.items():
            i = self._index.get(node_id)
            if i is None or not (
                load.cpu_milli * times <= self._cpu[i]
                and load.memory_bytes * times <= self._memory[i]
                and load.accelerator_milli * times <= self._cards[i]
            ):
                return False
        self._change(node_ids, load, -1)
        self.free_disk_bytes -= disk_bytes
        return True

    def give_back(self, node_ids: Sequence[str], load: Resources, disk_bytes: int) -> None:
        """The opposite of a `take` that succeeded."""
        self._change(node_ids, load, 1)
        self.free_disk_bytes += disk_bytes

    def _change(self, node_ids: Sequence[str], load: Resources, sign: int) -> None:
        for node_id in node_ids:
            i = self._index[node_id]
            self._cpu[i] += sign * load.cpu_milli
            self._memory[i] += sign * load.memory_bytes
            self._cards[i] += sign * load.accelerator_milli

    def _node(self, i: int) -> Node:
        group = self._groups[bisect_right(self._starts, i) - 1]
        capacity = group.capacity
        return Node(
            node_id=self._ids[i],
            arch=group.arch,
            allocatable=Resources(capacity.cpu_milli, capacity.memory_bytes, 0, capacity.accelerator_milli),
            accelerator=group.accelerator,
        )


def _node_id(group: NodeGroup, number: int) -> str:
    return f"{group.group}-{number + 1:05d}"

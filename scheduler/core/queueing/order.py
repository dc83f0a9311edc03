"""The order in which waiting workloads are tried: priority, then fair shares between queues, then first come.

The cycle takes batches from a `FairOrder` and tells it what could not be placed; `fair_order` is the whole order
in one call, for forecasts and tests. Pure and deterministic.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence

from inventory.model.units import Resources
from inventory.model.workload import Workload

# Shares are integers in trillionths: floats would let rounding decide between queues of equal share.
_WHOLE = 10**12


class FairOrder:
    """Workloads by priority (higher first), then by progressive filling over queues, then first in first out.

    Progressive filling: the next workload is the oldest of the queue whose weighted dominant share is smallest,
    counting what the queue holds and what it was given in this cycle (Ghodsi et al., Dominant Resource Fairness,
    NSDI 2011, section 4; weights as in section 4.3). Queues of equal share go by name; workloads of one queue by
    submitted_ms, then by the number in which the id ends. A higher priority goes first whatever its queue holds,
    and its share counts against its queue at the lower priorities.

    A workload that could not be placed takes no share: `give_back` returns it, so a queue whose head waits for a
    large pool does not lose its turns. n workloads in q queues cost O(n log q) beyond sorting by arrival.
    """

    def __init__(
        self,
        workloads: Sequence[Workload],
        usage: Mapping[str, Resources],
        weights: Mapping[str, int],
        capacity: Resources,
    ) -> None:
        """`usage` and `weights` by queue (default: nothing, and 1); `capacity` is what shares are a share of.

        Raises ValueError for a weight below 1.
        """
        for queue, weight in weights.items():
            if weight < 1:
                raise ValueError(
                    f"队列 {queue} 的权重 {weight} 无效，应为不小于 1 的整数 / "
                    f"queue {queue} has weight {weight}; give 1 or more"
                )
        self._workloads = workloads
        self._weights = weights
        self._capacity = capacity
        self._held = dict(usage)
        self._versions: dict[str, int] = {}
        self._levels: dict[int, dict[str, deque[int]]] = {}
        arrival = sorted(range(len(workloads)), key=lambda i: _arrival(workloads[i]))
        for i in arrival:
            level = self._levels.setdefault(workloads[i].priority, {})
            level.setdefault(workloads[i].queue, deque()).append(i)
        self._priorities = sorted(self._levels)  # the next one is last
        self._heap: list[tuple[int, str, int]] = []
        self._open: dict[str, deque[int]] = {}

    def take(self, limit: int) -> list[int]:
        """The next positions in `workloads`, at most `limit`, all of one priority; empty when none is left."""
        while not self._open and self._priorities:
            self._open = self._levels.pop(self._priorities.pop())
            self._heap = []
            for queue in self._open:
                self._push(queue)
        taken: list[int] = []
        while self._open and len(taken) < limit:
            _, queue, version = heapq.heappop(self._heap)
            if version != self._versions[queue]:
                continue  # its share has changed since; a newer entry is in the heap
            position = self._open[queue].popleft()
            self._change(queue, self._workloads[position].requirements.total)
            if self._open[queue]:
                self._push(queue)
            else:
                del self._open[queue]
            taken.append(position)
        return taken

    def give_back(self, position: int) -> None:
        """This workload was taken and not placed: its queue's share falls again."""
        queue = self._workloads[position].queue
        self._change(queue, self._workloads[position].requirements.total * -1)
        if queue in self._open:
            self._push(queue)

    def _change(self, queue: str, amount: Resources) -> None:
        self._held[queue] = self._held.get(queue, Resources()) + amount

    def _push(self, queue: str) -> None:
        version = self._versions[queue] = self._versions.get(queue, 0) + 1
        heapq.heappush(self._heap, (self._share(queue), queue, version))

    def _share(self, queue: str) -> int:
        """The weighted dominant share; a dimension without capacity counts nothing."""
        held, whole = self._held.get(queue, Resources()), self._capacity
        shares = [
            mine * _WHOLE // all_of_it
            for mine, all_of_it in (
                (held.cpu_milli, whole.cpu_milli),
                (held.memory_bytes, whole.memory_bytes),
                (held.disk_bytes, whole.disk_bytes),
                (held.accelerator_milli, whole.accelerator_milli),
            )
            if all_of_it > 0
        ]
        return max(shares, default=0) // self._weights.get(queue, 1)


def fair_order(
    workloads: Sequence[Workload],
    usage: Mapping[str, Resources],
    weights: Mapping[str, int],
    capacity: Resources,
) -> list[int]:
    """All positions in `workloads`, in the order in which they would be tried if each were placed."""
    order = FairOrder(workloads, usage, weights, capacity)
    result: list[int] = []
    while batch := order.take(len(workloads)):
        result.extend(batch)
    return result


def _arrival(workload: Workload) -> tuple[int, int, str]:
    """Ids end in a number without leading zeros: the shorter one is the smaller, as ...-9 is before ...-10."""
    return workload.submitted_ms, len(workload.workload_id), workload.workload_id

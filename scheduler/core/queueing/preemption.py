"""Preemption (抢占): which runs are stopped so that one that waits can start.

A workload may preempt for two causes: its queue is within its guarantee, and others have borrowed what it lacks
(reclaim); or, where the rules say so, what runs has a lower priority. Pure apart from the one question put to the
pool's host: whether the waiting run would really get its nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from inventory.model.units import Resources
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeBatch
from scheduler.core.queueing.plan import Preemption
from scheduler.core.queueing.running import RunningRow
from scheduler.core.queueing.shapes import Flags, Int64s, vector
from scheduler.core.queueing.usage import QueueColumns

Fits = Callable[[Sequence[str]], bool]
# How many victims are looked at again for whether they can be spared.
_SPARED = 16


@dataclass(frozen=True, slots=True)
class PreemptionRules:
    """What may be chosen: `reclaims` lets queues within their guarantee take back what others borrow; `by_priority`
    lets a workload stop runs of lower priority. `limit` bounds the attempts of one cycle."""

    reclaims: bool = True
    by_priority: bool = False
    limit: int = 8


@dataclass(frozen=True, slots=True)
class Claimant:
    """The workload that waits; `need` (4) is what all its tasks ask."""

    workload_id: str
    queue: int
    priority: int
    need: Int64s


@dataclass(frozen=True, slots=True)
class PoolRuns:
    """One pool: what runs there, what is free and what it has in all (4)."""

    pool_id: str
    runs: Sequence[RunningRow]
    free: Int64s
    allocatable: Resources


class VictimChoice:
    """Chooses victims for one cycle; what it has chosen counts against their queues at once."""

    def __init__(
        self, queues: QueueColumns, held: Int64s, totals: Int64s, now_ms: int, rules: PreemptionRules
    ) -> None:
        """`held` is what each queue holds with what this cycle placed (n, 4)."""
        self._queues = queues
        self._totals = totals
        self._now_ms = now_ms
        self._rules = rules
        self._held = held.copy()
        self._chosen: set[str] = set()
        self._promised: dict[str, Int64s] = {}  # by pool: what claimants before get of what is being stopped
        self._tries = 0

    def has_claim(self, claimant: Claimant) -> bool:
        """Whether it may preempt at all: by priority, or because some queue on its way up stays within its guarantee
        in all that it asks."""
        if self._rules.by_priority:
            return True
        return self._rules.reclaims and self._is_entitled(claimant)

    def _is_entitled(self, claimant: Claimant) -> bool:
        asked = claimant.need > 0
        return bool(asked.any()) and any(
            bool((self._held[q][asked] + claimant.need[asked] <= self._queues.guaranteed[q][asked]).all())
            for q in self._queues.tree.path_of(claimant.queue)
        )

    def victims(self, claimant: Claimant, pool: PoolRuns, fits: Fits) -> list[Preemption] | None:
        """The cheapest runs found whose end lets the claimant start, cheapest first; [] when runs that are being
        stopped are enough already; None when there are none.

        `fits` says whether the pool's nodes would hold the claimant if these run ids were gone. No queue falls below
        its guarantee by what is chosen, and none gives up what the pool lacks while it has no more of it than it is
        guaranteed; a queue that is not preemptible loses nothing.
        """
        stopping = [row for row in pool.runs if row.is_stopping or row.run_id in self._chosen]
        freed = pool.free + self._sum(stopping) - self._promised.get(pool.pool_id, 0)
        gone = [row.run_id for row in stopping]
        if stopping and (claimant.need <= freed).all() and fits(gone):
            self._promise(claimant, pool)
            return []
        if self._tries >= self._rules.limit:
            return None
        self._tries += 1
        chosen = self._cheapest(claimant, pool, freed, lambda rows: fits([*gone, *(row.run_id for row in rows)]))
        if chosen is None:
            return None
        for row in chosen:
            self._chosen.add(row.run_id)
            self._give_up(self._held, row)
        self._promise(claimant, pool)
        return [
            Preemption(row.run_id, row.workload_id, pool.pool_id, claimant.workload_id, self._cost(row, pool))
            for row in chosen
        ]

    def _cheapest(
        self, claimant: Claimant, pool: PoolRuns, freed: Int64s, fits: Callable[[Sequence[RunningRow]], bool]
    ) -> list[RunningRow] | None:
        """Takes the cheapest allowed runs until the claimant fits, then spares, dearest first, whom it does not need."""
        held = self._held.copy()
        taken: list[RunningRow] = []
        room = freed.copy()
        # Where the sums suffice it is the nodes that lack something, and nobody knows of what.
        lacking = claimant.need > freed if (claimant.need > freed).any() else claimant.need > 0
        candidates = sorted(
            (row for row in pool.runs if self._may_be_victim(claimant, row)),
            key=lambda row: (self._cost(row, pool), row.run_id),
        )
        ask_at, step = 0, 1  # hosts are asked after ever more victims, for each question costs a call
        for row in candidates:
            if not (self._totals[row.shape] > 0)[lacking].any():
                continue
            if not self._stays_guaranteed(held, claimant, row, lacking):
                continue
            self._give_up(held, row)
            taken.append(row)
            room += self._totals[row.shape]
            if len(taken) < ask_at or not (claimant.need <= room).all():
                continue
            if fits(taken):
                break
            ask_at, step = len(taken) + step, step * 2
        else:
            if len(taken) >= ask_at or not taken or not fits(taken):
                return None
        for row in list(reversed(taken))[:_SPARED]:
            fewer = [other for other in taken if other is not row]
            if fewer and (claimant.need <= freed + self._sum(fewer)).all() and fits(fewer):
                taken = fewer
        return taken

    def _may_be_victim(self, claimant: Claimant, row: RunningRow) -> bool:
        if row.is_stopping or row.run_id in self._chosen or not row.is_preemptible:
            return False
        specs = self._queues.tree.specs
        path = self._queues.tree.path_of(row.queue)
        if not all(specs[queue].preemptible for queue in path):
            return False
        if self._rules.by_priority and row.priority < claimant.priority:
            return True
        if not self._rules.reclaims or not self._is_entitled(claimant):
            return False
        own = set(self._queues.tree.path_of(claimant.queue))
        # Who shares every queue with the claimant has borrowed nothing from it.
        return any(queue not in own and self._is_above_guarantee(queue) for queue in path)

    def _is_above_guarantee(self, queue: int) -> bool:
        return bool((self._held[queue] > self._queues.guaranteed[queue]).any())

    def _stays_guaranteed(self, held: Int64s, claimant: Claimant, row: RunningRow, lacking: Flags) -> bool:
        """No queue of the victim falls below its guarantee; what the claimant will hold there counts for it. Of what the
        pool lacks it keeps all that it is guaranteed. Of anything else it may hold less than that already, as a queue
        does that borrows processors and leaves memory idle: there the pool has more for it."""
        own = set(self._queues.tree.path_of(claimant.queue))
        amount = self._totals[row.shape]
        for queue in self._queues.tree.path_of(row.queue):
            left = held[queue] - amount + (claimant.need if queue in own else 0)
            promised = self._queues.guaranteed[queue]
            falls = (amount > 0) & (promised > 0) & (left < promised)
            if (falls & (lacking | (held[queue] >= promised))).any():
                return False
        return True

    def _promise(self, claimant: Claimant, pool: PoolRuns) -> None:
        for queue in self._queues.tree.path_of(claimant.queue):
            self._held[queue] += claimant.need
        self._promised[pool.pool_id] = self._promised.get(pool.pool_id, 0) + claimant.need

    def _give_up(self, held: Int64s, row: RunningRow) -> None:
        for queue in self._queues.tree.path_of(row.queue):
            held[queue] -= self._totals[row.shape]

    def _sum(self, rows: Sequence[RunningRow]) -> Int64s:
        result: Int64s = (
            self._totals[[row.shape for row in rows]].sum(axis=0) if rows else np.zeros(4, dtype=np.int64)
        )
        return result

    def _cost(self, row: RunningRow, pool: PoolRuns) -> int:
        """Work that is lost: milliseconds run so far times the dominant share of the pool, in millionths."""
        amount = self._totals[row.shape]
        whole = vector(pool.allocatable)
        share = max((int(amount[d]) * 1_000_000 // whole[d] for d in range(4) if whole[d] > 0), default=0)
        return max(0, self._now_ms - row.started_ms) * share


def fits_without(state: PoolState, batch: NodeBatch, victims: Sequence[str]) -> bool:
    """Whether the whole batch would get nodes if these runs were gone; the pool is afterwards as before."""
    return state.fits_without(batch, victims)

"""The registry of pools in the control plane: what was declared, and what is known now.

Declarations and admissions are durable (events); health and free capacity are what the hosts last reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from inventory.model.pool import Pool, PoolHealth
from inventory.model.units import Resources
from scheduler.ports import PoolView
from scheduler.runtime.pool_link import PoolReport
from scheduler.services.ports import ErrorCode, PoolStatus, RequestError
from scheduler.store.scheduler_store import StoredPool

NOTHING = Resources()
OPEN, CORDONED, DRAINING = "open", "cordoned", "draining"


@dataclass(frozen=True, slots=True)
class Registered:
    pool: Pool
    endpoint: str
    admission: str = OPEN
    health: PoolHealth = PoolHealth.UNKNOWN
    health_message: str = ""
    allocatable: Resources = NOTHING
    free: Resources = NOTHING
    largest_task: Resources = NOTHING
    runtimes: frozenset[str] = frozenset()
    max_batch: int = 1
    nodes: int = 0

    def view(self) -> PoolView:
        return PoolView(
            pool=self.pool,
            health=self.health,
            cordoned=self.admission != OPEN,
            allocatable=self.allocatable,
            free=self.free,
            largest_task=self.largest_task,
            runtimes=self.runtimes,
        )

    def status(self, active_runs: int) -> PoolStatus:
        return PoolStatus(
            pool=self.pool,
            endpoint=self.endpoint,
            health=self.health,
            health_message=self.health_message,
            cordoned=self.admission != OPEN,
            draining=self.admission == DRAINING,
            nodes=self.nodes,
            allocatable=self.allocatable,
            free=self.free,
            active_runs=active_runs,
        )


class PoolRegistry:
    """Changed on the control plane's event loop only; reading is safe from any thread (entries are immutable)."""

    def __init__(self, stored: Iterable[StoredPool]) -> None:
        self._pools: dict[str, Registered] = {
            entry.pool.pool_id: Registered(entry.pool, entry.endpoint, entry.admission) for entry in stored
        }

    def __iter__(self) -> Iterator[Registered]:
        return iter(tuple(self._pools.values()))

    def ids(self) -> frozenset[str]:
        return frozenset(self._pools)

    def get(self, pool_id: str) -> Registered:
        """RequestError NOT_FOUND, with the ids that exist, for an unknown pool."""
        if pool_id not in self._pools:
            known = ", ".join(sorted(self._pools)) or "-"
            raise RequestError(
                ErrorCode.NOT_FOUND,
                f"没有算力池 {pool_id}，已登记：{known} / no pool {pool_id}; registered are: {known}",
            )
        return self._pools[pool_id]

    def declare(self, pool: Pool, endpoint: str) -> Registered:
        known = self._pools.get(pool.pool_id)
        entry = replace(known, pool=pool, endpoint=endpoint) if known else Registered(pool, endpoint)
        self._pools[pool.pool_id] = entry
        return entry

    def admit(self, pool_id: str, admission: str) -> Registered:
        self._pools[pool_id] = replace(self.get(pool_id), admission=admission)
        return self._pools[pool_id]

    def closed(self) -> frozenset[str]:
        """Pools that take no new runs."""
        return frozenset(entry.pool.pool_id for entry in self if entry.admission != OPEN)

    def take_report(self, report: PoolReport) -> None:
        before = self._pools.get(report.pool_id)
        if before is None:
            return
        self._pools[report.pool_id] = replace(
            before,
            health=report.health,
            health_message=report.health_message,
            allocatable=report.allocatable,
            free=report.free,
            largest_task=report.largest_task,
            runtimes=report.runtimes,
            max_batch=report.max_batch,
            nodes=report.nodes,
        )

    def take_views(self, live: Mapping[str, PoolView]) -> None:
        """What hosts say now of the capacity of their pools."""
        for pool_id, view in live.items():
            if pool_id in self._pools:
                self._pools[pool_id] = replace(
                    self._pools[pool_id],
                    allocatable=view.allocatable,
                    free=view.free,
                    largest_task=view.largest_task,
                    runtimes=view.runtimes,
                )

    def views(self, live: Mapping[str, PoolView]) -> tuple[PoolView, ...]:
        """Every pool: what is declared and admitted here, with the capacity that its host sees now.

        A pool that was ready and whose host says nothing of it is unreachable until the host is back.
        """
        return tuple(_seen(entry.view(), live.get(entry.pool.pool_id)) for entry in self)


def _seen(view: PoolView, live: PoolView | None) -> PoolView:
    if live is None:
        ready = view.health is PoolHealth.READY
        return replace(view, health=PoolHealth.UNREACHABLE if ready else view.health)
    return replace(
        view,
        allocatable=live.allocatable,
        free=live.free,
        largest_task=live.largest_task,
        runtimes=live.runtimes,
    )

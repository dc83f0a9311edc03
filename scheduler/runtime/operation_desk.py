"""How the control plane does at this moment: the answer of `OperationService`, and the gauges of the metrics.

The control-plane actor holds one (its part `operation`, port `scheduler.services.operation_ports.Operation`). Everything
is read when somebody asks; what is counted while it happens is counted in `scheduler.operation.instruments`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from inventory.model.pool import PoolHealth
from inventory.model.units import Resources
from inventory.store.engine import name_of
from scheduler.core.queueing.standings import QueueStanding
from scheduler.cycle import CycleSettings
from scheduler.operation.exposition import collected
from scheduler.operation.instruments import RATES
from scheduler.ports import Clock
from scheduler.runtime.control_plane import ControlPlane
from scheduler.services.operation_ports import QueueLength, ServiceStatus, SettingsStanding, StoreStanding
from scheduler.services.ports import PoolStatus
from scheduler.store.measures import revision, size_bytes, workloads_by_state
from scheduler.store.scheduler_store import SchedulerStore

# Queues are told to this depth (city, district), and not more of them than this: whoever submits names queues, and must
# not be able to make series without end.
QUEUE_DEPTH = 2
QUEUES_SHOWN = 200


class OperationDesk:
    def __init__(self, plane: ControlPlane, store: SchedulerStore, settings: CycleSettings, clock: Clock) -> None:
        self._plane = plane
        self._store = store
        self._clock = clock
        self._since_ms = clock.now_ms()
        self._settings = SettingsStanding(settings_digest(settings), self._since_ms)

    async def service_status(self) -> ServiceStatus:
        queues = (await self._plane.queues.queues()).queues
        store, workloads = await asyncio.to_thread(self._stored)
        return ServiceStatus(
            version=version("xisuan"),
            epoch=self._plane.epoch,
            leading_since_ms=self._since_ms,
            store=store,
            workloads=workloads,
            queues=tuple(_length(queue) for queue in queues if queue.waiting or queue.running),
            last_minute=RATES.last_minute(self._clock.now_ms() // 1000),
            settings=self._settings,
        )

    async def settings(self) -> SettingsStanding:
        return self._settings

    async def reconfigure(self, settings: CycleSettings) -> SettingsStanding:
        """From the next cycle on it is decided so. Nothing that was decided is decided anew."""
        standing = SettingsStanding(settings_digest(settings), self._clock.now_ms())
        self._plane.reconfigure(settings)
        self._settings = standing
        return standing

    async def metrics(self) -> tuple[Metric, ...]:
        """The counters of this process, and the gauges of this moment."""
        pools = await self._plane.pools()
        queues = (await self._plane.queues.queues()).queues
        store = await asyncio.to_thread(self._standing)
        return (*collected(), *self._leadership(store), *queue_gauges(queues), *pool_gauges(pools))

    def _stored(self) -> tuple[StoreStanding, dict[str, int]]:
        return self._standing(), dict(workloads_by_state(self._store.store))

    def _standing(self) -> StoreStanding:
        engine = self._store.store.engine
        head = self._store.store.head()
        return StoreStanding(name_of(engine), size_bytes(engine), revision(engine), head.seq, head.hash)

    def _leadership(self, store: StoreStanding) -> Iterator[Metric]:
        yield _gauge("xisuan_leader_epoch", "The fencing epoch of this leader", self._plane.epoch)
        yield _gauge(
            "xisuan_leader_since_timestamp_seconds", "When this leader began to lead", self._since_ms / 1000
        )
        yield _gauge("xisuan_store_size_bytes", "What the store takes on disk", store.size_bytes)
        yield _gauge("xisuan_store_head_seq", "Number of the last event of the chain", store.head_seq)
        yield _gauge(
            "xisuan_settings_loaded_timestamp_seconds", "When settings last came into force",
            self._settings.loaded_ms / 1000,
        )  # fmt: skip


def settings_digest(settings: CycleSettings) -> str:
    """Settings are told apart by this: dataclasses of plain values, whose text form is complete."""
    stack = settings.stack
    scores = [(name, weight) for name, _, weight in (*stack.declared_scores, *stack.free_scores)]
    text = repr(
        (scores, settings.seed, settings.waiting_limit, settings.batch, settings.backfill, settings.preemption)
    )
    return hashlib.sha256(text.encode()).hexdigest()


def queue_gauges(queues: tuple[QueueStanding, ...]) -> Iterator[Metric]:
    """The first `QUEUES_SHOWN` queues of at most `QUEUE_DEPTH` names; sums are over everything below each."""
    shown = [queue for queue in queues if len(queue.path.split("/")) <= QUEUE_DEPTH][:QUEUES_SHOWN]
    waiting = GaugeMetricFamily(
        "xisuan_queue_waiting_workloads", "Workloads that wait in a queue and below", labels=("queue",)
    )
    running = GaugeMetricFamily(
        "xisuan_queue_running_runs", "Runs of a queue's workloads, and of those below", labels=("queue",)
    )
    for queue in shown:
        waiting.add_metric([queue.path], queue.waiting)
        running.add_metric([queue.path], queue.running)
    yield waiting
    yield running
    top = [queue for queue in queues if "/" not in queue.path]
    yield _gauge("xisuan_waiting_workloads", "Workloads that wait", sum(queue.waiting for queue in top))
    yield _gauge("xisuan_live_runs", "Runs that hold resources", sum(queue.running for queue in top))


def pool_gauges(pools: tuple[PoolStatus, ...]) -> Iterator[Metric]:
    """Capacity as promised, allocatable as reported, free, and what runs hold: in cores, bytes and cards."""
    labels = ("pool", "resource", "unit")
    named = {
        "capacity": GaugeMetricFamily("xisuan_pool_capacity", "What the owner promises", labels=labels),
        "allocatable": GaugeMetricFamily("xisuan_pool_allocatable", "What its nodes offer now", labels=labels),
        "free": GaugeMetricFamily("xisuan_pool_free", "What is not allocated", labels=labels),
        "allocated": GaugeMetricFamily("xisuan_pool_allocated", "What placements hold", labels=labels),
    }
    health = GaugeMetricFamily("xisuan_pool_health", "1 for the state the pool is in", labels=("pool", "state"))
    closed = GaugeMetricFamily("xisuan_pool_cordoned", "1 where nothing new is placed", labels=("pool",))
    runs = GaugeMetricFamily("xisuan_pool_active_runs", "Runs that hold resources of the pool", labels=("pool",))
    for status in pools:
        pool_id = status.pool.pool_id
        amounts = {
            "capacity": status.promised,
            "allocatable": status.allocatable,
            "free": status.free,
            "allocated": status.allocatable - status.free,
        }
        for name, amount in amounts.items():
            for resource, unit, value in _units(amount):
                named[name].add_metric([pool_id, resource, unit], value)
        for state in PoolHealth:
            health.add_metric([pool_id, state.value], float(state is status.health))
        closed.add_metric([pool_id], float(status.cordoned))
        runs.add_metric([pool_id], status.active_runs)
    yield from named.values()
    yield health
    yield closed
    yield runs


def _units(amount: Resources) -> Iterator[tuple[str, str, float]]:
    """In the units of kube-state-metrics, so that dashboards of both look alike."""
    yield "cpu", "core", amount.cpu_milli / 1000
    yield "memory", "byte", float(amount.memory_bytes)
    yield "disk", "byte", float(amount.disk_bytes)
    yield "accelerator", "card", amount.accelerator_milli / 1000


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)


def _length(queue: QueueStanding) -> QueueLength:
    return QueueLength(queue.path, queue.waiting, queue.running, queue.oldest_ms)

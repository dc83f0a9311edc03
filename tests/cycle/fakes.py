"""The ports in memory: pools over the real `PoolState`, and sinks that accept, refuse or break.

The cycle's tests and benchmarks share them. Pools, nodes and workloads are made by prose-like builders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inventory.model.placement import Placement, Reason
from inventory.model.pool import Node, NodeGroup, Pool, PoolHealth
from inventory.model.system import Architecture, Zone
from inventory.model.units import GIB, TIB, Resources
from inventory.model.workload import Program, Requirements, Workload
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import Shape
from scheduler.core.queueing.pool_choice import PoolMemory
from scheduler.core.queueing.preemption import fits_without
from scheduler.core.queueing.queues import QueueSpec, QueueTree
from scheduler.core.queueing.running import FAR, RunningRow
from scheduler.core.queueing.tables import QueueTables
from scheduler.ports import Commit, NodeAnswers, NodeBatch, Plan, PoolView, Reservation, Snapshot

BOTH_RUNTIMES = frozenset({"process", "container"})


def amount(cpu: float = 0, gib: float = 0, cards: float = 0, disk_gib: float = 0) -> Resources:
    return Resources(round(cpu * 1000), round(gib * GIB), round(disk_gib * GIB), round(cards * 1000))


def a_pool(pool_id: str, **changes: object) -> Pool:
    """An x86_64 pool of the extranet without cards, of one node of 16 CPUs and 64 GiB; `changes` say otherwise."""
    fields: dict[str, object] = {
        "pool_id": pool_id,
        "name": f"示例-{pool_id}",
        "hub": "成渝",
        "adapter": "simulated",
        "zones": frozenset({Zone.EXTRANET}),
        "protection_level": 3,
        "architectures": frozenset({Architecture.X86_64}),
        "accelerator": None,
        "cards": 0,
        "disk_bytes": 10 * TIB,
        "one_way_ms": 1.0,
        "egress_gbps": 100.0,
        "pue": 1.25,
        "green_share": 0.5,
        "kwh_cny": 0.6,
        "card_hour_cny": None,
        "vcpu_hour_cny": 0.1,
        "classes": frozenset({"通算"}),
        "node_groups": (NodeGroup("general", 1, Architecture.X86_64, amount(16, 64)),),
    }
    return Pool(**{**fields, **changes})  # type: ignore[arg-type]  # the builder's keys are Pool's fields


def equal_nodes(
    count: int, offer: Resources, arch: Architecture = Architecture.X86_64, **more: object
) -> list[Node]:
    return [Node(f"n{i:05d}", arch, offer, **more) for i in range(count)]  # type: ignore[arg-type]


def a_workload(workload_id: str, per_task: Resources | None = None, **changes: object) -> Workload:
    """A one-task workload of 1 CPU and 1 GiB in queue "q"; `changes` are fields of Workload or Requirements."""
    wanted = {name: changes.pop(name) for name in list(changes) if name in Requirements.__dataclass_fields__}
    requirements = Requirements(per_task if per_task is not None else amount(1, 1), **wanted)  # type: ignore[arg-type]
    fields: dict[str, object] = {
        "queue": "q",
        "client_key": workload_id,
        "name": workload_id,
        "program": Program(command=("true",)),
        **changes,
    }
    return Workload(workload_id=workload_id, requirements=requirements, **fields)  # type: ignore[arg-type]


@dataclass
class FixedClock:
    at_ms: int = 1_000_000

    def now_ms(self) -> int:
        return self.at_ms


@dataclass
class Site:
    """One pool with its host's state."""

    pool: Pool
    state: PoolState
    health: PoolHealth = PoolHealth.READY
    cordoned: bool = False
    runtimes: frozenset[str] = BOTH_RUNTIMES

    def view(self) -> PoolView:
        return self.state.view(self.pool, self.health, self.cordoned, self.runtimes)


def a_site(pool_id: str, nodes: Sequence[Node], **changes: object) -> Site:
    pool = a_pool(pool_id, **changes)
    return Site(pool, PoolState(pool.disk_bytes, nodes))


@dataclass
class SitePools:
    """The Pools port over sites in memory. `refusals` overrides a host's answers; every call is kept."""

    sites: Mapping[str, Site]
    refusals: Mapping[str, Reason] = field(default_factory=dict)
    calls: list[dict[str, list[str]]] = field(default_factory=list)
    released: list[Placement] = field(default_factory=list)

    @classmethod
    def of(cls, *sites: Site, **more: object) -> SitePools:
        return cls({site.pool.pool_id: site for site in sites}, **more)  # type: ignore[arg-type]

    def place(self, requests: Mapping[str, NodeBatch]) -> dict[str, NodeAnswers]:
        self.calls.append({pool_id: list(batch.run_ids) for pool_id, batch in requests.items()})
        answers: dict[str, NodeAnswers] = {}
        for pool_id, batch in requests.items():
            refusal = self.refusals.get(pool_id)
            if refusal is not None:
                answers[pool_id] = NodeAnswers.refused(batch, refusal)
            else:
                answers[pool_id] = self.sites[pool_id].state.place(batch)
        return answers

    def fits_without(self, pool_id: str, batch: NodeBatch, victims: Sequence[str]) -> bool:
        return fits_without(self.sites[pool_id].state, batch, victims)

    def release(self, placements: Sequence[Placement]) -> None:
        for placement in placements:
            self.released.append(placement)
            self.sites[placement.pool_id].state.release(placement.run_id)

    def held(self) -> dict[str, str]:
        """Pool id by run id; fails when two pools hold one run."""
        owners: dict[str, str] = {}
        for pool_id, site in self.sites.items():
            for run_id in site.state.holds():
                assert run_id not in owners, f"{run_id} is held by {owners[run_id]} and {pool_id}"
                owners[run_id] = pool_id
        return owners


@dataclass
class WaitingState:
    """The State port over a list of workloads and the sites' present views."""

    waiting: Sequence[Workload]
    pools: SitePools
    usage: Mapping[str, Resources] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)
    attempt: int = 1
    queues: Sequence[QueueSpec] = ()
    runs: Mapping[str, Sequence[RunningRow]] = field(default_factory=dict)
    reservations: Sequence[Reservation] = ()
    now_ms: int = 0

    def snapshot(self, limit: int) -> Snapshot:
        weighted = [QueueSpec(path, weight=weight) for path, weight in self.weights.items()]
        tables = QueueTables(QueueTree([*self.queues, *weighted]))
        for queue, held in self.usage.items():
            shape = tables.shapes.number(Shape(Requirements(held)))
            tables.usage.charge(tables.tree.leaf(queue), shape, 0, FAR)
        for workload in self.waiting:
            tables.wait(workload, self.attempt)
        return Snapshot(
            waiting=tables.waiting.window(limit),
            shapes=tables.shapes,
            queues=tables.usage.columns(self.now_ms),
            pools=tuple(site.view() for site in self.pools.sites.values()),
            reservations=tuple(self.reservations),
        )

    def running(self, pool_id: str) -> Sequence[RunningRow]:
        return self.runs.get(pool_id, ())


@dataclass
class ColumnState:
    """The State port over tables that were kept while workloads came: what the book and the simulator are."""

    tables: QueueTables
    pools: SitePools
    now_ms: int = 0
    memory: PoolMemory = field(default_factory=PoolMemory)

    @classmethod
    def of(cls, waiting: Sequence[Workload], pools: SitePools, specs: Sequence[QueueSpec] = ()) -> ColumnState:
        tables = QueueTables(QueueTree(specs))
        for workload in waiting:
            tables.wait(workload, 1)
        return cls(tables, pools)

    def snapshot(self, limit: int) -> Snapshot:
        views = tuple(site.view() for site in self.pools.sites.values())
        tables = self.tables
        return Snapshot(tables.waiting.window(limit), tables.shapes, tables.usage.columns(self.now_ms), views)

    def running(self, pool_id: str) -> Sequence[RunningRow]:
        return self.tables.running.by_end(pool_id)


@dataclass
class AcceptingSink:
    plans: list[Plan] = field(default_factory=list)

    def commit(self, plan: Plan) -> Commit:
        self.plans.append(plan)
        return Commit(frozenset(plan.placements.run_ids))


@dataclass
class RefusingSink:
    """Refuses the runs named, or every run: the fake that a scheduler must survive (Nomad's RejectPlan)."""

    only: frozenset[str] | None = None

    def commit(self, plan: Plan) -> Commit:
        runs = frozenset(placement.run_id for placement in plan.placements)
        refused = runs if self.only is None else runs & self.only
        return Commit(runs - refused, refused)


class SinkBroken(RuntimeError):
    """What the breaking sink raises."""


class BreakingSink:
    def commit(self, plan: Plan) -> Commit:
        raise SinkBroken("the database is gone")

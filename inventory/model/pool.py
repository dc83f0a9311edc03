"""Compute pools (算力池) and their nodes: what the registry holds and the scheduler places on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from inventory.model.constraints import Labels, Taint
from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources


class PoolHealth(StrEnum):
    """What the control plane believes of a pool, from its adapter's answers."""

    UNKNOWN = "unknown"  # registered, never answered
    READY = "ready"
    UNREACHABLE = "unreachable"  # the adapter does not answer: no new runs, running ones are kept
    QUARANTINED = "quarantined"  # it answers nonsense (negative capacity, another pool's id): no new runs


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """A number of equal nodes of one pool: one row of the node-group file."""

    group: str
    nodes: int
    arch: Architecture
    capacity: Resources
    accelerator: str | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as its owner declares it: one row of the pool file.

    `protection_level` is the highest level (等保 0..4) that may run here. `one_way_ms` is the one-way network
    latency from the city (policy figures are one-way; a round trip is twice as long). Prices are in CNY:
    `vcpu_hour_cny` per vCPU and hour, `card_hour_cny` per whole card and hour (None: no cards).
    `disk_bytes` is shared storage of the pool, not of one node. `region` is where it stands, for input data that
    lies there ("": only its hub is known). `idle_watts` and `loaded_watts` are of one node, without and under full
    load; `carbon_g_kwh` is what the grid emits there for a kWh that is not green; None: not known. `node_policy`
    chooses nodes (`scheduler.core.placement.policies.registry`; "": the default).
    """

    pool_id: str
    name: str
    hub: str
    adapter: str
    zones: frozenset[Zone]
    protection_level: int
    architectures: frozenset[Architecture]
    accelerator: str | None
    cards: int
    disk_bytes: int
    one_way_ms: float
    egress_gbps: float
    pue: float
    green_share: float
    kwh_cny: float
    card_hour_cny: float | None
    vcpu_hour_cny: float
    classes: frozenset[str]
    node_groups: tuple[NodeGroup, ...] = ()
    region: str = ""
    idle_watts: float | None = None
    loaded_watts: float | None = None
    carbon_g_kwh: float | None = None
    node_policy: str = ""

    @property
    def capacity(self) -> Resources:
        """The sum of the declared node groups, with the pool's shared disk."""
        amount = Resources(disk_bytes=self.disk_bytes)
        for group in self.node_groups:
            amount = amount + group.capacity * group.nodes
        return amount


@dataclass(frozen=True, slots=True)
class Node:
    """One node as its adapter reports it. `allocatable` is what runs may use; capacity >= allocatable.

    `rack` "" means that it is not known: such a node is in no rack.
    """

    node_id: str
    arch: Architecture
    allocatable: Resources
    accelerator: str | None = None
    cordoned: bool = False
    labels: Labels = frozenset()
    taints: frozenset[Taint] = frozenset()
    rack: str = ""

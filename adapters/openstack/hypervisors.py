"""Hypervisors as nodes: what Nova says of their state, and Placement of what they have and who holds it.

`engine.py` asks here, where the credentials may see hypervisors. Room is counted as Placement counts it, so that what
is accepted here is what Nova's own scheduler will accept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from adapters.openstack.cloud import Cloud, CloudRefused, Json
from adapters.openstack.machines import Amount, Machine
from inventory.model.pool import Node, Pool
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources

_MIB = GIB // 1024
_ENDLESS = 1 << 40
_ARCHITECTURES = {"x86_64": Architecture.X86_64, "aarch64": Architecture.ARM64}

Allocations = Mapping[str, Amount]
"""What is held on one hypervisor, by consumer: a machine's id, or a migration's."""


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """One node of the pool. `capacity` is what machines may be given, with the operator's overcommitment."""

    provider_id: str
    name: str
    is_open: bool
    arch: Architecture | None
    capacity: Amount


async def list_hypervisors(cloud: Cloud) -> list[Hypervisor]:
    """All of them, by name. Raises CloudRefused (403: the credentials may not see them) and EngineUnavailable."""
    listed = await cloud.pages("/os-hypervisors/detail", "hypervisors", {})
    capacities = await asyncio.gather(*(_capacity(cloud, str(one["id"])) for one in listed))
    found = [
        _hypervisor(one, capacity)
        for one, capacity in zip(listed, capacities, strict=True)
        if capacity is not None
    ]
    return sorted(found, key=lambda one: one.name)


async def is_open(cloud: Cloud, hypervisor_id: str) -> bool:
    """Whether it takes new machines, now. Raises CloudRefused and EngineUnavailable."""
    return _is_open((await cloud.get("compute", f"/os-hypervisors/{hypervisor_id}"))["hypervisor"])


async def allocations_on(cloud: Cloud, provider_id: str) -> dict[str, Amount]:
    """Raises CloudRefused and EngineUnavailable; a provider that is gone holds nothing."""
    try:
        answer = await cloud.get("placement", f"/resource_providers/{provider_id}/allocations")
    except CloudRefused as refused:
        if refused.status == 404:
            return {}
        raise
    return {str(consumer): _amount(one["resources"]) for consumer, one in answer["allocations"].items()}


async def has_room_somewhere(cloud: Cloud, need: Amount) -> bool:
    """Whether any hypervisor has room for one more machine of this size. Raises CloudRefused and EngineUnavailable."""
    wanted = {"VCPU": need.cpus, "MEMORY_MB": need.memory_mib, "DISK_GB": need.disk_gib}
    words = ",".join(f"{name}:{amount}" for name, amount in wanted.items() if amount)
    answer = await cloud.get("placement", "/allocation_candidates", {"resources": words, "limit": "1"})
    return bool(answer["allocation_requests"])


def room_on(hypervisor: Hypervisor, held: Allocations, ours: Iterable[Machine]) -> Amount:
    """What is free: not what Placement says is held, and not what our machines will hold once Nova has placed them."""
    room = hypervisor.capacity
    for amount in held.values():
        room = room - amount
    for one in ours:
        if one.node == hypervisor.name and one.is_alive and one.machine_id not in held:
            room = room - one.amount
    return room


def node_of(pool: Pool, hypervisor: Hypervisor, held: Allocations, ours: Collection[str]) -> Node:
    """What runs may use there, ours or not; what machines of others hold is taken off. Disk is the pool's."""
    left = hypervisor.capacity
    arch = hypervisor.arch if hypervisor.arch in pool.architectures else min(pool.architectures)
    for consumer, amount in held.items():
        if consumer not in ours:
            left = left - amount
    return Node(
        node_id=hypervisor.name,
        arch=arch,
        allocatable=Resources(max(0, left.cpus) * 1000, max(0, left.memory_mib) * _MIB),
        cordoned=not hypervisor.is_open,
    )


async def _capacity(cloud: Cloud, provider_id: str) -> Amount | None:
    """None for a hypervisor that Placement does not know yet."""
    try:
        answer = await cloud.get("placement", f"/resource_providers/{provider_id}/inventories")
    except CloudRefused as refused:
        if refused.status == 404:
            return None
        raise
    inventories = answer["inventories"]
    if "VCPU" not in inventories or "MEMORY_MB" not in inventories:
        return None
    # Where disks lie elsewhere (volumes, a shared provider), a hypervisor has none to count.
    disk = _usable(inventories["DISK_GB"]) if "DISK_GB" in inventories else _ENDLESS
    return Amount(_usable(inventories["VCPU"]), _usable(inventories["MEMORY_MB"]), disk)


def _usable(inventory: Json) -> int:
    return int((int(inventory["total"]) - int(inventory["reserved"])) * float(inventory["allocation_ratio"]))


def _amount(resources: Json) -> Amount:
    return Amount(
        int(resources.get("VCPU", 0)), int(resources.get("MEMORY_MB", 0)), int(resources.get("DISK_GB", 0))
    )


def _hypervisor(listed: Json, capacity: Amount) -> Hypervisor:
    described = listed.get("cpu_info")
    arch = described.get("arch", "") if isinstance(described, dict) else ""
    return Hypervisor(
        provider_id=str(listed["id"]),
        name=str(listed["hypervisor_hostname"]),
        is_open=_is_open(listed),
        arch=_ARCHITECTURES.get(arch),
        capacity=capacity,
    )


def _is_open(listed: Json) -> bool:
    return listed.get("state") == "up" and listed.get("status") == "enabled"

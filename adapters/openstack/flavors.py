"""Which flavor a run gets: the smallest that fits, or one made for it where the operator allows that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.openstack import naming
from adapters.openstack.cloud import Cloud, CloudRefused, Json
from adapters.openstack.machines import Amount, flavor_amount
from inventory.model.units import GIB, Resources

_MIB = GIB // 1024
_MIB_A_CPU = 4096  # one CPU weighs as much as 4 GiB: the usual shape of general machines
_SPECIAL = ("resources", "trait", "pci_passthrough", "aggregate_instance_extra_specs", "accel")


class NoFlavor(Exception):
    """No flavor of the cloud fits, and none may be made; the message is for the submitter."""


@dataclass(frozen=True, slots=True)
class Flavor:
    flavor_id: str
    name: str
    amount: Amount
    root_gib: int


def amount_of(need: Resources) -> Amount:
    """What a run asks for, in the units of flavors: whole CPUs, MiB and GiB, rounded up, none of them 0: a flavor
    without a disk is for machines that start from a volume, and Nova refuses it to others."""
    return Amount(
        max(1, -(-need.cpu_milli // 1000)),
        max(1, -(-need.memory_bytes // _MIB)),
        max(1, -(-need.disk_bytes // GIB)),
    )


def smallest(flavors: Iterable[Flavor], need: Amount) -> Flavor | None:
    """The flavor that fits and wastes least: by CPUs and memory together, then disk, then name. None: none fits."""
    fitting = [
        one
        for one in flavors
        if need.cpus <= one.amount.cpus
        and need.memory_mib <= one.amount.memory_mib
        and need.disk_gib <= one.root_gib
    ]
    return min(fitting, key=_weight, default=None)


def _weight(one: Flavor) -> tuple[int, int, str]:
    return one.amount.cpus * _MIB_A_CPU + one.amount.memory_mib, one.amount.disk_gib, one.name


def flavors_of(listed: Iterable[Json]) -> list[Flavor]:
    """Those that any run may have: private ones of other purposes, and those for special hosts, are left alone."""
    return [
        Flavor(str(one["id"]), str(one["name"]), flavor_amount(one), int(one.get("disk", 0)))
        for one in listed
        if (one.get("os-flavor-access:is_public", True) or str(one["name"]).startswith(naming.FLAVOR_PREFIX))
        and not one.get("OS-FLV-DISABLED:disabled")
        and not any(key.startswith(_SPECIAL) for key in one.get("extra_specs") or {})
    ]


class Flavors:
    """The flavors of one cloud, listed again where none fits. With `may_create` a missing one is made, for this
    project alone: that is an administrator's right."""

    def __init__(self, cloud: Cloud, *, may_create: bool) -> None:
        self._cloud = cloud
        self._may_create = may_create
        self._flavors: list[Flavor] = []

    async def refresh(self) -> None:
        """Raises CloudRefused and EngineUnavailable."""
        self._flavors = flavors_of(await self._cloud.pages("/flavors/detail", "flavors", {"is_public": "None"}))

    async def choose(self, need: Amount) -> Flavor:
        """Raises NoFlavor, CloudRefused, EngineUnavailable."""
        found = smallest(self._flavors, need)
        if found is None:
            await self.refresh()
            found = smallest(self._flavors, need)
        if found is None and self._may_create:
            found = await self._create(need)
        if found is None:
            raise NoFlavor(
                f"{need.cpus} CPU, {need.memory_mib} MiB, {need.disk_gib} GiB: 云平台没有足够大的规格 / no flavor is "
                "large enough: ask for less, or have the operator add one or start the adapter with --create-flavors"
            )
        return found

    async def _create(self, need: Amount) -> Flavor | None:
        name = f"{naming.FLAVOR_PREFIX}{need.cpus}c-{need.memory_mib}m-{need.disk_gib}g"
        body = {
            "name": name,
            "vcpus": need.cpus,
            "ram": need.memory_mib,
            "disk": need.disk_gib,
            "os-flavor-access:is_public": False,
        }
        try:
            made = (await self._cloud.post("compute", "/flavors", {"flavor": body}))["flavor"]
            access = {"addTenantAccess": {"tenant": await self._cloud.project_id()}}
            await self._cloud.post("compute", f"/flavors/{made['id']}/action", access)
        except CloudRefused as refused:
            if refused.status != 409:
                raise
        await self.refresh()
        return next((one for one in self._flavors if one.name == name), None)

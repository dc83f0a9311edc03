"""The capacity part of a scenario: pools from the catalogue's files or written in place, resized, some left out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from inventory.model.pool import NodeGroup, Pool
from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources
from inventory.pool_catalogue import CatalogueError, read_pools
from simulations.engine.site import PoolPlan, nodes_of
from simulations.metrics.power import PoolPower
from simulations.scenarios.fields import Bytes, Form, Identifier, MilliCpu, Series, SeriesForm
from simulations.series import StepSeries

MOST_NODES = 1_000_000


class NodeGroupForm(Form):
    """`count` equal nodes of a pool."""

    group: str = Field(default="general", min_length=1)
    count: int = Field(ge=1, le=MOST_NODES)
    cpu: MilliCpu
    memory: Bytes
    cards: int = Field(default=0, ge=0, le=1000)
    accelerator: str | None = None
    arch: Architecture = Architecture.X86_64

    @model_validator(mode="after")
    def _cards_have_a_model(self) -> NodeGroupForm:
        if (self.accelerator is None) != (self.cards == 0):
            raise ValueError(
                "accelerator 与 cards 须同时填写 / accelerator and cards go together: give both or neither"
            )
        return self

    def node_group(self) -> NodeGroup:
        offer = Resources(self.cpu, self.memory, 0, self.cards * 1000)
        return NodeGroup(self.group, self.count, self.arch, offer, self.accelerator)


class PowerForm(Form):
    """What the pool's nodes draw, and what electricity costs (CNY a kWh) and emits (gCO2 a kWh) there over time.
    What is left out: the pool's declared price, and 0 g (then no carbon is accounted)."""

    idle_watts: float = Field(default=250.0, ge=0, le=1e6)
    vcpu_watts: float = Field(default=4.0, ge=0, le=1e6)
    card_watts: float = Field(default=300.0, ge=0, le=1e6)
    price_kwh: Series | None = None
    carbon: Series | None = None

    def power(self, pool: Pool) -> PoolPower:
        return PoolPower(
            pue=pool.pue,
            idle_watts=self.idle_watts,
            vcpu_watts=self.vcpu_watts,
            card_watts=self.card_watts,
            price_kwh=_series(self.price_kwh, pool.kwh_cny),
            carbon=_series(self.carbon, pool.carbon_g_kwh or 0.0),
        )

    def declared(self, pool: Pool) -> Pool:
        """The pool with what scores read of power: that of its largest node, and the grid's carbon at the origin."""
        largest = max(pool.node_groups, key=lambda group: group.capacity.cpu_milli).capacity
        vcpus, cards = largest.cpu_milli / 1000, largest.accelerator_milli / 1000
        loaded = self.idle_watts + vcpus * self.vcpu_watts + cards * self.card_watts
        carbon = pool.carbon_g_kwh if self.carbon is None else self.carbon.series().at(0)
        return replace(pool, idle_watts=self.idle_watts, loaded_watts=loaded, carbon_g_kwh=carbon)


def _series(form: SeriesForm | None, otherwise: float) -> StepSeries:
    return StepSeries.constant(otherwise) if form is None else form.series()


class PoolForm(Form):
    """A pool written in the scenario."""

    id: Identifier
    name: str = ""
    nodes: tuple[NodeGroupForm, ...] = Field(min_length=1)
    zones: frozenset[Zone] = frozenset(Zone)
    protection_level: int = Field(default=4, ge=0, le=4)
    disk: Bytes = 2**60
    one_way_ms: float = Field(default=1.0, ge=0, le=1e6)
    pue: float = Field(default=1.25, ge=1, le=10)
    green: float = Field(default=0.0, ge=0, le=1)
    kwh_cny: float = Field(default=0.5, ge=0, le=1e6)
    vcpu_hour_cny: float = Field(default=0.1, ge=0, le=1e6)
    card_hour_cny: float | None = Field(default=None, ge=0, le=1e6)

    @model_validator(mode="after")
    def _one_model(self) -> PoolForm:
        groups = [group.group for group in self.nodes]
        if len(set(groups)) != len(groups):
            raise ValueError("nodes 的 group 重复，请各取一名 / the group names of nodes must differ")
        if len(self._models()) > 1:
            raise ValueError("一个池只能有一种加速卡 / a pool has cards of one model")
        return self

    def _models(self) -> set[str]:
        return {group.accelerator for group in self.nodes if group.accelerator is not None}

    def pool(self) -> Pool:
        models = self._models()
        return Pool(
            pool_id=self.id,
            name=self.name or self.id,
            hub="",
            adapter="simulated",
            zones=self.zones,
            protection_level=self.protection_level,
            architectures=frozenset(group.arch for group in self.nodes),
            accelerator=next(iter(models)) if models else None,
            cards=sum(group.cards * group.count for group in self.nodes),
            disk_bytes=self.disk,
            one_way_ms=self.one_way_ms,
            egress_gbps=100.0,
            pue=self.pue,
            green_share=self.green,
            kwh_cny=self.kwh_cny,
            card_hour_cny=self.card_hour_cny if self.card_hour_cny is not None or not models else 0.0,
            vcpu_hour_cny=self.vcpu_hour_cny,
            classes=frozenset(),
            node_groups=tuple(group.node_group() for group in self.nodes),
        )


class CatalogueForm(Form):
    """The two files of `xisuan pool register`; `only` takes some of their pools."""

    pools: str = Field(min_length=1)
    node_groups: str = Field(min_length=1)
    only: tuple[Identifier, ...] = ()


class CapacityForm(Form):
    """The pools of one variant. `scale` multiplies the number of nodes of every group (rounded up, at least 1),
    `scales` that of single pools, by id, besides; `without` names pools that are left out; `power` is by pool id,
    or "default" for all others."""

    catalogue: CatalogueForm | None = None
    pools: tuple[PoolForm, ...] = ()
    scale: float = Field(default=1.0, gt=0, le=1000)
    scales: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(default_factory=dict)
    without: tuple[Identifier, ...] = ()
    power: dict[str, PowerForm] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_pools(self) -> CapacityForm:
        if self.catalogue is None and not self.pools:
            raise ValueError("须有 pools 或 catalogue / needs pools, or a catalogue")
        return self

    def plans(self, folder: Path) -> tuple[PoolPlan, ...]:
        """The pools with their nodes. Files are found from `folder`.

        Raises ValueError for files that cannot be used, ids that come twice, or names of pools that do not exist.
        """
        pools = [form.pool() for form in self.pools]
        if self.catalogue is not None:
            pools = [*_from_catalogue(self.catalogue, folder), *pools]
        known = [pool.pool_id for pool in pools]
        twice = sorted({pool_id for pool_id in known if known.count(pool_id) > 1})
        if twice:
            raise ValueError(f"pools {', '.join(twice)}: 重复，id 须唯一 / given twice; ids are unique")
        require_pools(self.without, known, "without")
        require_pools(set(self.power) - {"default"}, known, "power")
        require_pools(self.scales, known, "scales")
        plans = tuple(self._plan(pool) for pool in pools if pool.pool_id not in self.without)
        if not plans:
            raise ValueError("without: 没有留下任何池 / leaves no pool; remove some")
        return plans

    def _plan(self, pool: Pool) -> PoolPlan:
        scale = self.scale * self.scales.get(pool.pool_id, 1.0)
        groups = tuple(
            replace(group, nodes=max(1, math.ceil(group.nodes * scale - 1e-9))) for group in pool.node_groups
        )
        cards = sum(group.nodes * group.capacity.accelerator_milli for group in groups) // 1000
        sized = replace(pool, node_groups=groups, cards=cards)
        form = self.power.get(pool.pool_id) or self.power.get("default") or PowerForm()
        return PoolPlan(form.declared(sized), nodes_of(sized), form.power(sized))


def _from_catalogue(form: CatalogueForm, folder: Path) -> list[Pool]:
    try:
        pools = read_pools(folder / form.pools, folder / form.node_groups)
    except CatalogueError as error:
        raise ValueError("；".join(error.faults)) from error
    require_pools(form.only, [pool.pool_id for pool in pools], "catalogue.only")
    return [pool for pool in pools if (not form.only or pool.pool_id in form.only) and pool.node_groups]


def require_pools(named: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raises ValueError that lists the known pools."""
    valid = sorted(known)
    for pool_id in sorted(set(named) - set(valid)):
        raise ValueError(f"{where}: {pool_id!r}：没有这个池，可用 / no such pool; there are {', '.join(valid)}")

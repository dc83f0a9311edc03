"""Whether the pools that an order names are there, and can take its systems: asked before a run is opened.

`desk.RunDesk` calls this beside `admission`. Pure: what is registered, and what the ledger says, are arguments. Whether
there is room at the moment only the scheduler knows: the step `reserve` asks it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources
from scheduler.core.migration.phases import Outcome
from scheduler.runbooks.admission import KnownSystem
from scheduler.runbooks.order import Order
from scheduler.runbooks.template import Template

_POOL_STEPS = ("reserve", "workload")
_SHOWN = 6
_MIB = 1024**2


@dataclass(frozen=True, slots=True)
class KnownPool:
    """A registered pool as its owner declared it. `is_open` is False while it is cordoned or drained. `capacity` is the
    sum of its node groups (zero CPU: it declares none). `level` is the highest protection level (等保) that it takes."""

    pool_id: str
    zones: frozenset[Zone]
    level: int
    architectures: frozenset[Architecture]
    capacity: Resources
    is_open: bool = True


def pool_faults(
    template: Template,
    order: Order,
    steps: Iterable[Mapping[str, Any]],
    known: Mapping[str, KnownSystem],
    pools: Mapping[str, KnownPool],
) -> list[str]:
    """Lines for every pool of the run's `steps` (as the event that opens it holds them) that cannot serve the order,
    whose keys are the ledger's."""
    faults: list[str] = []
    for step_id, action in _on_pools(steps):
        pool_id = str(action["pool"])
        where = _place(order, step_id, pool_id)
        if pool_id not in pools:
            faults.append(f"{order.title}: {where}: {_unknown(pool_id, pools)}")
            continue
        pool = pools[pool_id]
        wanted = Resources(action["cpu_milli"], action["memory_mib"] * _MIB)
        said = (*_shut(pool), *_too_small(pool, wanted), *_unfit(template, order, known, pool))
        faults += [f"{order.title}: {where}: {fault}" for fault in said]
    return list(dict.fromkeys(faults))


def _on_pools(steps: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every action on a pool, of steps and of their ways back, with the step's id."""
    for step in steps:
        for action in (step["action"], step["compensation"]):
            if action is not None and action["kind"] in _POOL_STEPS:
                yield str(step["id"]), action


def _place(order: Order, step_id: str, pool_id: str) -> str:
    """Where the name stands: a parameter of the order, else the step of the template."""
    parameter = next((name for name, text in order.parameters.items() if text == pool_id), "")
    if parameter:
        return f"parameters.{parameter} = {pool_id}"
    own = [
        f"系统 {system.key} parameters.{name} = {pool_id}"
        for system in order.systems
        for name, text in system.parameters.items()
        if text == pool_id
    ]
    return own[0] if own else f"步骤 / step {step_id}: pool {pool_id}"


def _unknown(pool_id: str, pools: Mapping[str, KnownPool]) -> str:
    if not pools:
        return "没有登记任何算力池；请先 xisuan pool register / no pool is registered; register it first: xisuan pool register"
    near = difflib.get_close_matches(pool_id, pools, 1)
    listed = "、".join((near or sorted(pools))[:_SHOWN]) + ("" if near or len(pools) <= _SHOWN else " …")
    return (
        f"没有登记这个算力池；{'是否为' if near else '已登记的有'} {listed}？见 xisuan pool ls / no such pool is registered; "
        f"{'did you mean' if near else 'there are'} {listed}? See xisuan pool ls"
    )


def _shut(pool: KnownPool) -> Iterator[str]:
    if not pool.is_open:
        yield (
            f"已封锁，不接新系统；请 xisuan pool cordon {pool.pool_id} --undo，或换一个池 / it is cordoned and takes nothing "
            f"new; open it with xisuan pool cordon {pool.pool_id} --undo, or name another pool"
        )


def _too_small(pool: KnownPool, wanted: Resources) -> Iterator[str]:
    whole = pool.capacity
    if whole.cpu_milli and not wanted.fits_in(whole):
        yield (
            f"要 {_size(wanted)}，整个池只有 {_size(whole)}；请换一个池，或改 capacity / {_size(wanted)} are asked for and the "
            f"whole pool has {_size(whole)}; name another pool, or correct the capacity"
        )


def _unfit(template: Template, order: Order, known: Mapping[str, KnownSystem], pool: KnownPool) -> Iterator[str]:
    """What is merged goes where its target is: then the target's own facts count."""
    merges = template.outcome is Outcome.MERGED
    movers = [one for one in order.systems if one.is_target] if merges else list(order.sources)
    for mover in movers:
        system = known[mover.key]
        if system.zone is not None and system.zone not in pool.zones:
            zones = "|".join(sorted(pool.zones))
            yield (
                f"系统 {mover.key} 在{system.zone}，该池只接 {zones}；请换一个池，或更正台账 / the system is of zone "
                f"{system.zone} and the pool serves {zones}; name another pool, or correct the ledger"
            )
        if system.level is not None and system.level > pool.level:
            yield (
                f"系统 {mover.key} 等保 {system.level} 级，该池最高 {pool.level} 级；请换一个池 / the system has protection "
                f"level {system.level} and the pool takes {pool.level} at most; name another pool"
            )
        if system.built_for is not None and not _runs(system.built_for, pool):
            offered = "|".join(sorted(pool.architectures))
            yield (
                f"系统 {mover.key} 按 {system.built_for} 平迁，该池只有 {offered}；请换一个池，或先改造 / the system is "
                f"moved as it is, built for {system.built_for}, and the pool has {offered}; name another, or replatform it"
            )


def _runs(built_for: Architecture, pool: KnownPool) -> bool:
    return not pool.architectures or any(built_for.runs_on(host) for host in pool.architectures)


def _size(amount: Resources) -> str:
    return f"{amount.cpu_milli / 1000:g} vCPU, {amount.memory_bytes // _MIB} MiB"

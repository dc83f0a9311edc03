"""A wave and a site file together: one order for each move group, and everything that is missing, named at once. Pure.

A group is moved by one order, because it cuts over and rolls back as one. Only systems that are merged into another
stand in an order of their own, one for each target: what they are merged into must be in its new place first, so
their order waits until its run is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from scheduler.core.migration.moves import Move, WaveMoves
from scheduler.core.migration.phases import Outcome
from scheduler.runbooks.faults import RunbookRefused
from scheduler.runbooks.order import Order, OrderedCapacity, OrderedSystem, OrderedWindow, planned_window
from scheduler.runbooks.site import Site
from scheduler.runbooks.template import Template

_Value = TypeVar("_Value")
_MIB = 1024**2
_PLANNED = "pool"  # the parameter that the plan gives


@dataclass(frozen=True, slots=True)
class WaveOrder:
    """One order of a wave, its runbook, and the systems of the plan that it moves."""

    template: Template
    order: Order
    members: tuple[Move, ...]


def wave_orders(
    site: Site, templates: Mapping[str, Template], moves: WaveMoves, now_ms: int
) -> tuple[tuple[WaveOrder, ...], tuple[str, ...]]:
    """The orders that can start, and the systems (by ledger key) that wait for what they are merged into.

    Raises RunbookRefused with every fault of every group: nothing of a wave starts when one of its orders cannot.
    """
    faults = [f"{key}: {fault}" for key, fault in _unready(site, templates, moves)]
    if faults:
        raise RunbookRefused(faults)
    under_way = {move.system_key for members in moves.groups.values() for move in members}
    orders: list[WaveOrder] = []
    waiting: list[str] = []
    for group, members in moves.groups.items():
        parts = _parts(site, templates, members)
        if len([name for name, target in parts if not target]) > 1:
            faults.append(_two_runbooks(group, parts))
            continue
        for (name, target), part in parts.items():
            try:
                made = _order(site, (name, templates[name]), part, _window(site, moves, now_ms))
            except RunbookRefused as refused:
                faults += refused.faults
                continue
            if target in under_way:
                waiting += [move.system_key for move in part]
            else:
                orders.append(WaveOrder(templates[name], made, part))
    if faults:
        raise RunbookRefused(faults)
    return tuple(orders), tuple(waiting)


def _unready(site: Site, templates: Mapping[str, Template], moves: WaveMoves) -> Iterable[tuple[str, str]]:
    """Systems for which the site names no runbook, or no target."""
    for members in moves.groups.values():
        for move in members:
            name = site.runbook_of(move.system_key, move.disposition)
            said = move.disposition.value if move.disposition else "?"
            if not name:
                yield (
                    move.system_key,
                    f"没有割接方案：请在实施单位文件中写 runbooks.{said}，或 systems 下该系统的 runbook / no runbook: write "
                    f"runbooks.{said}, or the system's own runbook, in the site file",
                )
            elif name not in templates:
                yield move.system_key, f"割接方案 {name} 没有随文件给出 / the runbook {name} was not given with it"
            elif templates[name].outcome is Outcome.MERGED and not move.merged_into:
                yield (
                    move.system_key,
                    f"{name} 要并入另一系统，台账没有写并入哪个 / {name} merges it; the ledger does not say into which system",
                )


def _parts(
    site: Site, templates: Mapping[str, Template], members: Sequence[Move]
) -> dict[tuple[str, str], tuple[Move, ...]]:
    """The members by (runbook, what they are merged into)."""
    parts: dict[tuple[str, str], tuple[Move, ...]] = {}
    for move in members:
        name = site.runbook_of(move.system_key, move.disposition)
        target = move.merged_into if templates[name].outcome is Outcome.MERGED else ""
        parts[name, target] = (*parts.get((name, target), ()), move)
    return parts


def _two_runbooks(group: str, parts: Mapping[tuple[str, str], Sequence[Move]]) -> str:
    said = "; ".join(f"{name}: {'、'.join(one.system_key for one in part)}" for (name, _), part in parts.items())
    return (
        f"{group}: 同批组须一起割接、一起回退，却有几种方案（{said}）；请给这些系统写同一个 runbook / a move group cuts "
        "over and rolls back as one, but has several runbooks; give its systems the same `runbook` in the site file"
    )


def _order(site: Site, runbook: tuple[str, Template], members: Sequence[Move], window: OrderedWindow) -> Order:
    name, template = runbook
    keys = [move.system_key for move in members]
    faults: list[str] = []
    parameters = {key: text for key, text in site.parameters.items() if key in template.parameters}
    secrets = {key: place for key, place in site.secrets.items() if key in template.secrets}
    documents = dict(site.documents)
    for move in members:
        own = site.of(move.system_key)
        given = {key: text for key, text in own.parameters.items() if key in template.parameters}
        faults += _add(parameters, given, site.parameters, f"{move.system_key}: parameters")
        faults += _add(secrets, own.secrets, site.secrets, f"{move.system_key}: secrets")
        faults += _add(documents, own.documents, site.documents, f"{move.system_key}: documents")
        faults += _strange(template, move.system_key, own.parameters)
    if _PLANNED in template.parameters:
        planned = dict.fromkeys(sorted({move.pool_id for move in members}))
        if parameters.get(_PLANNED) or len(planned) > 1:
            faults.append(
                f"{keys[0]}: 参数 pool 由计划给出（{'、'.join(planned)}），一组须只有一个 / the parameter pool is the plan's, "
                f"one for a group; make it a system parameter of {template.name}, or leave it out of the site file"
            )
        parameters[_PLANNED] = next(iter(planned))
    if faults:
        raise RunbookRefused(faults)
    target = members[0].merged_into if template.outcome is Outcome.MERGED else ""
    systems = [_system(site, template, move) for move in members]
    return Order(
        version=1,
        runbook=name,
        title=_title(site, template, keys),
        systems=(*systems, OrderedSystem(key=target, target=True)) if target else tuple(systems),
        window=window,
        capacity=_capacity(members),
        people=site.people,
        parameters=parameters,
        secrets=secrets,
        documents=documents,
    )


def _capacity(members: Sequence[Move]) -> OrderedCapacity | None:
    """What the plan counts for the members in their pool; None where it counts nothing."""
    cpu_milli = sum(move.need.cpu_milli for move in members)
    memory_mib = -(-sum(move.need.memory_bytes for move in members) // _MIB)
    return OrderedCapacity(cpu_milli=cpu_milli, memory_mib=memory_mib) if cpu_milli and memory_mib else None


def _add(
    found: dict[str, _Value], given: Mapping[str, _Value], general: Mapping[str, _Value], where: str
) -> list[str]:
    """Takes in what one system says; two systems of a group must not say different things of what they share."""
    faults = []
    for name, value in given.items():
        if name in found and found[name] != value and found[name] != general.get(name):
            faults.append(
                f"{where}.{name}: 同组另一系统给出了不同的值 / another system of its group gives another value; an order has one"
            )
        found[name] = value
    return faults


def _strange(template: Template, system_key: str, given: Mapping[str, str]) -> list[str]:
    return [
        f"{system_key}: parameters.{name}: {template.name} 没有这个参数 / is no parameter of {template.name}; remove it"
        for name in given
        if name not in template.parameters and name not in template.system_parameters
    ]


def _system(site: Site, template: Template, move: Move) -> OrderedSystem:
    given = {**site.parameters, **site.of(move.system_key).parameters, _PLANNED: move.pool_id}
    own = {name: given[name] for name in template.system_parameters if name in given}
    return OrderedSystem(key=move.system_key, parameters=own)


def _title(site: Site, template: Template, keys: Sequence[str]) -> str:
    more = f" +{len(keys) - 1}" if len(keys) > 1 else ""
    rehearsal = "【演练 / rehearsal】" if site.rehearsal else ""
    return f"{rehearsal}{template.title}: {keys[0]}{more}"[:300]


def _window(site: Site, moves: WaveMoves, now_ms: int) -> OrderedWindow:
    """The wave's window; a rehearsal takes as long, from now on."""
    planned = moves.window
    if not site.rehearsal:
        return planned_window(planned)
    starts = datetime.fromtimestamp(now_ms / 1000, UTC)
    return OrderedWindow(starts=starts, ends=starts + (planned.ends - planned.starts))

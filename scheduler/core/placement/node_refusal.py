"""Why a pool could not give nodes to a run: typed reasons, how many nodes each filter refused, and the nearest miss.

`PoolState` asks this only after the kernels found nothing, so it may look at every node again. It reads the arrays
that the kernels placed by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from inventory.model.placement import NodesRefused, Reason, ReasonCode
from inventory.model.units import Resources, format_resources
from inventory.model.workload import Requirements
from scheduler.core.placement.kernels.arrays import FreeColumns
from scheduler.core.placement.node_table import Flags
from scheduler.core.placement.policies.encode import Int64s
from scheduler.core.placement.policies.shape import WHOLE_CARD
from scheduler.core.placement.pool_arrays import LivePool, is_ruled
from scheduler.core.placement.topology import Neighbours, RuledPlacement, card_slots, slots, topology_of
from scheduler.core.placement.wording import amount_en, amount_zh, fewer_en, fewer_zh, less_or_later, where_short

# Filters by what a node is, in the order in which they are asked; then what is left of it.
_BY_TRAIT = (ReasonCode.ARCHITECTURE, ReasonCode.ACCELERATOR, ReasonCode.NODE_SELECTOR, ReasonCode.TAINTED)


def refuse_disk(requirements: Requirements, disk_bytes: int, free_bytes: int) -> Reason | None:
    """The shared storage of the pool, before any node is looked at."""
    asked = requirements.total.disk_bytes
    if asked <= max(0, free_bytes):
        return None
    too_large = asked > disk_bytes
    there = disk_bytes if too_large else max(0, free_bytes)
    shortage = Resources(disk_bytes=asked - there)
    later_zh, later_en = less_or_later(requirements.total, shortage)
    return Reason(
        ReasonCode.TOO_LARGE if too_large else ReasonCode.CAPACITY,
        needed=format_resources(Resources(disk_bytes=asked)),
        offered=format_resources(Resources(disk_bytes=there)),
        remedy_zh=fewer_zh(shortage) if too_large else later_zh,
        remedy_en=fewer_en(shortage) if too_large else later_en,
    )


def refuse_nodes(live: LivePool, row: int, asked: Requirements, neighbours: Neighbours) -> Reason:
    """The reason for a run that no nodes were found for, with the count of every filter."""
    look = _Look.of(live, row, asked, neighbours)
    reason = _by_traits(look) or _by_room(look)
    return replace(reason, nodes=_counts(look))


def may_fit_later(live: LivePool, row: int, asked: Requirements) -> bool:
    """Whether waiting could help: exactly where the reason of `refuse_nodes` is UNSCHEDULABLE. It depends on what the
    nodes are and not on what is free, so it holds until the nodes change."""
    if _is_odd_cards(asked):
        return False
    refused = live.table.refused_nodes(asked)
    whole = refused[None] | refused.get(ReasonCode.CORDONED, np.zeros_like(refused[None]))
    return int(slots(live, row, asked.tasks, live.table.empty())[whole].sum()) >= asked.tasks


@dataclass(frozen=True, slots=True)
class _Look:
    """The pool as one run sees it. `first_refusal` has the nodes that each filter is the first to refuse; `whole`
    those that suit or are only cordoned, `open` those that suit; `allowed` those that rules between tasks allow."""

    live: LivePool
    row: int
    asked: Requirements
    first_refusal: dict[ReasonCode | None, Flags]
    whole: Flags
    open: Flags
    allowed: Flags

    @classmethod
    def of(cls, live: LivePool, row: int, asked: Requirements, neighbours: Neighbours) -> _Look:
        refused = live.table.refused_nodes(asked)
        suited = refused[None]
        cordoned = refused.get(ReasonCode.CORDONED, np.zeros_like(suited))
        allowed = np.ones_like(suited)
        if is_ruled(asked):
            allowed = RuledPlacement(live, neighbours, asked, row, np.zeros(1, dtype=np.int64)).allowed()
        return cls(live, row, asked, refused, suited | cordoned, suited, allowed)

    def slots(self, among: Flags, empty: bool = False) -> int:
        return int(
            slots(self.live, self.row, self.asked.tasks, self.live.table.empty() if empty else None)[among].sum()
        )


def _by_traits(look: _Look) -> Reason | None:
    """No node of the pool could ever take the run: the filter that got furthest says why."""
    if look.whole.any():
        return None
    asked = look.asked
    furthest = next((code for code in reversed(_BY_TRAIT) if look.first_refusal.get(code, _NONE).any()), None)
    match furthest:
        case None:
            return Reason(
                ReasonCode.TOO_LARGE,
                _asked(asked),
                "没有节点/no nodes",
                "等待该池加入节点",
                "wait until the pool has nodes",
            )
        case ReasonCode.ARCHITECTURE:
            return Reason(
                ReasonCode.ARCHITECTURE,
                "|".join(sorted(asked.architectures)),
                "没有这种节点/no such node",
                "提供其他架构的版本",
                "build the program for another one",
            )
        case ReasonCode.ACCELERATOR:
            return Reason(
                ReasonCode.ACCELERATOR,
                asked.accelerator or asked.accelerator_kind or "加速卡/cards",
                "该架构的节点没有/no node of that architecture",
                "换加速卡型号或架构",
                "choose another card model or architecture",
            )
        case ReasonCode.NODE_SELECTOR:
            wanted = ", ".join(sorted(str(selector) for selector in asked.node_selectors))
            return Reason(
                ReasonCode.NODE_SELECTOR,
                wanted,
                "没有节点带这些标签/no node has these labels",
                f"放宽节点标签 {wanted}",
                f"drop a node selector of {wanted}",
            )
    taints = _taints(look)
    return Reason(
        ReasonCode.TAINTED,
        "容忍/tolerations " + ("|".join(sorted(t.key for t in asked.tolerations)) or "无/none"),
        f"污点/taints {taints}",
        f"容忍污点 {taints}",
        f"tolerate {taints}",
    )


def _by_room(look: _Look) -> Reason:
    """Nodes suit; they are too small, cordoned, kept away from, full, or free only in pieces."""
    asked, live = look.asked, look.live
    if _is_odd_cards(asked):
        cards = asked.per_task.accelerator_milli // WHOLE_CARD
        return Reason(
            ReasonCode.TOO_LARGE,
            _asked(asked),
            "一张卡的一部分，或整卡/a share of one card, or whole cards",
            f"每个任务要 {cards} 或 {cards + 1} 张整卡",
            f"ask for {cards} or {cards + 1} whole cards per task",
        )
    if look.slots(look.whole, empty=True) < asked.tasks:
        return _too_large(look)
    if look.slots(look.open, empty=True) < asked.tasks:
        return Reason(
            ReasonCode.CORDONED,
            needed=_asked(asked),
            offered=f"{_count(look.whole & ~look.open)} 个节点已封锁/nodes cordoned",
            remedy_zh="等待节点解除封锁",
            remedy_en="wait until nodes are uncordoned",
        )
    if is_ruled(asked) and look.slots(look.open) >= asked.tasks:
        return _kept_away(look)
    free = np.maximum(live.free_amounts()[:, look.open], 0).sum(axis=1)
    offered = Resources(cpu_milli=int(free[0]), memory_bytes=int(free[1]), accelerator_milli=int(free[2]))
    shortage = _without_disk(asked.total).shortage(offered)
    if shortage != Resources():
        later_zh, later_en = less_or_later(asked.total, shortage)
        return Reason(
            ReasonCode.CAPACITY,
            needed=where_short(asked.total, shortage),
            offered=f"空闲/free {where_short(offered, shortage)}",
            remedy_zh=later_zh,
            remedy_en=later_en,
        )
    count, lack = _nearest(look, live.free, look.open)
    return Reason(
        ReasonCode.FRAGMENTED,
        needed=_asked(asked),
        offered=f"现可放 {look.slots(look.open)} 个任务/room for {look.slots(look.open)} tasks now",
        remedy_zh=f"等待释放；差得最少的 {_short_zh(count, lack)}",
        remedy_en=f"wait until it is free: at best {_short_en(count, lack)}",
    )


def _is_odd_cards(asked: Requirements) -> bool:
    """More than one card, and not whole ones."""
    milli = asked.per_task.accelerator_milli
    return milli > WHOLE_CARD and milli % WHOLE_CARD != 0


def _kept_away(look: _Look) -> Reason:
    """There would be room, but not where affinity, spread or gang topology allow it."""
    keys = topology_of(look.asked)
    fitting = look.live.fitting(look.row)
    return Reason(
        ReasonCode.AFFINITY,
        needed=f"按 {keys} 的亲和、分散或同域/affinity, spread or gang by {keys}",
        offered=f"{_count(fitting & look.allowed)} 个节点允许且有余量，{_count(fitting)} 个有余量"
        f"/{_count(fitting & look.allowed)} nodes are allowed and have room, {_count(fitting)} have room",
        remedy_zh="放宽亲和、分散或同域要求，或等待相关任务变化",
        remedy_en="relax affinity, spread or gang topology, or wait until those tasks change",
    )


def _too_large(look: _Look) -> Reason:
    holds = look.slots(look.whole, empty=True)
    if holds:
        return Reason(
            ReasonCode.TOO_LARGE,
            needed=_asked(look.asked),
            offered=f"空池可容 {holds} 个任务/the empty pool holds {holds} tasks",
            remedy_zh=f"减少到 {holds} 个任务",
            remedy_en=f"{holds} tasks at most",
        )
    _, lack = _nearest(look, look.live.table.empty(), look.whole)
    return Reason(
        ReasonCode.TOO_LARGE,
        needed=_asked(look.asked),
        offered=f"{_count(look.whole)} 个节点都太小/nodes, all too small",
        remedy_zh=f"每个任务{fewer_zh(lack)}",
        remedy_en=f"{fewer_en(lack)} per task",
    )


def _counts(look: _Look) -> tuple[NodesRefused, ...]:
    """Every node of the pool under the first filter that refuses it, in the order of the filters."""
    counts = [
        NodesRefused(code, _count(look.first_refusal[code]))
        for code in (*_BY_TRAIT, ReasonCode.CORDONED)
        if code in look.first_refusal and look.first_refusal[code].any()
    ]
    one_fits_empty = slots(look.live, look.row, 1, look.live.table.empty()) > 0
    one_fits = slots(look.live, look.row, 1) > 0
    small = look.open & ~one_fits_empty
    kept = look.open & one_fits & ~look.allowed
    full = look.open & one_fits_empty & ~one_fits
    for code, flags, free in (
        (ReasonCode.TOO_LARGE, small, look.live.table.empty()),
        (ReasonCode.CAPACITY, full, look.live.free),
    ):
        if flags.any():
            count, lack = _nearest(look, free, flags)
            counts.append(NodesRefused(code, _count(flags), _short_zh(count, lack), _short_en(count, lack)))
    if kept.any():
        counts.append(NodesRefused(ReasonCode.AFFINITY, _count(kept)))
    return tuple(counts)


def _nearest(look: _Look, free: FreeColumns, candidates: Flags) -> tuple[int, Resources]:
    """How many candidates lack the least for one more task, and what they lack.

    Each candidate is first filled with as many tasks as it takes; what it then lacks is weighed by shares of the
    largest node.
    """
    cpu, memory, cards, milli = look.live.shapes.rows[look.row].tolist()
    holds = slots(look.live, look.row, look.asked.tasks, free)
    lacking = np.zeros((3, len(holds)), dtype=np.int64)
    for dimension, offered, need in ((0, free.cpu, cpu), (1, free.memory, memory)):
        lacking[dimension] = np.maximum(need - (offered - holds * need), 0)
    lacking[2] = _cards_lacking(free, cards, milli, holds)
    lacking = lacking[:, candidates]
    largest = np.maximum(look.live.table.allocatable.max(axis=1, initial=1), 1)
    weight = (lacking / largest[:, None]).sum(axis=0)
    best = lacking[:, int(weight.argmin())]
    count = int((lacking == best[:, None]).all(axis=0).sum())
    short_of = [int(value) for value in best]
    return count, Resources(cpu_milli=short_of[0], memory_bytes=short_of[1], accelerator_milli=short_of[2])


def _cards_lacking(free: FreeColumns, cards: int, milli: int, holds: Int64s) -> Int64s:
    """Milli-cards that each node lacks for one more task, once it holds `holds`."""
    if cards == 0:
        return np.zeros(len(holds), dtype=np.int64)
    if milli >= WHOLE_CARD:
        whole: Int64s = np.maximum(cards - (free.whole - holds * cards), 0) * WHOLE_CARD
        return whole
    rest = np.maximum(free.cards, 0) % milli
    lack: Int64s = milli - rest.max(axis=1, initial=0)
    lack[card_slots(free, cards, milli) > holds] = 0
    return lack


def _taints(look: _Look) -> str:
    table = look.live.table
    tolerated = look.asked.tolerations
    found = {
        str(taint)
        for trait in table.traits
        if trait.is_listed
        for taint in trait.taints
        if not any(covering.covers(taint) for covering in tolerated)
    }
    return "|".join(sorted(found))


def _short_zh(count: int, lack: Resources) -> str:
    return f"{count} 个节点各差 {amount_zh(lack)}"


def _short_en(count: int, lack: Resources) -> str:
    return f"{count} {'node' if count == 1 else 'nodes'} short of {amount_en(lack)}"


def _asked(requirements: Requirements) -> str:
    return f"{requirements.tasks} × {format_resources(_without_disk(requirements.per_task))}"


def _without_disk(amount: Resources) -> Resources:
    return Resources(amount.cpu_milli, amount.memory_bytes, 0, amount.accelerator_milli)


def _count(flags: Flags) -> int:
    return int(flags.sum())


_NONE: Flags = np.zeros(1, dtype=np.bool_)

"""Why a pool could not give nodes to a run: typed reasons with the nearest miss, read from the same arrays.

`PoolState` asks this only after `choose_nodes` found nothing, so it may look at every node again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inventory.model.placement import Reason, ReasonCode
from inventory.model.units import Resources, format_resources
from inventory.model.workload import Requirements
from scheduler.core.placement.node_choice import Flags, NodeArrays, need_of, slots
from scheduler.core.placement.wording import amount_en, amount_zh, fewer_en, fewer_zh, where_short


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Nodes by what they are, each a part of the one before: the right architecture, also the right card model,
    also not cordoned."""

    architecture: Flags
    suited: Flags
    open: Flags


def refuse_disk(requirements: Requirements, disk_bytes: int, free_bytes: int) -> Reason | None:
    """The shared storage of the pool, before any node is looked at."""
    asked = requirements.total.disk_bytes
    if asked <= max(0, free_bytes):
        return None
    too_large = asked > disk_bytes
    there = disk_bytes if too_large else max(0, free_bytes)
    shortage = Resources(disk_bytes=asked - there)
    return Reason(
        ReasonCode.TOO_LARGE if too_large else ReasonCode.CAPACITY,
        needed=format_resources(Resources(disk_bytes=asked)),
        offered=format_resources(Resources(disk_bytes=there)),
        remedy_zh=fewer_zh(shortage) + ("" if too_large else ",或等待释放"),
        remedy_en=fewer_en(shortage) + ("" if too_large else ", or wait until it is free"),
    )


def refuse_nodes(nodes: NodeArrays, eligibility: Eligibility, requirements: Requirements) -> Reason:
    """The reason for a run that `choose_nodes` could not place on `eligibility.open`."""
    if not eligibility.architecture.any() and not requirements.architectures:
        return Reason(
            ReasonCode.TOO_LARGE,
            _asked(requirements),
            "没有节点/no nodes",
            "等待该池加入节点",
            "wait until the pool has nodes",
        )
    if not eligibility.architecture.any():
        builds = "|".join(sorted(requirements.architectures)) or "任意/any"
        return Reason(
            ReasonCode.ARCHITECTURE,
            builds,
            "没有这种节点/no such node",
            "提供其他架构的版本",
            "build the program for another one",
        )
    if not eligibility.suited.any():
        return Reason(
            ReasonCode.ACCELERATOR,
            requirements.accelerator or "加速卡/cards",
            "该架构的节点没有/no node of that architecture",
            "换加速卡型号或架构",
            "choose another card model or architecture",
        )
    need, tasks = need_of(requirements.per_task), requirements.tasks
    if int(slots(nodes.allocatable[:, eligibility.suited], need, tasks).sum()) < tasks:
        return _too_large(nodes, eligibility, requirements)
    if int(slots(nodes.allocatable[:, eligibility.open], need, tasks).sum()) < tasks:
        return Reason(
            ReasonCode.CORDONED,
            needed=_asked(requirements),
            offered=f"{_count(eligibility.suited & ~eligibility.open)} 个节点已封锁/nodes cordoned",
            remedy_zh="等待节点解除封锁",
            remedy_en="wait until nodes are uncordoned",
        )
    free = np.maximum(nodes.free[:, eligibility.open], 0).sum(axis=1)
    offered = Resources(cpu_milli=int(free[0]), memory_bytes=int(free[1]), accelerator_milli=int(free[2]))
    shortage = _without_disk(requirements.total).shortage(offered)
    if shortage != Resources():
        return Reason(
            ReasonCode.CAPACITY,
            needed=where_short(requirements.total, shortage),
            offered=f"空闲/free {where_short(offered, shortage)}",
            remedy_zh=f"{fewer_zh(shortage)}，或等待释放",
            remedy_en=f"{fewer_en(shortage)}, or wait until it is free",
        )
    return _fragmented(nodes, eligibility.open, requirements)


def _too_large(nodes: NodeArrays, eligibility: Eligibility, requirements: Requirements) -> Reason:
    need = need_of(requirements.per_task)
    holds = int(slots(nodes.allocatable[:, eligibility.suited], need, requirements.tasks).sum())
    if holds:
        return Reason(
            ReasonCode.TOO_LARGE,
            needed=_asked(requirements),
            offered=f"空池可容 {holds} 个任务/the empty pool holds {holds} tasks",
            remedy_zh=f"减少到 {holds} 个任务",
            remedy_en=f"{holds} tasks at most",
        )
    _, shortage = _nearest(nodes, nodes.allocatable, eligibility.suited, requirements)
    return Reason(
        ReasonCode.TOO_LARGE,
        needed=_asked(requirements),
        offered=f"{_count(eligibility.suited)} 个节点都太小/nodes, all too small",
        remedy_zh=f"每个任务{fewer_zh(shortage)}",
        remedy_en=f"{fewer_en(shortage)} per task",
    )


def _fragmented(nodes: NodeArrays, candidates: Flags, requirements: Requirements) -> Reason:
    placeable = int(slots(nodes.free[:, candidates], need_of(requirements.per_task), requirements.tasks).sum())
    count, shortage = _nearest(nodes, nodes.free, candidates, requirements)
    return Reason(
        ReasonCode.FRAGMENTED,
        needed=_asked(requirements),
        offered=f"现可放 {placeable} 个任务/room for {placeable} tasks now",
        remedy_zh=f"最接近：{count} 个节点各差 {amount_zh(shortage)}",
        remedy_en=f"nearest: {count} {'node' if count == 1 else 'nodes'} short of {amount_en(shortage)}",
    )


def _nearest(
    nodes: NodeArrays, offered: np.ndarray, candidates: Flags, requirements: Requirements
) -> tuple[int, Resources]:
    """How many candidates lack the least for one more task, and what they lack.

    Each candidate is first filled with as many tasks as it takes; what it then lacks is weighed by shares of the
    largest node, as in `node_choice`.
    """
    need = np.array(need_of(requirements.per_task), dtype=np.int64)
    there = offered[:, candidates]
    there = there - need[:, None] * slots(there, need.tolist(), requirements.tasks)
    lacking = np.maximum(need[:, None] - there, 0)
    # Shares as floats: only the order matters here, and a lack may be many times the largest node.
    weight = nodes.weights.astype(np.float64) @ lacking
    best = lacking[:, int(weight.argmin())]
    count = int((lacking == best[:, None]).all(axis=0).sum())
    cpu, memory, accelerator = (int(value) for value in best)
    return count, Resources(cpu_milli=cpu, memory_bytes=memory, accelerator_milli=accelerator)


def _asked(requirements: Requirements) -> str:
    return f"{requirements.tasks} × {format_resources(_without_disk(requirements.per_task))}"


def _without_disk(amount: Resources) -> Resources:
    return Resources(amount.cpu_milli, amount.memory_bytes, 0, amount.accelerator_milli)


def _count(flags: Flags) -> int:
    return int(flags.sum())

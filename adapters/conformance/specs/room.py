"""Room: a node takes no more than it has, of anything, and gangs whole. A part of the group `launch`."""

from __future__ import annotations

from adapters.conformance.session import Session, require
from adapters.conformance.spec import Excused, Need, Run, Spec
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

RESOURCE_EXHAUSTED = 8


def _with_empty_nodes(ask: Run) -> Run:
    """What specs before this one left ending may hold a part of a node, and what this one leaves a whole node."""

    async def asked(s: Session) -> None:
        await s.end_all()
        try:
            await ask(s)
        finally:
            await s.end_all()

    return asked


def _takers(s: Session) -> list[pb.Node]:
    """Nodes that take runs, the smallest first."""
    return sorted((node for node in s.nodes if not node.cordoned), key=lambda node: node.allocatable.cpu_milli)


async def _take_whole(s: Session, node: pb.Node, amount: str) -> pb.LaunchItem:
    """A run that holds all that the node has of this (a field of Resources)."""
    whole = s.item()
    setattr(whole.requirements.per_task, amount, getattr(node.allocatable, amount))
    whole.nodes[:] = [node.node_id]
    (first,) = await s.launch(whole)
    if first.error.code == RESOURCE_EXHAUSTED:
        raise Excused(f"node {node.node_id} is in use by others: {first.error.message}")
    require(first.WhichOneof("outcome") == "accepted", "the whole node taken", first)
    return whole


async def _full_and_free(s: Session, amount: str) -> None:
    node = _takers(s)[0]
    whole = await _take_whole(s, node, amount)
    small = s.item()
    small.nodes[:] = [node.node_id]
    (second,) = await s.launch(small)
    require(second.error.code == RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED on a full node", second)
    require(second.error.retryable, "a refusal for want of room to be retryable", second)
    await s.stopped(whole.run_id)
    (again,) = await s.launch(small)
    require(again.WhichOneof("outcome") == "accepted", "the same launch accepted when there is room", again)


async def room_is_counted(s: Session) -> None:
    await _full_and_free(s, "cpu_milli")


async def memory_is_counted(s: Session) -> None:
    await _full_and_free(s, "memory_bytes")


async def gangs_are_whole(s: Session) -> None:
    """One task of two has room: on another node than the other's, or on the only one, where both are too many."""
    nodes = _takers(s)
    first, last = nodes[0], nodes[-1]
    gang = s.item(tasks=2)
    gang.nodes[:] = [first.node_id, last.node_id]
    if first.node_id != last.node_id:
        await _take_whole(s, last, "cpu_milli")
    gang.requirements.per_task.cpu_milli = first.allocatable.cpu_milli * 6 // 10
    (refused,) = await s.launch(gang)
    require(refused.error.code == RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED where one task has no room", refused)
    whole = s.item()
    whole.requirements.per_task.cpu_milli = first.allocatable.cpu_milli
    whole.nodes[:] = [first.node_id]
    (taken,) = await s.launch(whole)
    require(taken.WhichOneof("outcome") == "accepted", "the node of the other task free as before", taken)


NEEDS = (Need.LISTS_NODES, Need.REFUSES_WHEN_FULL)
SPECS = (
    Spec(
        "launch.room",
        "A full node refuses, and what has ended gives its room back",
        "节点已满则拒绝，结束即归还",
        _with_empty_nodes(room_is_counted),
        NEEDS,
    ),
    Spec(
        "launch.memory",
        "A node whose memory is taken is full, whatever CPUs it has left",
        "内存占满即满，与剩余 CPU 无关",
        _with_empty_nodes(memory_is_counted),
        NEEDS,
    ),
    Spec(
        "launch.whole",
        "A gang that has no room for one task is refused whole, and holds nothing",
        "多任务放不下一个即整体拒绝，且不占资源",
        _with_empty_nodes(gangs_are_whole),
        (Need.GANGS, *NEEDS),
    ),
)

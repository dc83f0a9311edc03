"""Partition policies between the model and protobuf: launches carry them, and so may workloads."""

from __future__ import annotations

from adapters.wire.inspection import Inspection
from adapters.wire.scalars import duration_from_wire, duration_to_wire
from inventory.model.partition import NEVER_LOST, OnDisconnect, OnReconnect, PartitionPolicy
from xisuan.common.v1 import common_pb2

# Leases are renewed over a network several times in this time; a shorter one would expire by hiccups.
SHORTEST_LOST_AFTER_MS = 1_000

_ON_DISCONNECT: dict[OnDisconnect, common_pb2.OnDisconnect.ValueType] = {
    OnDisconnect.KEEP: common_pb2.ON_DISCONNECT_KEEP,
    OnDisconnect.STOP: common_pb2.ON_DISCONNECT_STOP,
}
_ON_RECONNECT: dict[OnReconnect, common_pb2.OnReconnect.ValueType] = {
    OnReconnect.KEEP_ORIGINAL: common_pb2.ON_RECONNECT_KEEP_ORIGINAL,
    OnReconnect.KEEP_REPLACEMENT: common_pb2.ON_RECONNECT_KEEP_REPLACEMENT,
}
_ON_DISCONNECT_OF = {0: OnDisconnect.KEEP, **{int(number): word for word, number in _ON_DISCONNECT.items()}}
_ON_RECONNECT_OF = {0: OnReconnect.KEEP_ORIGINAL, **{int(number): word for word, number in _ON_RECONNECT.items()}}


def partition_to_wire(policy: PartitionPolicy) -> common_pb2.PartitionPolicy | None:
    """The policy; the one that never gives a run up stays absent."""
    if policy == NEVER_LOST:
        return None
    return common_pb2.PartitionPolicy(
        lost_after=duration_to_wire(policy.lost_after_ms),
        on_disconnect=_ON_DISCONNECT[policy.on_disconnect],
        on_reconnect=_ON_RECONNECT[policy.on_reconnect],
    )


def partition_from_wire(message: common_pb2.PartitionPolicy, check: Inspection, path: str) -> PartitionPolicy:
    """The policy; words that this version does not know are violations."""
    if message.on_disconnect not in _ON_DISCONNECT_OF:
        check.refuse(
            f"{path}.on_disconnect", message.on_disconnect, "只能是 1（保留）或 2（停止）", "1 keep or 2 stop"
        )
    if message.on_reconnect not in _ON_RECONNECT_OF:
        check.refuse(
            f"{path}.on_reconnect",
            message.on_reconnect,
            "只能是 1（保留原运行）或 2（保留替代运行）",
            "1 keep the original or 2 keep the replacement",
        )
    return PartitionPolicy(
        lost_after_ms=duration_from_wire(message.lost_after, check, f"{path}.lost_after"),
        on_disconnect=_ON_DISCONNECT_OF.get(message.on_disconnect, OnDisconnect.KEEP),
        on_reconnect=_ON_RECONNECT_OF.get(message.on_reconnect, OnReconnect.KEEP_ORIGINAL),
    )


def partition_of_workload(message: common_pb2.PartitionPolicy, check: Inspection, path: str) -> PartitionPolicy:
    """The policy that a workload states; without `lost_after` there is none, whatever its other words say."""
    policy = partition_from_wire(message, check, path)
    if 0 < policy.lost_after_ms < SHORTEST_LOST_AFTER_MS:
        check.refuse(
            f"{path}.lost_after",
            f"{policy.lost_after_ms} ms",
            "须不短于 1 秒，否则网络一抖动运行就会丢失",
            "must be at least 1 s, or a hiccup of the network loses the run",
        )
    return policy if policy.lost_after_ms else NEVER_LOST

"""A batch of launches from protobuf, at the price of its different shapes rather than of its items.

The items of a batch are mostly alike: a sweep of one program, a thousand tasks of one size. What is alike is
validated once. `launches.launch_from_wire` is the plain twin: whatever is not plainly like an item before goes
through it, and a test holds the two together.
"""

from __future__ import annotations

from adapters.contract import RUN_ID, Launch
from adapters.wire.launches import launch_from_wire
from adapters.wire.scalars import MAX_DURATION_MS
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_Shape = tuple[bytes, bytes, bytes, bytes, str, str, bool, str, str]


class LaunchBatch:
    """Reads the items of one batch; keeps the first launch of each shape for the time of the batch."""

    def __init__(self) -> None:
        self._first: dict[_Shape, Launch] = {}

    def read(self, item: pb.LaunchItem, path: str) -> Launch:
        """As `launch_from_wire`: the validated launch, or InvalidMessage with every violation."""
        shape = (
            item.requirements.SerializeToString(deterministic=True),
            item.program.SerializeToString(deterministic=True),
            item.partition.SerializeToString(),
            item.max_runtime.SerializeToString(),
            item.queue,
            item.runtime,
            item.service,
            item.reservation_id,
            item.restore_from,
        )
        like = self._first.get(shape)
        if like is not None:
            nodes = tuple(item.nodes)
            estimated = item.estimated_runtime
            estimated_ms = estimated.seconds * 1000 - (-estimated.nanos // 1_000_000)
            if (
                len(nodes) == len(like.nodes)
                and RUN_ID.fullmatch(item.run_id)
                and estimated.seconds >= 0
                and estimated.nanos >= 0
                and estimated_ms <= MAX_DURATION_MS
            ):
                return Launch(
                    item.run_id,
                    item.workload_id,
                    item.name,
                    like.requirements,
                    like.program,
                    nodes,
                    like.max_runtime_ms,
                    estimated_ms,
                    like.queue,
                    like.partition,
                    like.runtime,
                    like.service,
                    like.reservation_id,
                    like.restore_from,
                )
        launch = launch_from_wire(item, path)
        self._first.setdefault(shape, launch)
        return launch

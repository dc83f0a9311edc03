"""A batch of launches to and from protobuf, at the price of its different shapes rather than of its items.

The items of a batch are mostly alike: a sweep of one program, a thousand tasks of one size. What is alike is written
once, and validated once. `launches.launch_to_wire` and `launch_from_wire` are the plain twins, and tests hold the two
together: whatever is not plainly like an item before goes through them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from adapters.contract import RUN_ID, Launch
from adapters.wire.launches import launch_from_wire, launch_to_wire
from adapters.wire.scalars import MAX_DURATION_MS
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb


def launches_to_wire(launches: Sequence[Launch]) -> pb.LaunchRequest:
    """A request with an item for each, in order; the caller adds the epoch."""
    request = pb.LaunchRequest()
    written: dict[Hashable, pb.LaunchItem] = {}
    for launch in launches:
        # By identity: what came as one object in the batch is one, and to compare programs costs as much as to write one.
        key = (
            id(launch.requirements),
            id(launch.program),
            id(launch.partition),
            launch.max_runtime_ms,
            launch.estimated_ms,
            launch.queue,
            launch.runtime,
            launch.service,
            launch.reservation_id,
            launch.restore_from,
        )
        item = request.items.add()
        like = written.get(key)
        if like is None:
            item.CopyFrom(launch_to_wire(launch))
            like = written[key] = pb.LaunchItem()
            like.CopyFrom(item)
            like.ClearField("nodes")
            continue
        item.CopyFrom(like)
        item.run_id, item.workload_id, item.name = launch.run_id, launch.workload_id, launch.name
        item.nodes.extend(launch.nodes)
    return request


class LaunchBatch:
    """Reads the items of one batch; keeps the first launch of each shape for the time of the batch."""

    def __init__(self) -> None:
        self._first: dict[bytes, Launch] = {}
        self._shape = pb.LaunchItem()

    def read(self, item: pb.LaunchItem, path: str) -> Launch:
        """As `launch_from_wire`: the validated launch, or InvalidMessage with every violation."""
        shape = self._shape_of(item)
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

    def _shape_of(self, item: pb.LaunchItem) -> bytes:
        """All of an item but what tells it from its like: whatever else it says, known here or not, is in its shape."""
        shape = self._shape
        shape.CopyFrom(item)
        shape.run_id = shape.workload_id = shape.name = ""
        shape.ClearField("nodes")
        shape.ClearField("estimated_runtime")
        return shape.SerializeToString(deterministic=True)

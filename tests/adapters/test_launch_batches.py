"""Reading or writing a batch at once gives what doing it item by item gives, whatever the items are."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Launch
from adapters.wire.inspection import InvalidMessage
from adapters.wire.launch_batches import LaunchBatch, launches_to_wire
from adapters.wire.launches import launch_from_wire, launch_to_wire
from inventory.model.partition import OnDisconnect, PartitionPolicy
from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

# Few values, so that shapes repeat; some break a rule.
launches = st.builds(
    Launch,
    run_id=st.sampled_from(["a", "b.1", "", "a/b", "x" * 129]),
    workload_id=st.sampled_from(["w", "v"]),
    name=st.just("n"),
    requirements=st.builds(
        Requirements,
        st.builds(Resources, st.sampled_from([-1, 0, 100]), st.sampled_from([0, GIB])),
        st.integers(1, 2),
    ),
    program=st.builds(
        Program,
        st.sampled_from([("true",), ()]),
        st.sampled_from([None, "image"]),
        st.sampled_from([{}, {"A": "1"}]),
    ),
    nodes=st.sampled_from([(), ("n",), ("n", "m")]),
    max_runtime_ms=st.sampled_from([0, 1000]),
    estimated_ms=st.integers(0, 10_000),
    queue=st.sampled_from(["", "tax", "Not A Queue"]),
    partition=st.sampled_from([PartitionPolicy(), PartitionPolicy(5000, OnDisconnect.STOP)]),
    runtime=st.sampled_from(["process", "container", "ray-job"]),
    service=st.booleans(),
)


def outcome(read: object, item: pb.LaunchItem, path: str) -> object:
    try:
        return read(item, path)  # type: ignore[operator]  # both readers have this form
    except InvalidMessage as error:
        return error.violations


@given(st.lists(launches.map(launch_to_wire), max_size=12), st.integers(-5, 5))
def test_a_batch_reads_as_its_items_do(items: list[pb.LaunchItem], nanos: int) -> None:
    batch = LaunchBatch()
    for i, item in enumerate(items):
        if i % 3 == 2:
            item.estimated_runtime.nanos += nanos
        path = f"items[{i}]"
        assert outcome(batch.read, item, path) == outcome(launch_from_wire, item, path)


@given(
    st.lists(launches, max_size=4), st.lists(st.tuples(st.integers(0, 3), st.text("ab.", max_size=3)), max_size=12)
)
def test_a_batch_is_written_as_its_items_are(made: list[Launch], alike: list[tuple[int, str]]) -> None:
    """Items that share their requirements and program as objects, with runs and nodes of their own, among others."""
    batch = list(made)
    for number, name in alike:
        if number < len(made):
            batch.append(replace(made[number], run_id=name, workload_id=name * 2, name=name, nodes=(name,)))
    assert list(launches_to_wire(batch).items) == [launch_to_wire(launch) for launch in batch]

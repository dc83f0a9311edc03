"""Whatever goes over the wire comes back as it was."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import (
    RUNTIMES,
    AcceleratorSupport,
    Capabilities,
    Launch,
    Refusal,
    RefusalCode,
    RunReport,
    Stop,
    VersionAnswer,
)
from adapters.wire.capabilities import capabilities_from_wire, capabilities_to_wire
from adapters.wire.inspection import Inspection, InvalidMessage
from adapters.wire.launches import (
    launch_from_wire,
    launch_to_wire,
    refusal_from_wire,
    refusal_to_wire,
    report_from_wire,
    report_to_wire,
    result_from_wire,
    stop_from_wire,
    stop_to_wire,
)
from adapters.wire.opinions import opinion_from_wire, opinion_to_wire
from adapters.wire.partitions import partition_from_wire, partition_to_wire
from adapters.wire.pools import (
    node_from_wire,
    node_to_wire,
    pool_from_wire,
    pool_to_wire,
    read_pool_file,
    write_pool_file,
)
from adapters.wire.scalars import duration_from_wire, duration_to_wire, timestamp_from_wire, timestamp_to_wire
from adapters.wire.workloads import (
    run_from_wire,
    run_to_wire,
    submission_from_wire,
    submission_to_wire,
    workload_to_wire,
)
from inventory.model.constraints import (
    Taint,
)
from inventory.model.partition import NEVER_LOST, OnDisconnect, OnReconnect, PartitionPolicy
from inventory.model.placement import PoolOpinion, Reason, ReasonCode
from inventory.model.pool import Node, NodeGroup, Pool
from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, Run, RunState, Submission, Workload
from tests.adapters.adapter_process import declared_pool
from tests.adapters.wire_strategies import (
    amounts,
    durations,
    ids,
    label_sets,
    programs,
    requirements,
    submissions,
    times,
    words,
)
from xisuan.common.v1 import common_pb2
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb
from xisuan.pool.v1 import pool_pb2

reports = st.builds(
    RunReport,
    ids,
    st.sampled_from(RunState),
    st.lists(ids, max_size=3).map(tuple),
    st.none() | st.integers(0, 255),
    words | st.just(""),
    st.none() | times,
    st.none() | times,
)


@given(submissions)
def test_submissions(submission: Submission) -> None:
    assert submission_from_wire(submission_to_wire(submission)) == submission


@given(submissions)
def test_equal_submissions_are_equal_bytes(submission: Submission) -> None:
    again = submission_from_wire(submission_to_wire(submission))
    assert submission_to_wire(again).SerializeToString(deterministic=True) == submission_to_wire(
        submission
    ).SerializeToString(deterministic=True)


@given(st.builds(Run, ids, ids, st.integers(1, 9), ids, st.lists(ids).map(tuple), st.sampled_from(RunState),
                 st.none() | st.integers(0, 255), words, times, st.none() | times, st.none() | times))  # fmt: skip
def test_runs(run: Run) -> None:
    assert run_from_wire(run_to_wire(run), run.workload_id) == run


def test_a_workload_carries_its_attempts_and_the_message_of_the_last() -> None:
    workload = Workload(
        queue="q",
        client_key="k",
        name="n",
        requirements=Requirements(Resources(1)),
        program=Program(("true",)),
        workload_id="w1",
        submitted_ms=1_700_000_000_123,
    )
    runs = [Run(f"r{i}", "w1", i, "p", ("n",), RunState.FAILED, 1, f"message {i}") for i in (1, 2)]
    message = workload_to_wire(workload, runs)
    assert [run.run_id for run in message.runs] == ["r1", "r2"]
    assert message.message == "message 2"
    assert message.submitted_at.ToMilliseconds() == 1_700_000_000_123


@given(
    st.builds(Launch, ids, words, words, requirements, programs, st.just(()), durations, durations),
    st.lists(ids, min_size=10, max_size=10),
)
def test_launches(launch: Launch, nodes: list[str]) -> None:
    launch = Launch(
        launch.run_id, launch.workload_id, launch.name, launch.requirements, launch.program,
        tuple(nodes[: launch.requirements.tasks]), launch.max_runtime_ms, launch.estimated_ms,
    )  # fmt: skip
    assert launch_from_wire(launch_to_wire(launch)) == launch


@given(st.builds(Stop, ids, durations))
def test_stops(stop: Stop) -> None:
    assert stop_from_wire(stop_to_wire(stop)) == stop


def test_a_stop_without_grace_gets_the_default_and_one_of_zero_keeps_it() -> None:
    assert stop_from_wire(pb.StopItem(run_id="r")).grace_ms == 10_000
    assert stop_from_wire(stop_to_wire(Stop("r", 0))).grace_ms == 0


@given(reports)
def test_reports(report: RunReport) -> None:
    assert report_from_wire(report_to_wire(report)) == report


@given(reports, st.builds(Refusal, ids, st.sampled_from(RefusalCode), words))
def test_results(report: RunReport, refusal: Refusal) -> None:
    assert result_from_wire(pb.LaunchResult(run_id=report.run_id, accepted=report_to_wire(report))) == report
    assert refusal_from_wire(refusal.run_id, refusal_to_wire(refusal)) == refusal
    assert refusal_to_wire(refusal).retryable is refusal.code.is_retryable


def test_a_result_without_outcome_is_refused() -> None:
    with pytest.raises(InvalidMessage):
        result_from_wire(pb.LaunchResult(run_id="r"))


def test_a_very_long_message_of_a_run_is_cut() -> None:
    assert len(report_to_wire(RunReport("r", RunState.FAILED, message="x" * 5000)).message) == 1000


taints = st.frozensets(st.builds(Taint, ids, st.just("") | words), max_size=2)


@given(
    st.builds(
        Node,
        ids,
        st.sampled_from(Architecture),
        amounts,
        st.none() | ids,
        st.booleans(),
        label_sets,
        taints,
        st.just("") | words,
    )
)
def test_nodes(node: Node) -> None:
    assert node_from_wire(node_to_wire(node)) == node


finite = st.floats(0, 1000)
groups = st.builds(NodeGroup, ids, st.integers(0, 1000), st.sampled_from(Architecture), amounts, st.none() | ids)
pools = st.builds(
    Pool,
    pool_id=ids,
    name=words,
    hub=words,
    adapter=ids,
    zones=st.frozensets(st.sampled_from(Zone), min_size=1),
    protection_level=st.integers(0, 4),
    architectures=st.frozensets(st.sampled_from(Architecture)),
    accelerator=st.none() | ids,
    cards=st.integers(0, 10_000),
    disk_bytes=st.integers(0, 2**60),
    one_way_ms=finite,
    egress_gbps=finite,
    pue=st.floats(1, 3),
    green_share=st.floats(0, 1),
    kwh_cny=finite,
    card_hour_cny=st.none() | finite,
    vcpu_hour_cny=finite,
    classes=st.frozensets(words, max_size=3),
    node_groups=st.lists(groups, max_size=3, unique_by=lambda group: group.group).map(tuple),
    region=st.just("") | words,
    idle_watts=st.none() | finite,
    loaded_watts=st.none() | finite,
    carbon_g_kwh=st.none() | finite,
    node_policy=st.sampled_from(["", "fgd", "fgd:3+bestfit:1"]),
)


@given(pools)
def test_pools(pool: Pool) -> None:
    assert pool_from_wire(pool_to_wire(pool)) == pool


def test_pool_files(tmp_path: Path) -> None:
    pool = declared_pool("local")
    write_pool_file(tmp_path / "pool.json", pool)
    assert read_pool_file(tmp_path / "pool.json") == pool


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "pool.json"),
        ("{", "pool.json"),
        ('{"pool_id": "p", "colour": "red"}', "colour"),
        ('{"pool_id": "P!", "adapter": "local", "zones": ["ZONE_INTERNET"], "pue": 1.2}', "pool.pool_id"),
        ('{"pool_id": "p", "adapter": "local", "pue": 1.2}', "pool.zones"),
    ],
    ids=["empty", "cut off", "an unknown field", "a bad id", "no zone"],
)
def test_a_pool_file_with_a_fault_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "pool.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=named):
        read_pool_file(tmp_path / "pool.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [("pue", 0.9), ("pue", math.nan), ("one_way_ms", -1), ("one_way_ms", math.inf), ("green_share", 1.1),
     ("vcpu_hour_cny", -0.1), ("card_hour_cny", math.nan), ("cards", -1), ("disk_bytes", -1),
     ("protection_level", 5), ("zones", [9]), ("architectures", [0])],
)  # fmt: skip
def test_a_pool_that_declares_nonsense_is_refused_by_name(field: str, value: object) -> None:
    spec = pool_to_wire(declared_pool("local"))
    spec.ClearField(field)  # type: ignore[arg-type]  # the name comes from the table above
    spec.MergeFrom(pool_pb2.PoolSpec(**{field: value}))  # type: ignore[arg-type]  # as above
    with pytest.raises(InvalidMessage) as refused:
        pool_from_wire(spec)
    assert [violation.field.partition("[")[0] for violation in refused.value.violations] == [f"spec.{field}"]


def test_a_node_that_reports_nonsense_is_refused() -> None:
    node = pb.Node(node_id="n", architecture=common_pb2.ARCHITECTURE_ARM64)
    node.allocatable.memory_bytes = -1
    with pytest.raises(InvalidMessage, match=r"allocatable\.memory_bytes"):
        node_from_wire(node)


reasons = st.builds(Reason, st.sampled_from(ReasonCode), words, words, words, words)


@given(
    st.builds(
        PoolOpinion,
        ids,
        st.lists(reasons, max_size=3).map(tuple),
        st.dictionaries(words, st.integers(0, 100)).map(lambda scores: tuple(sorted(scores.items()))),
        st.integers(0, 1000),
    )
)
def test_opinions(opinion: PoolOpinion) -> None:
    assert opinion_from_wire(opinion_to_wire(opinion)) == opinion


@given(times)
def test_timestamps(ms: int) -> None:
    stamp = timestamp_to_wire(ms)
    assert stamp is not None
    assert timestamp_from_wire(stamp) == ms


@given(durations)
def test_durations(ms: int) -> None:
    duration = duration_to_wire(ms)
    if duration is None:
        assert ms == 0
    else:
        assert duration_from_wire(duration, Inspection(), "x") == ms


def test_capabilities_that_allow_no_batch_are_refused() -> None:
    with pytest.raises(InvalidMessage, match="max_batch"):
        capabilities_from_wire(pb.GetCapabilitiesResponse(pool_id="p"))
    said = capabilities_from_wire(pb.GetCapabilitiesResponse(pool_id="p", max_batch=5, runtimes=["process"]))
    undeclared = {"leases": False, "remembered_runs": 0, "watch_window": 0, "refuses_when_full": False}
    assert said == Capabilities("p", "", ("process",), False, False, False, 5, **undeclared)  # type: ignore[arg-type]


@given(
    st.builds(
        Capabilities,
        pool_id=st.just("p"),
        technology=st.just("t"),
        runtimes=st.sets(st.sampled_from(RUNTIMES)).map(tuple),
        max_batch=st.integers(1, 1000),
        accelerators=st.just((AcceleratorSupport("Ascend910B", 10),)),
        zones=st.sets(st.sampled_from(Zone)).map(tuple),
        max_clock_skew_ms=durations,
    )
)
def test_capabilities_come_back_as_they_were_declared(declared: Capabilities) -> None:
    version = VersionAnswer(1, 1, "t", "0", "i", 0)
    assert capabilities_from_wire(capabilities_to_wire(declared, version)) == declared


@given(st.builds(PartitionPolicy, durations, st.sampled_from(OnDisconnect), st.sampled_from(OnReconnect)))
def test_partition_policies(policy: PartitionPolicy) -> None:
    message = partition_to_wire(policy)
    if message is None:
        assert policy == NEVER_LOST
    else:
        assert partition_from_wire(message, Inspection(), "x") == policy


def test_a_partition_policy_with_unknown_words_is_refused_by_field() -> None:
    check = Inspection()
    partition_from_wire(common_pb2.PartitionPolicy(on_disconnect=9, on_reconnect=8), check, "x")  # type: ignore[arg-type]
    assert [violation.field for violation in check.violations] == ["x.on_disconnect", "x.on_reconnect"]

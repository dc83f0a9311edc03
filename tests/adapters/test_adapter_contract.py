"""What every adapter promises, asked through gRPC alone: launches, stops, idempotency, wrong input, pages."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from adapters.wire.status import details_of
from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements, RunState
from tests.adapters.adapter_process import PATIENCE_S, AdapterProcess, new_run_id
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

NOT_FOUND, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, INVALID_ARGUMENT = 5, 8, 9, 3


def code_of(error: pytest.ExceptionInfo[grpc.RpcError]) -> grpc.StatusCode:
    return details_of(error.value).code


def test_it_says_first_who_it_is_and_what_it_can_do(adapter: AdapterProcess) -> None:
    said = adapter.stub.GetCapabilities(pb.GetCapabilitiesRequest(), timeout=PATIENCE_S)
    assert said.pool_id == adapter.pool.pool_id
    assert said.technology == adapter.technology
    assert said.contract_version == 1
    assert "process" in said.runtimes
    assert said.max_batch >= 1
    assert said.instance_id and said.adapter_version


def test_a_run_starts_runs_and_succeeds(adapter: AdapterProcess) -> None:
    run_id = new_run_id()
    (result,) = adapter.launch(adapter.launching(run_id, 0))
    assert result.WhichOneof("outcome") == "accepted"
    ended = adapter.ending(run_id)
    assert adapter.state(run_id) is RunState.SUCCEEDED
    assert ended.exit_code == 0
    assert list(ended.nodes) == [adapter.node]
    assert ended.started_at.ToMilliseconds() <= ended.ended_at.ToMilliseconds()


def test_a_stopped_run_ends_as_stopped(adapter: AdapterProcess) -> None:
    run_id = new_run_id()
    adapter.launch(adapter.launching(run_id))
    adapter.wait_for(run_id, RunState.RUNNING)
    (result,) = adapter.halt(run_id)
    assert result.WhichOneof("outcome") == "status"
    ended = adapter.ending(run_id)
    assert adapter.state(run_id) is RunState.STOPPED
    assert ended.message


def test_stopping_a_run_that_has_ended_leaves_it_as_it_ended(adapter: AdapterProcess) -> None:
    run_id = new_run_id()
    adapter.launch(adapter.launching(run_id, 0))
    before = adapter.ending(run_id)
    (result,) = adapter.halt(run_id)
    assert result.status == before
    assert adapter.status(run_id) == before


def test_the_same_launch_ten_times_at_once_runs_once(adapter: AdapterProcess) -> None:
    run_id = new_run_id()
    item = adapter.launching(run_id)
    cursor = adapter.stub.List(pb.ListRequest()).cursor
    with ThreadPoolExecutor(10) as callers:
        answers = list(callers.map(lambda _: adapter.launch(item), range(10)))
    assert all(result.WhichOneof("outcome") == "accepted" for (result,) in answers)
    adapter.wait_for(run_id, RunState.RUNNING)
    adapter.halt(run_id)
    adapter.ending(run_id)
    states = Counter(
        run.state
        for response in first_responses(adapter, cursor, until=run_id)
        for run in response.runs
        if run.run_id == run_id
    )
    assert set(states.values()) == {1}, "each state is reported once"


def test_the_same_run_twice_in_one_batch_runs_once(adapter: AdapterProcess) -> None:
    item = adapter.launching(new_run_id(), 0)
    first, second = adapter.launch(item, item)
    assert first.accepted.run_id == second.accepted.run_id == item.run_id


def test_launching_a_run_that_has_ended_says_how_it_ended(adapter: AdapterProcess) -> None:
    run_id = new_run_id()
    item = adapter.launching(run_id, 0)
    adapter.launch(item)
    ended = adapter.ending(run_id)
    (again,) = adapter.launch(item)
    assert again.accepted == ended


def test_a_launch_that_comes_after_its_stop_is_refused(adapter: AdapterProcess) -> None:
    run_id = new_run_id()
    (stopped,) = adapter.halt(run_id)
    assert stopped.WhichOneof("outcome") == "status"
    (late,) = adapter.launch(adapter.launching(run_id))
    assert late.error.code == FAILED_PRECONDITION
    assert not late.error.retryable
    assert adapter.state(run_id) is RunState.STOPPED


def test_a_run_that_takes_longer_than_its_limit_has_failed(adapter: AdapterProcess) -> None:
    run_id = new_run_id()
    adapter.launch(adapter.launching(run_id, max_runtime_ms=200))
    ended = adapter.ending(run_id)
    assert adapter.state(run_id) is RunState.FAILED
    assert "max_runtime" in ended.message
    assert ended.exit_code == 143


def test_tasks_of_a_gang_run_together_on_the_nodes_that_were_chosen(adapter: AdapterProcess) -> None:
    run_id = new_run_id()
    nodes = tuple((adapter.nodes * 3)[:3])
    gang = Requirements(Resources(100, GIB // 8), tasks=3)
    (result,) = adapter.launch(adapter.launching(run_id, 0, requirements=gang, nodes=nodes))
    assert list(result.accepted.nodes) == list(nodes)
    assert list(adapter.ending(run_id).nodes) == list(nodes)


@pytest.mark.parametrize(
    "too_much",
    [Resources(cpu_milli=64_001), Resources(1, 256 * GIB + 1), Resources(1, 1, 2 * 1024 * 1024 * GIB)],
    ids=["cpu", "memory", "shared disk"],
)
def test_a_node_without_room_refuses_and_the_caller_places_anew(
    adapter: AdapterProcess, too_much: Resources
) -> None:
    (result,) = adapter.launch(adapter.launching(new_run_id(), requirements=Requirements(too_much)))
    assert result.error.code == RESOURCE_EXHAUSTED
    assert result.error.retryable
    assert result.error.message


def test_what_a_run_took_is_free_again_when_it_has_ended(adapter: AdapterProcess) -> None:
    node = adapter.nodes[-1]
    whole = Requirements(Resources(8_000 if adapter.technology == "simulated" else 40_000, GIB))
    first, second = new_run_id(), new_run_id()
    adapter.launch(adapter.launching(first, requirements=whole, node=node))
    (refused,) = adapter.launch(adapter.launching(second, requirements=whole, node=node))
    assert refused.error.code == RESOURCE_EXHAUSTED
    adapter.halt(first)
    adapter.ending(first)
    (accepted,) = adapter.launch(adapter.launching(second, 0, requirements=whole, node=node))
    assert accepted.WhichOneof("outcome") == "accepted"


def test_a_node_that_does_not_exist_is_not_found(adapter: AdapterProcess) -> None:
    (result,) = adapter.launch(adapter.launching(new_run_id(), node="no-such-node"))
    assert result.error.code == NOT_FOUND
    assert "no-such-node" in result.error.message


def test_items_fail_alone_and_results_keep_their_order(adapter: AdapterProcess) -> None:
    good, bad, other = new_run_id(), new_run_id(), new_run_id()
    results = adapter.launch(
        adapter.launching(good, 0),
        adapter.launching(bad, 0, node="no-such-node"),
        pb.LaunchItem(run_id="not/a run id"),
        adapter.launching(other, 0),
    )
    assert [r.WhichOneof("outcome") for r in results] == ["accepted", "error", "error", "accepted"]
    assert [r.run_id for r in results] == [good, bad, "not/a run id", other]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"run_id": ""}, "items[0].run_id"),
        ({"run_id": "../escape"}, "items[0].run_id"),
        ({"nodes": ()}, "items[0].nodes"),
        ({"requirements": Requirements(Resources(cpu_milli=-1))}, "items[0].requirements.per_task.cpu_milli"),
        ({"requirements": Requirements(Resources())}, "items[0].requirements.per_task"),
        ({"program": Program()}, "items[0].program"),
        ({"max_runtime_ms": -5}, "items[0].max_runtime"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_malformed_launch_names_the_field_and_the_rule(
    adapter: AdapterProcess, change: dict[str, object], field: str
) -> None:
    (result,) = adapter.launch(adapter.launching(**{"run_id": new_run_id(), **change}))  # type: ignore[arg-type]
    assert result.error.code == INVALID_ARGUMENT
    assert [violation.field for violation in result.error.field_violations] == [field]
    assert " / " in result.error.field_violations[0].description


def test_a_batch_without_an_epoch_is_malformed(adapter: AdapterProcess) -> None:
    with pytest.raises(grpc.RpcError) as error:
        adapter.stub.Launch(pb.LaunchRequest(items=[adapter.launching(new_run_id())]), timeout=PATIENCE_S)
    assert code_of(error) is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in details_of(error.value).violations] == ["epoch"]


def test_a_batch_larger_than_declared_is_refused_as_a_whole(adapter: AdapterProcess) -> None:
    most = adapter.stub.GetCapabilities(pb.GetCapabilitiesRequest()).max_batch
    items = [pb.StopItem(run_id="x")] * (most + 1)
    with pytest.raises(grpc.RpcError) as error:
        adapter.stub.Stop(pb.StopRequest(epoch=1, items=items), timeout=PATIENCE_S)
    assert [violation.field for violation in details_of(error.value).violations] == ["items.length"]


def test_a_run_that_was_never_heard_of_is_not_found(adapter: AdapterProcess) -> None:
    with pytest.raises(grpc.RpcError) as inspected:
        adapter.status("never-heard-of")
    assert code_of(inspected) is grpc.StatusCode.NOT_FOUND


def test_runs_are_listed_in_pages_each_once(adapter: AdapterProcess) -> None:
    mine = {new_run_id("page") for _ in range(7)}
    adapter.launch(*(adapter.launching(run_id, 0) for run_id in sorted(mine)))
    seen: list[str] = []
    cursors = set()
    token = ""
    while True:
        page = adapter.stub.List(pb.ListRequest(page_size=3, page_token=token), timeout=PATIENCE_S)
        assert len(page.runs) <= 3
        seen += [run.run_id for run in page.runs]
        cursors.add(page.cursor)
        token = page.next_page_token
        if not token:
            break
    assert mine <= set(seen)
    assert len(seen) == len(set(seen))
    assert len(cursors) == 1, "every page names the cursor of the first"


def test_nodes_are_listed_in_pages_each_once(adapter: AdapterProcess) -> None:
    seen: list[str] = []
    token = ""
    while True:
        page = adapter.stub.ListNodes(pb.ListNodesRequest(page_size=7, page_token=token), timeout=PATIENCE_S)
        seen += [node.node_id for node in page.nodes]
        token = page.next_page_token
        if not token:
            break
    declared = sum(group.nodes for group in adapter.pool.node_groups)
    assert len(seen) == len(set(seen)) == declared
    assert page.shared_disk_bytes == adapter.pool.disk_bytes


@pytest.mark.parametrize("token", ["nonsense", "bm9uc2Vuc2UKeA==", "Cg==", "号"])
def test_a_page_token_that_is_not_ours_is_malformed(adapter: AdapterProcess, token: str) -> None:
    for call in (
        lambda: adapter.stub.List(pb.ListRequest(page_token=token), timeout=PATIENCE_S),
        lambda: adapter.stub.ListNodes(pb.ListNodesRequest(page_token=token), timeout=PATIENCE_S),
    ):
        with pytest.raises(grpc.RpcError) as error:
            call()
        assert [violation.field for violation in details_of(error.value).violations] == ["page_token"]


def test_a_negative_page_size_is_malformed(adapter: AdapterProcess) -> None:
    with pytest.raises(grpc.RpcError) as error:
        adapter.stub.List(pb.ListRequest(page_size=-1), timeout=PATIENCE_S)
    assert code_of(error) is grpc.StatusCode.INVALID_ARGUMENT


def first_responses(adapter: AdapterProcess, cursor: str, until: str) -> list[pb.WatchResponse]:
    """What a watcher from `cursor` gets, until run `until` has ended."""
    responses = []
    call = adapter.stub.Watch(pb.WatchRequest(cursor=cursor), timeout=PATIENCE_S)
    for response in call:
        responses.append(response)
        if any(run.run_id == until and run.HasField("ended_at") for run in response.runs):
            break
    call.cancel()
    return responses

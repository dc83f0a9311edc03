"""Watching: every change once, in order, from any cursor on, whatever happens to the connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import grpc
import pytest

from adapters.wire.scalars import RUN_STATE_OF
from adapters.wire.status import CURSOR_EXPIRED, details_of
from inventory.model.workload import RUN_TRANSITIONS, RunState
from tests.adapters.adapter_process import PATIENCE_S, AdapterProcess, new_run_id
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

HISTORY = [RunState.STARTING, RunState.RUNNING, RunState.SUCCEEDED]


@contextmanager
def watching(adapter: AdapterProcess, cursor: str) -> Iterator[Iterator[pb.WatchResponse]]:
    call = adapter.stub.Watch(pb.WatchRequest(cursor=cursor), timeout=PATIENCE_S)
    try:
        yield iter(call)
    finally:
        call.cancel()


def now(adapter: AdapterProcess) -> str:
    return adapter.stub.List(pb.ListRequest(page_size=1), timeout=PATIENCE_S).cursor


def ended(run: pb.RunStatus) -> bool:
    return RUN_STATE_OF[run.state].is_final


def test_a_watcher_is_answered_at_once_with_the_present_cursor(adapter: AdapterProcess) -> None:
    cursor = now(adapter)
    with watching(adapter, cursor) as responses:
        assert next(responses) == pb.WatchResponse(cursor=cursor)


def test_a_watcher_sees_every_state_of_every_run_once_and_in_order(adapter: AdapterProcess) -> None:
    cursor = now(adapter)
    run_ids = [new_run_id("seen") for _ in range(8)]
    adapter.launch(*(adapter.launching(run_id, 0) for run_id in run_ids))
    histories: dict[str, list[RunState]] = {run_id: [] for run_id in run_ids}
    with watching(adapter, cursor) as responses:
        while any(not history or not history[-1].is_final for history in histories.values()):
            for run in next(responses).runs:
                if run.run_id in histories:
                    histories[run.run_id].append(RUN_STATE_OF[run.state])
    assert histories == dict.fromkeys(run_ids, HISTORY)


def test_a_watcher_that_reconnects_after_every_message_misses_nothing_and_sees_nothing_twice(
    adapter: AdapterProcess,
) -> None:
    cursor = now(adapter)
    run_ids = [new_run_id("again") for _ in range(6)]
    for run_id in run_ids:
        adapter.launch(adapter.launching(run_id, 0))
    histories: dict[str, list[RunState]] = {run_id: [] for run_id in run_ids}
    while any(not history or not history[-1].is_final for history in histories.values()):
        with watching(adapter, cursor) as responses:
            response = next(responses)
            if not response.runs:  # connected before anything changed: the next message has the change
                response = next(responses)
        cursor = response.cursor
        for run in response.runs:
            if run.run_id in histories:
                histories[run.run_id].append(RUN_STATE_OF[run.state])
    assert histories == dict.fromkeys(run_ids, HISTORY)


def test_two_watchers_of_one_cursor_see_the_same(adapter: AdapterProcess) -> None:
    cursor = now(adapter)
    run_id = new_run_id("both")
    adapter.launch(adapter.launching(run_id, 0))
    adapter.ending(run_id)
    seen = []
    for _ in range(2):
        changes: list[pb.RunStatus] = []
        with watching(adapter, cursor) as responses:
            while not any(run.run_id == run_id and ended(run) for run in changes):
                changes += next(responses).runs
        seen.append([(run.run_id, run.state) for run in changes if run.run_id == run_id])
    assert seen[0] == seen[1] == [(run_id, state) for state in (2, 3, 4)]


def test_changes_obey_the_transition_table(adapter: AdapterProcess) -> None:
    cursor = now(adapter)
    stopped, failed = new_run_id("stopped"), new_run_id("failed")
    adapter.launch(adapter.launching(stopped), adapter.launching(failed, max_runtime_ms=150))
    adapter.wait_for(stopped, RunState.RUNNING)
    adapter.halt(stopped)
    histories: dict[str, list[RunState]] = {stopped: [], failed: []}
    with watching(adapter, cursor) as responses:
        while any(not history or not history[-1].is_final for history in histories.values()):
            for run in next(responses).runs:
                if run.run_id in histories:
                    histories[run.run_id].append(RUN_STATE_OF[run.state])
    for history in histories.values():
        assert all(after in RUN_TRANSITIONS[before] for before, after in pairwise(history))


@pytest.mark.parametrize(
    "cursor",
    [
        "another-process.5",
        "no cursor at all",
        "{instance}.",
        "{instance}.999999999",
        "{instance}.-1",
        "{instance}.x",
    ],
)
def test_a_cursor_that_is_not_known_has_expired_and_says_so(adapter: AdapterProcess, cursor: str) -> None:
    instance = adapter.stub.GetCapabilities(pb.GetCapabilitiesRequest()).instance_id
    with watching(adapter, cursor.format(instance=instance)) as responses, pytest.raises(grpc.RpcError) as error:
        next(responses)
    failure = details_of(error.value)
    assert failure.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failure.reason == CURSOR_EXPIRED

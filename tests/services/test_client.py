"""The client library against a real gateway: what a submitting system sees, also when the service goes away."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inventory.model.workload import WorkloadState
from scheduler.services.answering import ControlPlaneUnavailable
from scheduler.services.ports import ErrorCode, RequestError
from tests.services.memory import MemoryScheduling
from tests.services.serving import Serving, serving
from xisuan.client import (
    WORKLOAD_STATE_CANCELLED,
    WORKLOAD_STATE_FAILED,
    WORKLOAD_STATE_QUEUED,
    CallError,
    Client,
    Program,
    Requirements,
    Resources,
    WorkloadSpec,
    item_error,
)

ROOT = Path(__file__).parents[2]
_DEADLINE_S = 20.0


@pytest.fixture
def service() -> Iterator[Serving]:
    with serving(MemoryScheduling()) as running:
        yield running


@pytest.fixture
def client(service: Serving) -> Iterator[Client]:
    with Client(service.address, patience_s=10) as opened:
        yield opened


def a_spec(key: str, priority: int = 0) -> WorkloadSpec:
    return WorkloadSpec(
        queue="transport/reports",
        client_key=key,
        priority=priority,
        requirements=Requirements(per_task=Resources(cpu_milli=100)),
        program=Program(command=["true"]),
    )


def until(condition: object) -> None:
    """Waits for something that another thread is about to do."""
    assert callable(condition)
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_submitting_twice_gives_one_workload(client: Client) -> None:
    first, created = client.submit(a_spec("a"))
    again, created_again = client.submit(a_spec("a"))
    assert (created, created_again, again.workload_id) == (True, False, first.workload_id)
    assert client.get(first.workload_id) == first
    assert [workload.workload_id for workload in client.list(queue="transport/reports")] == [first.workload_id]


def test_a_batch_answers_item_by_item(client: Client) -> None:
    accepted, refused = client.submit_batch([a_spec("a"), a_spec("b", priority=-1)])
    assert accepted.accepted.workload.spec.client_key == "a"
    error = item_error(refused.error)
    assert (error.code, error.violations[0].field) == ("INVALID_ARGUMENT", "workloads[1].priority")


def test_a_refusal_is_one_exception_with_code_reason_and_fields(client: Client) -> None:
    with pytest.raises(CallError) as refused:
        client.submit(a_spec("Ü" * 300, priority=2000))
    error = refused.value
    assert (error.code, error.is_retryable) == ("INVALID_ARGUMENT", False)
    assert [violation.field for violation in error.violations] == ["workload.client_key", "workload.priority"]
    client.submit(a_spec("a"))
    with pytest.raises(CallError) as conflict:
        client.submit(a_spec("a", priority=1))
    assert (conflict.value.code, conflict.value.reason) == ("ALREADY_EXISTS", "CONFLICT")
    with pytest.raises(CallError, match="NOT_FOUND"):
        client.get("w-404")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ControlPlaneUnavailable("重启 / restarting"), id="the control plane restarts"),
        pytest.param(
            RequestError(ErrorCode.RESOURCE_EXHAUSTED, "满 / full", "FULL", 50), id="it is full for a moment"
        ),
    ],
)
def test_what_fails_for_a_moment_is_tried_again(service: Serving, client: Client, fault: Exception) -> None:
    service.scheduling.fails += [fault, fault]
    workload, created = client.submit(a_spec("a"))
    assert created and workload.state == WORKLOAD_STATE_QUEUED
    assert service.scheduling.fails == []


def test_patience_ends() -> None:
    with Client("127.0.0.1:1", patience_s=0.5) as client, pytest.raises(CallError) as failed:
        client.get("w-1")
    assert (failed.value.code, failed.value.is_retryable) == ("UNAVAILABLE", True)


def test_a_cancelled_workload_says_so(client: Client) -> None:
    workload, _ = client.submit(a_spec("a"))
    assert client.cancel(workload.workload_id, "不需要了").state == WORKLOAD_STATE_CANCELLED
    assert client.cancel(workload.workload_id).state == WORKLOAD_STATE_CANCELLED


def test_explain_and_dry_run_answer_with_opinions(client: Client) -> None:
    workload, _ = client.submit(a_spec("a"))
    assert dict(client.explain(workload.workload_id).refusals_by_code) == {"zone": 1}
    (would,) = client.dry_run([a_spec("b", priority=1)])
    assert would.placement.pool_id == "pool-b"


def test_wait_returns_what_has_ended_even_before_it_was_asked(service: Serving, client: Client) -> None:
    workload, _ = client.submit(a_spec("a"))
    service.scheduling.end(workload.workload_id, WorkloadState.FAILED, 3)
    ended = client.wait(workload.workload_id)
    assert (ended.state, ended.runs[0].exit_code) == (WORKLOAD_STATE_FAILED, 3)


def test_wait_sees_an_end_that_comes_later(service: Serving, client: Client) -> None:
    workload, _ = client.submit(a_spec("a"))
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.wait, workload.workload_id)
        until(lambda: service.scheduling.watches)
        service.scheduling.end(workload.workload_id, WorkloadState.FAILED)
        assert waiting.result(_DEADLINE_S).state == WORKLOAD_STATE_FAILED


def test_a_watch_that_is_cut_goes_on_without_gap_or_repetition(service: Serving, client: Client) -> None:
    seen: list[str] = []
    done = threading.Event()

    def follow() -> None:
        for message in client.watch():
            seen.extend(change.workload_id for change in message.changes)
            if len(seen) == 4:
                done.set()
                return

    watcher = threading.Thread(target=follow, daemon=True)
    watcher.start()
    until(lambda: service.scheduling.watches)
    ids = [client.submit(a_spec(f"before-{number}"))[0].workload_id for number in range(2)]
    until(lambda: len(seen) == 2)
    service.stop()
    service.start()
    ids += [client.submit(a_spec(f"after-{number}"))[0].workload_id for number in range(2)]
    assert done.wait(_DEADLINE_S)
    watcher.join(_DEADLINE_S)
    assert seen == ids
    assert service.scheduling.watches == 1  # it was resumed by its cursor, never begun anew


def test_a_watch_ends_with_an_error_when_patience_does(service: Serving) -> None:
    with Client(service.address, patience_s=0.5) as client:
        stream = client.watch()
        assert next(stream).cursor == "0"
        service.stop()
        with pytest.raises(CallError) as failed:
            next(stream)
        service.start()
    assert failed.value.code == "UNAVAILABLE"


IMPORT_ALONE = """
import sys
import xisuan.client, xisuan.operations
ours = ("adapters", "console", "inventory", "scheduler", "simulations")
extras = ("pydantic", "yaml", "ray", "sqlalchemy", "typer", "rich", "numpy", "openpyxl")
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {*ours, *extras}))
"""


def test_the_client_needs_the_bare_installation_only() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALONE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr

"""The runbook host: the process of a running service that carries migration runs forward.

`console.embedded` starts one beside the adapters, as `python -m console.runbook_host`; it ends when its standard
input does. It works on the store itself (any number of processes may append) and reaches the scheduler through its
gateway, as any client does. A host that is killed is started again and goes on where the record says.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from adapters.wire.scalars import duration_to_wire
from console.home import find_home
from console.notice_post import NoticePost
from inventory.model.placement import ReasonCode
from scheduler.operation.logs import configure_actor
from scheduler.runbooks.driver import Driver, DriverSettings
from scheduler.runbooks.order import SecretPlace
from scheduler.runbooks.ports import Capacity, CapacityRefused, PoolTask, PoolUnavailable, TaskState
from scheduler.runbooks.record import RunRecord
from scheduler.runbooks.steps.context import StepPorts
from scheduler.runtime.clock import SystemClock
from scheduler.store.opening import open_store
from xisuan.client import (
    WORKLOAD_STATE_CANCELLED,
    WORKLOAD_STATE_FAILED,
    WORKLOAD_STATE_SUCCEEDED,
    CallError,
    Client,
    Program,
    Requirements,
    Resources,
    RunState,
    Workload,
    WorkloadSpec,
)
from xisuan.operations import HoldCapacityRequest, Operations

TICK_S = 0.1
# While nothing is under way: whatever a person records begins half a second later, and an idle host costs nothing.
IDLE_TICK_S = 0.5
_POLL_S = 1.0
_PATIENCE_S = 2.0
_PIECE_MILLI = 4000
_MOST_PIECES = 10_000  # tasks of one workload
_ENDINGS = {
    WORKLOAD_STATE_SUCCEEDED: "succeeded",
    WORKLOAD_STATE_FAILED: "failed",
    WORKLOAD_STATE_CANCELLED: "cancelled",
}


def queue_of(run_id: str) -> str:
    """The queue of a run's workloads; capacity that is held for the run is held for this queue."""
    return f"migration/{run_id.lower()}"


class ServiceWorkloads:
    """Workloads on pools through the gateway."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(self, task: PoolTask) -> str:
        run_id, _, key = task.key.partition("/")
        spec = WorkloadSpec(
            queue=queue_of(run_id),
            client_key=key,
            name=task.name,
            requirements=_requirements(task.pool_id, task.cpu_milli, task.memory_bytes),
            program=Program(command=task.command, environment=dict(task.environment)),
            estimated_runtime=duration_to_wire(task.estimated_ms),
        )
        with _reachable():
            return str(self._client.submit(spec)[0].workload_id)

    def state(self, workload_id: str) -> TaskState:
        with _reachable():
            workload = self._client.get(workload_id)
        return TaskState(workload_id, _ENDINGS.get(workload.state) or _progress(workload), workload.message)

    def cancel(self, workload_id: str, reason: str) -> None:
        with _reachable():
            self._client.cancel(workload_id, reason)


class ServiceReservations:
    """Capacity for a run in the scheduler's calendar: kept for the run's own queue until acceptance."""

    def __init__(self, client: Client, operations: Operations) -> None:
        self._client = client
        self._operations = operations

    def hold(self, capacity: Capacity) -> str:
        self._require_room(capacity)
        request = HoldCapacityRequest(
            run_id=capacity.hold_id,
            pool_id=capacity.pool_id,
            cpu_milli=capacity.cpu_milli,
            memory_bytes=capacity.memory_bytes,
        )
        with _reachable():
            self._operations.hold_capacity(request)
        return f"{queue_of(capacity.hold_id)} @ {capacity.pool_id}: {capacity.cpu_milli} milli-CPU"

    def release(self, hold_id: str, *, as_allocation: bool) -> None:
        with _reachable():
            self._operations.release_capacity(hold_id, as_allocation=as_allocation)

    def _require_room(self, capacity: Capacity) -> None:
        """A reservation is a promise to be kept: what the pool cannot place now is not promised. Of a pool that is not
        heard nobody knows: it is asked again."""
        spec = WorkloadSpec(
            queue=queue_of(capacity.hold_id),
            client_key="capacity",
            requirements=_in_pieces(capacity),
            program=Program(command=["true"]),
        )
        with _reachable():
            (result,) = self._client.dry_run([spec])
        if not result.placement.pool_id:
            wanted = f"{capacity.cpu_milli} milli-CPU, {capacity.memory_bytes} bytes"
            opinions = [one for one in result.placement.opinions if one.pool_id == capacity.pool_id]
            reasons = [reason for one in opinions for reason in one.reasons]
            if reasons and all(reason.code == ReasonCode.UNREACHABLE.value for reason in reasons):
                raise PoolUnavailable(f"{capacity.pool_id}: 暂时失联 / is not heard at present")
            why = result.error.message or "; ".join(f"{one.code}: {one.needed} / {one.offered}" for one in reasons)
            raise CapacityRefused(f"{capacity.pool_id}: 放不下 / has no room for {wanted}: {why}")


class _reachable:
    """Turns a service that does not answer into PoolUnavailable: the step asks again until its time is up."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CallError) and error.is_retryable:
            raise PoolUnavailable(f"{error.code} {error.message}") from error


def _in_pieces(capacity: Capacity) -> Requirements:
    """Room for several systems need not be on one node: it is asked for as pieces of a few processors, all at once."""
    pieces = min(_MOST_PIECES, -(-capacity.cpu_milli // _PIECE_MILLI))
    each = Resources(cpu_milli=-(-capacity.cpu_milli // pieces), memory_bytes=-(-capacity.memory_bytes // pieces))
    return Requirements(per_task=each, tasks=pieces, pools=[capacity.pool_id])


def _requirements(pool_id: str, cpu_milli: int, memory_bytes: int) -> Requirements:
    return Requirements(per_task=Resources(cpu_milli=cpu_milli, memory_bytes=memory_bytes), pools=[pool_id])


def _progress(workload: Workload) -> str:
    is_running = bool(workload.runs) and workload.runs[-1].state == RunState.RUN_STATE_RUNNING
    return "running" if is_running else "queued"


def serve(
    store_url: str,
    folder: Path,
    address: str,
    is_over: Callable[[float], bool],
    notices: SecretPlace | None = None,
) -> None:
    """Carries runs forward until `is_over(seconds)`, which waits that long, says so; and sends notices, where the place of
    their webhook is given."""
    folder.mkdir(parents=True, exist_ok=True)
    store = open_store(store_url)
    with Client(address, patience_s=_PATIENCE_S) as client, Operations(address, patience_s=_PATIENCE_S) as service:
        reservations = ServiceReservations(client, service)
        ports = StepPorts(SystemClock(), ServiceWorkloads(client), reservations, folder / "steps")
        settings = DriverSettings(checkpoints_url(store_url, folder), poll_s=_POLL_S)
        driver = Driver(RunRecord(store), ports, settings)
        driver.start()
        post = NoticePost(store, notices) if notices is not None else None
        try:
            while not is_over(IDLE_TICK_S if driver.is_idle() else TICK_S):
                driver.tick()
        finally:
            if post is not None:
                post.close()
            driver.close()
            store.close()


def checkpoints_url(store_url: str, folder: Path) -> str:
    """Where DBOS keeps its checkpoints: beside the store in PostgreSQL (a schema of its own); a file of its own
    beside SQLite, whose one writer at a time is the store."""
    return store_url if store_url.startswith("postgres") else f"sqlite:///{folder / 'checkpoints.db'}"


def parser() -> argparse.ArgumentParser:
    """Of the command line that `console.host_process` writes."""
    parser = argparse.ArgumentParser(prog="console.runbook_host", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where commands run and checkpoints lie")
    parser.add_argument("--address", required=True, help="host:port of the gateway")
    parser.add_argument("--notices", type=SecretPlace.model_validate_json, help="where the webhook's URL is found")
    return parser


def main() -> None:
    arguments = parser().parse_args()
    configure_actor("runbook-host")
    parent_gone = threading.Event()
    threading.Thread(target=_wait_for_parent, args=(parent_gone,), daemon=True).start()
    # The URL may hold a password: it comes through the environment, which other users cannot read.
    serve(
        find_home().store_url,
        arguments.folder.absolute(),
        arguments.address,
        parent_gone.wait,
        arguments.notices,
    )
    os._exit(0)  # threads of DBOS that wait must not keep a host alive whose service is gone


def _wait_for_parent(gone: threading.Event) -> None:
    sys.stdin.buffer.read()
    gone.set()


if __name__ == "__main__":
    main()

"""A pool that takes what it is given and writes down what happens: the witness against which histories are checked.

`python -m tests.chaos.witness_pool --pool-spec FILE --state-dir DIR --port N` is an adapter like any other (the sdk
serves it), but it never refuses for want of room: a node that is oversold is seen in its journal. A run's command says
how long it takes and how it ends: `work MILLISECONDS succeeds|fails`. Runs go on while the adapter is away.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapters.contract import Capabilities, EventSink, Launch, Page, Refusal, RunReport, Stop, take_page, task_load
from adapters.sdk import server
from adapters.sdk.command import parser, run
from adapters.sdk.optional_calls import Context
from adapters.sdk.servicer import AdapterServicer
from inventory.model.pool import Node, Pool
from inventory.model.workload import RunState
from tests.chaos.history import SUCCEEDS, Began, Call, Ended, PoolHistory
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

JOURNAL = "witness.jsonl"
TECHNOLOGY = "witness"


class Journal:
    """One JSON object a line. A line is one write, so `kill -9` loses none that was written."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, what: str, **said: object) -> int:
        """Returns the moment, in nanoseconds of the machine's clock."""
        at_ns = time.time_ns()
        line = json.dumps({"what": what, "at_ns": at_ns, **said}) + "\n"
        assert os.write(self._file, line.encode()) == len(line)
        return at_ns


@dataclass(slots=True)
class _Run:
    report: RunReport
    due_ns: int = 0
    course: str = SUCCEEDS


class WitnessBackend:
    """A `PoolBackend`: what a run does is wait."""

    def __init__(self, pool: Pool, state_dir: Path) -> None:
        self._path = state_dir / JOURNAL
        self._nodes = nodes_of(pool)
        self._runs: dict[str, _Run] = {}
        self._waits: set[asyncio.Task[None]] = set()
        self.capabilities = Capabilities(
            pool.pool_id, TECHNOLOGY, ("process",), logs=False, refuses_when_full=False, simulates=True
        )
        self.shared_disk_bytes = pool.disk_bytes

    async def start(self, events: EventSink) -> None:
        self._events = events
        for said in read_lines(self._path):
            self._recall(said)
        self.journal = Journal(self._path)
        for run_id, one in self._runs.items():
            self._follow(run_id, one)

    async def close(self) -> None:
        for task in tuple(self._waits):
            task.cancel()

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        fresh = [self._begin(one) for one in launches if one.run_id not in self._runs]
        self._events.publish(fresh)
        return [self._runs[one.run_id].report for one in launches]

    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        for one in stops:
            known = self._runs.setdefault(one.run_id, _Run(RunReport(one.run_id, RunState.PLACED)))
            if not known.report.state.is_final:
                self._end(known, RunState.STOPPED)
        return [self._runs[one.run_id].report for one in stops]

    async def inspect(self, run_id: str) -> RunReport | None:
        known = self._runs.get(run_id)
        return known.report if known else None

    async def runs(self, after: str, limit: int) -> Page[RunReport]:
        numbered = ((str(number), one.report) for number, one in enumerate(self._runs.values(), start=1))
        return take_page(((key, report) for key, report in numbered if int(key) > int(after or 0)), limit)

    async def nodes(self, after: str, limit: int) -> Page[Node]:
        return Page(self._nodes)

    def _begin(self, launch: Launch) -> RunReport:
        _, lasting_ms, course = launch.program.command
        load = task_load(launch)
        at_ns = self.journal.write(
            "began",
            run=launch.run_id,
            workload=launch.workload_id,
            nodes=launch.nodes,
            load=[load.cpu_milli, load.memory_bytes],
            lasting_ms=int(lasting_ms),
            course=course,
        )
        report = RunReport(launch.run_id, RunState.RUNNING, launch.nodes, started_ms=at_ns // 1_000_000)
        one = self._runs[launch.run_id] = _Run(report, at_ns + int(lasting_ms) * 1_000_000, course)
        self._follow(launch.run_id, one)
        return report

    def _end(self, one: _Run, state: RunState) -> None:
        at_ns = self.journal.write("ended", run=one.report.run_id, state=state.value)
        code = {RunState.SUCCEEDED: 0, RunState.FAILED: 1}.get(state)
        one.report = replace(one.report, state=state, exit_code=code, ended_ms=at_ns // 1_000_000)
        self._events.publish([one.report])

    def _follow(self, run_id: str, one: _Run) -> None:
        if not one.report.state.is_final:
            task = asyncio.create_task(self._until_due(one), name=run_id)
            self._waits.add(task)
            task.add_done_callback(self._waits.discard)

    async def _until_due(self, one: _Run) -> None:
        await asyncio.sleep(max(0, one.due_ns - time.time_ns()) / 1e9)
        if not one.report.state.is_final:
            self._end(one, RunState.SUCCEEDED if one.course == SUCCEEDS else RunState.FAILED)

    def _recall(self, said: Mapping[str, Any]) -> None:
        at_ms = said["at_ns"] // 1_000_000
        if said["what"] == "began":
            report = RunReport(said["run"], RunState.RUNNING, tuple(said["nodes"]), started_ms=at_ms)
            due_ns = said["at_ns"] + said["lasting_ms"] * 1_000_000
            self._runs[said["run"]] = _Run(report, due_ns, said["course"])
        elif said["what"] == "ended":
            one = self._runs.setdefault(said["run"], _Run(RunReport(said["run"], RunState.PLACED)))
            state = RunState(said["state"])
            code = {RunState.SUCCEEDED: 0, RunState.FAILED: 1}.get(state)
            one.report = replace(one.report, state=state, exit_code=code, ended_ms=at_ms)


class WitnessServicer(AdapterServicer):
    """Notes every call that would change something, with its epoch, as it comes off the wire."""

    async def Launch(self, request: pb.LaunchRequest, context: Context) -> pb.LaunchResponse:
        return await self._noted(request.epoch, super().Launch(request, context))

    async def Stop(self, request: pb.StopRequest, context: Context) -> pb.StopResponse:
        return await self._noted(request.epoch, super().Stop(request, context))

    async def _noted(self, epoch: int, call: Any) -> Any:
        assert isinstance(self._backend, WitnessBackend)
        journal = self._backend.journal
        try:
            answer = await call
        except BaseException:
            journal.write("call", epoch=epoch, obeyed=False)
            raise
        journal.write("call", epoch=epoch, obeyed=True)
        return answer


def nodes_of(pool: Pool) -> list[Node]:
    return [
        Node(f"{group.group}-{number}", group.arch, group.capacity)
        for group in pool.node_groups
        for number in range(group.nodes)
    ]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """What was written so far; a line that a kill cut short was never said."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def read_history(pool: Pool, state_dir: Path) -> PoolHistory:
    """The journal as the checker wants it."""
    entries: list[Call | Began | Ended] = []
    for said in read_lines(state_dir / JOURNAL):
        match said["what"]:
            case "call":
                entries.append(Call(said["epoch"], said["obeyed"]))
            case "began":
                cpu, memory = said["load"]
                nodes = tuple(said["nodes"])
                entries.append(Began(said["at_ns"], said["run"], said["workload"], nodes, (cpu, memory)))
            case "ended":
                entries.append(Ended(said["at_ns"], said["run"], said["state"]))
    nodes_have = {
        node.node_id: (node.allocatable.cpu_milli, node.allocatable.memory_bytes) for node in nodes_of(pool)
    }
    return PoolHistory(pool.pool_id, nodes_have, tuple(entries))


def _backend(pool: Pool, arguments: argparse.Namespace) -> WitnessBackend:
    return WitnessBackend(pool, arguments.state_dir)


def main() -> int:
    # The sdk's server makes its servicer itself; ours differs by what it notes.
    server.AdapterServicer = WitnessServicer  # type: ignore[misc]  # a subclass in the place of its base
    return run(parser(TECHNOLOGY).parse_args(), _backend)


if __name__ == "__main__":
    sys.exit(main())

"""A pool in memory behind `AdapterPort`, with every fault that tests want, and a record of what it was asked.

It keeps the contract as `adapters.sdk` does: idempotent on the run id, fenced by the epoch, a stream that answers
at once, cursors of this "process" only.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

from adapters.contract import Capabilities, Launch, Refusal, RefusalCode, RunReport, Stop
from adapters.port import AdapterUnavailable, CursorExpired, NodeList, RunList, StaleEpoch, WatchBatch
from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from inventory.model.workload import RunState

Course = tuple[RunState, ...]
AT_ONCE: Course = (RunState.STARTING, RunState.RUNNING, RunState.SUCCEEDED)
UNTIL_TOLD: Course = (RunState.STARTING, RunState.RUNNING)


class FakePool:
    """`course` is what a run goes through by itself when it is launched; `finish` lets one end."""

    def __init__(self, pool_id: str, nodes: int = 4, course: Course = AT_ONCE) -> None:
        self.pool_id = pool_id
        self.nodes = [self.node(f"n{i:03d}") for i in range(nodes)]
        self.course = course
        self.max_batch = 1000
        self.chooses_nodes = False
        self.answer_delay_s = 0.0
        self.stopped: dict[str, list[int]] = {}
        self.ends_when_asked = True
        self.launched: dict[str, tuple[str, ...]] = {}
        self.starts: Counter[str] = Counter()
        self.asked: list[str] = []
        self.runs: dict[str, RunReport] = {}
        self.epoch = 0
        self.is_down = False
        self.refuse: Callable[[Launch], RefusalCode | None] = lambda _: None
        self.refuse_stops = False
        self.before_answer: Callable[[str], None] = lambda _: None
        self.shared_disk = 0
        self._instance = 0
        self._journal: list[RunReport | None] = []
        self._grown = asyncio.Event()

    @staticmethod
    def node(node_id: str, cpu_milli: int = 4_000) -> Node:
        return Node(node_id, Architecture.X86_64, Resources(cpu_milli, 64 * GIB))

    # -- what tests do to it --------------------------------------------------------------------------------------

    def go_down(self) -> None:
        """Every call and stream fails until `come_back`."""
        self.is_down = True
        self._wake()

    def come_back(self, *, with_memory: bool = True) -> None:
        """As a new process: cursors of before are expired. Without memory its runs are gone."""
        self._instance += 1
        self._journal.clear()
        self._wake()
        if not with_memory:
            self.runs.clear()
        self.is_down = False

    def finish(self, run_id: str, state: RunState = RunState.SUCCEEDED) -> None:
        self._tell(RunReport(run_id, state, exit_code=0, ended_ms=2))

    def change_nodes(self, nodes: Sequence[Node]) -> None:
        self.nodes = list(nodes)
        self._journal.append(None)
        self._wake()

    def live(self) -> list[str]:
        return [run_id for run_id, report in self.runs.items() if not report.state.is_final]

    # -- AdapterPort ----------------------------------------------------------------------------------------------

    async def capabilities(self) -> Capabilities:
        await self._answer("capabilities")
        return Capabilities(
            self.pool_id, "fake", ("process",), max_batch=self.max_batch, chooses_nodes=self.chooses_nodes
        )

    async def nodes_listed(self) -> NodeList:
        await self._answer("nodes")
        return NodeList(tuple(self.nodes), self.shared_disk)

    async def listing(self) -> RunList:
        await self._answer("runs")
        return RunList(tuple(self.runs.values()), self._cursor(len(self._journal)))

    async def watch(self, cursor: str) -> AsyncIterator[WatchBatch]:
        await self._answer("watch")
        instance, _, position = cursor.partition(".")
        if instance != str(self._instance):
            raise CursorExpired(cursor)
        seen = int(position)
        while True:
            changes = self._journal[seen:]
            seen = len(self._journal)
            reports = tuple(change for change in changes if change is not None)
            yield WatchBatch(self._cursor(seen), reports, nodes_changed=None in changes)
            while seen == len(self._journal):
                if self.is_down or instance != str(self._instance):
                    raise AdapterUnavailable(f"{self.pool_id} is down")
                await self._grown.wait()
            if instance != str(self._instance):
                raise AdapterUnavailable(f"{self.pool_id} was restarted")

    async def launch(self, epoch: int, launches: Sequence[Launch]) -> list[RunReport | Refusal]:
        await self._answer("launch")
        await asyncio.sleep(self.answer_delay_s)
        self._fence(epoch)
        results = [self._launch(launch) for launch in launches]
        self.before_answer("launch")
        return results

    async def stop(self, epoch: int, stops: Sequence[Stop]) -> list[RunReport | Refusal]:
        await self._answer("stop")
        self._fence(epoch)
        results: list[RunReport | Refusal] = []
        for stop in stops:
            if self.refuse_stops:
                results.append(Refusal(stop.run_id, RefusalCode.INVALID_ARGUMENT, "no stops today"))
                continue
            report = self.runs.get(stop.run_id)
            self.stopped.setdefault(stop.run_id, []).append(stop.grace_ms)
            if report is not None and stop.grace_ms and not self.ends_when_asked:
                results.append(report)
                continue
            if report is None or not report.state.is_final:
                self._tell(RunReport(stop.run_id, RunState.STOPPED, ended_ms=2))
            results.append(self.runs[stop.run_id])
        self.before_answer("stop")
        return results

    async def renew(self, epoch: int, now_ms: int) -> list[str]:
        await self._answer("renew")
        self._fence(epoch)
        return []

    # -- inside ---------------------------------------------------------------------------------------------------

    def _launch(self, launch: Launch) -> RunReport | Refusal:
        known = self.runs.get(launch.run_id)
        if known is not None:
            if known.state is RunState.STOPPED and not self.starts[launch.run_id]:
                return Refusal(launch.run_id, RefusalCode.FAILED_PRECONDITION, "was stopped before")
            return known
        code = self.refuse(launch)
        if code is not None:
            return Refusal(launch.run_id, code, f"refused: {code.name}")
        self.starts[launch.run_id] += 1
        self.launched[launch.run_id] = launch.nodes
        for state in self.course:
            self._tell(RunReport(launch.run_id, state, launch.nodes, started_ms=1))
        return self.runs[launch.run_id]

    def _fence(self, epoch: int) -> None:
        if epoch < self.epoch:
            raise StaleEpoch(f"epoch {epoch} is older than {self.epoch}")
        self.epoch = epoch

    def _tell(self, report: RunReport) -> None:
        self.runs[report.run_id] = report
        self._journal.append(report)
        self._wake()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    def _cursor(self, position: int) -> str:
        return f"{self._instance}.{position}"

    async def _answer(self, what: str) -> None:
        self.asked.append(what)
        await asyncio.sleep(0)
        if self.is_down:
            raise AdapterUnavailable(f"{self.pool_id} is down")


class FakeAdapter:
    """One connection to a fake pool: what `Connect` returns. Closing it ends the connection, not the pool."""

    def __init__(self, pool: FakePool) -> None:
        self._pool = pool
        self.capabilities = pool.capabilities
        self.nodes = pool.nodes_listed
        self.runs = pool.listing
        self.watch = pool.watch
        self.launch = pool.launch
        self.stop = pool.stop
        self.renew_leases = pool.renew

    async def close(self) -> None:
        """Nothing is held open."""

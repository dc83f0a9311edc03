"""A simulated pool: nodes with capacity, runs that start late, take their time, and sometimes fail.

The simulated adapter serves it over gRPC, and the simulator uses it as its pools. Pure: time is an argument, all
randomness comes from the seed and the run id (so neither order nor restarts change a run's fate), no I/O.
Cost is a few dictionary operations a run and one heap of timers: 100,000 nodes and 20,000 launches a second.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adapters.contract import Launch, Page, Refusal, RefusalCode, RunReport, Stop, take_page
from adapters.simulated.fates import Fate, Profile, draw_fate, tombstone
from adapters.simulated.nodes import NodeRoom
from inventory.model.pool import Node, Pool
from inventory.model.units import format_resources
from inventory.model.workload import RunState

REMEMBERED = 100_000
_NODE_GONE = "所在节点已不在池中 / its node is no longer in the pool"


@dataclass(slots=True)
class _Run:
    number: int
    fate: Fate
    state: RunState

    def report(self) -> RunReport:
        fate, ended = self.fate, self.state.is_final
        started = self.state is RunState.RUNNING or (ended and fate.ever_starts)
        return RunReport(
            run_id=fate.run_id,
            state=self.state,
            nodes=fate.nodes,
            exit_code=fate.exit_code if ended else None,
            message=fate.message if ended else "",
            started_ms=fate.starts_ms if started else None,
            ended_ms=fate.ends_ms if ended else None,
        )


class SimulatedPool:
    """One pool. Times are milliseconds and never run backwards: an earlier `now_ms` counts as the latest seen.

    `launch`, `stop` and `advance` note what changed; `take_changes` hands it over, once. The `remembered` most
    recently ended runs are kept, and older ones forgotten.
    """

    def __init__(self, pool: Pool, profile: Profile, seed: int, remembered: int = REMEMBERED) -> None:
        self.pool = pool
        self._profile = profile
        self._seed = seed
        self._remembered = remembered
        self._room = NodeRoom(pool)
        self._runs: dict[str, _Run] = {}
        self._numbered = 0
        self._ended: deque[str] = deque()
        self._timers: list[tuple[int, int, str]] = []  # (due, sequence, run id)
        self._armed = 0
        self._now_ms = 0
        self._changes: list[RunReport] = []
        self._fates: list[Fate] = []

    # -- what the scheduler asks for ----------------------------------------------------------------------------

    def launch(self, launches: Sequence[Launch], now_ms: int) -> list[RunReport | Refusal]:
        """A result per item, in order. A known run id is not started again: the result says what it is now."""
        self.advance(now_ms)
        return [self._launch(launch) for launch in launches]

    def stop(self, stops: Sequence[Stop], now_ms: int) -> list[RunReport]:
        """Stops runs at once (a simulated program needs no grace); unknown run ids are remembered as stopped."""
        self.advance(now_ms)
        return [self._stop(stop.run_id, stop.why) for stop in stops]

    def advance(self, now_ms: int) -> None:
        """Lets everything happen that is due until `now_ms`, in order of (time, sequence)."""
        timers = self._timers
        while timers and timers[0][0] <= now_ms:
            due, _, run_id = heapq.heappop(timers)
            run = self._runs.get(run_id)
            if run is None or run.state.is_final:
                continue  # stopped before its timer
            self._now_ms = max(self._now_ms, due)
            if run.state is RunState.STARTING:
                run.state = RunState.RUNNING
                self._changes.append(run.report())
                self._arm(run.fate.ends_ms, run_id)
            else:
                self._end(run)
        self._now_ms = max(self._now_ms, now_ms)

    @property
    def next_due_ms(self) -> int | None:
        """When `advance` will next have something to do; None when nothing is under way."""
        return self._timers[0][0] if self._timers else None

    # -- what it is now -----------------------------------------------------------------------------------------

    def inspect(self, run_id: str) -> RunReport | None:
        run = self._runs.get(run_id)
        return run.report() if run else None

    def runs(self, after: str, limit: int) -> Page[RunReport]:
        """Remembered runs, oldest first, after the key `after`. Raises ValueError for a key not its own."""
        last = int(after) if after else 0
        return take_page(
            ((str(run.number), run.report()) for run in self._runs.values() if run.number > last), limit
        )

    def nodes(self, after: str, limit: int) -> Page[Node]:
        """Nodes in a stable order, after the key `after`. Raises ValueError for a key not its own."""
        first = int(after) if after else 0
        if first < 0:
            raise ValueError(f"{after!r} is not a node key")
        items = self._room.nodes(first, limit)
        following = first + len(items)
        return Page(items, str(following) if following < self._room.count else "")

    @property
    def room(self) -> NodeRoom:
        """What is free, for tests of conservation and for the simulator's snapshots."""
        return self._room

    @property
    def remembered_runs(self) -> int:
        return len(self._runs)

    @property
    def active_runs(self) -> int:
        return len(self._runs) - len(self._ended)

    # -- what must be told and kept -----------------------------------------------------------------------------

    def take_changes(self) -> list[RunReport]:
        """Every change of state since the last call, in order."""
        changes, self._changes = self._changes, []
        return changes

    def take_fates(self) -> list[Fate]:
        """The fates that were decided or changed since the last call: what an adapter writes to disk."""
        fates, self._fates = self._fates, []
        return fates

    def fates(self) -> Iterator[Fate]:
        """The fate of every remembered run, oldest first: what a compacted journal holds."""
        return (run.fate for run in self._runs.values())

    def restore(self, fate: Fate, now_ms: int) -> None:
        """Takes up a run of before a restart, where its fate has brought it by `now_ms`.

        A run that no longer fits (the declaration of the pool has shrunk) is lost. Nothing is noted as changed.
        """
        self._now_ms = max(self._now_ms, now_ms)
        if fate.ends_ms > now_ms and not self._room.take(fate.nodes, fate.load, fate.disk_bytes):
            fate = fate._replace(outcome=RunState.LOST, exit_code=None, ends_ms=now_ms, message=_NODE_GONE)
        if fate.ends_ms <= now_ms:
            self._remember(fate, fate.outcome)
            self._retire(fate.run_id)
        elif fate.starts_ms <= now_ms:
            self._remember(fate, RunState.RUNNING)
            self._arm(fate.ends_ms, fate.run_id)
        else:
            self._remember(fate, RunState.STARTING)
            self._arm(fate.starts_ms, fate.run_id)

    # -- one run ------------------------------------------------------------------------------------------------

    def _launch(self, launch: Launch) -> RunReport | Refusal:
        known = self._runs.get(launch.run_id)
        if known is not None:
            return _stopped_before(launch.run_id) if known.fate.is_tombstone else known.report()
        for node_id in launch.nodes:
            if node_id not in self._room:
                return _unknown_node(launch.run_id, node_id)
        fate = draw_fate(launch, self._profile, self._seed, self._now_ms)
        if not self._room.take(launch.nodes, fate.load, fate.disk_bytes):
            return _no_room(launch)
        self._fates.append(fate)
        self._remember(fate, RunState.STARTING)
        self._arm(fate.starts_ms, launch.run_id)
        report = RunReport(launch.run_id, RunState.STARTING, launch.nodes)
        self._changes.append(report)
        return report

    def _stop(self, run_id: str, why: str) -> RunReport:
        run = self._runs.get(run_id)
        if run is None:
            fate = tombstone(run_id, self._now_ms)
            run = self._remember(fate, RunState.STOPPED)
            self._fates.append(fate)
            self._changes.append(run.report())
            self._retire(run_id)
        elif not run.state.is_final:
            run.fate = run.fate._replace(
                # A run that is stopped in the instant of its start has started: the two times may be equal.
                starts_ms=run.fate.starts_ms if run.state is RunState.RUNNING else self._now_ms + 1,
                ends_ms=self._now_ms,
                outcome=RunState.STOPPED,
                exit_code=143 if run.state is RunState.RUNNING else None,
                message=why or "按要求停止 / stopped as asked",
            )
            self._fates.append(run.fate)
            self._end(run)
        return run.report()

    def _end(self, run: _Run) -> None:
        run.state = run.fate.outcome
        self._room.give_back(run.fate.nodes, run.fate.load, run.fate.disk_bytes)
        self._changes.append(run.report())
        self._retire(run.fate.run_id)

    def _remember(self, fate: Fate, state: RunState) -> _Run:
        self._numbered += 1
        run = self._runs[fate.run_id] = _Run(self._numbered, fate, state)
        return run

    def _retire(self, run_id: str) -> None:
        self._ended.append(run_id)
        if len(self._ended) > self._remembered:
            del self._runs[self._ended.popleft()]

    def _arm(self, due_ms: int, run_id: str) -> None:
        self._armed += 1
        heapq.heappush(self._timers, (due_ms, self._armed, run_id))


def _stopped_before(run_id: str) -> Refusal:
    return Refusal(
        run_id,
        RefusalCode.FAILED_PRECONDITION,
        f"{run_id}: 启动前已被停止，不再启动 / was stopped before this launch came, and is not launched",
    )


def _unknown_node(run_id: str, node_id: str) -> Refusal:
    return Refusal(
        run_id, RefusalCode.NOT_FOUND, f"{node_id}: 没有此节点，请重新列出节点 / no such node: list the nodes anew"
    )


def _no_room(launch: Launch) -> Refusal:
    need = format_resources(launch.requirements.per_task)
    return Refusal(
        launch.run_id,
        RefusalCode.RESOURCE_EXHAUSTED,
        f"{need} × {launch.requirements.tasks}: 节点或共享存储余量不足，请重新选择节点 / "
        f"a node or the shared storage has no room: place it anew",
    )

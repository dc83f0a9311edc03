"""A whole control plane on pools in memory, against a plain model: submit, cancel, cordon, failures, restarts.

Where `test_book_model` drives decisions one by one, here everything runs as in production but for Ray and gRPC: writer,
planner, dispatcher, links, store. After each step the model says what everything must come to.

Which of two pools with room takes a workload depends on which of them answered first, so the model learns it from the
control plane. No precondition may ask for it: Hypothesis plays the same choices again and expects the same rules to be open.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState, WorkloadState
from scheduler.core.admission import Accepted, Outcome
from scheduler.runtime import control_plane, dispatcher, planning, pool_link
from scheduler.services.ports import WorkloadRecord
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually
from tests.lifecycle.bookkeeping import submission

POOLS = ("p1", "p2")
NODES = 2
WHOLE_NODE = Requirements(Resources(4_000, GIB))
QUEUED, ACTIVE, SUBMITTED = WorkloadState.QUEUED, WorkloadState.ACTIVE, WorkloadState.SUBMITTED
SUCCEEDED, FAILED, CANCELLED = WorkloadState.SUCCEEDED, WorkloadState.FAILED, WorkloadState.CANCELLED
chance = st.floats(0, 1, exclude_max=True)
a_pool = st.sampled_from(POOLS)
SHORT_WAITS = (
    (pool_link, {"FIRST_RETRY_S": 0.01, "LONGEST_RETRY_S": 0.05, "LOOK_EVERY_S": 0.05, "ANSWER_PAUSE_S": 0.005}),
    (dispatcher, {"FIRST_REST_S": 0.01, "LONGEST_REST_S": 0.05}),
    (planning, {"PAUSE_S": 0.01, "LOOK_AGAIN_S": 3_600.0}),
    (control_plane, {"SUPERVISE_S": 0.02}),
)


@dataclass
class Plain:
    """One workload. `pool` is where its live run is ("": none), `ended` how the runs before it ended."""

    key: str
    max_attempts: int
    waits_for: str = ""
    state: WorkloadState = QUEUED
    pool: str = ""
    ended: list[RunState] = field(default_factory=list)

    @property
    def may_fail_again(self) -> bool:
        return self.ended.count(RunState.FAILED) < self.max_attempts


@dataclass
class PlainPool:
    cordoned: bool = False
    down: bool = False


class ControlPlaneModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.patches = pytest.MonkeyPatch()
        for module, waits in SHORT_WAITS:
            for name, value in waits.items():
                self.patches.setattr(module, name, value)
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.model: dict[str, Plain] = {}
        self.pools = {pool_id: PlainPool() for pool_id in POOLS}
        self.do(self._begin())

    async def _begin(self) -> None:
        self.site = Site(Path(self.folder.name))
        self.site.start()
        for pool_id in POOLS:
            await self.site.add_pool(pool_id, FakePool(pool_id, NODES, UNTIL_TOLD))

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(what)

    # -- what is done -------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 3), attempts=st.integers(1, 2), chained=st.booleans())
    def submit(self, count: int, attempts: int, chained: bool) -> None:
        """Some workloads of a node each; in a chain each waits for the one before it."""
        items, plain = [], []
        for _ in range(count):
            key = f"k{len(self.model) + len(plain)}"
            before = plain[-1].key if chained and plain else ""
            plain.append(Plain(key, attempts, before, SUBMITTED if before else QUEUED))
            after = (before,) if before else ()
            items.append(submission(key, *after, requirements=WHOLE_NODE, max_attempts=attempts))
        ids = self.do(self.site.submit(*items))
        self.model |= dict(zip(ids, plain, strict=True))
        self.settle()

    @precondition(lambda self: self.model)
    @rule(at=chance)
    def submit_again(self, at: float) -> None:
        """The same key and the same body: the same workload, and nothing happens."""
        workload_id = self._pick(at, list(self.model))
        plain = self.model[workload_id]
        after = (plain.waits_for,) if plain.waits_for else ()
        item = submission(plain.key, *after, requirements=WHOLE_NODE, max_attempts=plain.max_attempts)
        (outcome,) = self.do(self.site.plane.submit([item]))
        assert _accepted_id(outcome) == workload_id
        self.settle()

    @precondition(lambda self: self.model)
    @rule(at=chance)
    def cancel(self, at: float) -> None:
        workload_id = self._pick(at, list(self.model))
        plain = self.model[workload_id]
        self.do(self.site.plane.cancel(workload_id, "model"))
        if not plain.state.is_final:
            plain.state = CANCELLED
        self.settle()

    @rule(at=chance, ending=st.sampled_from([RunState.SUCCEEDED, RunState.FAILED]))
    def end_a_run(self, at: float, ending: RunState) -> None:
        running = self._running_where_it_is_heard()
        if not running:
            return
        workload_id = self._pick(at, running)
        plain = self.model[workload_id]
        self.site.pools[plain.pool].finish(f"{workload_id}.{len(plain.ended) + 1}", ending)
        self._end(plain, ending)
        self.settle()

    @rule(pool_id=a_pool, cordoned=st.booleans())
    def cordon(self, pool_id: str, cordoned: bool) -> None:
        self.do(self.site.plane.cordon_pool(pool_id, cordoned, "model"))
        self.pools[pool_id].cordoned = cordoned
        self.settle()

    @rule(pool_id=a_pool)
    def lose_a_pool(self, pool_id: str) -> None:
        self.site.pools[pool_id].go_down()
        self.pools[pool_id].down = True
        self.do(self.site.until_health(pool_id, "unreachable"))
        self.settle()

    @precondition(lambda self: any(pool.down for pool in self.pools.values()))
    @rule(remembers=st.booleans())
    def find_a_pool_again(self, remembers: bool) -> None:
        """With its runs, or without: then they are lost, and placed anew without being held against anybody."""
        pool_id = next(pool_id for pool_id, pool in self.pools.items() if pool.down)
        self.pools[pool_id].down = False
        if not remembers:
            for plain in self.model.values():
                if plain.pool == pool_id:
                    self._end(plain, RunState.LOST)
        self.site.pools[pool_id].come_back(with_memory=remembers)
        self.do(self.site.until_health(pool_id, "ready"))
        self.settle()

    @rule(hosts_survive=st.booleans())
    def restart(self, hosts_survive: bool) -> None:
        """A crash of the control plane, and another on what is stored."""
        epoch = self.site.plane.epoch
        self.do(self.site.restart(keep_host=hosts_survive))
        assert self.site.plane.epoch == epoch + 1
        for pool_id, pool in self.pools.items():
            self.do(self.site.until_health(pool_id, "unreachable" if pool.down else "ready"))
        self.settle()

    # -- what must come of it -----------------------------------------------------------------------------------

    def settle(self) -> None:
        """Waits until the control plane is where the model says, and lets the model know who was placed where."""
        self._let_the_model_run()
        self.do(eventually(self._is_as_the_model_says, f"the model: {self.model}"))
        self.do(self._take_placements())
        for pool_id in POOLS:
            fake = self.site.pools[pool_id]
            live = {
                self._run_id(workload_id) for workload_id, plain in self.model.items() if plain.pool == pool_id
            }
            assert max(fake.starts.values(), default=0) <= 1
            nodes = [node for run_id in fake.live() for node in fake.launched[run_id]]
            assert len(nodes) == len(set(nodes)), f"{pool_id} is oversold: {nodes}"
            assert set(fake.live()) <= live, "only what the model has there runs there"

    def _let_the_model_run(self) -> None:
        """Stops are obeyed where the pool is heard; what waited for a success or a failure has it now."""
        for plain in self.model.values():
            if plain.pool and plain.state is CANCELLED and not self.pools[plain.pool].down:
                plain.ended.append(RunState.STOPPED)
                plain.pool = ""
        changed = True
        states = {plain.key: plain for plain in self.model.values()}
        while changed:
            changed = False
            for plain in self.model.values():
                if plain.state is not SUBMITTED:
                    continue
                awaited = states[plain.waits_for].state
                if awaited is SUCCEEDED or awaited in (FAILED, CANCELLED):
                    plain.state = QUEUED if awaited is SUCCEEDED else FAILED
                    changed = True

    async def _is_as_the_model_says(self) -> bool:
        """Every workload is in its state, but that as many of the queued ones are active as there is room for."""
        placed = 0
        records = await self._records()
        for workload_id, plain in self.model.items():
            record = records[workload_id]
            states = [run.state for run in record.runs]
            if plain.state is QUEUED and record.workload.state is ACTIVE:
                placed += 1
                if states != [*plain.ended, RunState.RUNNING]:
                    return False
            elif record.workload.state is not plain.state or not self._runs_match(plain, states):
                return False
        waiting = sum(plain.state is QUEUED for plain in self.model.values())
        return placed == min(waiting, sum(map(self._room, POOLS)))

    async def _records(self) -> dict[str, WorkloadRecord]:
        page = await self.site.plane.list_workloads("", frozenset(), 1000, "")
        return {record.workload.workload_id: record for record in page.records}

    def _runs_match(self, plain: Plain, states: list[RunState]) -> bool:
        if states[: len(plain.ended)] != plain.ended:
            return False
        live = states[len(plain.ended) :]
        return live == ([RunState.RUNNING] if plain.pool else [])

    async def _take_placements(self) -> None:
        records = await self._records()
        for workload_id, plain in self.model.items():
            record = records[workload_id]
            if plain.state is QUEUED and record.workload.state is ACTIVE:
                pool_id = record.runs[-1].pool_id
                assert self._room(pool_id) > 0, f"{pool_id} had no room, or was closed"
                plain.state, plain.pool = ACTIVE, pool_id

    def _room(self, pool_id: str) -> int:
        pool = self.pools[pool_id]
        held = sum(plain.pool == pool_id for plain in self.model.values())
        return 0 if pool.cordoned or pool.down else NODES - held

    def _end(self, plain: Plain, ending: RunState) -> None:
        plain.pool = ""
        plain.ended.append(ending)
        if plain.state.is_final:
            return
        if ending is RunState.SUCCEEDED:
            plain.state = SUCCEEDED
        else:
            plain.state = QUEUED if ending is RunState.LOST or plain.may_fail_again else FAILED

    def _running_where_it_is_heard(self) -> list[str]:
        return [
            workload_id
            for workload_id, plain in self.model.items()
            if plain.state is ACTIVE and not self.pools[plain.pool].down
        ]

    def _run_id(self, workload_id: str) -> str:
        return f"{workload_id}.{len(self.model[workload_id].ended) + 1}"

    @staticmethod
    def _pick(at: float, among: list[str]) -> str:
        return among[int(at * len(among))]

    def teardown(self) -> None:
        """The store verifies, too: `Site.close` sees to it."""
        try:
            self.do(self.site.close())
        finally:
            self.runner.close()
            self.folder.cleanup()
            self.patches.undo()


def _accepted_id(outcome: Outcome) -> str:
    assert isinstance(outcome, Accepted), outcome
    return outcome.workload_id


TestControlPlaneModel = ControlPlaneModel.TestCase
TestControlPlaneModel.settings = settings(max_examples=8, stateful_step_count=16, deadline=None)

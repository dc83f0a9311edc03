"""Runbooks, orders and a driver for the tests: a clock that they move, pools in memory, a store of their own."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from inventory.model.system import Architecture, Zone
from inventory.model.units import GIB, Resources
from inventory.store.event_store import Store
from scheduler.core.migration.run import MigrationRun
from scheduler.core.migration.transitions import MigrationState
from scheduler.runbooks import durable
from scheduler.runbooks.admission import KnownSystem
from scheduler.runbooks.desk import Paper, RunDesk
from scheduler.runbooks.driver import Driver, DriverSettings, nobody
from scheduler.runbooks.pool_rules import KnownPool
from scheduler.runbooks.ports import Capacity, CapacityRefused, PoolTask, TaskState
from scheduler.runbooks.record import RunRecord
from scheduler.runbooks.steps.context import StepPorts
from scheduler.store.opening import open_store

STORE, CHECKPOINTS = "xisuan.db", "runbooks.db"
MINUTE = 60_000
T0 = 1_790_000_000_000  # 2026-09-21
STARTS, ENDS = "2026-09-22T22:00:00+08:00", "2026-09-23T06:00:00+08:00"
OPENS_MS, CLOSES_MS = 1_790_085_600_000, 1_790_114_400_000
SYSTEM = "综合办公系统@示例局"
PAPER = Paper("示例〔2026〕1号", "0" * 64)
GOV_A = KnownPool("gov-a", frozenset(Zone), 3, frozenset(Architecture), Resources(640_000, 2560 * GIB))
_PATIENCE_S = 20.0


@dataclass
class MovedClock:
    """A clock that stands still until a test moves it."""

    at_ms: int = T0

    def now_ms(self) -> int:
        return self.at_ms


@dataclass
class MemoryPools:
    """Workloads that run or end as a test says, and capacity of so many milli-CPU."""

    free_milli: int = 10_000
    states: dict[str, str] = field(default_factory=dict)
    submitted: dict[str, PoolTask] = field(default_factory=dict)
    held: dict[str, Capacity] = field(default_factory=dict)
    allocated: dict[str, Capacity] = field(default_factory=dict)
    ends_as: str = "succeeded"

    def submit(self, task: PoolTask) -> str:
        self.submitted.setdefault(task.key, task)
        self.states.setdefault(task.key, self.ends_as)
        return task.key

    def state(self, workload_id: str) -> TaskState:
        return TaskState(workload_id, self.states[workload_id])

    def cancel(self, workload_id: str, reason: str) -> None:
        self.states[workload_id] = "cancelled"

    def hold(self, capacity: Capacity) -> str:
        others = sum(one.cpu_milli for one in self.held.values() if one.hold_id != capacity.hold_id)
        if others + capacity.cpu_milli > self.free_milli:
            raise CapacityRefused(f"{capacity.pool_id}: {self.free_milli - others} milli-CPU free")
        self.held[capacity.hold_id] = capacity
        return f"{capacity.cpu_milli} milli-CPU"

    def release(self, hold_id: str, *, as_allocation: bool) -> None:
        capacity = self.held.pop(hold_id, None)
        if as_allocation and capacity is not None:
            self.allocated[hold_id] = capacity


def noting(log: Path, word: str, *, idempotent: bool = True, code: int = 0) -> dict[str, Any]:
    """A command that appends its step and attempt to a file, then ends with `code`; its place is the order's, and
    another one in the rehearsal."""
    line = f'echo "{word} $XISUAN_STEP $XISUAN_ATTEMPT" >> {log}; exit {code}'
    place = {"PLACE": "${place}"}
    return {"kind": "command", "argv": ["/bin/sh", "-c", line], "environment": place, "idempotent": idempotent}


def step(name: str, do: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": name, "do": do, **more}


def approval(name: str, role: str, provides: str) -> dict[str, Any]:
    return step(name, {"kind": "approval", "role": role}, provides=provides)


def a_template(log: Path, **changes: Any) -> dict[str, Any]:
    """A sound rehost of command steps, as a YAML document; `changes` replace whole phases (by their names) or keys."""

    def command(name: str, provides: str = "", **more: Any) -> dict[str, Any]:
        return step(
            name,
            noting(log, "do"),
            compensation=noting(log, "undo"),
            **({"provides": provides} if provides else {}),
            **more,
        )

    phases: dict[str, Any] = {
        "survey": {},
        "assessment": {},
        "design": {},
        "approval": {"steps": [approval("approve", "competent_authority", "approval")]},
        "provisioning": {
            "steps": [
                step("hold", {"kind": "reserve", "pool": "gov-a", "cpu_milli": 1000, "memory_mib": 64}),
                command("build"),
            ]
        },
        "replication": {"steps": [command("replicate", "replication_lag")]},
        "rehearsal": {"rehearses": ["cutover", "verification"], "with": {"place": "rehearsal"}},
        "cutover": {
            "steps": [
                step("wait", {"kind": "window"}),
                step("go", {"kind": "go_no_go", "criteria": [{"evidence": "replication_lag"}]}),
                command("stop", per_system=True),
                command("start"),
            ]
        },
        "verification": {"steps": [command("verify", "verified")]},
        "trial_run": {},
        "acceptance": {
            "steps": [
                approval("accept", "competent_authority", "acceptance"),
                step("release", {"kind": "release"}),
            ]
        },
        "decommissioning": {"steps": [step("wipe", noting(log, "do"), provides="decommissioned")]},
    }
    document: dict[str, Any] = {
        "version": 1,
        "name": "rehost",
        "title": "平迁 / rehost",
        "outcome": "migrated",
        "parameters": ["place"],
        "phases": phases,
    }
    for name, value in changes.items():
        (phases if name in phases else document)[name] = value
    return document


def an_order(**changes: Any) -> dict[str, Any]:
    paper = {"number": "示例〔2026〕1号", "sha256": "0" * 64}
    document: dict[str, Any] = {
        "version": 1,
        "runbook": "rehost.yaml",
        "title": "示例割接",
        "systems": [{"key": SYSTEM}],
        "window": {"starts": STARTS, "ends": ENDS},
        "people": {"competent_authority": ["张三", "李四"]},
        "parameters": {"place": "production"},
        "documents": dict.fromkeys(("ledger_row", "disposition", "plan", "rollback_plan"), paper),
    }
    return {**document, **changes}


def as_yaml(document: dict[str, Any]) -> str:
    """JSON is YAML, and has no aliases."""
    return json.dumps(document, ensure_ascii=False)


@dataclass
class Site:
    """One installation: store, desk, driver, clock, pools."""

    store: Store
    desk: RunDesk
    driver: Driver
    clock: MovedClock
    pools: MemoryPools
    record: RunRecord

    def open(self, template: dict[str, Any], order: dict[str, Any] | None = None, actor: str = "王五") -> str:
        return self.desk.open(as_yaml(template), as_yaml(order or an_order()), actor)

    def run(self, run_id: str) -> MigrationRun:
        run = self.record.load(run_id)
        assert run is not None
        return run

    def settle(self, run_id: str) -> MigrationRun:
        """Drives until the run waits for something."""
        return self.until(run_id, lambda run: True)

    def until(self, run_id: str, reached: Callable[[MigrationRun], bool]) -> MigrationRun:
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            self.driver.tick()
            if self.driver.is_idle() and reached(self.run(run_id)):
                return self.run(run_id)
            time.sleep(0.03)
        raise AssertionError(f"not reached: {self.desk.show(run_id)}")

    def until_state(self, run_id: str, state: MigrationState) -> MigrationRun:
        return self.until(run_id, lambda run: run.state is state)

    def through_the_window(self, run_id: str) -> MigrationRun:
        """Approved, rehearsed, and inside the window; as far as it goes by itself."""
        self.until_state(run_id, MigrationState.WAITING)
        self.desk.approve(run_id, "", "张三", PAPER)
        self.until(run_id, lambda run: run.waiting_for == "wait")
        self.clock.at_ms = OPENS_MS
        return self.until(run_id, lambda run: run.waiting_for != "wait")


@cache
def _blank() -> tempfile.TemporaryDirectory[str]:
    """A store and checkpoints with their tables and nothing in them, made once a process: making tables takes longer
    than many a test."""
    made = tempfile.TemporaryDirectory(prefix="xisuan-blank-")
    folder = Path(made.name)
    open_store(f"sqlite:///{folder / STORE}").close()
    durable.launch(f"sqlite:///{folder / CHECKPOINTS}", 0.1, lambda run_id: None)
    durable.close()
    return made


@contextmanager
def a_site(folder: Path, store_url: str = "", observer: Callable[[str], None] = nobody) -> Iterator[Site]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in (STORE, CHECKPOINTS):
        if not (folder / name).exists():
            shutil.copyfile(Path(_blank().name) / name, folder / name)
    store = open_store(store_url or f"sqlite:///{folder / STORE}")
    clock, pools = MovedClock(), MemoryPools()
    record = RunRecord(store)
    ports = StepPorts(clock, pools, pools, folder / "runs")
    driver = Driver(record, ports, DriverSettings(f"sqlite:///{folder / CHECKPOINTS}", observer))
    known = {key: KnownSystem(key) for key in (SYSTEM, "甲", "乙", "丙")}
    desk = RunDesk(record, clock.now_ms, lambda: known, lambda: {"gov-a": GOV_A})
    driver.start()
    try:
        yield Site(store, desk, driver, clock, pools, record)
    finally:
        driver.close()
        store.close()

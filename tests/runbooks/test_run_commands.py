"""The whole way: the command line, gRPC, the desk, the chain, the driver, and back; and the same without a service."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from console.home import Endpoint, Home, find_home
from scheduler.runbooks.driver import Driver, DriverSettings
from scheduler.runbooks.record import RunRecord
from scheduler.runbooks.steps.context import StepPorts
from scheduler.runtime.run_calls import RunCalls
from scheduler.services.ledger_desk import LedgerDesk
from scheduler.services.migration_desk import MigrationDesk
from scheduler.store.opening import open_store
from scheduler.store.projection import pool_registered
from scheduler.store.scheduler_store import Batch, SchedulerStore
from tests.console.commandline import xisuan
from tests.runbooks.runbooks import OPENS_MS, T0, MemoryPools, MovedClock, a_template, an_order, as_yaml
from tests.services.ledgers import FIVE, a_pool, a_workbook
from tests.services.memory import Awaitable, MemoryScheduling
from tests.services.serving import serving

_PATIENCE_S = 30.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose ledger has five systems."""
    for name in ("XISUAN_STORE", "XISUAN_ADDRESS", "XISUAN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XISUAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XISUAN_ACTOR", "王五")
    workbook = tmp_path / "台账.xlsx"
    workbook.write_bytes(a_workbook(FIVE))
    xisuan("ledger", "import", workbook).done()
    store = SchedulerStore(open_store(find_home().store_url))
    store.record(Batch([pool_registered(a_pool("gov-a"), "127.0.0.1:1")]), actor="王五", now_ms=T0)
    store.store.close()
    return find_home()


@pytest.fixture
def system(home: Home) -> str:
    return str(xisuan("ledger", "systems", "--json").done().json[0]["system_key"])


def files(folder: Path, system: str, **changes: Any) -> Path:
    """A runbook, an order beside it, and a paper; returns the order."""
    (folder / "rehost.yaml").write_text(as_yaml(a_template(folder / "log", **changes)), encoding="utf-8")
    (folder / "plan.pdf").write_bytes(b"the plan")
    order = an_order(systems=[{"key": system}])
    order["documents"] = {**order["documents"], "plan": {"number": "示例〔2026〕2号", "file": "plan.pdf"}}
    path = folder / "order.yaml"
    path.write_text(as_yaml(order), encoding="utf-8")
    return path


def show(run_id: str = "R1") -> dict[str, Any]:
    document: dict[str, Any] = xisuan("migration", "show", run_id, "--json").done().json
    return document


@pytest.fixture
def clock(home: Home, tmp_path: Path) -> Iterator[MovedClock]:
    """A service and its runbook host, with a clock that the test moves."""
    with ExitStack() as stack:
        stack.enter_context(home.writer_lock())
        store = open_store(home.store_url)
        stack.callback(store.close)
        moved, pools = MovedClock(), MemoryPools()
        scheduler_store = SchedulerStore(store)
        migration = MigrationDesk(scheduler_store, moved.now_ms)
        runs = RunCalls(store, migration, moved.now_ms)
        ports = (LedgerDesk(store, moved.now_ms), migration, runs)
        gateway = stack.enter_context(serving(MemoryScheduling(scheduler_store), *map(Awaitable, ports)))
        home.write_endpoint(Endpoint(gateway.address, os.getpid(), T0))
        stack.callback(home.remove_endpoint)
        driver = Driver(
            RunRecord(store),
            StepPorts(moved, pools, pools, tmp_path / "steps"),
            DriverSettings(f"sqlite:///{tmp_path / 'checkpoints.db'}"),
        )
        driver.start()
        stack.callback(driver.close)
        over = threading.Event()

        def tick() -> None:
            while not over.wait(0.05):
                driver.tick()

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(over.set)
        yield moved


def until(**wanted: object) -> dict[str, Any]:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        run = show()
        if all(run[name] == value for name, value in wanted.items()):
            return run
        time.sleep(0.05)
    raise AssertionError(f"{wanted} not reached: {show()}")


def test_a_run_from_the_command_line_to_acceptance(system: str, clock: MovedClock, tmp_path: Path) -> None:
    assert xisuan("migration", "open", files(tmp_path, system), "--json").done().json == {"run_id": "R1"}
    run = until(waiting_for="approve")
    assert run["may_approve"] == ["张三", "李四"]
    assert run["evidence"]["plan"]["sha256"] == hashlib.sha256(b"the plan").hexdigest()
    xisuan("migration", "approve", "R1", "--number", "示例批〔2026〕1号").refused("王五", "competent_authority")
    xisuan("migration", "approve", "R1", "--by", "张三").refused("--number")
    xisuan("migration", "pause", "R1", "--reason", "等通知").done()
    xisuan("migration", "resume", "R1").done()
    until(waiting_for="approve")
    paper = tmp_path / "plan.pdf"
    xisuan("migration", "approve", "R1", "--by", "张三", "--number", "示例批〔2026〕1号", "--file", paper).done()
    until(waiting_for="wait")
    clock.at_ms = OPENS_MS
    until(waiting_for="accept")
    said = xisuan("migration", "show", "R1").done().out
    assert "李四" in said and "rehearsal.start" in said
    xisuan("migration", "approve", "R1", "--by", "李四", "--number", "示例验〔2026〕1号").done()
    until(state="completed")
    history = xisuan("migration", "show", "R1", "--history", "--json").done().json["history"]
    approved = [event for event in history if event["kind"] == "runbook.approved"]
    assert [event["actor"] for event in approved] == ["张三", "李四"]
    assert approved[0]["payload"]["sha256"] == hashlib.sha256(b"the plan").hexdigest()
    assert "R1" in xisuan("migration", "runs").done().out
    xisuan("migration", "rollback", "R1", "--reason", "后悔").refused("R1")
    xisuan("verify").done()


def test_what_cannot_be_opened_says_why_and_nothing_begins(system: str, clock: MovedClock, tmp_path: Path) -> None:
    bad = a_template(tmp_path / "log")["phases"]["verification"]
    del bad["steps"][0]["compensation"]
    xisuan("migration", "open", files(tmp_path, system, verification=bad)).refused("verify", "compensation")
    xisuan("migration", "open", files(tmp_path, "没有的系统")).refused("没有的系统")
    elsewhere = a_template(tmp_path / "log")["phases"]["provisioning"]
    elsewhere["steps"][0]["do"]["pool"] = "gov-b"
    xisuan("migration", "open", files(tmp_path, system, provisioning=elsewhere)).refused(
        "gov-b", "gov-a", "pool ls"
    )
    xisuan("migration", "open", files(tmp_path, system), "--wave", "1").refused("xisuan migration plan")
    xisuan("migration", "show", "R1").refused("R1")
    assert xisuan("migration", "runs", "--json").done().json == []
    assert clock.at_ms == T0 and not (tmp_path / "log").exists()


def test_without_a_service_it_is_recorded_and_waits_for_one(system: str, tmp_path: Path) -> None:
    order = files(tmp_path, system)
    ahead = json.loads(order.read_text(encoding="utf-8"))
    ahead["window"] = {"starts": "2999-09-20T22:00:00+08:00", "ends": "2999-09-21T06:00:00+08:00"}
    order.write_text(as_yaml(ahead), encoding="utf-8")
    xisuan("migration", "open", order).done()
    assert show()["state"] == "running"
    xisuan("migration", "rollback", "R1", "--reason", "改期").done()
    assert show()["state"] == "rolling_back"
    xisuan("migration", "retry", "R1").refused("R1")
    xisuan("migration", "skip", "R1", "--reason", "急").refused("R1")
    xisuan("migration", "refuse", "R1", "--reason", "否").refused("R1")


@pytest.mark.usefixtures("home")
def test_a_runbook_is_checked_where_it_is_written(system: str, tmp_path: Path) -> None:
    files(tmp_path, system)
    assert "sound" in xisuan("migration", "check-runbook", tmp_path / "rehost.yaml").done().out
    (tmp_path / "rehost.yaml").write_text("version: 1", encoding="utf-8")
    said = xisuan("migration", "check-runbook", tmp_path / "rehost.yaml")
    assert said.code == 3 and "phases" in said.out
    (tmp_path / "order.yaml").write_text("version: 1\nrunbook: nowhere.yaml", encoding="utf-8")
    xisuan("migration", "open", tmp_path / "order.yaml").refused("nowhere.yaml")

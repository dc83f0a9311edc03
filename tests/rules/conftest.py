"""A store with a small ledger, a desk whose clock the test moves, and a home for the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from console.home import Home, find_home
from inventory.intake import Intake
from inventory.ledger import read_ledger
from inventory.store.event_store import Store
from inventory.store.verify import verify
from scheduler.services.assessment_desk import AssessmentDesk
from scheduler.store.opening import open_store
from tests.services.ledgers import a_system, a_workbook

NOVEMBER = 1_795_305_600_000  # 2026-11-22 in China
DAY_MS = 86_400_000

LEDGER = (
    a_system("统一认证平台"),
    a_system("审批系统", deps=("统一认证平台",)),
    a_system("公车调度系统", vcpu=16, mem_gb=32),
    a_system("旧档案系统", deps=("统一认证平台",), migrated=True),
    a_system("防汛监测系统"),
)


def utilisation_csv(*quiet: str) -> bytes:
    """120 days up to 2026-11-21 on which nobody used these systems, and 统一认证平台 was busy."""
    rows = ["系统名称,日期,CPU峰值利用率,内存峰值利用率,活跃用户"]
    for at in range(120):
        day = date(2026, 7, 25) + timedelta(days=at)
        rows += [f"{name},{day},4,9,0" for name in quiet] + [f"统一认证平台,{day},70,60,5000"]
    return "\n".join(rows).encode()


@dataclass
class Clock:
    now_ms: int = NOVEMBER

    def forward(self, days: int) -> None:
        self.now_ms += days * DAY_MS


@dataclass(frozen=True, slots=True)
class Office:
    """The desk over a store with the ledger imported."""

    desk: AssessmentDesk
    store: Store
    clock: Clock


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Whatever a test does: in the end the chain holds, and the projections are what it says."""
    with ExitStack() as stack:
        store = open_store(f"sqlite:///{tmp_path / 'xisuan.db'}")
        stack.callback(store.close)
        reading = read_ledger(a_workbook(LEDGER), "台账.xlsx")
        Intake(store).import_reading(
            reading, filename="台账.xlsx", sender="区示例局", actor="张三", now_ms=NOVEMBER
        )
        clock = Clock()
        yield Office(AssessmentDesk(store, lambda: clock.now_ms), store, clock)
        verdict = verify(store)
        assert verdict.holds, verdict


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("XISUAN_STORE", "XISUAN_ADDRESS", "XISUAN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XISUAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XISUAN_ACTOR", "李工")
    return find_home()

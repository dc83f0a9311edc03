"""How fast the store appends, verifies, and takes in a ledger, on SQLite with a flush at each commit.

Run with `make bench`. The floor that matters: 10,000 events a second in batches, because the control plane commits
submissions in groups.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inventory.intake import Intake
from inventory.store.chain import Draft
from inventory.store.engine import open_engine
from inventory.store.event_store import Projection, Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from inventory.store.verify import verify
from tests.intake.readings import NOW, TODAY, district_system, reading

BATCH = 500
SILENT = Projection("silent", (), {"run.changed": lambda _connection, _events: None})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(open_engine(f"sqlite:///{tmp_path / 'bench.db'}"), [SILENT, LEDGER_PROJECTION])
    yield store
    store.close()


def drafts(count: int) -> list[Draft]:
    return [
        Draft("run.changed", f"R{n}", {"state": "running", "pool": "cq-ai", "nodes": [f"n{n}"]})
        for n in range(count)
    ]


def append(store: Store, batch: list[Draft]) -> None:
    with store.transaction() as transaction:
        transaction.append(batch, actor="scheduler", recorded_ms=NOW)


@pytest.mark.parametrize("size", [1, BATCH])
def test_append_a_batch(benchmark: Any, store: Store, size: int) -> None:
    batch = drafts(size)
    benchmark.extra_info["events"] = size
    benchmark(append, store, batch)


def test_verify_ten_thousand_events(benchmark: Any, store: Store) -> None:
    for _ in range(20):
        append(store, drafts(BATCH))
    assert benchmark(verify, store).holds


def test_import_five_thousand_systems(benchmark: Any, store: Store) -> None:
    content = reading(*(district_system(f"第{n}号专用系统", row=n) for n in range(5_000)))
    senders = itertools.count()

    def take_in() -> None:
        Intake(store).import_reading(
            content, filename="a.xlsx", sender=f"区第{next(senders)}局", actor="张三", now_ms=NOW
        )

    benchmark.pedantic(take_in, rounds=1)


def test_rates_of_five_thousand_systems(benchmark: Any, store: Store) -> None:
    content = reading(*(district_system(f"第{n}号专用系统", row=n) for n in range(5_000)))
    intake = Intake(store)
    intake.import_reading(content, filename="a.xlsx", sender="区大数据局", actor="张三", now_ms=NOW)
    assert benchmark(intake.rates, TODAY).cloud.denominator == 5_000

"""Queues as a document: what it says, what it refuses, and that it lasts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from inventory.model.units import TIB
from inventory.model.workload import WorkloadState
from scheduler.core.changes import WorkloadSubmitted
from scheduler.core.queueing.document import QueueDocument, QueuesUnreadable, read_queues
from scheduler.runtime.writer import load_book
from scheduler.store.opening import open_store
from scheduler.store.projection import draft_of, queues_defined
from scheduler.store.scheduler_store import Batch, SchedulerStore
from tests.cycle.fakes import a_workload

EXAMPLE = Path(__file__).parents[2] / "examples" / "queues" / "queues.yaml"


def example() -> QueueDocument:
    return read_queues(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))


def test_the_example_says_what_it_means() -> None:
    tree = example().tables().tree
    number = tree.number("市/示例区")
    assert number is not None
    spec = tree.specs[number]
    assert (spec.weight, spec.guaranteed.cpu_milli, spec.guaranteed.memory_bytes) == (2, 1_000_000, 4 * TIB)
    assert spec.withheld.accelerator_milli == 16_000
    (reservation,) = example().calendar()
    assert (reservation.holder, reservation.end_ms, reservation.amount.cpu_milli) == ("迁移", None, 128_000)


def test_what_is_stored_reads_as_what_was_given() -> None:
    assert read_queues(example().model_dump(mode="json")) == example()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"queues": [{"path": "a", "wieght": 2}]}, "queues.0.wieght"),
        ({"queues": [{"path": "a", "weight": 0}]}, "must be at least 1"),
        ({"queues": [{"path": "a"}, {"path": "a"}]}, "queue a is defined twice"),
        ({"queues": [{"path": "a//b"}]}, "is not of the form"),
        (
            {"queues": [{"path": "a", "guaranteed": {"cpu": 4}, "maximum": {"cpu": 2}}]},
            "guarantees more than its maximum",
        ),
        (
            {"queues": [{"path": "a", "maximum": {"cpu": 2}}, {"path": "a/b", "guaranteed": {"cpu": 3}}]},
            "below a are guaranteed more than its maximum",
        ),
        ({"queues": [{"path": "a", "guaranteed": {"memory": "4 apples"}}]}, "not an amount of bytes"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_place(content: dict[str, Any], told: str) -> None:
    with pytest.raises(QueuesUnreadable, match=told):
        read_queues(content)


def test_a_restart_finds_the_queues_as_they_were_last_defined(tmp_path: Path) -> None:
    store = SchedulerStore(open_store(f"sqlite:///{tmp_path}/x.db"))
    store.start_leadership("t", now_ms=1)
    waiting = WorkloadSubmitted(a_workload("w-1", queue="市/示例区/示例局/系统", state=WorkloadState.QUEUED))
    drafts = [queues_defined({"queues": [{"path": "old"}]}), queues_defined(example().model_dump(mode="json"))]
    store.record(Batch([draft_of(waiting), *drafts], {}), actor="t", now_ms=2)
    book = load_book(store)
    row = book.tables.waiting.row("w-1")
    assert row is not None
    above = [book.tables.tree.name(number) for number in book.tables.tree.path_of(row.queue)]
    assert above == ["市/示例区/示例局/系统", "市/示例区/示例局", "市/示例区", "市"]
    assert [reservation.reservation_id for reservation in book.calendar] == ["wave-7"]

"""What an adapter keeps: the event journal in memory, the epoch and the fates on disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.contract import RunReport
from adapters.sdk.fence import Fence, StaleEpoch
from adapters.sdk.journal import CursorExpired, EventJournal
from adapters.simulated.fate_file import FateFile
from adapters.simulated.fates import Fate
from inventory.model.units import Resources
from inventory.model.workload import RunState


def change(number: int, nodes: int = 1) -> RunReport:
    return RunReport(f"r{number}", RunState.RUNNING, ("n",) * nodes)


# -- the journal ------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 7))
def test_a_reader_that_keeps_up_sees_each_change_once_whatever_it_reads_at_a_time(
    batches: list[int], limit: int
) -> None:
    journal = EventJournal("i", capacity=1000)
    cursor = journal.cursor
    published: list[RunReport] = []
    seen: list[RunReport] = []
    for size in batches:
        batch = [change(len(published) + i) for i in range(size)]
        journal.publish(batch)
        published += batch
        read = journal.read(cursor, limit)
        seen += read.reports
        cursor = read.cursor
    while True:
        read = journal.read(cursor, limit)
        if read.cursor == cursor:
            break
        seen += read.reports
        cursor = read.cursor
    assert seen == published


@given(st.integers(1, 20), st.integers(1, 200))
def test_at_least_the_capacity_is_kept_and_what_is_older_has_expired(capacity: int, published: int) -> None:
    journal = EventJournal("i", capacity)
    first = journal.cursor
    for number in range(published):
        journal.publish([change(number)])
    kept = len(journal.read(journal.oldest_cursor, limit=10**6).reports)
    assert min(published, capacity) <= kept <= 2 * capacity
    if kept < published:
        with pytest.raises(CursorExpired):
            journal.read(first)


def test_a_change_of_the_node_set_is_a_change() -> None:
    journal = EventJournal("i")
    cursor = journal.cursor
    journal.publish([change(1)])
    journal.publish([], nodes_changed=True)
    read = journal.read(cursor)
    assert read.nodes_changed
    assert read.reports == (change(1),)
    assert not journal.read(read.cursor).nodes_changed


def test_heavy_gangs_come_in_smaller_messages() -> None:
    journal = EventJournal("i")
    cursor = journal.cursor
    journal.publish([change(number, nodes=10_000) for number in range(10)])
    assert len(journal.read(cursor).reports) == 2


def test_waiting_ends_with_the_next_change() -> None:
    async def story() -> None:
        journal = EventJournal("i")
        cursor = journal.cursor
        waiting = asyncio.create_task(journal.wait_beyond(cursor, timeout_s=600))
        await asyncio.sleep(0)
        assert not waiting.done()
        journal.publish([change(1)])
        await asyncio.wait_for(waiting, 10)
        await journal.wait_beyond(cursor, timeout_s=600)  # there is something already

    asyncio.run(story())


# -- the fence --------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(epochs=st.lists(st.integers(1, 50)))
def test_an_epoch_is_admitted_when_none_higher_was_before_also_by_another_process(
    epochs: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("fence") / "epoch"
    highest = 0
    for epoch in epochs:
        fence = Fence(path)  # as after a restart
        if epoch < highest:
            with pytest.raises(StaleEpoch, match=str(highest)):
                fence.admit(epoch)
        else:
            fence.admit(epoch)
        highest = max(highest, epoch)
        assert Fence(path).highest == highest


# -- the fates --------------------------------------------------------------------------------------------------

fates = st.builds(
    Fate,
    run_id=st.from_regex(r"[a-z0-9]{1,3}", fullmatch=True),
    nodes=st.lists(st.text(st.characters(categories=("L", "N")), min_size=1), max_size=3).map(tuple),
    load=st.builds(Resources, st.integers(0, 99), st.integers(0, 99), st.just(0), st.integers(0, 9)),
    disk_bytes=st.integers(0, 99),
    starts_ms=st.integers(0, 10**13),
    ends_ms=st.integers(0, 10**13),
    outcome=st.sampled_from([RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED]),
    exit_code=st.none() | st.integers(0, 255),
    message=st.text(max_size=10),
)


@settings(max_examples=20)
@given(st.lists(st.lists(fates, max_size=4), max_size=4))
def test_the_last_fate_of_each_run_comes_back(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Fate]]
) -> None:
    path = tmp_path_factory.mktemp("fates") / "fates.jsonl"
    file = FateFile(path)
    for batch in batches:
        file.append(batch)
    file.close()
    last = {fate.run_id: fate for batch in batches for fate in batch}
    assert FateFile(path).read() == list(last.values())
    file.rewrite(last.values())
    assert FateFile(path).read() == list(last.values())
    assert file.lines == len(last)


A_FATE = Fate("r", ("n",), Resources(1), 0, 1, 2, RunState.SUCCEEDED, 0)


def test_a_line_that_a_crash_cut_off_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "fates.jsonl"
    file = FateFile(path)
    file.append([A_FATE])
    file.close()
    path.write_bytes(path.read_bytes() + b'["r2", ["n"')
    assert FateFile(path).read() == [A_FATE]


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: b"x" + line,
        lambda line: b"[]\n",
        lambda line: line.replace(b"succeeded", b"done"),
        lambda line: b"\n",
    ],
    ids=["no JSON", "too short", "an unknown outcome", "an empty line"],
)
def test_a_damaged_line_before_the_end_is_named_and_nothing_is_forgotten(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "fates.jsonl"
    file = FateFile(path)
    file.append([A_FATE])
    file.close()
    good = path.read_bytes()
    path.write_bytes(good + damage(good) + good)
    with pytest.raises(ValueError, match="line 2"):
        FateFile(path).read()


def test_a_fate_is_one_line_of_json(tmp_path: Path) -> None:
    file = FateFile(tmp_path / "fates.jsonl")
    file.append([A_FATE, A_FATE])
    file.close()
    lines = (tmp_path / "fates.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == file.lines == 2
    assert json.loads(lines[0])[0] == "r"

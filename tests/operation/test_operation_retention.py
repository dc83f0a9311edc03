"""Retention: what is old goes to files, its hashes stay, and a kill at any step loses nothing."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

import inventory.store.archive as archive_module
from console.archiving import EVERY_MS, Archiving
from inventory.model.workload import RunState, WorkloadState
from inventory.store.archived import ArchiveFile, ArchiveUnusable, archive_files, archived_until, ranges_of
from inventory.store.engine import writing
from inventory.store.event_store import Store
from inventory.store.verify import Fault, verify
from scheduler.runtime.change_feed import ChangeFeed
from scheduler.services.ports import ChangePage, RequestError, WatchFilter
from scheduler.store.opening import open_store
from scheduler.store.retention import archive_finished, finished_before
from tests.operation.stores import DAY_MS, NOW_MS, History, url_of

LATER_MS = NOW_MS + 100 * DAY_MS


@pytest.fixture
def history(database_url: str) -> Iterator[History]:
    """Old: a finished one, one that waits, one that runs. Young: a finished one."""
    made = History(open_store(database_url))
    old, _, running = made.submit("old", "waits", "runs")
    made.run(old, RunState.RUNNING, RunState.SUCCEEDED)
    made.run(running, RunState.RUNNING)
    made.now_ms = LATER_MS - DAY_MS
    (young,) = made.submit("young")
    made.run(young, RunState.RUNNING, RunState.SUCCEEDED)
    yield made
    made.store.close()


def archived(store: Store, folder: Path, days: int = 90) -> list[ArchiveFile]:
    files: list[ArchiveFile] = []
    archive_finished(store, folder, before_ms=LATER_MS - days * DAY_MS, now_ms=LATER_MS, told=files.append)
    return files


def test_only_what_has_ended_long_ago_goes(history: History, tmp_path: Path) -> None:
    before = history.store.read(limit=1_000)
    (file,) = archived(history.store, tmp_path / "archive")
    gone = [event for event in before if event.subject.endswith("-1")]
    assert [event.kind for event in gone] == [
        "workload.submitted", "run.placed", "run.changed", "run.changed", "workload.changed",
    ]  # fmt: skip
    assert file.ranges == ranges_of(event.seq for event in gone)
    assert list(archive_module.read_archive(file, tmp_path / "archive")) == gone
    kept = [event for event in history.store.read(limit=1_000) if event.kind != "events.archived"]
    assert kept == [event for event in before if event not in gone]
    assert archived(history.store, tmp_path / "archive") == []


def test_the_whole_is_verified_with_the_archive_and_its_hashes_without(history: History, tmp_path: Path) -> None:
    assert verify(history.store).holds
    archived(history.store, tmp_path / "archive")
    with_files = verify(history.store, archives=tmp_path / "archive")
    without = verify(history.store)
    assert (with_files.holds, with_files.archived, with_files.archives_read) == (True, 5, True)
    assert (without.holds, without.archived, without.archives_read) == (True, 5, False)
    assert with_files.rows_compared == without.rows_compared + 2  # the workload and its run


def test_the_workload_its_key_and_the_service_go_on(history: History, tmp_path: Path) -> None:
    archived(history.store, tmp_path / "archive")
    found = history.scheduler.workload(f"w-{history.mark}-1")
    assert found is not None and found[0].state is WorkloadState.SUCCEEDED
    assert history.scheduler.lookup([("q", "old")], []).by_key
    history.submit("after")
    assert verify(history.store, archives=tmp_path / "archive").holds
    with history.store.connect() as connection:
        assert archived_until(connection) > 0


def test_a_payload_that_somebody_else_emptied_is_found(history: History, tmp_path: Path) -> None:
    archived(history.store, tmp_path / "archive")
    with writing(history.store.engine) as connection:
        connection.execute(text("UPDATE events SET payload = '' WHERE seq = 3"))
    broken = verify(history.store).chain_break
    assert broken is not None and (broken.seq, broken.fault) == (3, Fault.ALTERED)


def spoil_file(folder: Path) -> None:
    (path,) = folder.glob("*.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def remove_file(folder: Path) -> None:
    (path,) = folder.glob("*.parquet")
    path.unlink()


@pytest.mark.parametrize("spoil", [spoil_file, remove_file])
def test_an_archive_that_was_altered_or_lost_is_named(
    history: History, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    (file,) = archived(history.store, tmp_path / "archive")
    spoil(tmp_path / "archive")
    with pytest.raises(ArchiveUnusable, match=file.name):
        verify(history.store, archives=tmp_path / "archive")
    assert verify(history.store).holds


def _archive_and_die(url: str, folder: Path, step: str) -> None:
    """Ends like kill -9 at one step: before the file is complete, when it is there, in the middle of the transaction."""
    if step == "writing":
        archive_module.pq.write_table = lambda *_, **__: os._exit(9)
    elif step == "written":
        archive_module.Store.transaction = lambda _: os._exit(9)  # type: ignore[method-assign, assignment]  # the kill
    else:
        archive_module.Draft = lambda *_: os._exit(9)  # type: ignore[misc, assignment]  # the kill
    store = open_store(url)
    archive_finished(store, folder, before_ms=LATER_MS - DAY_MS, now_ms=LATER_MS, told=lambda _: None)


@pytest.mark.parametrize("step", ["writing", "written", "emptied"])
def test_a_kill_in_the_middle_loses_nothing_and_the_next_run_does_it(tmp_path: Path, step: str) -> None:
    url = url_of(tmp_path / "home")
    made = History(open_store(url))
    (old,) = made.submit("old")
    made.run(old, RunState.RUNNING, RunState.SUCCEEDED)
    before = made.store.read(limit=1_000)
    made.store.close()
    process = multiprocessing.get_context("fork").Process(
        target=_archive_and_die, args=(url, tmp_path / "archive", step)
    )
    process.start()
    process.join(60)
    assert process.exitcode == 9
    store = open_store(url)
    assert store.read(limit=1_000) == before
    assert verify(store, archives=tmp_path / "archive").holds
    assert sum(file.count for file in archived(store, tmp_path / "archive")) == 5
    with store.connect() as connection:
        assert len(archive_files(connection)) == 1
    assert verify(store, archives=tmp_path / "archive").holds
    assert finished_before(store, LATER_MS, 10) == []
    store.close()


def test_a_running_service_archives_by_itself_when_its_settings_say_so(tmp_path: Path) -> None:
    url = url_of(tmp_path / "home")
    made = History(open_store(url))
    (old,) = made.submit("old")
    made.run(old, RunState.RUNNING, RunState.SUCCEEDED)
    now_ms = LATER_MS
    archiving = Archiving(url, tmp_path / "archive", lambda: now_ms)
    archiving.look(0)
    archiving.wait()
    assert not (tmp_path / "archive").exists()
    archiving.look(90)
    archiving.wait()
    assert len(list((tmp_path / "archive").glob("*.parquet"))) == 1
    (new,) = made.submit("new")
    made.run(new, RunState.RUNNING, RunState.SUCCEEDED)
    archiving.look(90)  # not due yet
    archiving.wait()
    assert len(list((tmp_path / "archive").glob("*.parquet"))) == 1
    now_ms += EVERY_MS
    archiving.look(90)
    archiving.wait()
    assert len(list((tmp_path / "archive").glob("*.parquet"))) == 2
    assert verify(made.store, archives=tmp_path / "archive").holds
    made.store.close()


def test_a_watcher_from_before_the_archive_is_told_to_list_anew(history: History, tmp_path: Path) -> None:
    async def read(cursor: int) -> ChangePage:
        return await ChangeFeed(history.scheduler).changes(cursor, WatchFilter(), 0)

    assert asyncio.run(read(1)).notices
    (file,) = archived(history.store, tmp_path / "archive")
    with pytest.raises(RequestError, match="archived") as refused:
        asyncio.run(read(1))
    assert refused.value.reason == "CURSOR_EXPIRED"
    young = asyncio.run(read(file.ranges[-1][1])).notices
    assert {notice.workload_id for notice in young} >= {f"w-{history.mark}-4"}

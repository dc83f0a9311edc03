"""Backups: one state of the store, taken beside writers, believed only when checked, restored into nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from inventory.model.workload import RunState
from inventory.store.backup import (
    BackupRefused,
    Manifest,
    back_up,
    check_files,
    open_copy,
    read_manifest,
    restore_files,
)
from inventory.store.engine import writing
from inventory.store.event_store import Store
from inventory.store.verify import verify
from scheduler.store.opening import open_store, over
from scheduler.store.restoring import record_restoration
from tests.operation.stores import DAY_MS, NOW_MS, History, history_in, url_of


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Where the history is, and an empty place for what is restored."""
    if request.param == "sqlite":
        return url_of(tmp_path / "home"), f"sqlite:///{tmp_path / 'other' / 'xisuan.db'}"
    create: Callable[[], str] = request.getfixturevalue("new_postgres_database")
    source = create()
    server, _, name = source.rpartition("/")
    with psycopg.connect(source, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}_restored".encode())
    return source, f"{server}/{name}_restored"


@pytest.fixture
def history(urls: tuple[str, str]) -> Iterator[History]:
    made = History(open_store(urls[0]))
    ids = made.submit("a", "b", "c")
    made.run(ids[0], RunState.RUNNING, RunState.SUCCEEDED)
    made.run(ids[1], RunState.RUNNING)
    yield made
    made.store.close()


def restored(folder: Path, url: str) -> Store:
    manifest = restore_files(folder, url)
    store = open_store(url)
    assert verify(store, anchor=manifest.head).holds
    return store


class TestABackup:
    def test_restored_is_the_same_state_and_its_chain_holds(
        self, history: History, urls: tuple[str, str], tmp_path: Path
    ) -> None:
        manifest = back_up(history.store.engine, tmp_path / "backup", NOW_MS)
        assert read_manifest(tmp_path / "backup") == manifest
        assert manifest.head == history.store.head()
        assert manifest.rows["events"] == manifest.head.seq
        assert manifest.rows["workloads"] == 3
        store = restored(tmp_path / "backup", urls[1])
        try:
            assert store.head() == history.store.head()
            assert store.read(limit=10_000) == history.store.read(limit=10_000)
            assert list(History(store).book.queued()) == list(history.book.queued())
        finally:
            store.close()

    def test_takes_the_papers_along_and_brings_them_back(
        self, history: History, urls: tuple[str, str], tmp_path: Path
    ) -> None:
        shelf, other = tmp_path / "papers", tmp_path / "other papers"
        shelf.mkdir()
        (shelf / "ab12.pdf").write_bytes("验收纪要".encode())
        (shelf / ".draft").write_bytes(b"half")
        manifest = back_up(history.store.engine, tmp_path / "backup", NOW_MS, shelf)
        assert [file.name for file in manifest.files if "/" in file.name] == ["papers/ab12.pdf"]
        restore_files(tmp_path / "backup", urls[1], other)
        assert {one.name: one.read_bytes() for one in other.iterdir()} == {"ab12.pdf": "验收纪要".encode()}

    @pytest.mark.parametrize("harm", ["altered", "missing"])
    def test_with_a_paper_that_is_not_what_it_was_is_not_believed(
        self, harm: str, history: History, urls: tuple[str, str], tmp_path: Path
    ) -> None:
        shelf = tmp_path / "papers"
        shelf.mkdir()
        (shelf / "ab12.pdf").write_bytes("验收纪要".encode())
        back_up(history.store.engine, tmp_path / "backup", NOW_MS, shelf)
        paper = tmp_path / "backup" / "papers" / "ab12.pdf"
        if harm == "missing":
            paper.unlink()
        else:
            paper.write_bytes("验收纪妖".encode())
        with pytest.raises(BackupRefused, match="ab12"):
            restore_files(tmp_path / "backup", urls[1], tmp_path / "other papers")
        assert not (tmp_path / "other papers").exists()

    def test_taken_beside_a_writer_is_one_whole_state(
        self, history: History, urls: tuple[str, str], tmp_path: Path
    ) -> None:
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                history.submit(*(f"more-{number}-{item}" for item in range(20)))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            heads = [back_up(history.store.engine, tmp_path / f"b{number}", NOW_MS).head for number in range(3)]
        finally:
            stop.set()
            writer.join()
        assert sorted(heads, key=lambda head: head.seq) == heads
        store = restored(tmp_path / "b2", urls[1])
        assert store.head() == heads[2]
        store.close()

    def test_is_refused_where_something_is_already(
        self, history: History, urls: tuple[str, str], tmp_path: Path
    ) -> None:
        back_up(history.store.engine, tmp_path / "backup", NOW_MS)
        with pytest.raises(BackupRefused, match="overwrites"):
            back_up(history.store.engine, tmp_path / "backup", NOW_MS)
        with pytest.raises(BackupRefused, match="empty"):
            restore_files(tmp_path / "backup", urls[0])
        assert history.store.head().seq > 0

    def test_that_was_cut_short_is_none(self, history: History, tmp_path: Path) -> None:
        back_up(history.store.engine, tmp_path / "backup", NOW_MS)
        (tmp_path / "backup" / "manifest.json").unlink()
        with pytest.raises(BackupRefused, match="manifest"):
            read_manifest(tmp_path / "backup")


class TestABackupThatWasTouched:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        history = history_in(tmp_path / "home")
        history.submit("a", "b")
        back_up(history.store.engine, tmp_path / "backup", NOW_MS)
        history.store.close()
        return tmp_path / "backup"

    def test_is_refused_when_a_file_was_altered(self, folder: Path, tmp_path: Path) -> None:
        content = bytearray((folder / "store.db").read_bytes())
        content[-1] ^= 1
        (folder / "store.db").write_bytes(bytes(content))
        with pytest.raises(BackupRefused, match="altered"):
            restore_files(folder, f"sqlite:///{tmp_path / 'new' / 'xisuan.db'}")
        assert not (tmp_path / "new").exists()

    def test_is_found_out_by_its_chain_when_the_manifest_was_made_to_fit(self, folder: Path) -> None:
        engine = open_store(f"sqlite:///{folder / 'store.db'}").engine
        with writing(engine) as connection:
            connection.execute(text("UPDATE events SET actor = 'nobody' WHERE seq = 2"))
        engine.dispose()
        written = json.loads((folder / "manifest.json").read_text())
        written["files"] = []
        (folder / "manifest.json").write_text(json.dumps(written))
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        store = over(open_copy(folder / "store.db"))
        verdict = verify(store, anchor=manifest.head)
        store.close()
        assert verdict.chain_break is not None and verdict.chain_break.seq == 2

    def test_of_a_newer_program_is_refused_in_one_line(self, folder: Path) -> None:
        written = json.loads((folder / "manifest.json").read_text())
        written["revision"] = "9999"
        (folder / "manifest.json").write_text(json.dumps(written))
        with pytest.raises(BackupRefused, match="upgrade Xisuan") as refused:
            read_manifest(folder)
        assert "\n" not in str(refused.value)

    def test_does_not_go_into_another_kind_of_database(self, folder: Path) -> None:
        with pytest.raises(BackupRefused, match="another kind"):
            restore_files(folder, "postgresql://nobody@127.0.0.1:1/none")


class TestARestoredStore:
    def test_goes_on_above_every_epoch_that_the_other_can_have_reached_and_with_ids_of_its_own(
        self, tmp_path: Path
    ) -> None:
        history = history_in(tmp_path / "home")
        history.submit("before")
        manifest: Manifest = back_up(history.store.engine, tmp_path / "backup", NOW_MS)
        later = history.submit("after the backup")
        others = [history.scheduler.start_leadership("again", NOW_MS + n).epoch for n in range(5)]
        history.store.close()

        url = f"sqlite:///{tmp_path / 'new' / 'xisuan.db'}"
        store = restored(tmp_path / "backup", url)
        restoration = record_restoration(store, manifest.head, manifest.made_ms, NOW_MS + DAY_MS)
        assert restoration.waiting == 1
        own = History(store)
        assert own.epoch > max(others)
        assert own.submit("something else") != later
        assert own.submit("one more")[0].rpartition("-")[0] == f"w-{own.mark}"
        assert History(store).mark == own.mark
        assert verify(store).holds
        store.close()

"""Large groups are recorded by a process of their own: what it records, refuses, and what its end means."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from inventory.store.chain import Draft, JsonText
from inventory.store.errors import UnknownEventKind, Unreachable
from inventory.store.verify import verify
from scheduler.store.opening import open_store
from scheduler.store.recording_process import LARGE, RecordingProcess, large_groups
from scheduler.store.scheduler_store import Batch, Deposed, SchedulerStore

IDLE_WRITER_MS = 10_000
PATIENCE_S = 1.0


class Leader:
    """A store whose large groups go to a process."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'x.db'}"
        self.recording = RecordingProcess(self.url, IDLE_WRITER_MS, patience_s=PATIENCE_S)
        self.store = SchedulerStore(open_store(self.url), self.recording)
        self.store.start_leadership("test", 1)

    def until_ready(self) -> psutil.Process:
        give_up_s = time.monotonic() + 60
        while not self.recording.is_ready():
            assert time.monotonic() < give_up_s, "the recording process does not start"
            time.sleep(0.01)
        assert self.recording.pid is not None
        return psutil.Process(self.recording.pid)

    def record(self, drafts: int, cursor: str = "c") -> int:
        said = {"state": "ready", "message": JsonText('"好 / well"'), "windows": [1.5, None]}
        batch = Batch([Draft("pool.health_changed", f"p{n}", said) for n in range(drafts)], {"p0": cursor})
        return self.store.record(batch, actor="test", now_ms=2)

    @property
    def events(self) -> int:
        return self.store.store.head().seq


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[Leader]:
    one = Leader(tmp_path)
    yield one
    one.store.close()


def test_a_large_group_is_recorded_there_as_it_would_be_here(leader: Leader, tmp_path: Path) -> None:
    process = leader.until_ready()
    assert leader.record(LARGE, "from there") == LARGE
    assert process.cpu_times().user > 0 and leader.store.cursor("p0") == "from there"
    (tmp_path / "plain").mkdir()
    plain = SchedulerStore(open_store(f"sqlite:///{tmp_path / 'plain' / 'x.db'}"))
    plain.start_leadership("test", 1)
    said = [(one.kind, one.subject, one.payload_json, one.hash) for one in leader.store.store.read(1, LARGE)]
    plain.record(
        Batch([Draft("pool.health_changed", one[1], leader.store.store.read(1, 1)[0].payload) for one in said]),
        actor="test",
        now_ms=2,
    )
    assert [(one.kind, one.subject, one.payload_json, one.hash) for one in plain.store.read(1, LARGE)] == said
    assert leader.store.store.head() == plain.store.head()
    plain.close()


def test_groups_of_both_kinds_make_one_chain(leader: Leader) -> None:
    leader.until_ready()
    for drafts in (LARGE, 1, LARGE + 5, LARGE, 3):
        leader.record(drafts)
    assert leader.events == 1 + 3 * LARGE + 9
    assert verify(leader.store.store).holds


def test_the_first_large_group_does_not_wait_for_the_process(leader: Leader) -> None:
    assert leader.recording.pid is None
    assert leader.record(LARGE) == LARGE
    assert leader.recording.pid is not None and leader.events == 1 + LARGE


def test_a_newer_leader_deposes_there_as_here(leader: Leader) -> None:
    leader.until_ready()
    SchedulerStore(leader.store.store).start_leadership("newer", 2)
    with pytest.raises(Deposed, match="epoch 1 ends"):
        leader.record(LARGE)
    assert leader.events == 2


@pytest.mark.parametrize(
    ("draft", "error", "words"),
    [
        (Draft("pool.unheard_of", "p", {}), UnknownEventKind, "unknown event kind 'pool.unheard_of'"),
        (Draft("pool.health_changed", "p", {"load": float("nan")}), ValueError, "not JSON compliant"),
        (Draft("pool.health_changed", "p\x00", {}), ValueError, "must not hold a NUL"),
    ],
    ids=["no projection knows the kind", "what is not JSON", "a subject with NUL"],
)
def test_an_error_arrives_as_it_was_raised_and_nothing_is_stored(
    leader: Leader, draft: Draft, error: type[Exception], words: str
) -> None:
    leader.until_ready()
    good = [Draft("pool.health_changed", f"p{n}", {}) for n in range(LARGE)]
    with pytest.raises(error, match=words):
        leader.store.record(Batch([*good, draft]), actor="test", now_ms=2)
    assert leader.events == 1
    assert leader.record(LARGE) == LARGE


@pytest.mark.parametrize(
    "fault", [signal.SIGKILL, signal.SIGSTOP], ids=["it is killed", "it is frozen, and ended after the patience"]
)
def test_a_process_that_is_gone_is_told_and_started_anew(leader: Leader, fault: signal.Signals) -> None:
    process = leader.until_ready()
    os.kill(process.pid, fault)
    with pytest.raises(Unreachable, match="is started anew; retry"):
        leader.record(LARGE)
    assert not process.is_running()
    before = leader.events
    leader.record(LARGE)  # here, while the next one starts
    assert leader.until_ready().pid != process.pid
    leader.record(LARGE)
    assert leader.events == before + 2 * LARGE
    assert verify(leader.store.store).holds


def test_where_no_process_can_be_had_groups_are_recorded_without(
    leader: Leader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert leader.record(LARGE) == LARGE and leader.record(LARGE) == LARGE
    assert leader.recording.pid is None and leader.events == 1 + 2 * LARGE


@pytest.mark.parametrize(("said", "large"), [("", LARGE), ("1", 1), ("4096", 4096)])
def test_from_where_a_group_is_large_may_be_said(said: str, large: int) -> None:
    assert large_groups({"XISUAN_STORE_APART": said}) == large


@pytest.mark.parametrize("said", ["0", "-1", "many", "1.5", "²"])
def test_what_is_no_number_of_events_is_refused_in_a_line(said: str) -> None:
    with pytest.raises(ValueError, match=r"XISUAN_STORE_APART='.+' 须为正整数"):
        large_groups({"XISUAN_STORE_APART": said})


def test_it_ends_with_its_leader_and_its_arguments_show_no_password(leader: Leader) -> None:
    process = leader.until_ready()
    assert leader.url not in " ".join(process.cmdline())
    process.send_signal(signal.SIGTERM)  # whoever ends the leader's group lets it finish what is under way
    process.send_signal(signal.SIGINT)
    leader.record(LARGE)
    line, leader.recording._line = leader.recording._line, None
    assert line is not None
    line.close()
    assert process.wait(30) is not None


def test_a_process_that_cannot_open_the_store_is_done_without(tmp_path: Path) -> None:
    leader = Leader(tmp_path)
    leader.recording = RecordingProcess(f"sqlite:///{tmp_path / 'none' / 'x.db'}", IDLE_WRITER_MS)
    store = SchedulerStore(leader.store.store, leader.recording)
    store.lead(1, leader.events)
    give_up_s = time.monotonic() + 60
    assert not leader.recording.is_ready()
    while leader.recording.pid is not None:
        assert time.monotonic() < give_up_s
        assert not leader.recording.is_ready()
        time.sleep(0.01)
    assert (
        store.record(Batch([Draft("pool.left", f"p{n}", {}) for n in range(LARGE)]), actor="t", now_ms=1) == LARGE
    )
    store.close()

"""A store with a history, for tests of what is done to stores: some workloads, finished and not, on a chain."""

from __future__ import annotations

from pathlib import Path

from inventory.model.placement import Placement
from inventory.model.workload import RunState
from inventory.store.event_store import Store
from scheduler.core.admission import Known, admit
from scheduler.core.book import Book
from scheduler.core.changes import Change, RunChanged
from scheduler.core.lifecycle import place, report_run
from scheduler.store.opening import open_store
from scheduler.store.projection import draft_of, workload_id_at
from scheduler.store.scheduler_store import Batch, SchedulerStore
from tests.lifecycle.bookkeeping import submission

NOW_MS = 1_760_000_000_000
DAY_MS = 86_400_000


class History:
    """Records what a control plane would; `now_ms` is the time of the next change."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.scheduler = SchedulerStore(store)
        self.now_ms = NOW_MS
        leadership = self.scheduler.start_leadership("test", self.now_ms)
        self.epoch, self.mark, self._last = leadership.epoch, leadership.installation, leadership.last_number
        self.book = Book()
        for workload, runs in self.scheduler.live():
            self.book.load(workload, runs)

    def submit(self, *keys: str) -> list[str]:
        items = [submission(key) for key in keys]
        _, changes = admit(self.book, Known({}, {}), items, self._new_id, self.now_ms)
        self._take(list(changes))
        return [workload_id_at(self.mark, self._last - len(keys) + 1 + place) for place in range(len(keys))]

    def run(self, workload_id: str, *states: RunState) -> None:
        """Places it on pool p, and reports these states, one after the other."""
        run_id = f"{workload_id}.1"
        changes, _ = place(self.book, [Placement(workload_id, run_id, 1, "p", ("n",))], self.now_ms)
        self._take(list(changes))
        for state in states:
            ended = self.now_ms if state.is_final else None
            code = 0 if state is RunState.SUCCEEDED else None
            said = RunChanged(run_id, state, exit_code=code, started_ms=self.now_ms, ended_ms=ended)
            self._take(list(report_run(self.book, said)))

    def _take(self, changes: list[Change]) -> None:
        drafts = [draft_of(change) for change in changes]
        self.book.apply(changes)
        self.scheduler.record(Batch(drafts, {}), actor="test", now_ms=self.now_ms)
        self.book.settle()

    def _new_id(self) -> str:
        self._last += 1
        return workload_id_at(self.mark, self._last)


def url_of(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'xisuan.db'}"


def history_in(folder: Path) -> History:
    return History(open_store(url_of(folder)))

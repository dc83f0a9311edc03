"""The book, the decisions and the store together, against a plain model, through crashes at every point.

Hypothesis drives them as the control plane does: decisions are applied to the book and become durable in groups;
a crash loses what was not yet durable (and so not acknowledged) and nothing else.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from inventory.model.placement import Placement
from inventory.model.units import Resources, total
from inventory.model.workload import RUN_TRANSITIONS, RunState, WorkloadState
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from inventory.store.verify import verify
from scheduler.core.admission import Accepted, Known, admit
from scheduler.core.book import Book
from scheduler.core.changes import Change, RunChanged
from scheduler.core.lifecycle import cancel, place, reconcile, report_run
from scheduler.runtime.writer import load_book
from scheduler.store.projection import SCHEDULER, draft_of, workload_id_at
from scheduler.store.scheduler_store import Batch, SchedulerStore
from tests.lifecycle.bookkeeping import ONE_CORE, submission

POOLS = ("p1", "p2")
QUEUES = ("a", "b")
SUBMITTED, QUEUED, ACTIVE = WorkloadState.SUBMITTED, WorkloadState.QUEUED, WorkloadState.ACTIVE
SUCCEEDED, FAILED, CANCELLED = WorkloadState.SUCCEEDED, WorkloadState.FAILED, WorkloadState.CANCELLED
COURSE = (RunState.STARTING, RunState.RUNNING, RunState.SUCCEEDED, RunState.FAILED)
chance = st.floats(0, 1, exclude_max=True)


@dataclass
class Plain:
    """What the model knows of one workload. `run` is the state of its live run."""

    queue: str
    after: tuple[str, ...]
    max_attempts: int
    state: WorkloadState
    runs: int = 0
    failures: int = 0
    pool: str = ""
    run: RunState | None = None


class BookModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = SchedulerStore(Store(open_engine("sqlite://"), (LEDGER_PROJECTION, SCHEDULER)))
        self.number = 0
        self.keys = 0
        self.durable: dict[str, Plain] = {}
        self.model: dict[str, Plain] = {}
        self.batch = Batch()
        self.start()

    def start(self) -> None:
        leadership = self.store.start_leadership("test", 1)
        self.installation, self.number = leadership.installation, leadership.last_number
        self.book = load_book(self.store)

    # -- what is done -------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        for waits, count in (([], 1), ([], 1), ([0.0, 0.9], 2), ([], 3), ([0.3], 1)):
            self.submit(waits, count, QUEUES[0])

    @rule(waits=st.lists(chance, max_size=2), count=st.integers(1, 3), queue=st.sampled_from(QUEUES))
    def submit(self, waits: list[float], count: int, queue: str) -> None:
        """A chain of new items, the first of which waits for up to two of the newest workloads of its queue."""
        attempts = 1 + count % 2
        existing = [workload_id for workload_id, plain in self.model.items() if plain.queue == queue][-4:]
        awaited = [existing[int(at * len(existing))] for at in waits if existing]
        items = []
        for _ in range(count):
            self.keys += 1
            items.append(submission(f"k{self.keys}", *awaited, queue=queue, max_attempts=attempts))
            awaited = [f"k{self.keys}"]
        keys = [(queue, name) for item in items for name in (item.client_key, *item.after)]
        ids = [name for item in items for name in item.after if self.book.workload(name) is None]
        known: Known = self.store.lookup([k for k in keys if self.book.workload_by_key(*k) is None], ids)
        outcomes, changes = admit(self.book, known, items, self._new_id, self.number)
        self._take(changes)
        doomed = False
        for outcome, item in zip(outcomes, items, strict=True):
            waits_for = [self.model[name] for name in item.after if name in self.model]
            doomed = doomed or any(plain.state in (FAILED, CANCELLED) for plain in waits_for)
            assert isinstance(outcome, Accepted) is not doomed
            if isinstance(outcome, Accepted):
                ready = all(self.model[name].state is SUCCEEDED for name in outcome.after)
                plain = Plain(queue, outcome.after, attempts, QUEUED if ready else SUBMITTED)
                self.model[outcome.workload_id] = plain

    @precondition(lambda self: self._in(QUEUED))
    @rule(at=chance, pool=st.sampled_from(POOLS), states=st.lists(st.sampled_from(COURSE), min_size=2, max_size=3))
    def place(self, at: float, pool: str, states: list[RunState]) -> None:
        """Places a workload, and lets its run come as far as `states` tell."""
        workload_id = self._pick(at, QUEUED)
        self._place(workload_id, pool)
        for state in states:
            self._report(workload_id, self.model[workload_id].runs, state)

    def _place(self, workload_id: str, pool: str) -> None:
        plain = self.model[workload_id]
        attempt = plain.runs + 1
        placement = Placement(workload_id, f"{workload_id}.{attempt}", attempt, pool, ("n1",))
        changes, stale = place(self.book, [placement, placement], 1)
        assert stale == {placement.run_id}  # the same workload twice in one plan: once
        self._take(changes)
        plain.state, plain.runs, plain.pool, plain.run = ACTIVE, attempt, pool, RunState.PLACED

    @precondition(lambda self: any(plain.runs for plain in self.model.values()))
    @rule(at=chance, state=st.sampled_from(list(RunState)), late=st.integers(0, 2))
    def report(self, at: float, state: RunState, late: int) -> None:
        """Of a live run, or, late, of an earlier attempt, which must change nothing."""
        candidates = [workload_id for workload_id, plain in self.model.items() if plain.runs]
        workload_id = candidates[int(at * len(candidates))]
        self._report(workload_id, max(1, self.model[workload_id].runs - late), state)

    @precondition(lambda self: self.model)
    @rule(at=chance)
    def cancel(self, at: float) -> None:
        workload_id = list(self.model)[int(at * len(self.model))]
        changes = cancel(self.book, workload_id, "test")
        self._take(changes)
        if not self.model[workload_id].state.is_final:
            self.model[workload_id].state = CANCELLED
            self._fail_waiters()

    @rule(pool=st.sampled_from(POOLS))
    def drain(self, pool: str) -> None:
        """Every run of the pool is stopped, and the pool says so."""
        for run in list(self.book.stops_owed(pool, draining=True)):
            self._report(run.workload_id, run.attempt, RunState.STOPPED)

    @rule(pool=st.sampled_from(POOLS), forgets=st.booleans())
    def adapter_restarts(self, pool: str, forgets: bool) -> None:
        remembered = frozenset[str]() if forgets else frozenset(run.run_id for run in self.book.runs_on(pool))
        self._take(reconcile(self.book, pool, remembered, 1))
        if forgets:
            for workload_id, plain in self.model.items():
                if plain.pool == pool and plain.run in (RunState.STARTING, RunState.RUNNING):
                    self._end(workload_id, RunState.LOST)

    @rule()
    def commit(self) -> None:
        """One transaction for all that was decided since the last."""
        self.store.record(self.batch, actor="test", now_ms=1)
        self.book.settle()
        self.batch = Batch()
        self.durable = deepcopy(self.model)

    @precondition(lambda self: len(self.batch.drafts) > 6)
    @rule()
    def crash(self) -> None:
        """What was not durable was not acknowledged: it never happened. Ids may be given out again."""
        self.batch = Batch()
        self.model = deepcopy(self.durable)
        self.start()

    # -- what must hold -----------------------------------------------------------------------------------------

    @invariant()
    def the_book_says_what_the_model_says(self) -> None:
        for workload_id, plain in self.model.items():
            workload, run = self.book.workload(workload_id), self.book.live_run_of(workload_id)
            assert (run.state if run else None) == plain.run
            if workload is None:
                assert plain.state.is_final
            else:
                assert workload.state is plain.state

    @invariant()
    def usage_is_the_sum_over_live_runs_and_no_workload_has_two(self) -> None:
        runs = [run for pool in POOLS for run in self.book.runs_on(pool)]
        assert max(Counter(run.workload_id for run in runs).values(), default=0) <= 1
        for queue in QUEUES:
            live = sum(plain.run is not None and plain.queue == queue for plain in self.model.values())
            assert self.book.usage().get(queue, Resources()) == total([ONE_CORE] * live)

    @invariant()
    def nobody_waits_for_what_is_over(self) -> None:
        for plain in self.model.values():
            if plain.state is SUBMITTED:
                states = [self.model[name].state for name in plain.after]
                assert not any(state in (FAILED, CANCELLED) for state in states)
                assert any(state is not SUCCEEDED for state in states)

    @precondition(lambda self: not self.batch.drafts)
    @invariant()
    def the_book_from_the_store_is_the_book_in_memory(self) -> None:
        assert portrait(load_book(self.store), self.model) == portrait(self.book, self.model)
        for workload_id, plain in self.durable.items():
            stored = self.store.workload(workload_id)
            assert stored is not None
            assert stored[0].state is plain.state
            assert len(stored[1]) == plain.runs

    def teardown(self) -> None:
        self.commit()
        report = verify(self.store.store)
        assert report.chain_break is None
        assert report.differences == ()
        self.store.store.close()

    # -- inside -------------------------------------------------------------------------------------------------

    def _new_id(self) -> str:
        self.number += 1
        return workload_id_at(self.installation, self.number)

    def _take(self, changes: list[Change]) -> None:
        self.batch.drafts += [draft_of(change) for change in changes]
        self.book.apply(changes)

    def _in(self, state: WorkloadState) -> list[str]:
        return [workload_id for workload_id, plain in self.model.items() if plain.state is state]

    def _pick(self, at: float, state: WorkloadState) -> str:
        candidates = self._in(state)
        return candidates[int(at * len(candidates))]

    def _report(self, workload_id: str, attempt: int, state: RunState) -> None:
        self._take(report_run(self.book, RunChanged(f"{workload_id}.{attempt}", state)))
        plain = self.model[workload_id]
        if attempt != plain.runs or plain.run is None or state not in RUN_TRANSITIONS[plain.run]:
            return
        if state.is_final:
            self._end(workload_id, state)
        else:
            plain.run = state

    def _end(self, workload_id: str, state: RunState) -> None:
        plain = self.model[workload_id]
        plain.run = None
        plain.failures += state is RunState.FAILED
        if plain.state.is_final:
            return
        if state is RunState.SUCCEEDED:
            plain.state = SUCCEEDED
        elif state is RunState.FAILED and plain.failures >= plain.max_attempts:
            plain.state = FAILED
        else:
            plain.state = QUEUED
        self._fail_waiters()
        for other in self.model.values():
            if other.state is SUBMITTED and all(self.model[name].state is SUCCEEDED for name in other.after):
                other.state = QUEUED

    def _fail_waiters(self) -> None:
        over = (FAILED, CANCELLED)
        while failing := [
            plain
            for plain in self.model.values()
            if plain.state is SUBMITTED and any(self.model[name].state in over for name in plain.after)
        ]:
            for plain in failing:
                plain.state = FAILED


def portrait(book: Book, ids: dict[str, Plain]) -> dict[str, object]:
    """Everything that a book says, in a form that compares."""
    live = [workload_id for workload_id in ids if book.workload(workload_id) is not None]
    return {
        "workloads": {i: book.workload(i) for i in live},
        "attempts": {i: book.attempts(i) for i in live},
        "runs": {i: book.live_run_of(i) for i in live},
        "keys": {i: book.workload_by_key(w.queue, w.client_key) for i in live if (w := book.workload(i))},
        "waiters": {i: set(book.waiters_on(i)) for i in ids},
        "queued": {workload.workload_id for workload in book.queued()},
        "counts": (book.live_count, book.queued_count),
        "usage": dict(book.usage()),
        **{f"runs on {p}": {run.run_id for run in book.runs_on(p)} for p in POOLS},
        **{f"launches of {p}": {run.run_id for run in book.launches_owed(p)} for p in POOLS},
        **{f"stops of {p}": {run.run_id for run in book.stops_owed(p, draining=False)} for p in POOLS},
    }


TestBookModel = BookModel.TestCase
TestBookModel.settings = settings(max_examples=25, stateful_step_count=50, deadline=None)

"""A book that is kept like the control plane keeps it, without store, threads or pools.

`Bookkeeping` decides, applies and settles; what leaves the book it remembers, as the store would. Submissions are
made by prose-like builders, which the tests of the control plane share.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from inventory.model.placement import Placement
from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements, Run, RunState, Submission, Workload, WorkloadState
from scheduler.core.admission import Accepted, Known, Outcome, Refused, admit
from scheduler.core.book import Book
from scheduler.core.changes import Change, RunChanged
from scheduler.core.lifecycle import cancel, place, reconcile, report_run

ONE_CORE = Resources(cpu_milli=1_000, memory_bytes=GIB)


def submission(client_key: str, *after: str, **changes: object) -> Submission:
    """One task of one core in queue "q", named like its key; `changes` are fields of Submission."""
    fields: dict[str, object] = {
        "queue": "q",
        "client_key": client_key,
        "name": client_key,
        "requirements": Requirements(ONE_CORE),
        "program": Program(("true",)),
        "after": after,
    }
    return Submission(**(fields | changes))  # type: ignore[arg-type]  # the builder's keys are Submission's fields


class Bookkeeping:
    """`w1`, `w2`, ... are the ids, in the order of acceptance; `now` is the time of every call."""

    def __init__(self) -> None:
        self.book = Book()
        self.now = 1_000
        self.gone: dict[str, Workload] = {}
        self._ids = (f"w{number}" for number in count(1))

    # -- what the control plane does ------------------------------------------------------------------------------

    def take(self, changes: Sequence[Change]) -> list[Change]:
        """Applies and settles, like a group commit of one call."""
        before = {change.workload_id: None for change in changes if hasattr(change, "workload_id")}
        run_ids = [change.run_id for change in changes if isinstance(change, RunChanged)]
        before |= dict.fromkeys(run.workload_id for run_id in run_ids if (run := self.book.run(run_id)))
        self.book.apply(changes)
        ended = [w for w in map(self.book.workload, before) if w is not None and w.state.is_final]
        self.book.settle()
        self.gone |= {w.workload_id: w for w in ended if self.book.workload(w.workload_id) is None}
        return list(changes)

    def submit(self, *items: Submission) -> list[Outcome]:
        known = Known({(w.queue, w.client_key): w for w in self.gone.values()}, self.gone)
        outcomes, changes = admit(self.book, known, items, lambda: next(self._ids), self.now)
        self.take(changes)
        return outcomes

    def accepted(self, *items: Submission) -> list[str]:
        """The ids of items that must be accepted."""
        ids = []
        for outcome in self.submit(*items):
            assert isinstance(outcome, Accepted), outcome
            ids.append(outcome.workload_id)
        return ids

    def place(self, workload_id: str, pool_id: str = "p") -> str:
        """The id of the new run."""
        attempt = self.book.attempts(workload_id).runs + 1
        placement = Placement(workload_id, f"{workload_id}.{attempt}", attempt, pool_id, ("n1",))
        changes, refused = place(self.book, [placement], self.now)
        assert not refused
        self.take(changes)
        return placement.run_id

    def report(self, run_id: str, state: RunState, **more: object) -> list[Change]:
        return self.take(report_run(self.book, RunChanged(run_id, state, **more)))  # type: ignore[arg-type]  # fields of RunChanged

    def cancel(self, workload_id: str, reason: str = "") -> list[Change]:
        return self.take(cancel(self.book, workload_id, reason))

    def reconcile(self, pool_id: str, *remembered: str) -> list[Change]:
        return self.take(reconcile(self.book, pool_id, frozenset(remembered), self.now))

    # -- what tests say most often --------------------------------------------------------------------------------

    def run_to(self, workload_id: str, state: RunState) -> str:
        """Places the workload and reports the end of its run."""
        run_id = self.place(workload_id)
        self.report(run_id, state)
        return run_id

    def workload(self, workload_id: str) -> Workload:
        return self.book.workload(workload_id) or self.gone[workload_id]

    def state(self, workload_id: str) -> WorkloadState:
        return self.workload(workload_id).state

    def run(self, run_id: str) -> Run:
        run = self.book.run(run_id)
        assert run is not None, f"{run_id} is not live"
        return run


def refusal(outcome: Outcome) -> Refused:
    assert isinstance(outcome, Refused), outcome
    return outcome

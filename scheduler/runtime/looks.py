"""Looks at the queue: what one has seen already, and what must happen before the next begins anew.

The planner cycles over all that wait, window by window, until a look is over. Newcomers alone do not begin another look:
they are what stands behind the last window. So a thousand submissions a second on full pools do not have the whole queue
looked at a thousand times for what is known to find no place. A look begins anew when room or a claim may have appeared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from inventory.model.workload import WorkloadState
from scheduler.core.book import Book
from scheduler.core.changes import Change, RunChanged, WorkloadChanged, WorkloadSubmitted
from scheduler.core.queueing.waiting import Passed


class Wake(IntEnum):
    """Why the planner should look; of several reasons the highest counts."""

    NOTHING = 0
    NEWCOMERS = 1
    """Workloads came that stand behind all of their lane."""
    ANYTHING = 2
    """Who found no place before may find one now."""


def wake_of(changes: Sequence[Change]) -> Wake:
    """What changes may allow that was not possible before."""
    return max(map(_wake_of, changes), default=Wake.NOTHING)


def _wake_of(change: Change) -> Wake:
    match change:
        case WorkloadSubmitted(workload):
            if workload.state is not WorkloadState.QUEUED:
                return Wake.NOTHING
            # A deadline may put it before those that were passed over.
            return Wake.ANYTHING if workload.finish_by_ms else Wake.NEWCOMERS
        case WorkloadChanged():
            return Wake.ANYTHING if change.state is WorkloadState.QUEUED else Wake.NOTHING
        case RunChanged():
            return Wake.ANYTHING if change.state.is_final else Wake.NOTHING
        case _:
            return Wake.NOTHING


@dataclass(slots=True)
class Look:
    """One look over all that wait. `unplaced`: whom the last window showed and the cycle left. `trusts`: what was told last
    of the pools is good enough, until it leaves somebody."""

    passed: Passed = field(default_factory=Passed)
    unplaced: Sequence[str] = ()
    is_complete: bool = False
    trusts: bool = False

    def go_on(self, book: Book) -> bool:
        """Passes over who was left; whether the look has anything more to see."""
        book.tables.waiting.pass_over(self.passed, self.unplaced)
        self.unplaced = ()
        return book.tables.waiting.shows(self.passed)

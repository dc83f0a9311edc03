"""What the end of a workload means outside of scheduling, recorded in the same transaction.

A workload that carries the two cutover labels moves a system of the ledger: when it succeeds, the system is
migrated, on the day of its window, with the workload as the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from inventory.model.workload import Submission, WorkloadState
from inventory.store.chain import Draft
from inventory.store.ledger.kinds import migrated
from scheduler.core.book import Book
from scheduler.core.changes import Change, WorkloadChanged
from scheduler.core.cutover import CUTOVER_DAY_LABEL, SYSTEM_LABEL
from scheduler.services.ports import ErrorCode, RequestError


def require_cutover_day(submission: Submission) -> None:
    """Asked before a workload is stored: after its run there is nobody left to correct the day.

    RequestError INVALID_ARGUMENT.
    """
    text = submission.labels.get(CUTOVER_DAY_LABEL)
    if text is None:
        return
    try:
        date.fromisoformat(text)
    except ValueError:
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"labels[{CUTOVER_DAY_LABEL}]: {text!r} 不是日期，应为 YYYY-MM-DD / is not a day; write YYYY-MM-DD",
        ) from None


def migrations(book: Book, changes: Sequence[Change]) -> list[Draft]:
    """The systems that these changes, not yet applied to the book, have migrated."""
    drafts = []
    for change in changes:
        if isinstance(change, WorkloadChanged) and change.state is WorkloadState.SUCCEEDED:
            workload = book.workload(change.workload_id)
            if workload is not None and {SYSTEM_LABEL, CUTOVER_DAY_LABEL} <= workload.labels.keys():
                day = date.fromisoformat(workload.labels[CUTOVER_DAY_LABEL])
                key = workload.labels[SYSTEM_LABEL]
                drafts.append(migrated(key, effective_on=day, source=workload.workload_id))
    return drafts

"""Writes the rows and findings of one import into the chain, in batches, inside one transaction.

Rows go into events by the hundred, so that 200,000 of them never lie in memory as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any, TypeVar

from inventory.intake.conflicts import reconcile
from inventory.intake.diff import Change
from inventory.intake.identity import name_key
from inventory.intake.numbering import Numbers
from inventory.intake.standing import Judge, Standing
from inventory.store.chain import Draft
from inventory.store.event_store import Transaction
from inventory.store.ledger import kinds
from inventory.store.ledger.records import LedgerRecords

ROWS_AN_EVENT = 200
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Writing:
    """The transaction of one import, and who does it when. `baseline`: it corrects the baseline."""

    transaction: Transaction
    records: LedgerRecords
    numbers: Numbers
    sender: str
    import_id: str
    effective_on: date
    baseline: bool
    actor: str
    now_ms: int

    def append(self, drafts: Iterable[Draft]) -> None:
        dated = [Draft(draft.kind, draft.subject, draft.payload, self.effective_on) for draft in drafts]
        self.transaction.append(dated, actor=self.actor, recorded_ms=self.now_ms)


def claim(writing: Writing, changes: Iterable[Change]) -> None:
    """Makes the changes part of the sender's ledger, and then brings the conflicts with others up to date."""
    judge = Judge(writing.records, writing.sender, writing.numbers)
    touched: set[str] = set()
    for batch in batches(changes):
        judged = judge.judge({change.key: change.new for change in batch if change.new is not None})
        if not judge.alone:
            touched.update(standing.to for standing in judged.standings.values())
            touched.update(_concerned(writing.records, writing.sender, [change.key for change in batch]))
        body = {
            "sender": writing.sender,
            "baseline": writing.baseline,
            "claims": [
                _stored(change, judged.standings[change.key]) for change in batch if change.new is not None
            ],
            "withdrawn": [change.key for change in batch if change.new is None],
        }
        drafts = [Draft(kinds.CLAIMED, writing.import_id, body)]
        if judged.conflicts:
            drafts.append(Draft(kinds.CONFLICTED, writing.import_id, {"conflicts": list(judged.conflicts)}))
        writing.append(drafts)
    if touched:
        writing.append(reconcile(writing.records, writing.import_id, touched, writing.numbers))


def record_findings(writing: Writing, stored: list[dict[str, Any]], state: str) -> None:
    """`state` is open, or pending while their import waits."""
    for batch in batches(stored):
        body = {"sender": writing.sender, "state": state, "findings": batch}
        writing.append([Draft(kinds.FOUND, writing.import_id, body)])


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, ROWS_AN_EVENT)):
        yield batch


def _stored(change: Change, standing: Standing) -> dict[str, Any]:
    assert change.new is not None
    return {
        "key": change.key,
        "to": standing.to,
        "name": name_key(change.new["name"]),
        "standing": standing.standing,
        "question": standing.question,
        "sheet": change.sheet,
        "row": change.row,
        "fields": change.new,
    }


def _concerned(records: LedgerRecords, sender: str, row_keys: Sequence[str]) -> Iterator[str]:
    """The systems that these rows have spoken for until now, or are asked about."""
    yield from records.systems_of_rows(sender, row_keys).values()
    yield from (row["system_key"] for row in records.conflicts_of_rows(sender, row_keys))

"""Imports that wait for a person: what they would change, kept row by row until they are applied or superseded.

Also tells afterwards what an import has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from inventory.intake.diff import ADDED, Change, Diff, StandingRow, show
from inventory.intake.errors import IntakeError
from inventory.intake.findings import IdentifiedFinding
from inventory.intake.recording import batches
from inventory.store.ledger import kinds
from inventory.store.ledger.records import LedgerRecords, Record


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a newer file would change: rows, findings that are new, ids of findings that it no longer has."""

    changes: tuple[Change, ...]
    findings_new: tuple[IdentifiedFinding, ...]
    findings_gone: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.changes or self.findings_new or self.findings_gone)


def import_row(records: LedgerRecords, import_id: str) -> Record:
    """The import of this id. Raises IntakeError, naming those that wait, when there is none."""
    row = records.import_(import_id.strip().upper())
    if row is None:
        listed = ", ".join(waiting["id"] for waiting in records.imports("pending")) or "-"
        raise IntakeError(
            f"没有编号为 {import_id} 的导入；等待应用的导入：{listed}",
            f"there is no import {import_id}; imports that wait to be applied: {listed}",
        )
    return row


def require_pending(records: LedgerRecords, row: Record) -> None:
    """Raises IntakeError, saying what to do instead, when this import does not wait to be applied."""
    if row["status"] == "applied":
        raise IntakeError(
            f"导入 {row['id']} 已应用过，无需再次应用",
            f"the import {row['id']} is applied already; there is nothing to do",
        )
    if row["status"] == "superseded":
        newer = records.pending_import(row["sender"])
        chinese, english = "请重新导入该文件", "import the file again"
        if newer is not None:
            chinese, english = f"请应用 {newer['id']}", f"apply {newer['id']} instead"
        raise IntakeError(
            f"导入 {row['id']} 已被同一单位更新的文件取代；{chinese}",
            f"the import {row['id']} was superseded by a newer file of the same sender; {english}",
        )


def open_questions(records: LedgerRecords, import_id: str) -> tuple[str, ...]:
    """Ids of the possible duplicates and conflicts of this import that wait for a person."""
    asking = records.findings("open", "pending", import_id=import_id)
    differing = records.conflicts("open", import_id=import_id)
    return (
        *(row["id"] for row in asking if row["kind"] in ("possible_duplicate", "conflict")),
        *(row["id"] for row in differing),
    )


def findings_of(records: LedgerRecords, import_id: str) -> tuple[str, ...]:
    """Ids of the findings that came with this import for the first time."""
    return tuple(row["id"] for row in records.findings(import_id=import_id))


def standing_rows(records: LedgerRecords, sender: str) -> dict[str, StandingRow]:
    """The rows of the sender's applied ledger, by key."""
    return {
        row["row_key"]: StandingRow(row["fields"], row["sheet"], row["row"])
        for row in records.rows_of_sender(sender)
    }


def stored_changes(changes: Sequence[Change]) -> Iterator[list[dict[str, Any]]]:
    """The changes as events hold them, in batches."""
    for batch in batches(changes):
        yield [
            {
                "key": change.key,
                "change": change.change,
                "old": change.old,
                "new": change.new,
                "sheet": change.sheet,
                "row": change.row,
            }
            for change in batch
        ]


def staged_changes(records: LedgerRecords, import_id: str) -> Iterator[Change]:
    """What a pending import would change (or did), in the order of the file."""
    for row in records.staged_changes(import_id):
        old, new = (None if row[name] is None else json.loads(row[name]) for name in ("old", "new"))
        yield Change(row["row_key"], row["change"], old, new, row["sheet"], row["row"])


def proposes_the_same(records: LedgerRecords, waiting: Record, proposal: Proposal) -> bool:
    """True when the waiting import proposes exactly this: the same file came again."""
    if set(json.loads(waiting["findings_gone"])) != set(proposal.findings_gone):
        return False
    pending = {row["identity"] for row in records.findings(import_id=waiting["id"])}
    if pending != {one.identity for one in proposal.findings_new}:
        return False
    staged = {change.key: change for change in staged_changes(records, waiting["id"])}
    return staged == {change.key: change for change in proposal.changes}


def diff_of(records: LedgerRecords, import_id: str) -> Diff:
    """What an import changes, or has changed. In a sender's first import every row is an added one."""
    row = import_row(records, import_id)
    changes: Iterable[Change] = list(staged_changes(records, row["id"]))
    if not changes and row["status"] == "applied":
        changes = _claimed_at_once(records, row["id"])
    return show(changes, findings_of(records, row["id"]), tuple(json.loads(row["findings_gone"])))


def _claimed_at_once(records: LedgerRecords, import_id: str) -> Iterator[Change]:
    """The rows of an import that was applied without waiting, from its events."""
    seen: set[str] = set()
    for event in records.events(kinds.CLAIMED, import_id):
        for one in event.payload["claims"]:
            if one["key"] not in seen:
                seen.add(one["key"])
                yield Change(one["key"], ADDED, None, one["fields"], one["sheet"], one["row"])

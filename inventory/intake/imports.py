"""Takes a sender's file in: applies the first one, compares later ones and lets them wait, applies on request.

`Intake` is the door; each function here is one transaction: after a crash at any moment the file is wholly in the
ledger or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from inventory.intake import findings as found
from inventory.intake.diff import Change, Diff, compare, show, show_all_added
from inventory.intake.errors import IntakeError
from inventory.intake.identity import submitted_rows
from inventory.intake.numbering import Numbers
from inventory.intake.recording import Writing, claim, record_findings
from inventory.intake.staging import (
    Proposal,
    findings_of,
    import_row,
    open_questions,
    proposes_the_same,
    require_pending,
    staged_changes,
    standing_rows,
    stored_changes,
)
from inventory.ledger import LedgerReading
from inventory.store.chain import Draft, civil_day
from inventory.store.event_store import Store
from inventory.store.ledger import kinds
from inventory.store.ledger.records import LedgerRecords, Record


class ImportStatus(StrEnum):
    APPLIED = "applied"  # it is the sender's ledger now
    UNCHANGED = "unchanged"  # it says what the ledger says already: nothing was recorded
    PENDING = "pending"  # it waits for `apply`


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of a file. `import_id` is the import that holds its content (for UNCHANGED the one before).

    `effective_on` is the day from which it counts; `questions` are the ids of findings and conflicts that wait for
    a person; `notes` are lines for people ("中文 / English").
    """

    status: ImportStatus
    import_id: str
    diff: Diff
    effective_on: date
    questions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def import_reading(
    store: Store, reading: LedgerReading, *, filename: str, sender: str, actor: str, now_ms: int
) -> ImportResult:
    """Takes in one file of `sender`, as received by `actor` at `now_ms`. One transaction.

    A sender's first file is applied at once; a file that says nothing new leaves no trace; any other one waits as
    a pending import, in place of an older pending one.
    """
    sender = named(sender, "填报单位", "sender")
    actor = named(actor, "经办人", "actor")
    with store.transaction() as transaction:
        records = LedgerRecords(transaction.connection)
        known = records.sender(sender)
        effective_on, amends, notes = _days(reading, known, now_ms)
        numbers = Numbers(records)
        number = numbers.new_import()
        writing = Writing(transaction, records, numbers, sender, f"I{number}", effective_on, amends, actor, now_ms)
        head = _received(reading, filename, number, writing)
        if known is None or known["applied_import"] is None:
            diff = _apply_first(writing, reading, head)
            questions = open_questions(records, writing.import_id)
            return ImportResult(ImportStatus.APPLIED, writing.import_id, diff, effective_on, questions, notes)
        proposal = _compare(writing, reading)
        if proposal.is_empty:
            return _unchanged(records, known, notes)
        return _propose(writing, proposal, head, notes)


def apply_import(store: Store, import_id: str, *, actor: str, now_ms: int) -> ImportResult:
    """Applies a pending import. Raises IntakeError when there is none of this id, or it no longer waits."""
    actor = named(actor, "经办人", "actor")
    with store.transaction() as transaction:
        records = LedgerRecords(transaction.connection)
        row = import_row(records, import_id)
        require_pending(records, row)
        known = records.sender(row["sender"])
        effective_on = date.fromisoformat(row["effective_on"])
        if known is not None and known["ledger_day"] is not None:
            effective_on = max(effective_on, date.fromisoformat(known["ledger_day"]))
        numbers = Numbers(records)
        baseline = bool(row["amends_baseline"])
        writing = Writing(
            transaction, records, numbers, row["sender"], row["id"], effective_on, baseline, actor, now_ms
        )
        gone = json.loads(row["findings_gone"])
        diff = show(staged_changes(records, row["id"]), findings_of(records, row["id"]), tuple(gone))
        if gone:
            writing.append([Draft(kinds.FINDINGS_GONE, row["id"], {"findings": gone})])
        writing.append([Draft(kinds.APPLIED, row["id"], {"sender": row["sender"]})])
        claim(writing, staged_changes(records, row["id"]))
        questions = open_questions(records, row["id"])
        return ImportResult(ImportStatus.APPLIED, row["id"], diff, effective_on, questions)


def named(text: str, chinese: str, english: str) -> str:
    """A person's or department's name without white space around it. Raises IntakeError when nothing is left."""
    if not text.strip():
        raise IntakeError(f"缺少{chinese}；请写明是谁", f"the {english} is empty; say who it is")
    return text.strip()


def _days(reading: LedgerReading, known: Record | None, now_ms: int) -> tuple[date, bool, tuple[str, ...]]:
    """The day from which the file counts, whether it corrects the baseline, and what to tell about it.

    A file cannot hold from a day that has not come, nor from before what its sender has reported already. A file
    that states no day, or no later one than the baseline's, corrects the baseline; one that states a later day
    reports on it, and the baseline stays frozen.
    """
    today = civil_day(now_ms)
    day, notes = reading.as_of or today, []
    if day > today:
        notes.append(
            f"文件的截至日期 {day} 在未来，按今天 {today} 计"
            f" / the file is stated as of {day}, which has not come; it counts from today, {today}"
        )
        day = today
    if known is None or known["baseline_day"] is None:
        return day, True, tuple(notes)
    before, frozen = (date.fromisoformat(known[name]) for name in ("ledger_day", "baseline_day"))
    if day < before:
        notes.append(
            f"文件的截至日期 {day} 早于该单位已有台账的 {before}，按 {before} 起计"
            f" / the file is stated as of {day}, before the sender's ledger of {before}; it counts from {before}"
        )
    return max(day, before), reading.as_of is None or day <= frozen, tuple(notes)


def _received(reading: LedgerReading, filename: str, number: int, writing: Writing) -> dict[str, Any]:
    return {
        "number": number,
        "sender": writing.sender,
        "filename": filename,
        "sha256": reading.sha256,
        "stated_as_of": reading.as_of.isoformat() if reading.as_of else None,
        "amends_baseline": writing.baseline,
        "illustrative": reading.illustrative,
        "systems": len(reading.systems),
        "held": len(reading.held),
    }


def _apply_first(writing: Writing, reading: LedgerReading, head: Mapping[str, Any]) -> Diff:
    body = {**head, "status": "applied", "findings_gone": []}
    writing.append([Draft(kinds.RECEIVED, writing.import_id, body)])
    fresh = [found.stored_form(one, writing.numbers) for one in found.identified(reading)]
    record_findings(writing, fresh, "open")
    claim(writing, compare({}, submitted_rows(reading)))
    return show_all_added(reading, tuple(one["id"] for one in fresh))


def _compare(writing: Writing, reading: LedgerReading) -> Proposal:
    """What the file would change of the sender's ledger."""
    records = writing.records
    changes: list[Change] = list(compare(standing_rows(records, writing.sender), submitted_rows(reading)))
    known = found.known(records, writing.sender)
    new = [one for one in found.identified(reading) if known.pop(one.identity, None) is None]
    gone = tuple(str(row["id"]) for row in known.values() if row["state"] == "open")
    return Proposal(tuple(changes), tuple(new), gone)


def _unchanged(records: LedgerRecords, known: Record, notes: tuple[str, ...]) -> ImportResult:
    applied = import_row(records, known["applied_import"])
    waiting = records.pending_import(known["sender"])
    if waiting is not None:
        number = waiting["id"]
        notes = (
            *notes,
            f"较早的导入 {number} 仍在等待应用 / the earlier import {number} still waits to be applied",
        )
    day = date.fromisoformat(applied["effective_on"])
    questions = open_questions(records, applied["id"])
    return ImportResult(ImportStatus.UNCHANGED, applied["id"], Diff(), day, questions, notes)


def _propose(
    writing: Writing, proposal: Proposal, head: Mapping[str, Any], notes: tuple[str, ...]
) -> ImportResult:
    records = writing.records
    waiting = records.pending_import(writing.sender)
    if waiting is not None and proposes_the_same(records, waiting, proposal):
        import_id, day = waiting["id"], date.fromisoformat(waiting["effective_on"])
    else:
        import_id, day = writing.import_id, writing.effective_on
        if waiting is not None:
            writing.append([Draft(kinds.SUPERSEDED, waiting["id"], {"by": import_id})])
        body = {**head, "status": "pending", "findings_gone": list(proposal.findings_gone)}
        writing.append([Draft(kinds.RECEIVED, import_id, body)])
        for stored in stored_changes(proposal.changes):
            writing.append([Draft(kinds.PROPOSED, import_id, {"changes": stored})])
        record_findings(
            writing, [found.stored_form(one, writing.numbers) for one in proposal.findings_new], "pending"
        )
    diff = show(proposal.changes, findings_of(records, import_id), proposal.findings_gone)
    questions = open_questions(records, import_id)
    return ImportResult(ImportStatus.PENDING, import_id, diff, day, questions, notes)

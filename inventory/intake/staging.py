"""Imports that wait for a person: what they would change, kept row by row until they are applied or superseded.

Also tells afterwards what an import has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from inventory.intake.diff import ADDED, Change, Diff, StandingRow, show
from inventory.intake.errors import IntakeError
from inventory.intake.findings import IdentifiedFinding
from inventory.intake.recording import ROWS_AN_EVENT, batches
from inventory.store.event_store import PAGE, read_events
from inventory.store.ledger import kinds
from inventory.store.ledger.tables import claims, conflicts, findings, import_changes, imports


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a newer file would change: rows, findings that are new, ids of findings that it no longer has."""

    changes: tuple[Change, ...]
    findings_new: tuple[IdentifiedFinding, ...]
    findings_gone: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.changes or self.findings_new or self.findings_gone)


def import_row(connection: Connection, import_id: str) -> RowMapping:
    """The import of this id. Raises IntakeError, naming those that wait, when there is none."""
    row = connection.execute(select(imports).where(imports.c.id == import_id.strip().upper())).mappings().first()
    if row is None:
        waiting = select(imports.c.id).where(imports.c.status == "pending").order_by(imports.c.number)
        listed = ", ".join(connection.execute(waiting).scalars()) or "-"
        raise IntakeError(
            f"没有编号为 {import_id} 的导入；等待应用的导入：{listed}",
            f"there is no import {import_id}; imports that wait to be applied: {listed}",
        )
    return row


def pending_of(connection: Connection, sender: str) -> RowMapping | None:
    query = select(imports).where(imports.c.sender == sender, imports.c.status == "pending")
    return connection.execute(query).mappings().first()


def require_pending(connection: Connection, row: RowMapping) -> None:
    """Raises IntakeError, saying what to do instead, when this import does not wait to be applied."""
    if row["status"] == "applied":
        raise IntakeError(
            f"导入 {row['id']} 已应用过，无需再次应用",
            f"the import {row['id']} is applied already; there is nothing to do",
        )
    if row["status"] == "superseded":
        newer = pending_of(connection, row["sender"])
        chinese, english = "请重新导入该文件", "import the file again"
        if newer is not None:
            chinese, english = f"请应用 {newer['id']}", f"apply {newer['id']} instead"
        raise IntakeError(
            f"导入 {row['id']} 已被同一单位更新的文件取代；{chinese}",
            f"the import {row['id']} was superseded by a newer file of the same sender; {english}",
        )


def open_questions(connection: Connection, import_id: str) -> tuple[str, ...]:
    """Ids of the possible duplicates and conflicts of this import that wait for a person."""
    asking = select(findings.c.id).where(
        findings.c.import_id == import_id,
        findings.c.state.in_(("open", "pending")),
        findings.c.kind.in_(("possible_duplicate", "conflict")),
    )
    differing = select(conflicts.c.id).where(conflicts.c.import_id == import_id, conflicts.c.state == "open")
    return (
        *connection.execute(asking.order_by(findings.c.number)).scalars(),
        *connection.execute(differing.order_by(conflicts.c.number)).scalars(),
    )


def findings_of(connection: Connection, import_id: str) -> tuple[str, ...]:
    """Ids of the findings that came with this import for the first time."""
    query = select(findings.c.id).where(findings.c.import_id == import_id).order_by(findings.c.number)
    return tuple(connection.execute(query).scalars())


def standing_rows(connection: Connection, sender: str) -> dict[str, StandingRow]:
    """The rows of the sender's applied ledger, by key."""
    query = select(claims.c.row_key, claims.c.fields, claims.c.sheet, claims.c.row)
    rows = connection.execute(query.where(claims.c.sender == sender).execution_options(yield_per=PAGE))
    return {row.row_key: StandingRow(row.fields, row.sheet, row.row) for row in rows}


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


def staged_changes(connection: Connection, import_id: str) -> Iterator[Change]:
    """What a pending import would change (or did), in the order of the file."""
    query = (
        select(import_changes)
        .where(import_changes.c.import_id == import_id)
        .order_by(import_changes.c.sheet, import_changes.c.row, import_changes.c.row_key)
        .execution_options(yield_per=ROWS_AN_EVENT)
    )
    for row in connection.execute(query).mappings():
        old, new = (None if row[name] is None else json.loads(row[name]) for name in ("old", "new"))
        yield Change(row["row_key"], row["change"], old, new, row["sheet"], row["row"])


def proposes_the_same(connection: Connection, waiting: RowMapping, proposal: Proposal) -> bool:
    """True when the waiting import proposes exactly this: the same file came again."""
    if set(json.loads(waiting["findings_gone"])) != set(proposal.findings_gone):
        return False
    pending = select(findings.c.identity).where(findings.c.import_id == waiting["id"])
    if set(connection.execute(pending).scalars()) != {one.identity for one in proposal.findings_new}:
        return False
    staged = {change.key: change for change in staged_changes(connection, waiting["id"])}
    return staged == {change.key: change for change in proposal.changes}


def diff_of(connection: Connection, import_id: str) -> Diff:
    """What an import changes, or has changed. In a sender's first import every row is an added one."""
    row = import_row(connection, import_id)
    changes: Iterable[Change] = list(staged_changes(connection, row["id"]))
    if not changes and row["status"] == "applied":
        changes = _claimed_at_once(connection, row["id"])
    return show(changes, findings_of(connection, row["id"]), tuple(json.loads(row["findings_gone"])))


def _claimed_at_once(connection: Connection, import_id: str) -> Iterator[Change]:
    """The rows of an import that was applied without waiting, from its events."""
    seen: set[str] = set()
    after = 0
    while page := read_events(connection, after, PAGE, kinds={kinds.CLAIMED}, subject=import_id):
        for one in (one for event in page for one in event.payload["claims"]):
            if one["key"] not in seen:
                seen.add(one["key"])
                yield Change(one["key"], ADDED, None, one["fields"], one["sheet"], one["row"])
        after = page[-1].seq

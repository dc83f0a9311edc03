"""Settles what waits for a person: possible duplicates and conflicts, with the person's name and reason.

`Intake.resolve` calls this. A decision is an event; it holds for later files too, until they say something new. It
can be changed by deciding again: the chain keeps both decisions.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Any

from inventory.intake.conflicts import KEEP, TAKE, asks_identity, reconcile
from inventory.intake.errors import IntakeError
from inventory.intake.imports import named
from inventory.intake.numbering import Numbers
from inventory.intake.spoken_values import read_spoken
from inventory.intake.standing import free_keys
from inventory.store.chain import Draft, civil_day
from inventory.store.event_store import Store
from inventory.store.ledger import fold, kinds
from inventory.store.ledger.records import COUNTED, OUT, LedgerRecords, Record

DUPLICATE, DISTINCT, BOTH = "duplicate", "distinct", "both"
_CHINESE = {"重复": DUPLICATE, "不同": DISTINCT, "保留": KEEP, "采用": TAKE, "并存": BOTH}


@dataclass(frozen=True, slots=True)
class Resolution:
    """A decision as recorded. `subject` is the finding or conflict, `system_keys` the systems that it concerns."""

    subject: str
    kind: str
    decision: str
    effective_on: date
    system_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ruling:
    """What a decision does: claims that get another standing, and at most one change of a system."""

    moves: tuple[dict[str, Any], ...]
    change: dict[str, Any] | None
    systems: tuple[str, ...]


def resolve(store: Store, question_id: str, decision: str, *, actor: str, reason: str, now_ms: int) -> Resolution:
    """Records a decision about a finding (F..) or conflict (C..). One transaction.

    Decisions: a possible duplicate is a `duplicate` (it stays out) or `distinct` (a system, counted from today). A
    conflict: `keep` the value that stands, or `take` the other one; a department's (sender's) name chooses its
    value. Whether a row of another department is a known system: keep or take (it is; whose department is right),
    or `both` (two systems). Raises IntakeError for anything else.
    """
    actor = named(actor, "经办人", "actor")
    reason = named(reason, "理由", "reason")
    question_id = unicodedata.normalize("NFKC", question_id).strip().upper()
    with store.transaction() as transaction:
        records = LedgerRecords(transaction.connection)
        row = _question(records, question_id)
        chosen = _chosen(row, decision)
        if row["state"] == "settled" and row["decision"] == chosen:
            raise IntakeError(
                f"{question_id} 已由 {row['decided_by']} 定为 {chosen}，无需重复",
                f"{question_id} was settled as {chosen} by {row['decided_by']} already; there is nothing to do",
            )
        ruling = _rule_finding(records, row, chosen) if _is_finding(row) else _rule(records, row, chosen)
        effective_on = _from_when(records, row, civil_day(now_ms))
        body = {
            "table": "findings" if _is_finding(row) else "conflicts",
            "decision": chosen,
            "reason": reason,
            "moves": list(ruling.moves),
            "change": ruling.change,
        }
        settled = Draft(kinds.SETTLED, question_id, body, effective_on)
        transaction.append([settled], actor=actor, recorded_ms=now_ms)
        after = reconcile(records, row["import_id"], ruling.systems, Numbers(records))
        dated = [Draft(draft.kind, draft.subject, draft.payload, effective_on) for draft in after]
        transaction.append(dated, actor=actor, recorded_ms=now_ms)
        return Resolution(question_id, row.get("kind", "conflict"), chosen, effective_on, ruling.systems)


def _question(records: LedgerRecords, question_id: str) -> Record:
    if not re.fullmatch(r"[FC]\d+", question_id):
        raise IntakeError(
            f"{question_id!r} 不是编号；请写 F12（疑似重复等）或 C3（冲突）",
            f"{question_id!r} is no id; write the id of a finding (F12) or of a conflict (C3)",
        )
    row = records.question(question_id)
    if row is None:
        listed = ", ".join(records.open_ids(question_id, 20)) or "-"
        raise IntakeError(f"没有 {question_id}；待定的有：{listed}", f"there is no {question_id}; open: {listed}")
    if row["state"] == "pending":
        raise IntakeError(
            f"{question_id} 属于尚未应用的导入 {row['import_id']}；请先应用它",
            f"{question_id} belongs to the import {row['import_id']}, which waits; apply it first",
        )
    if row["state"] == "gone":
        raise IntakeError(
            f"{question_id} 已不存在：后来的文件中不再有此问题",
            f"{question_id} no longer arises: a later file or decision has removed it",
        )
    return row


def _is_finding(row: Record) -> bool:
    return str(row["id"]).startswith("F")


def _chosen(row: Record, decision: str) -> str:
    word = unicodedata.normalize("NFKC", decision).strip()
    chosen = _CHINESE.get(word, word.lower())
    allowed: tuple[str, ...]
    if _is_finding(row):
        allowed = _ALLOWED_OF_FINDINGS.get(row["kind"], ())
        if not allowed:
            raise IntakeError(
                f"{row['id']} 是 {row['kind']}，不由人裁定；请更正 {row['sheet']}!{row['cell']} 后重新导入",
                f"{row['id']} is a {row['kind']}: nothing to decide; correct {row['sheet']}!{row['cell']} and "
                "import the file again",
            )
    else:
        allowed = (KEEP, TAKE, BOTH) if asks_identity(row) else (KEEP, TAKE)
        chosen = {row["standing_sender"]: KEEP, row["claiming_sender"]: TAKE}.get(word, chosen)
    if chosen not in allowed:
        options = ", ".join(allowed)
        raise IntakeError(
            f"{row['id']} 不能定为 {decision!r}；可选：{options}",
            f"{row['id']} cannot be settled as {decision!r}; choose one of {options}",
        )
    return chosen


_ALLOWED_OF_FINDINGS = {"possible_duplicate": (DUPLICATE, DISTINCT), "conflict": (KEEP, TAKE)}


def _rule_finding(records: LedgerRecords, row: Record, chosen: str) -> _Ruling:
    if row["kind"] == "possible_duplicate":
        key = str(row["row_key"])
        system = free_keys(records, row["sender"], [key])[key]
        standing = COUNTED if chosen == DISTINCT else OUT
        move = {"sender": row["sender"], "key": key, "to": system, "standing": standing}
        return _Ruling((move,), None, (system,))
    claim = _own_claim(records, row)
    system = claim["system_key"]
    claimed = json.loads(claim["fields"]).get(row["field"])
    value = claimed if chosen == KEEP else read_spoken(row["field"], row["value"])
    change = {fold.CORRECT: row["field"], "claimed": claimed, "value": value}
    return _Ruling((), {"system": system, "what": change}, (system,))


def _own_claim(records: LedgerRecords, row: Record) -> Record:
    """The sender's row that stands where his file contradicts itself."""
    claim = None if row["row_key"] is None else records.claim(row["sender"], row["row_key"])
    if claim is None or row["field"] is None or row["value"] is None:
        raise IntakeError(
            f"{row['id']}：无法确定“{row['of']}”是哪一行；请更正 {row['sheet']}!{row['cell']} 后重新导入",
            f"{row['id']}: which row is meant by {row['of']} is not certain; correct {row['sheet']}!{row['cell']} "
            "and import the file again",
        )
    return claim


def _rule(records: LedgerRecords, row: Record, chosen: str) -> _Ruling:
    winner = row["claiming_sender"] if chosen == TAKE else row["standing_sender"]
    heard = {"system": row["system_key"], "what": {fold.RULE: row["field"], "winner": winner}}
    if not asks_identity(row):
        return _Ruling((), heard, (row["system_key"],))
    sender, key, known = row["claiming_sender"], row["claiming_row"], row["system_key"]
    alone = free_keys(records, sender, [key])[key]
    move = {"sender": sender, "key": key, "to": alone if chosen == BOTH else known, "standing": COUNTED}
    return _Ruling((move,), None if chosen == BOTH else heard, (known, alone))


def _from_when(records: LedgerRecords, row: Record, today: date) -> date:
    """Decisions count from the day on which they are taken; never from before the ledgers that they are about."""
    names = {row[name] for name in ("sender", "standing_sender", "claiming_sender") if name in row}
    return max([today, *records.ledger_days(names)])

"""Finds where senders differ about a system, and keeps the list of open conflicts true.

Called at the end of every transaction that changed claims or rulings, for the systems that it touched. A conflict
is between the sender who is heard on a field and another one; it is asked once, and again only when one of them
says something new. It goes when they agree, or when one of them withdraws.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from inventory.intake.numbering import Numbers
from inventory.intake.standing import free_keys
from inventory.store.chain import Draft
from inventory.store.ledger import kinds
from inventory.store.ledger.fold import SystemState
from inventory.store.ledger.records import COUNTED, HELD, LedgerRecords, Record
from inventory.store.ledger.rows import FIELD_NAMES

# How a difference is settled: the value that stands is kept, or the other one is taken.
KEEP, TAKE = "keep", "take"
# The name is what makes the rows one system; the precision goes with its date.
_NEVER = frozenset({"name", "golive_precision"})
_KEYS_A_QUERY = 300


@dataclass(frozen=True, slots=True)
class _Difference:
    """One open question: on `field` of `system`, `heard` says one thing and `other` another."""

    system: str
    field: str
    heard: str
    heard_value: object
    other: str
    other_value: object


def reconcile(records: LedgerRecords, subject: str, system_keys: Iterable[str], numbers: Numbers) -> list[Draft]:
    """The events that bring the conflicts about these systems up to date: new ones, gone ones, released rows.

    `subject` is the import (or question) that caused the change.
    """
    touched = sorted(set(system_keys))
    fresh: list[dict[str, Any]] = []
    gone: list[str] = []
    drafts: list[Draft] = []
    for start in range(0, len(touched), _KEYS_A_QUERY):
        part = touched[start : start + _KEYS_A_QUERY]
        recorded = records.conflicts_about(part)
        wanted = list(_differences(records, part))
        asked = [row for row in recorded if row["state"] == "open"]
        open_now = {_key_of(row): row["id"] for row in asked if not asks_identity(row)}
        needed = {_key(difference) for difference in wanted}
        gone += [conflict_id for key, conflict_id in open_now.items() if key not in needed]
        for difference in wanted:
            if _key(difference) not in open_now and not _was_dismissed(difference, recorded):
                fresh.append(_conflict(difference, numbers))
        for row, held in _settled_by_themselves(records, asked):
            gone.append(row["id"])
            if held is not None:
                drafts.append(_release(records, row, held))
    if gone:
        drafts.append(Draft(kinds.CONFLICTS_GONE, subject, {"conflicts": gone}))
    if fresh:
        drafts.append(Draft(kinds.CONFLICTED, subject, {"conflicts": fresh}))
    return drafts


def differs(field: str, one: object, other: object) -> bool:
    """True when two values cannot both be right: spelling, order and a coarser date are no contradiction."""
    if field == "golive":
        return not (str(one).startswith(str(other)) or str(other).startswith(str(one)))
    return _plain(one) != _plain(other)


def _plain(value: object) -> object:
    if isinstance(value, str):
        return "".join(unicodedata.normalize("NFKC", value).split()).casefold()
    if isinstance(value, list):
        return sorted(str(_plain(item)) for item in value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _differences(records: LedgerRecords, system_keys: Collection[str]) -> Iterator[_Difference]:
    senders = Counter(system_key for system_key, _ in records.speakers(system_keys))
    for state in records.states(system_keys=[key for key, count in senders.items() if count > 1]):
        yield from _differences_of(state)


def _differences_of(state: SystemState) -> Iterator[_Difference]:
    for field in FIELD_NAMES:
        heard = state.heard.get(field)
        if field in _NEVER or heard is None:
            continue
        value = heard.fields.get(field)
        for claim in state.claims:
            claimed = claim.fields.get(field)
            if claim.sender != heard.sender and claimed is not None and differs(field, claimed, value):
                yield _Difference(state.system_key, field, heard.sender, value, claim.sender, claimed)


def asks_identity(row: Record) -> bool:
    """True for the question whether a row of another department is this system (it is then not claimed for it)."""
    return bool(row["field"] == "department" and row["claiming_row"] != row["system_key"])


def _key(difference: _Difference) -> tuple[object, ...]:
    return (
        difference.system,
        difference.field,
        difference.heard,
        json.dumps(difference.heard_value, sort_keys=True),
        difference.other,
        json.dumps(difference.other_value, sort_keys=True),
    )


def _key_of(row: Record) -> tuple[object, ...]:
    return (
        row["system_key"],
        row["field"],
        row["standing_sender"],
        json.dumps(json.loads(row["standing_value"]), sort_keys=True),
        row["claiming_sender"],
        json.dumps(json.loads(row["claiming_value"]), sort_keys=True),
    )


def _was_dismissed(difference: _Difference, recorded: Iterable[Record]) -> bool:
    """True when a person has already decided against this value of the other sender, in favour of anybody."""
    for row in recorded:
        if row["decision"] not in (KEEP, TAKE):
            continue
        if (row["system_key"], row["field"]) != (difference.system, difference.field):
            continue
        keeps = row["decision"] == KEEP
        loser = row["claiming_sender"] if keeps else row["standing_sender"]
        dismissed = json.loads(row["claiming_value"] if keeps else row["standing_value"])
        if loser == difference.other and dismissed == difference.other_value:
            return True
    return False


def _conflict(difference: _Difference, numbers: Numbers) -> dict[str, Any]:
    number = numbers.conflict()
    return {
        "id": f"C{number}",
        "number": number,
        "system_key": difference.system,
        "field": difference.field,
        "standing_sender": difference.heard,
        "standing_value": difference.heard_value,
        "claiming_sender": difference.other,
        "claiming_value": difference.other_value,
        "claiming_row": difference.system,
    }


def _settled_by_themselves(
    records: LedgerRecords, asked: Iterable[Record]
) -> Iterator[tuple[Record, Record | None]]:
    """Questions of identity that no longer arise, with the held row that now is a system.

    Either the held row itself is gone (None); or nobody claims the known system any more; or the sender claims it
    himself beside the held row, and so says that they are two.
    """
    for row in asked:
        if not asks_identity(row):
            continue
        sender, known = row["claiming_sender"], row["system_key"]
        held = records.claim(sender, row["claiming_row"], HELD)
        speakers = {speaker for _, speaker in records.speakers([known])}
        if held is None or not speakers or sender in speakers:
            yield row, held


def _release(records: LedgerRecords, row: Record, claim: Record) -> Draft:
    released = {
        "key": claim["row_key"],
        "to": free_keys(records, claim["sender"], [claim["row_key"]])[claim["row_key"]],
        "name": claim["name_key"],
        "standing": COUNTED,
        "question": row["id"],
        "sheet": claim["sheet"],
        "row": claim["row"],
        "fields": json.loads(claim["fields"]),
    }
    body = {"sender": claim["sender"], "baseline": claim["baseline"], "claims": [released], "withdrawn": []}
    return Draft(kinds.CLAIMED, claim["import_id"], body)

"""Says for each row of a file what becomes of it: counted as a system, held for a person, or out.

`recording` asks batch by batch, inside the transaction that applies the file. Decisions that people took on the
same row before are looked up first, so that nobody is asked twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inventory.intake.findings import duplicate_identity
from inventory.intake.identity import district_of, is_foreign, is_generic, name_key
from inventory.intake.numbering import Numbers
from inventory.store.ledger.records import COUNTED, HELD, OUT, LedgerRecords, Record
from inventory.store.ledger.rows import SUSPICION


@dataclass(frozen=True, slots=True)
class Standing:
    """`to` is the system that the row speaks for (or would); `question` the finding or conflict that holds it."""

    to: str
    standing: str
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """The standing of each row of a batch, and the new questions whether rows are known systems."""

    standings: Mapping[str, Standing]
    conflicts: tuple[dict[str, Any], ...]


class Judge:
    """Judges the rows of one sender's file. `numbers` gives out the ids of new conflicts.

    Rows are compared with those of senders that can mean the same systems: kin, not senders of another district.
    """

    def __init__(self, records: LedgerRecords, sender: str, numbers: Numbers) -> None:
        self._records = records
        self._sender = sender
        self._numbers = numbers
        others = records.other_senders(sender)
        self._kin = frozenset(other for other in others if not is_foreign(sender, other))
        self.alone = not others

    def judge(self, rows: Mapping[str, Mapping[str, Any]]) -> Judged:
        """`rows`: row key -> fields, at most a few hundred; `claims` still holds what was said before."""
        own = self._records.systems_of_rows(self._sender, rows, COUNTED)  # no later file puts these in question
        free = {} if self.alone else free_keys(self._records, self._sender, list(rows))
        suspected = {key: fields for key, fields in rows.items() if SUSPICION in fields}
        standings = self._suspected(suspected, {key: own.get(key) or free.get(key, key) for key in suspected})
        others = [key for key in rows if key not in suspected]
        if self.alone:
            standings.update({key: Standing(own.get(key, key), COUNTED) for key in others})
            return Judged(standings, ())
        decided = self._decided(others, free)
        known = self._joint(others, free) | own
        unknown = {key: rows[key]["name"] for key in others if key not in decided and key not in known}
        alike = self._alike(unknown, known.values())
        asked: list[dict[str, Any]] = []
        for key in others:
            if key in decided:
                standings[key] = decided[key]
            elif key in alike:
                question = self._ask(key, rows[key], alike[key])
                asked.append(question)
                standings[key] = Standing(free[key], HELD, question["id"])
            else:
                standings[key] = Standing(known.get(key, free[key]), COUNTED)
        return Judged(standings, tuple(asked))

    def _suspected(self, rows: Mapping[str, Mapping[str, Any]], systems: Mapping[str, str]) -> dict[str, Standing]:
        """Possible duplicates inside the file: settled earlier, or held. `systems`: which each would be."""
        wanted = {duplicate_identity(key, fields[SUSPICION]): key for key, fields in rows.items()}
        standings = {}
        for row in self._records.findings_with(self._sender, wanted) if wanted else ():
            key = wanted[row["identity"]]
            standing = HELD
            if row["state"] == "settled":
                standing = COUNTED if row["decision"] == "distinct" else OUT
            standings[key] = Standing(systems[key], standing, row["id"])
        missing = [key for key in rows if key not in standings]
        if missing:
            raise AssertionError(f"held rows without a finding: {missing[:3]}")
        return standings

    def _decided(self, keys: Sequence[str], free: Mapping[str, str]) -> dict[str, Standing]:
        """Rows about which a person was asked whether they are another department's system."""
        found = {}
        for row in self._records.conflicts_of_rows(self._sender, keys):
            if row["field"] != "department":
                continue
            key, known = row["claiming_row"], row["system_key"]
            if key == known:
                continue  # a difference of opinion about one system, not a question of identity
            if row["decision"] is None:
                found[key] = Standing(free[key], HELD, row["id"])
            elif row["decision"] == "both":
                found[key] = Standing(free[key], COUNTED, row["id"])
            else:
                found[key] = Standing(known, COUNTED, row["id"])
        return found

    def _joint(self, keys: Sequence[str], free: Mapping[str, str]) -> dict[str, str]:
        """Rows whose system a kindred sender has claimed by the same department and name -> that system."""
        wanted = {key: key for key in keys} | {free[key]: key for key in keys}
        spoken = self._records.speakers(wanted)
        return {wanted[system]: system for system, sender in spoken if sender in self._kin}

    def _alike(self, names: Mapping[str, str], listed: Iterable[str]) -> dict[str, Record]:
        """Rows whose name (not a generic one) a kindred sender has claimed for another department.

        Not where this sender lists that other department's system too: then he says himself that they are two.
        """
        wanted = {name_key(name) for name in names.values() if not is_generic(name)}
        first: dict[str, Record] = {}
        for row in self._records.counted_by_name(wanted, self._kin) if wanted else ():
            first.setdefault(row["name_key"], row)
        spoken = self._records.speakers({row["system_key"] for row in first.values()}) if first else set()
        listed = {*listed, *(system for system, sender in spoken if sender == self._sender)}
        alike = {key: first.get(name_key(name)) for key, name in names.items()}
        return {key: row for key, row in alike.items() if row is not None and row["system_key"] not in listed}

    def _ask(self, key: str, fields: Mapping[str, Any], known: Record) -> dict[str, Any]:
        number = self._numbers.conflict()
        return {
            "id": f"C{number}",
            "number": number,
            "system_key": known["system_key"],
            "field": "department",
            "standing_sender": known["sender"],
            "standing_value": department_of(known["fields"]),
            "claiming_sender": self._sender,
            "claiming_value": fields.get("department"),
            "claiming_row": key,
        }


def free_keys(records: LedgerRecords, sender: str, row_keys: Sequence[str]) -> dict[str, str]:
    """The key of the system that each row would be by itself: its own, with the sender's district behind it where
    another district's system bears that key (every district has its 区交通局)."""
    taken = {system for system, other in records.speakers(row_keys) if is_foreign(sender, other)}
    return {key: f"{key}@{district_of(sender)}" if key in taken else key for key in row_keys}


def department_of(fields_json: str) -> str | None:
    department = json.loads(fields_json).get("department")
    return None if department is None else str(department)

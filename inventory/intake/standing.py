"""Says for each row of a file what becomes of it: counted as a system, held for a person, or out.

`recording` asks batch by batch, inside the transaction that applies the file. Decisions that people took on the
same row before are looked up first, so that nobody is asked twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from inventory.intake.findings import duplicate_identity
from inventory.intake.identity import district_of, is_foreign, is_generic, name_key
from inventory.intake.numbering import Numbers
from inventory.store.ledger.rows import SUSPICION
from inventory.store.ledger.tables import claims, conflicts, findings, senders

COUNTED, HELD, OUT = "counted", "held", "out"


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

    def __init__(self, connection: Connection, sender: str, numbers: Numbers) -> None:
        self._connection = connection
        self._sender = sender
        self._numbers = numbers
        others = connection.execute(select(senders.c.sender).where(senders.c.sender != sender)).scalars().all()
        self._kin = [other for other in others if not is_foreign(sender, other)]
        self.alone = not others

    def judge(self, rows: Mapping[str, Mapping[str, Any]]) -> Judged:
        """`rows`: row key -> fields, at most a few hundred; `claims` still holds what was said before."""
        own = self._own_systems(rows)
        free = {} if self.alone else free_keys(self._connection, self._sender, list(rows))
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
        query = select(findings.c.identity, findings.c.id, findings.c.state, findings.c.decision).where(
            findings.c.sender == self._sender, findings.c.identity.in_(sorted(wanted))
        )
        standings = {}
        for row in self._connection.execute(query.order_by(findings.c.number)) if wanted else ():
            key = wanted[row.identity]
            standing = HELD
            if row.state == "settled":
                standing = COUNTED if row.decision == "distinct" else OUT
            standings[key] = Standing(systems[key], standing, row.id)
        missing = [key for key in rows if key not in standings]
        if missing:
            raise AssertionError(f"held rows without a finding: {missing[:3]}")
        return standings

    def _decided(self, keys: Sequence[str], free: Mapping[str, str]) -> dict[str, Standing]:
        """Rows about which a person was asked whether they are another department's system."""
        query = (
            select(conflicts)
            .where(conflicts.c.claiming_sender == self._sender, conflicts.c.claiming_row.in_(keys))
            .where(conflicts.c.field == "department", conflicts.c.state.in_(("open", "settled")))
            .order_by(conflicts.c.number)
        )
        found = {}
        for row in self._connection.execute(query).mappings():
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
        query = select(claims.c.system_key).where(
            claims.c.system_key.in_(sorted(wanted)), claims.c.standing == COUNTED, claims.c.sender.in_(self._kin)
        )
        return {wanted[system]: system for system in self._connection.execute(query).scalars()}

    def _alike(self, names: Mapping[str, str], listed: Iterable[str]) -> dict[str, RowMapping]:
        """Rows whose name (not a generic one) a kindred sender has claimed for another department.

        Not where this sender lists that other department's system too: then he says himself that they are two.
        """
        wanted = {name_key(name) for name in names.values() if not is_generic(name)}
        query = (
            select(claims.c.name_key, claims.c.system_key, claims.c.sender, claims.c.fields)
            .where(claims.c.name_key.in_(sorted(wanted)), claims.c.standing == COUNTED)
            .where(claims.c.sender.in_(self._kin))
            .order_by(claims.c.sender, claims.c.row_key)
        )
        first: dict[str, RowMapping] = {}
        for row in self._connection.execute(query).mappings() if wanted else ():
            first.setdefault(row["name_key"], row)
        mine = select(claims.c.system_key).where(
            claims.c.sender == self._sender,
            claims.c.standing == COUNTED,
            claims.c.system_key.in_(sorted(row["system_key"] for row in first.values())),
        )
        listed = {*listed, *self._connection.execute(mine).scalars()}
        alike = {key: first.get(name_key(name)) for key, name in names.items()}
        return {key: row for key, row in alike.items() if row is not None and row["system_key"] not in listed}

    def _own_systems(self, keys: Iterable[str]) -> dict[str, str]:
        """Rows that already count for this sender: what they are is not put in question by a later file."""
        query = select(claims.c.row_key, claims.c.system_key).where(
            claims.c.sender == self._sender, claims.c.row_key.in_(sorted(keys)), claims.c.standing == COUNTED
        )
        return {row.row_key: row.system_key for row in self._connection.execute(query)}

    def _ask(self, key: str, fields: Mapping[str, Any], known: RowMapping) -> dict[str, Any]:
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


def free_keys(connection: Connection, sender: str, row_keys: Sequence[str]) -> dict[str, str]:
    """The key of the system that each row would be by itself: its own, with the sender's district behind it where
    another district's system bears that key (every district has its 区交通局)."""
    query = select(claims.c.system_key, claims.c.sender).where(
        claims.c.system_key.in_(row_keys), claims.c.standing == COUNTED, claims.c.sender != sender
    )
    taken = {row.system_key for row in connection.execute(query) if is_foreign(sender, row.sender)}
    return {key: f"{key}@{district_of(sender)}" if key in taken else key for key in row_keys}


def department_of(fields_json: str) -> str | None:
    department = json.loads(fields_json).get("department")
    return None if department is None else str(department)

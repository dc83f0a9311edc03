"""Folds what happened to one system into its state. Pure: the same changes give the same state, always.

The projection folds all changes of a system to keep its row in `systems`; a query as of a day folds the changes
that were in effect on that day. Changes are folded in the order in which they were recorded. Rules:

- Of several senders, the first to give a field a value is heard on it, until a person rules otherwise; another
  sender's differing value waits as a conflict. A value fills a field that is unknown without a question.
- When the sender who is heard withdraws, or no longer knows the field, the next one in line is heard.
- A person's correction of a field stands as long as the claim that it corrects is repeated unchanged.
- Closed, merged and migrated are true from the day a file or an event says so. A file's disposition counts as done
  on its as-of day (retire: closed, consolidate: merged).
- Who was in the baseline stays in it: a system leaves only when a file that corrects the baseline drops it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from inventory.store.ledger.rows import FOLLOWS, SUSPICION, Fields

# Changes are JSON objects with exactly one of these keys; the comments say what else they hold.
CLAIM = "claim"  # the sender; key (of his row), import, sheet, row, fields, baseline (true: joins the baseline)
WITHDRAW = "withdraw"  # the sender; key (of his row), baseline (true: leaves the baseline too)
RULE = "rule"  # the field; winner: the sender who is heard on it from now on
CORRECT = "correct"  # the field; claimed: the value that was judged, value: what holds instead
MIGRATED, CLOSED, MERGED = "migrated", "closed", "merged"  # the source of the fact; merged: into, or null


@dataclass(frozen=True, slots=True)
class Claim:
    """What one row of a sender's ledger says. A sender has one for a system, unless a person joined two rows."""

    sender: str
    row_key: str
    import_id: str
    sheet: str
    row: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SystemState:
    """A system after some changes. `fields` is what stands of all claims and corrections, with the facts on top.

    `claims` are in the order in which they came; when all are withdrawn, `present` is false and the last one is
    kept, so that the system can still be named. `heard` says whose value of a field stands, once there has been
    more than one claim. The three days are None as long as the fact does not hold.
    """

    system_key: str
    fields: Mapping[str, Any]
    claims: tuple[Claim, ...]
    heard: Mapping[str, Claim]
    present: bool
    in_baseline: bool
    migrated_on: date | None
    closed_on: date | None
    merged_on: date | None

    @property
    def first_claim(self) -> Claim:
        """Of whoever named the system first and still does: where it stands in his file."""
        return self.claims[0]


_Row = tuple[str, str]


@dataclass(slots=True)
class _Folding:
    claims: dict[_Row, Claim] = field(default_factory=dict)
    last: Claim | None = None
    heard: dict[str, _Row] = field(default_factory=dict)
    corrections: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    facts: dict[str, tuple[date, str | None]] = field(default_factory=dict)
    declared: dict[str, date] = field(default_factory=dict)
    in_baseline: bool = False


def fold(system_key: str, changes: Iterable[tuple[date, Mapping[str, Any]]]) -> SystemState | None:
    """The state after `changes`, pairs of the day from which a change holds and the change, as recorded in order.

    None when no sender ever claimed the system (facts alone do not make one).
    """
    folding = _Folding()
    for effective_on, change in changes:
        _step(folding, effective_on, change)
    return _finish(system_key, folding)


def _step(folding: _Folding, effective_on: date, change: Mapping[str, Any]) -> None:
    if CLAIM in change:
        sender, key = change[CLAIM], change["key"]
        claim = Claim(sender, key, change["import"], change["sheet"], change["row"], change["fields"])
        folding.claims[sender, key] = claim
        folding.last = claim
        folding.in_baseline = folding.in_baseline or change.get("baseline", False)
        _hear(folding)
    elif WITHDRAW in change:
        folding.claims.pop((change[WITHDRAW], change["key"]), None)
        if change.get("baseline", False) and not folding.claims:
            folding.in_baseline = False
        _hear(folding)
    elif RULE in change:
        name, winner = change[RULE], change["winner"]
        told = (row for row, claim in folding.claims.items() if claim.sender == winner and name in claim.fields)
        folding.heard[name] = next(told, (winner, ""))
    elif CORRECT in change:
        folding.corrections[change[CORRECT]] = (change["claimed"], change["value"])
    else:
        fact = next(name for name in (MIGRATED, CLOSED, MERGED) if name in change)
        known = folding.facts.get(fact)
        if known is None or effective_on < known[0]:
            folding.facts[fact] = (effective_on, change.get("into"))
    _declare(folding, effective_on)


def _hear(folding: _Folding) -> None:
    """Decides anew who is heard on each field: whoever was, while he still knows it; else the next in line."""
    if len(folding.claims) < 2 and not folding.heard:
        return
    heard: dict[str, _Row] = {}
    for row, claim in folding.claims.items():
        for name in claim.fields:
            if name == SUSPICION or name in heard:
                continue
            before = folding.heard.get(name)
            still = before is not None and before in folding.claims and name in folding.claims[before].fields
            heard[name] = before if still and before is not None else row
    folding.heard = heard


def _standing(folding: _Folding) -> Fields:
    if len(folding.claims) == 1 and not folding.corrections:
        (claim,) = folding.claims.values()
        standing = dict(claim.fields)
    else:
        claims = folding.claims or ({("", ""): folding.last} if folding.last else {})
        standing = {}
        for claim in claims.values():
            for name, value in claim.fields.items():
                standing.setdefault(name, value)
        for name, row in folding.heard.items():
            heard = claims.get(folding.heard.get(FOLLOWS.get(name, name), row))
            if heard is not None and name in heard.fields:
                standing[name] = heard.fields[name]
            elif name in FOLLOWS:
                standing.pop(name, None)
        for name, (claimed, value) in folding.corrections.items():
            if standing.get(name) == claimed:
                standing[name] = value
    standing.pop(SUSPICION, None)
    return standing


_DECLARES = {"retire": CLOSED, "consolidate": MERGED}


def _declare(folding: _Folding, effective_on: date) -> None:
    """Keeps the days from which the claims say migrated, closed or merged; forgets what they take back."""
    standing = _standing(folding) if folding.claims else {}
    said = {MIGRATED} if standing.get("migrated") is True else set()
    if standing.get("disposition") in _DECLARES:
        said.add(_DECLARES[standing["disposition"]])
    for fact in said - folding.declared.keys():
        folding.declared[fact] = effective_on
    if folding.claims:
        for fact in folding.declared.keys() - said:
            del folding.declared[fact]


def _finish(system_key: str, folding: _Folding) -> SystemState | None:
    if folding.last is None:
        return None
    fields = _standing(folding)
    days = {}
    for fact in (MIGRATED, CLOSED, MERGED):
        known = [folding.facts[fact][0]] if fact in folding.facts else []
        known += [folding.declared[fact]] if fact in folding.declared else []
        days[fact] = min(known, default=None)
    if days[MIGRATED] is not None:
        fields["migrated"] = True
    if MERGED in folding.facts and folding.facts[MERGED][1] is not None:
        fields["merged_into"] = folding.facts[MERGED][1]
    return SystemState(
        system_key=system_key,
        fields=fields,
        claims=tuple(folding.claims.values()) or (folding.last,),
        heard={name: folding.claims[row] for name, row in folding.heard.items() if row in folding.claims},
        present=bool(folding.claims),
        in_baseline=folding.in_baseline,
        migrated_on=days[MIGRATED],
        closed_on=days[CLOSED],
        merged_on=days[MERGED],
    )

"""Whatever senders send and people decide: the tables are what the events say, and nothing counts twice or unasked."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from inventory.intake import ConflictRecord, Intake
from inventory.model.system import Disposition, System
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger import kinds
from inventory.store.ledger.projection import LEDGER_PROJECTION
from inventory.store.ledger.tables import claims, conflicts
from inventory.store.verify import verify
from tests.intake.readings import BUREAU, CENSUS, DAY_MS, NOW, SCHOOLS, TODAY, district_system, reading


@dataclass(frozen=True)
class Sent:
    sender: str
    systems: tuple[System, ...]
    held: tuple[tuple[System, str], ...]
    as_of: date | None
    applied: bool


@dataclass(frozen=True)
class Applied:
    """A person applies the pending import, if there is one."""


@dataclass(frozen=True)
class Decided:
    """An open question, if there is one, is settled in one of the ways in which it can be."""

    which: int
    how: int


@dataclass(frozen=True)
class Happened:
    """A fact about a system, if there is one."""

    which: int
    kind: str
    days: int


rows = st.builds(
    district_system,
    st.sampled_from(["一体化平台", "门户网站"]),
    department=st.sampled_from(["区交通局", "区教委"]),
    vcpu=st.sampled_from([None, 8, 16]),
    disposition=st.sampled_from([None, Disposition.RETIRE]),
)
different = st.lists(rows, min_size=1, max_size=3, unique_by=lambda system: (system.name, system.department)).map(
    tuple
)
actions = st.one_of(
    st.builds(
        Sent,
        sender=st.sampled_from([BUREAU, SCHOOLS]),
        systems=different,
        held=st.lists(st.tuples(rows, st.just("一体化平台")), max_size=1).map(tuple),
        as_of=st.sampled_from([None, CENSUS, date(2022, 6, 30)]),
        applied=st.sampled_from([True, True, True, False]),
    ),
    st.just(Applied()),
    st.builds(Decided, which=st.integers(0, 9), how=st.integers(0, 9)),
    st.builds(
        Happened, which=st.integers(0, 9), kind=st.sampled_from(["migrated", "closed"]), days=st.integers(0, 900)
    ),
)


def play(intake: Intake, action: Sent | Applied | Decided | Happened, now_ms: int) -> None:
    if isinstance(action, Sent):
        content = reading(*action.systems, held=action.held, as_of=action.as_of)
        intake.import_reading(content, filename="a.xlsx", sender=action.sender, actor="张三", now_ms=now_ms)
        if action.applied:
            play(intake, Applied(), now_ms)
    elif isinstance(action, Applied):
        for record in intake.imports("pending")[-1:]:
            intake.apply(record.id, actor="李四", now_ms=now_ms)
    elif isinstance(action, Decided):
        twins: Sequence[str] = ("duplicate", "distinct")
        questions = [(one.id, twins) for one in intake.findings()]
        questions += [(one.id, decisions_of(one)) for one in intake.conflicts()]
        if questions:
            question, decisions = questions[action.which % len(questions)]
            decision = decisions[action.how % len(decisions)]
            intake.resolve(question, decision, actor="王五", reason="核实", now_ms=now_ms)
    else:
        fact = getattr(kinds, action.kind)
        standing = intake.standing()
        if standing:
            one = standing[action.which % len(standing)]
            day = CENSUS + timedelta(days=action.days)
            intake.record([fact(one.system_key, effective_on=day, source="W1")], actor="李四", now_ms=now_ms)


def decisions_of(conflict: ConflictRecord) -> Sequence[str]:
    asks_identity = conflict.field == "department" and conflict.claiming_row != conflict.system_key
    return ("keep", "take", "both") if asks_identity else ("keep", "take")


def check(intake: Intake) -> None:
    with intake.store.connect() as connection:
        counted = connection.execute(select(claims).where(claims.c.standing == "counted")).mappings().all()
        waiting = connection.execute(select(claims).where(claims.c.standing == "held")).mappings().all()
        asked = connection.execute(select(conflicts).where(conflicts.c.state == "open")).mappings().all()
    standing = {one.system_key for one in intake.standing()}
    assert standing == {row["system_key"] for row in counted}, "what counts is what somebody's ledger counts"
    questions = {one.id for one in intake.findings()} | {one.id for one in intake.conflicts()}
    assert all(row["question"] in questions for row in waiting), "whoever is held waits for an open question"
    for row in asked:
        speakers = {claim["sender"] for claim in counted if claim["system_key"] == row["system_key"]}
        assert speakers, "nobody is asked about a system that is gone"
        if row["claiming_row"] == row["system_key"]:
            assert {row["standing_sender"], row["claiming_sender"]} <= speakers, "both still claim the system"
        else:
            assert row["claiming_sender"] not in speakers, "who lists both has said that they are two"
    report = intake.rates(TODAY + timedelta(days=30), "ownership=all")
    assert report.total == len(standing)
    assert report.reconciliation.balances


@pytest.fixture(scope="module")
def numbers() -> itertools.count[int]:
    return itertools.count()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(actions, min_size=12, max_size=16))
def test_any_history_can_be_rebuilt_and_keeps_its_promises(
    migrated_sqlite: Path, tmp_path: Path, numbers: itertools.count[int], history: list[Sent]
) -> None:
    path = shutil.copy(migrated_sqlite, tmp_path / f"{next(numbers)}.db")
    store = Store(open_engine(f"sqlite:///{path}"), [LEDGER_PROJECTION])
    intake = Intake(store)
    for step, action in enumerate(history):
        play(intake, action, NOW + step * DAY_MS)
        check(intake)
    now = {(one.system_key, one.system) for one in intake.standing()}
    assert {(one.system_key, one.system) for one in intake.standing(date(2999, 1, 1))} == now
    assert intake.standing(CENSUS - timedelta(days=1)) == ()
    verdict = verify(store)
    assert verdict.holds, verdict
    store.close()

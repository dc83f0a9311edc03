"""A sender's files: the first is applied, the same again changes nothing, a corrected one waits as a diff."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from inventory.intake import FieldChange, ImportStatus, Intake, IntakeError
from inventory.ledger import HeaderMapping
from inventory.ledger import findings as found
from inventory.model.system import AcceleratorDemand, Architecture
from tests.intake.conftest import Send
from tests.intake.readings import BUREAU, CENSUS, DAY_MS, NOW, SCHOOLS, TODAY, district_system, reading

A, B, C = (district_system(name) for name in ("审批系统", "门户网站", "一体化平台"))


def names(intake: Intake, as_of: date | None = None) -> list[str]:
    return sorted(system.name for system in intake.systems(as_of))


def test_the_first_file_of_a_sender_is_applied_at_once(intake: Intake, send: Send) -> None:
    result = send(reading(A, B))
    assert (result.status, result.import_id, result.effective_on) == (ImportStatus.APPLIED, "I1", CENSUS)
    assert [row.name for row in result.diff.added] == ["审批系统", "门户网站"]
    assert names(intake) == ["审批系统", "门户网站"]
    (record,) = intake.imports()
    assert (record.sender, record.filename, record.received_by, record.received_ms) == (
        BUREAU,
        "台账.xlsx",
        "张三",
        NOW,
    )
    assert intake.diff("i1").added == result.diff.added


def test_every_field_comes_back_as_it_was_sent(intake: Intake, send: Send) -> None:
    full = replace(
        A,
        gpu=AcceleratorDemand("昇腾910B", 2),
        deps=("门户网站", "一体化平台"),
        arch=Architecture.C86,
        opex_wan=12.5,
        mem_gb=64,
        golive="2016-10",
        golive_precision="month",
        zombie=False,
        classified=None,
        remark="含“引号”、换行\n和 emoji 🚀",
    )
    send(reading(full, replace(B, department=None, ownership=None)))
    assert set(intake.systems()) == {replace(full, row=5), replace(B, department=None, ownership=None, row=6)}


def test_the_same_file_again_changes_nothing(intake: Intake, send: Send) -> None:
    send(reading(A, B, held=[(replace(A, name="审批系统二期"), "审批系统")]))
    head = intake.store.head()
    again = send(reading(A, B, held=[(replace(A, name="审批系统二期"), "审批系统")]), now_ms=NOW + DAY_MS)
    assert (again.status, again.import_id, again.diff.is_empty) == (ImportStatus.UNCHANGED, "I1", True)
    assert again.questions == ("F1",)
    assert intake.store.head() == head


def test_a_file_with_the_same_rows_in_other_places_changes_nothing(intake: Intake, send: Send) -> None:
    send(reading(A, B, C))
    assert send(reading(C, A, B)).status is ImportStatus.UNCHANGED


def test_a_corrected_file_waits_and_shows_what_it_would_change(intake: Intake, send: Send) -> None:
    send(reading(A, B))
    result = send(reading(replace(A, vcpu=16, migrated=None), C))
    assert (result.status, result.import_id) == (ImportStatus.PENDING, "I2")
    (changed,) = result.diff.changed
    assert changed.name == "审批系统"
    assert changed.fields == (FieldChange("vcpu", 8, 16), FieldChange("migrated", False, None))
    assert [row.name for row in result.diff.added] == ["一体化平台"]
    assert [(row.name, row.row) for row in result.diff.missing] == [("门户网站", 6)]
    assert intake.diff("I2") == result.diff
    assert names(intake) == ["审批系统", "门户网站"]

    applied = intake.apply("I2", actor="李四", now_ms=NOW + 1)
    assert (applied.status, applied.diff) == (ImportStatus.APPLIED, result.diff)
    assert names(intake) == ["一体化平台", "审批系统"]
    assert {system.vcpu for system in intake.systems() if system.name == "审批系统"} == {16}
    record = intake.imports("applied")[-1]
    assert (record.id, record.received_by, record.applied_by, record.applied_ms) == ("I2", "张三", "李四", NOW + 1)
    assert send(reading(replace(A, vcpu=16, migrated=None), C)).status is ImportStatus.UNCHANGED


def test_a_renamed_system_is_shown_as_missing_and_added(intake: Intake, send: Send) -> None:
    send(reading(A))
    diff = send(reading(replace(A, name="新审批系统"))).diff
    assert [row.name for row in diff.missing] == ["审批系统"]
    assert [row.name for row in diff.added] == ["新审批系统"]
    assert diff.changed == ()


def test_the_same_corrected_file_again_is_the_same_pending_import(intake: Intake, send: Send) -> None:
    send(reading(A, B))
    first = send(reading(A, findings=[found.credential_refused("区级系统", 5, "K5")]))
    head = intake.store.head()
    again = send(reading(A, findings=[found.credential_refused("区级系统", 5, "K5")]))
    assert (again.status, again.import_id, again.diff) == (ImportStatus.PENDING, "I2", first.diff)
    assert intake.store.head() == head


def test_a_newer_pending_import_takes_the_place_of_the_older(intake: Intake, send: Send) -> None:
    send(reading(A))
    send(reading(A, B))
    send(reading(A, C))
    assert [record.status for record in intake.imports()] == ["applied", "superseded", "pending"]
    with pytest.raises(IntakeError, match="superseded by a newer file of the same sender; apply I3 instead"):
        intake.apply("I2", actor="李四", now_ms=NOW)
    intake.apply("I3", actor="李四", now_ms=NOW)
    assert names(intake) == ["一体化平台", "审批系统"]


def test_a_file_that_takes_a_correction_back_leaves_it_waiting_and_says_so(intake: Intake, send: Send) -> None:
    send(reading(A))
    send(reading(A, B))
    result = send(reading(A))
    assert result.status is ImportStatus.UNCHANGED
    assert "I2 still waits" in result.notes[0]


@pytest.mark.parametrize(
    ("import_id", "message"),
    [("I1", "I1 is applied already"), ("I9", "no import I9; imports that wait to be applied: I2")],
)
def test_only_a_pending_import_can_be_applied(intake: Intake, send: Send, import_id: str, message: str) -> None:
    send(reading(A))
    send(reading(A, B))
    with pytest.raises(IntakeError, match=message):
        intake.apply(import_id, actor="李四", now_ms=NOW)


def test_two_senders_have_ledgers_of_their_own(intake: Intake, send: Send) -> None:
    send(reading(A))
    assert send(reading(replace(C, department="区教委")), sender=SCHOOLS).status is ImportStatus.APPLIED
    assert names(intake) == ["一体化平台", "审批系统"]
    assert {record.sender for record in intake.imports()} == {BUREAU, SCHOOLS}


@pytest.mark.parametrize("sender", ["", "  "])
def test_a_file_needs_a_sender(send: Send, sender: str) -> None:
    with pytest.raises(IntakeError, match="sender is empty"):
        send(reading(A), sender=sender)


def test_findings_keep_their_ids_while_later_files_repeat_them(intake: Intake, send: Send) -> None:
    refused = found.credential_refused("区级系统", 5, "K5")
    unknown = found.unknown_dependency("区级系统", 6, "P6", "deps", "外部系统")
    send(reading(A, B, findings=[refused, unknown]))
    assert [(one.id, one.kind) for one in intake.findings()] == [
        ("F1", "credential_refused"),
        ("F2", "unknown_dependency"),
    ]
    moved = found.credential_refused("区级系统", 6, "K6")  # the same system, one row further down
    result = send(reading(C, A, B, findings=[moved]))
    assert (result.diff.findings_new, result.diff.findings_gone) == ((), ("F2",))
    intake.apply("I2", actor="李四", now_ms=NOW)
    assert [one.id for one in intake.findings()] == ["F1"]
    assert [one.id for one in intake.findings("gone")] == ["F2"]


def test_a_file_that_only_corrects_a_finding_waits_as_well(intake: Intake, send: Send) -> None:
    send(reading(A, findings=[found.credential_refused("区级系统", 5, "K5")]))
    result = send(reading(A))
    assert result.status is ImportStatus.PENDING
    assert result.diff.findings_gone == ("F1",)


def test_new_findings_are_open_once_their_import_is_applied(intake: Intake, send: Send) -> None:
    send(reading(A))
    send(reading(A, findings=[found.missing_required("区级系统", 9, "B9", "name")]))
    assert intake.findings() == ()
    assert [one.id for one in intake.findings("pending")] == ["F1"]
    intake.apply("I2", actor="李四", now_ms=NOW)
    assert [one.id for one in intake.findings()] == ["F1"]


def test_a_header_mapping_is_remembered_per_sender(intake: Intake) -> None:
    mapping = HeaderMapping(sender=BUREAU, headings={"承载网": "zone"}, sheets={"平台类": "soe"})
    intake.remember_mapping(BUREAU, mapping, actor="张三", now_ms=NOW)
    assert intake.mapping_of(BUREAU) == mapping
    assert intake.mapping_of(SCHOOLS) is None
    intake.remember_mapping(BUREAU, None, actor="张三", now_ms=NOW)
    assert intake.mapping_of(BUREAU) is None


@pytest.mark.parametrize(
    ("what", "stated", "effective_on", "note"),
    [
        ("no day: today", None, TODAY, None),
        ("a day that has not come: today", date(2031, 1, 1), TODAY, "has not come"),
        ("a day in the past: that day", CENSUS, CENSUS, None),
    ],
)
def test_from_when_a_first_file_counts(
    send: Send, what: str, stated: date | None, effective_on: date, note: str | None
) -> None:
    result = send(reading(A, as_of=stated))
    assert result.effective_on == effective_on, what
    assert [note] == [note for line in result.notes if note and note in line] if note else result.notes == ()


def test_a_later_file_never_counts_from_before_the_ledger_that_it_changes(intake: Intake, send: Send) -> None:
    send(reading(A, as_of=None))
    result = send(reading(A, B, as_of=CENSUS))
    assert result.effective_on == TODAY
    assert "before the sender's ledger" in result.notes[0]
    intake.apply("I2", actor="李四", now_ms=NOW)
    assert names(intake, CENSUS) == []
    assert names(intake, TODAY) == ["审批系统", "门户网站"]

"""Duplicates and conflicts: nothing is overwritten in silence, a person decides, and the decision lasts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inventory.intake import ImportStatus, Intake, IntakeError, Resolution
from inventory.intake.identity import district_of
from inventory.ledger import findings as found
from inventory.model.system import System, Zone
from tests.intake.conftest import Send
from tests.intake.readings import BUREAU, CENSUS, NOW, SCHOOLS, TODAY, district_system, reading

# What the database does with a decision is proved on both in test_intake_story.py; here the cases are many.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

A, B = district_system("审批系统"), district_system("一体化平台")
SECOND_PHASE = replace(A, name="审批系统二期")
HEALTH = "区卫健委"


def decide(intake: Intake, question: str, decision: str) -> Resolution:
    return intake.resolve(question, decision, actor="王五", reason="电话核实", now_ms=NOW)


def vcpu(intake: Intake, name: str = "审批系统") -> int | None:
    (found_,) = [system.vcpu for system in intake.systems() if system.name == name]
    return found_


def names(intake: Intake) -> list[str]:
    return sorted(system.name for system in intake.systems())


class TestPossibleDuplicates:
    def test_until_it_is_confirmed_it_counts_in_nothing(self, intake: Intake, send: Send) -> None:
        result = send(reading(A, held=[(SECOND_PHASE, "审批系统")]))
        assert result.questions == ("F1",)
        assert [row.held for row in result.diff.added] == [False, True]
        assert names(intake) == ["审批系统"]
        assert intake.rates(TODAY).total == 1

    def test_confirmed_as_distinct_it_is_a_system_from_that_day(self, intake: Intake, send: Send) -> None:
        send(reading(A, held=[(SECOND_PHASE, "审批系统")]))
        resolution = decide(intake, "f1", "distinct")
        assert (resolution.subject, resolution.effective_on) == ("F1", TODAY)
        assert names(intake) == ["审批系统", "审批系统二期"]
        assert intake.rates(TODAY).consolidation.denominator == 2
        assert intake.rates(CENSUS).consolidation.denominator == 1

    def test_confirmed_as_duplicate_it_stays_out(self, intake: Intake, send: Send) -> None:
        send(reading(A, held=[(SECOND_PHASE, "审批系统")]))
        decide(intake, "F1", "重复")
        assert names(intake) == ["审批系统"]
        (finding,) = intake.findings("settled")
        assert (finding.decision, finding.decided_by, finding.reason, finding.decided_ms) == (
            "duplicate",
            "王五",
            "电话核实",
            NOW,
        )

    @pytest.mark.parametrize(
        ("decision", "counted"), [("distinct", ["审批系统", "审批系统二期"]), ("duplicate", ["审批系统"])]
    )
    def test_the_decision_lasts_over_later_files(
        self, intake: Intake, send: Send, decision: str, counted: list[str]
    ) -> None:
        content = reading(A, held=[(SECOND_PHASE, "审批系统")])
        send(content)
        decide(intake, "F1", decision)
        assert send(content).status is ImportStatus.UNCHANGED
        changed = reading(replace(A, vcpu=32), held=[(replace(SECOND_PHASE, vcpu=64), "审批系统")])
        applied = intake.apply(send(changed).import_id, actor="张三", now_ms=NOW)
        assert applied.questions == ()
        assert names(intake) == counted
        assert intake.findings() == ()

    def test_a_decision_can_be_changed_by_deciding_again(self, intake: Intake, send: Send) -> None:
        send(reading(A, held=[(SECOND_PHASE, "审批系统")]))
        decide(intake, "F1", "distinct")
        decide(intake, "F1", "duplicate")
        assert names(intake) == ["审批系统"]
        assert intake.rates(TODAY).consolidation.denominator == 1
        with pytest.raises(IntakeError, match="settled as duplicate by 王五 already"):
            decide(intake, "F1", "duplicate")

    def test_two_rows_of_one_name_and_department_can_be_two_systems(self, intake: Intake, send: Send) -> None:
        send(reading(A, held=[(A, "审批系统")]))
        decide(intake, "F1", "distinct")
        assert names(intake) == ["审批系统", "审批系统"]
        assert send(reading(A, held=[(A, "审批系统")])).status is ImportStatus.UNCHANGED

    def test_a_suspicion_that_a_later_file_raises_holds_the_row(self, intake: Intake, send: Send) -> None:
        send(reading(A, SECOND_PHASE))
        result = send(reading(A, held=[(SECOND_PHASE, "审批系统")]))
        (change,) = result.diff.changed
        assert [(field.field, field.new) for field in change.fields] == [("possible_duplicate_of", "审批系统")]
        intake.apply(result.import_id, actor="张三", now_ms=NOW)
        assert names(intake) == ["审批系统"]

    def test_the_question_of_a_pending_import_waits_with_it(self, intake: Intake, send: Send) -> None:
        send(reading(A))
        send(reading(A, held=[(SECOND_PHASE, "审批系统")]))
        with pytest.raises(IntakeError, match="belongs to the import I2, which waits; apply it first"):
            decide(intake, "F1", "distinct")


class TestTwoSendersOfOneSystem:
    def test_the_first_value_stays_until_a_person_decides(self, intake: Intake, send: Send) -> None:
        send(reading(A))
        result = send(reading(replace(A, vcpu=16, zone=Zone.INTERNET)), sender=SCHOOLS)
        assert result.questions == ("C1", "C2")
        assert [
            (one.field, one.standing_sender, one.standing_value, one.claiming_sender, one.claiming_value)
            for one in intake.conflicts()
        ] == [
            ("zone", BUREAU, "政务外网", SCHOOLS, "互联网"),
            ("vcpu", BUREAU, 8, SCHOOLS, 16),
        ]
        (system,) = intake.systems()
        assert (system.vcpu, system.zone) == (8, Zone.EXTRANET)

    @pytest.mark.parametrize(
        ("decision", "standing"), [("keep", 8), ("take", 16), ("采用", 16), (BUREAU, 8), (SCHOOLS, 16)]
    )
    def test_the_decision_says_whose_value_holds(
        self, intake: Intake, send: Send, decision: str, standing: int
    ) -> None:
        send(reading(A))
        other = reading(replace(A, vcpu=16))
        send(other, sender=SCHOOLS)
        decide(intake, "C1", decision)
        assert vcpu(intake) == standing
        assert intake.conflicts() == ()
        assert send(other, sender=SCHOOLS).status is ImportStatus.UNCHANGED
        assert send(reading(A)).status is ImportStatus.UNCHANGED
        (record,) = intake.conflicts("settled")
        assert (record.decided_by, record.reason) == ("王五", "电话核实")

    def test_who_was_preferred_may_correct_himself_without_a_new_question(
        self, intake: Intake, send: Send
    ) -> None:
        send(reading(A))
        send(reading(replace(A, vcpu=16)), sender=SCHOOLS)
        decide(intake, "C1", "keep")
        intake.apply(send(reading(replace(A, vcpu=24))).import_id, actor="张三", now_ms=NOW)
        assert vcpu(intake) == 24
        assert intake.conflicts() == ()

    def test_who_was_overruled_and_says_something_new_is_a_new_question(self, intake: Intake, send: Send) -> None:
        send(reading(A))
        send(reading(replace(A, vcpu=16)), sender=SCHOOLS)
        decide(intake, "C1", "keep")
        newer = send(reading(replace(A, vcpu=48)), sender=SCHOOLS)
        result = intake.apply(newer.import_id, actor="张三", now_ms=NOW)
        assert result.questions == ("C2",)
        assert vcpu(intake) == 8

    def test_a_conflict_goes_when_the_senders_agree(self, intake: Intake, send: Send) -> None:
        send(reading(A))
        send(reading(replace(A, vcpu=16)), sender=SCHOOLS)
        intake.apply(send(reading(A), sender=SCHOOLS).import_id, actor="张三", now_ms=NOW)
        assert intake.conflicts() == ()
        assert [one.id for one in intake.conflicts("gone")] == ["C1"]
        with pytest.raises(IntakeError, match="C1 no longer arises"):
            decide(intake, "C1", "take")

    def test_a_value_fills_what_the_first_sender_does_not_know(self, intake: Intake, send: Send) -> None:
        send(reading(replace(A, vcpu=None)))
        assert send(reading(replace(A, vcpu=16)), sender=SCHOOLS).questions == ()
        assert vcpu(intake) == 16
        intake.apply(send(reading(replace(A, vcpu=8))).import_id, actor="张三", now_ms=NOW)
        assert vcpu(intake) == 16, "the first value stays, whoever said it"
        assert [one.claiming_sender for one in intake.conflicts()] == [BUREAU]

    def test_a_system_stays_as_long_as_one_sender_lists_it(self, intake: Intake, send: Send) -> None:
        send(reading(A, B))
        send(reading(replace(A, vcpu=16)), sender=SCHOOLS)
        intake.apply(send(reading(B)).import_id, actor="张三", now_ms=NOW)
        assert vcpu(intake) == 16
        assert intake.conflicts() == ()

    def test_three_senders_are_settled_one_by_one(self, intake: Intake, send: Send) -> None:
        for sender, cores in ((BUREAU, 8), (SCHOOLS, 16), (HEALTH, 32)):
            send(reading(replace(A, vcpu=cores)), sender=sender)
        assert [one.id for one in intake.conflicts()] == ["C1", "C2"]
        decide(intake, "C1", "take")
        assert vcpu(intake) == 16
        (left,) = intake.conflicts()
        assert (left.standing_sender, left.claiming_sender) == (SCHOOLS, HEALTH)
        decide(intake, left.id, "take")
        assert vcpu(intake) == 32
        assert [one.standing_sender for one in intake.conflicts()] == []

    @pytest.mark.parametrize(
        ("what", "first", "second"),
        [
            ("spelling", {"function": "业务 审批"}, {"function": "业务审批"}),
            ("order", {"deps": ("甲", "乙")}, {"deps": ("乙", "甲")}),
            (
                "a coarser date",
                {"golive": "2016-10", "golive_precision": "month"},
                {"golive": "2016-10-05", "golive_precision": "day"},
            ),
        ],
    )
    def test_what_does_not_contradict_is_no_conflict(
        self, send: Send, what: str, first: dict[str, object], second: dict[str, object]
    ) -> None:
        send(reading(replace(A, **first)))  # type: ignore[arg-type]  # the table names fields
        result = send(reading(replace(A, **second)), sender=SCHOOLS)  # type: ignore[arg-type]  # the table names fields
        assert result.questions == (), what

    def test_a_date_changes_hands_together_with_its_precision(self, intake: Intake, send: Send) -> None:
        send(reading(replace(A, golive="2016-10", golive_precision="month")))
        send(reading(replace(A, golive="2019-01-05", golive_precision="day")), sender=SCHOOLS)
        decide(intake, "C1", "take")
        (system,) = intake.systems()
        assert (system.golive, system.golive_precision) == ("2019-01-05", "day")


class TestOneNameTwoDepartments:
    THEIRS = replace(B, department="区教委", vcpu=16)

    def ask(self, send: Send) -> None:
        send(reading(B))
        result = send(reading(self.THEIRS), sender=SCHOOLS)
        assert result.questions == ("C1",)

    def test_the_second_row_is_held_until_a_person_says_what_it_is(self, intake: Intake, send: Send) -> None:
        self.ask(send)
        (conflict,) = intake.conflicts()
        assert (conflict.field, conflict.standing_value, conflict.claiming_value) == (
            "department",
            "区交通局",
            "区教委",
        )
        (system,) = intake.systems()
        assert (system.department, system.vcpu) == ("区交通局", 8)

    @pytest.mark.parametrize(
        ("decision", "departments"),
        [("keep", ["区交通局"]), ("take", ["区教委"]), ("both", ["区交通局", "区教委"])],
    )
    def test_the_decision_lasts(self, intake: Intake, send: Send, decision: str, departments: list[str]) -> None:
        self.ask(send)
        decide(intake, "C1", decision)
        assert sorted(str(system.department) for system in intake.systems()) == departments
        assert send(reading(self.THEIRS), sender=SCHOOLS).status is ImportStatus.UNCHANGED
        newer = send(reading(replace(self.THEIRS, users=5)), sender=SCHOOLS)
        intake.apply(newer.import_id, actor="张三", now_ms=NOW)
        assert sorted(str(system.department) for system in intake.systems()) == departments
        assert [one for one in intake.conflicts() if one.field == "department"] == []

    def test_one_system_brings_its_other_differences_to_be_settled(self, intake: Intake, send: Send) -> None:
        self.ask(send)
        decide(intake, "C1", "keep")
        (conflict,) = intake.conflicts()
        assert (conflict.field, conflict.standing_value, conflict.claiming_value) == ("vcpu", 8, 16)

    def test_a_generic_name_says_nothing(self, intake: Intake, send: Send) -> None:
        send(reading(district_system("门户网站")))
        assert send(reading(district_system("门户 网站", department="区教委")), sender=SCHOOLS).questions == ()
        assert len(intake.systems()) == 2

    def test_one_sender_may_list_one_name_for_two_departments(self, intake: Intake, send: Send) -> None:
        assert send(reading(B, self.THEIRS)).questions == ()
        assert len(intake.systems()) == 2

    def test_who_lists_both_departments_says_that_they_are_two(self, intake: Intake, send: Send) -> None:
        send(reading(B))
        assert send(reading(B, self.THEIRS), sender=SCHOOLS).questions == ()
        assert len(intake.systems()) == 2

    def test_the_held_row_is_the_system_once_nobody_else_claims_it(self, intake: Intake, send: Send) -> None:
        self.ask(send)
        intake.apply(send(reading(A)).import_id, actor="张三", now_ms=NOW)
        assert names(intake) == ["一体化平台", "审批系统"]
        assert intake.conflicts() == ()

    def test_the_question_goes_with_the_row(self, intake: Intake, send: Send) -> None:
        self.ask(send)
        other = district_system("其他专用系统", department="区教委")
        intake.apply(send(reading(other), sender=SCHOOLS).import_id, actor="张三", now_ms=NOW)
        assert intake.conflicts() == ()
        assert names(intake) == ["一体化平台", "其他专用系统"]


class TestSendersOfDifferentDistricts:
    NORTH, SOUTH = "北示例区大数据局", "示例市南示例区大数据局"

    def test_departments_of_two_districts_are_not_one(self, intake: Intake, send: Send) -> None:
        send(reading(A, B), sender=self.NORTH)
        content = reading(replace(A, vcpu=64), replace(B, department="区教委"), held=[(SECOND_PHASE, "审批系统")])
        assert send(content, sender=self.SOUTH).questions == ("F1",)
        assert names(intake) == ["一体化平台", "一体化平台", "审批系统", "审批系统"]
        assert send(content, sender=self.SOUTH).status is ImportStatus.UNCHANGED
        decide(intake, "F1", "distinct")
        changed = reading(replace(A, vcpu=32), held=[(SECOND_PHASE, "审批系统")])
        intake.apply(send(changed, sender=self.SOUTH).import_id, actor="张三", now_ms=NOW)
        assert names(intake) == ["一体化平台", "审批系统", "审批系统", "审批系统二期"]
        assert sorted(system.vcpu or 0 for system in intake.systems() if system.name == "审批系统") == [8, 32]

    def test_two_departments_of_one_district_are(self, intake: Intake, send: Send) -> None:
        send(reading(A), sender=self.NORTH)
        send(reading(A), sender=self.SOUTH)
        result = send(reading(replace(A, vcpu=16)), sender="南示例区教委")
        (conflict,) = intake.conflicts()
        assert result.questions == ("C1",)
        assert conflict.standing_sender == self.SOUTH

    @pytest.mark.parametrize(
        ("sender", "district"),
        [
            ("示例区大数据应用发展管理局", "示例区"),
            ("重庆市渝北区教委", "渝北区"),
            ("两江新区管委会", "两江新区"),
            ("巫山县民政局", "巫山县"),
            ("区交通局", None),
            ("重庆市大数据局", None),
            ("工业园区管委会", None),
            ("district-b", None),
        ],
    )
    def test_the_district_is_read_from_the_senders_name(
        self, sender: str, district: str | None, database_url: str
    ) -> None:
        assert district_of(sender) == district


class TestOneFileThatContradictsItself:
    CONFLICT = found.conflict("区级系统", 9, "H9", "vcpu", ("审批系统", "16", "8"))

    @pytest.mark.parametrize(("decision", "standing"), [("keep", 8), ("take", 16)])
    def test_a_person_chooses_and_the_choice_lasts(
        self, intake: Intake, send: Send, decision: str, standing: int
    ) -> None:
        content = reading(A, findings=[self.CONFLICT])
        assert send(content).questions == ("F1",)
        decide(intake, "F1", decision)
        assert vcpu(intake) == standing
        assert send(content).status is ImportStatus.UNCHANGED
        changed = send(reading(replace(A, users=7), findings=[self.CONFLICT]))
        intake.apply(changed.import_id, actor="张三", now_ms=NOW)
        assert vcpu(intake) == standing

    def test_a_corrected_file_outdates_the_choice(self, intake: Intake, send: Send) -> None:
        send(reading(A, findings=[self.CONFLICT]))
        decide(intake, "F1", "take")
        intake.apply(send(reading(replace(A, vcpu=24))).import_id, actor="张三", now_ms=NOW)
        assert vcpu(intake) == 24


@pytest.mark.parametrize(
    ("question", "decision", "message"),
    [
        ("F1", "distinct", "F1 is a credential_refused: nothing to decide; correct 区级系统!K5"),
        ("F2", "keep", "choose one of duplicate, distinct"),
        ("C1", "duplicate", "choose one of keep, take"),
        ("C1", "both", "choose one of keep, take"),
        ("F9", "distinct", "there is no F9; open: F1, F2"),
        ("C9", "keep", "there is no C9; open: C1"),
        ("X1", "keep", "'X1' is no id; write the id of a finding"),
        ("", "keep", "is no id"),
    ],
)
def test_a_decision_that_does_not_fit_is_refused_with_what_would(
    intake: Intake, send: Send, question: str, decision: str, message: str
) -> None:
    refused = found.credential_refused("区级系统", 5, "K5")
    send(reading(A, held=[(SECOND_PHASE, "审批系统")], findings=[refused]))
    send(reading(replace(A, vcpu=16)), sender=SCHOOLS)
    head = intake.store.head()
    with pytest.raises(IntakeError) as caught:
        decide(intake, question, decision)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert intake.store.head() == head


@pytest.mark.parametrize(("actor", "reason"), [("", "电话核实"), ("王五", " ")])
def test_a_decision_needs_a_person_and_a_reason(intake: Intake, send: Send, actor: str, reason: str) -> None:
    send(reading(A, held=[(SECOND_PHASE, "审批系统")]))
    with pytest.raises(IntakeError, match="is empty"):
        intake.resolve("F1", "distinct", actor=actor, reason=reason, now_ms=NOW)


def test_a_finding_keeps_no_text_of_a_credential(intake: Intake, send: Send) -> None:
    send(reading(A, findings=[found.credential_refused("区级系统", 5, "K5")]))
    assert [one.value for one in intake.findings()] == [None]


def test_systems_come_back_as_systems(intake: Intake, send: Send) -> None:
    send(reading(A))
    assert all(isinstance(system, System) for system in intake.systems())

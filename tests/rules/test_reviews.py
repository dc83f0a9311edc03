"""The review queue over a real store: from a measured file to a closed system, with everything that is refused."""

from __future__ import annotations

import pytest

from inventory.intake import Intake
from inventory.ledger import read_ledger
from inventory.model.system import Ownership
from inventory.store.verify import rebuild_projections
from scheduler.services.assessment_ports import ExceptionAsked, MeasuredUpload, Minute, ReviewStep
from scheduler.services.ports import ErrorCode, RequestError
from tests.rules.conftest import LEDGER, Office, utilisation_csv
from tests.services.ledgers import a_system, a_workbook

QUIET = "区示例局/公车调度系统"
SHA = "ab" * 32
OWNER, CLERK = Minute("张三", "已停用", "示函〔2026〕1号"), Minute("李四", "同意", "数函〔2026〕9号")


def measure(office: Office, *quiet: str) -> None:
    office.desk.take_utilisation(MeasuredUpload("利用率.csv", utilisation_csv(*quiet), "李四"))


def step(office: Office, action: str, minute: Minute = CLERK, **more: object) -> dict[str, object]:
    return dict(office.desk.advance(ReviewStep("R1", action, minute, **more)))  # type: ignore[arg-type]  # fields of ReviewStep


def refuse(code: ErrorCode, fragment: str) -> pytest.RaisesExc[RequestError]:
    return pytest.RaisesExc(RequestError, match=fragment, check=lambda error: error.code is code)


def test_a_zombie_goes_from_the_queue_to_closure_and_into_the_rates(office: Office) -> None:
    measure(office, "公车调度系统")
    queue = office.desk.open_reviews("李四")
    assert queue["opened"] == ["R1"]
    assert queue["cases"][0]["system_key"] == QUIET
    assert step(office, "attest_unused", OWNER)["state"] == "agreed"
    seen = "源系统,目标系统,请求数\n审批系统,公车调度系统,3\n".encode()
    office.desk.take_traffic(MeasuredUpload("流量.csv", seen, "李四"))
    with refuse(ErrorCode.FAILED_PRECONDITION, "used by 1 systems"):
        step(office, "quarantine")
    step(office, "quarantine", is_override=True)
    with refuse(ErrorCode.FAILED_PRECONDITION, "from 2026-12-22"):
        step(office, "archive", sha256=SHA, is_override=True)
    office.clock.forward(30)
    step(office, "archive", sha256=SHA, is_override=True)
    with refuse(ErrorCode.FAILED_PRECONDITION, "another person"):
        step(office, "close", OWNER, sha256=SHA, is_override=True)
    closed = step(office, "close", sha256=SHA, is_override=True)
    assert closed["state"] == "closed" and closed["open_steps"] == []
    standing = {one.system_key: one for one in Intake(office.store).standing()}
    assert standing[QUIET].closed_on is not None
    assert [one["state"] for one in office.desk.assess("")["systems"] if one["system_key"] == QUIET] == ["closed"]
    assert [event.kind for event in office.store.read(subject="R1")] == ["assessment.case_opened"] + [
        "assessment.case_advanced"
    ] * 4


def test_rebuilding_from_the_events_changes_nothing(office: Office) -> None:
    measure(office, "公车调度系统")
    office.desk.open_reviews("李四")
    step(office, "attest_unused", OWNER)
    office.desk.decide("审批系统", "rehost", Minute("李四", "同意建议"))
    office.desk.declare_role("审批系统", "standby", Minute("李四", "备用"))
    office.desk.grant_exception(ExceptionAsked("catalogue-missing", QUIET, "王局", "2027-01-01", CLERK))
    before = office.desk.reviews(), office.desk.exceptions(), office.desk.assess("")
    rebuild_projections(office.store)
    assert (office.desk.reviews(), office.desk.exceptions(), office.desk.assess("")) == before


@pytest.mark.parametrize(
    ("case", "action", "minute", "code", "fragment"),
    [
        ("steps have an order", "close", CLERK, ErrorCode.FAILED_PRECONDITION, "open steps: attest_in_use"),
        ("a step that is none", "burn", CLERK, ErrorCode.INVALID_ARGUMENT, "no step 'burn'"),
        ("a document number is needed", "attest_unused", Minute("张三", "停用"), ErrorCode.INVALID_ARGUMENT, "--document"),
        ("a reason is needed", "attest_unused", Minute("张三", " ", "1号"), ErrorCode.INVALID_ARGUMENT, "--reason"),
        ("a person is needed", "attest_unused", Minute("", "停用", "1号"), ErrorCode.INVALID_ARGUMENT, "actor is empty"),
    ],
)  # fmt: skip
def test_a_step_is_refused_and_nothing_is_recorded(
    office: Office, case: str, action: str, minute: Minute, code: ErrorCode, fragment: str
) -> None:
    measure(office, "公车调度系统")
    office.desk.open_reviews("李四")
    head = office.store.head()
    with refuse(code, fragment):
        step(office, action, minute)
    assert office.store.head() == head, case


def test_an_unknown_case_lists_those_that_are_open(office: Office) -> None:
    measure(office, "公车调度系统")
    office.desk.open_reviews("李四")
    with refuse(ErrorCode.NOT_FOUND, "open: R1"):
        office.desk.advance(ReviewStep("R9", "release", CLERK))


def test_what_is_exempt_or_was_not_measured_stays_out_of_the_queue(office: Office) -> None:
    measure(office, "防汛监测系统")
    queue = office.desk.open_reviews("李四")
    assert queue["opened"] == []
    assert [one["name"] for one in queue["blocked"]] == ["防汛监测系统"]


def test_a_system_in_use_is_not_asked_about_again_for_the_same_reason(office: Office) -> None:
    measure(office, "公车调度系统")
    office.desk.open_reviews("李四")
    assert step(office, "attest_in_use", OWNER)["state"] == "kept"
    assert office.desk.open_reviews("李四")["opened"] == []


def test_an_idle_resource_is_reminded_urged_and_reclaimed_in_time(office: Office) -> None:
    busy = utilisation_csv("公车调度系统").decode().replace(",4,9,0", ",4,9,60")
    office.desk.take_utilisation(MeasuredUpload("利用率.csv", busy.encode(), "李四"))
    queue = office.desk.open_reviews("李四")
    assert [(one["workflow"], one["system_key"]) for one in queue["cases"]] == [("idle", QUIET)]
    office.clock.now_ms -= 30 * 86_400_000  # 23 October 2026: the holidays of 2026 are known
    step(office, "remind")
    with refuse(ErrorCode.FAILED_PRECONDITION, "from 2026-11-24"):
        step(office, "urge")
    office.clock.forward(32)
    step(office, "urge")
    with refuse(ErrorCode.FAILED_PRECONDITION, "from 2026-12-01"):
        step(office, "reclaim")
    office.clock.forward(7)
    assert step(office, "reclaim")["state"] == "reclaimed"


def test_the_same_file_is_kept_once(office: Office) -> None:
    first = office.desk.take_utilisation(MeasuredUpload("利用率.csv", utilisation_csv("公车调度系统"), "李四"))
    head = office.store.head()
    again = office.desk.take_utilisation(MeasuredUpload("副本.csv", utilisation_csv("公车调度系统"), "王五"))
    assert (first["import_id"], first["is_new"], again["import_id"], again["is_new"]) == ("U1", True, "U1", False)
    assert office.store.head() == head


def test_measured_traffic_counts_as_use_and_confirms(office: Office) -> None:
    content = (
        "源系统,目标系统,请求数\n审批系统,统一认证平台,9\n审批系统,公车调度系统,3\n外部,审批系统,1\n".encode()
    )
    answer = office.desk.take_traffic(MeasuredUpload("流量.csv", content, "李四"))
    assert (answer["systems"], answer["unknown"]) == (3, ["外部"])
    counts = office.desk.dependencies("")["traffic"]["counts"]
    assert counts == {"confirmed": 1, "undeclared": 1, "unobserved": 1}  # 旧档案系统 was not watched
    measure(office, "公车调度系统")
    (blocked,) = office.desk.open_reviews("李四")["blocked"]
    assert "被 1 个系统使用（审批系统）" in blocked["blocked_by"][0]["zh"]


@pytest.mark.parametrize(
    ("case", "disposition", "document", "fragment"),
    [
        ("the proposal needs no document", "rehost", "", None),
        ("an override needs one", "retire", "", "--document"),
        ("and is taken with one", "retire", "数函〔2026〕3号", None),
        ("no such disposition", "melt", "1号", "rehost, replatform"),
    ],
)
def test_decisions(office: Office, case: str, disposition: str, document: str, fragment: str | None) -> None:
    minute = Minute("李四", "研究决定", document)
    if fragment is not None:
        with refuse(ErrorCode.INVALID_ARGUMENT, fragment):
            office.desk.decide("审批系统", disposition, minute)
        return
    office.desk.decide("审批系统", disposition, minute)
    (one,) = [one for one in office.desk.assess("")["systems"] if one["name"] == "审批系统"]
    assert one["decision"]["disposition"] == disposition, case
    assert one["state"] == "present"  # decided is not done: the rates do not move


@pytest.mark.parametrize(
    ("case", "asked", "fragment"),
    [
        ("no such rule", ExceptionAsked("rule-66", QUIET, "王局", "2027-01-01", CLERK), "no rule 'rule-66'"),
        ("no such subject", ExceptionAsked("gate-cloud", "无此系统", "王局", "2027-01-01", CLERK), "no system"),
        ("an end that has passed", ExceptionAsked("gate-cloud", QUIET, "王局", "2020-01-01", CLERK), "before today"),
        ("no approver", ExceptionAsked("gate-cloud", QUIET, " ", "2027-01-01", CLERK), "approver is missing"),
        ("no document", ExceptionAsked("gate-cloud", QUIET, "王局", "2027-01-01", Minute("李四", "急")), "--document"),
        ("an end that is no day", ExceptionAsked("gate-cloud", QUIET, "王局", "年底", CLERK), "not a day"),
    ],
)  # fmt: skip
def test_an_exception_is_refused(office: Office, case: str, asked: ExceptionAsked, fragment: str) -> None:
    with pytest.raises(RequestError, match=fragment):
        office.desk.grant_exception(asked)


def test_an_exception_for_the_department_waives_the_gate_until_it_ends(office: Office) -> None:
    project = "name: 一网通办\ndepartment: 区示例局\n"

    def outcome() -> str:
        gates = office.desk.check_project(project, "项目.yaml")["gates"]
        return str(next(gate["outcome"] for gate in gates if gate["rule"] == "gate-only-fewer"))

    assert outcome() == "holds"
    office.desk.grant_exception(ExceptionAsked("gate-only-fewer", "区示例局", "王局", "2026-12-31", CLERK))
    assert outcome() == "waived"
    office.clock.forward(60)
    assert outcome() == "holds"
    assert office.desk.assess("")["expired_exceptions"][0]["id"] == "E1"


def test_the_whole_ledger_is_assessed(office: Office) -> None:
    report = office.desk.assess("")
    assert len(report["systems"]) == len(LEDGER) and report["illustrative"]
    assert report["summary"]["present"] == len(LEDGER) - 1  # one is migrated


def test_an_exception_for_one_project_waives_no_other_of_its_department(office: Office) -> None:
    def outcome(name: str) -> str:
        gates = office.desk.check_project(f"name: {name}\ndepartment: 区示例局\n", "项目.yaml")["gates"]
        return str(next(gate["outcome"] for gate in gates if gate["rule"] == "gate-only-fewer"))

    asked = ExceptionAsked("gate-only-fewer", "区示例局/一网通办", "王局", "2026-12-31", CLERK)
    office.desk.grant_exception(asked)
    assert (outcome("一网通办"), outcome("另一平台")) == ("waived", "holds")
    with pytest.raises(RequestError, match="no system"):
        office.desk.grant_exception(
            ExceptionAsked("gate-only-fewer", "无此局/一网通办", "王局", "2026-12-31", CLERK)
        )


def test_an_exception_retains_a_system_until_it_ends_and_then_is_asked_for_again(office: Office) -> None:
    def seen() -> tuple[str, list[str]]:
        (one,) = [one for one in office.desk.assess("")["systems"] if one["name"] == "审批系统"]
        return one["proposal"], [found["rule"] for found in one["findings"]]

    asked = ExceptionAsked("migrate-by-default", "审批系统", "王局", "2026-12-31", CLERK)
    office.desk.grant_exception(asked)
    office.desk.decide("审批系统", "retain", CLERK)
    assert seen() == ("retain", [])
    office.clock.forward(60)
    assert seen() == ("rehost", ["exception-lapsed"])


def test_a_department_that_uses_its_resources_again_is_not_pressed(office: Office) -> None:
    idle = utilisation_csv("公车调度系统").decode().replace(",4,9,0", ",4,9,60")
    office.desk.take_utilisation(MeasuredUpload("闲.csv", idle.encode(), "李四"))
    office.desk.open_reviews("李四")
    step(office, "remind")
    office.clock.forward(40)
    busy = utilisation_csv("公车调度系统").decode().replace(",4,9,0", ",80,70,60")
    office.desk.take_utilisation(MeasuredUpload("忙.csv", busy.encode(), "李四"))
    with refuse(ErrorCode.FAILED_PRECONDITION, "does not idle"):
        step(office, "urge")
    assert step(office, "restore", Minute("张三", "已恢复使用"))["state"] == "restored"


def test_what_its_owner_attested_is_not_questioned_by_data_from_before(office: Office) -> None:
    measure(office, "公车调度系统")
    office.desk.open_reviews("李四")
    assert step(office, "attest_in_use", OWNER)["state"] == "kept"
    a_day_more = utilisation_csv("公车调度系统").decode() + "\n公车调度系统,2026-11-22,4,9,0"
    office.desk.take_utilisation(MeasuredUpload("续.csv", a_day_more.encode(), "李四"))
    assert office.desk.open_reviews("李四")["opened"] == [], "121 days instead of 120 are no news"


def test_old_data_proves_nothing(office: Office) -> None:
    measure(office, "公车调度系统")
    office.clock.forward(120)
    assert office.desk.open_reviews("李四")["opened"] == []
    (size,) = office.desk.right_sizes("公车调度系统")["systems"]
    assert size["confidence"] == "low" and any("measure again" in reason["en"] for reason in size["reasons"])


@pytest.mark.parametrize(
    ("case", "changes", "opened"),
    [
        ("a classified system", {"classified": True}, []),
        ("a superior's", {"ownership": Ownership.VERTICAL}, []),
        ("any other is", {}, ["R1"]),
    ],
)
def test_idle_resources_that_are_not_the_districts_are_nobodys_to_remind_of(
    office: Office, case: str, changes: dict[str, object], opened: list[str]
) -> None:
    reading = read_ledger(
        a_workbook((*LEDGER[:2], a_system("别家系统", vcpu=16, mem_gb=32, **changes))), "台账2.xlsx"
    )
    Intake(office.store).import_reading(
        reading, filename="台账2.xlsx", sender="区示例二局", actor="张三", now_ms=office.clock.now_ms
    )
    idle = utilisation_csv("别家系统").decode().replace(",4,9,0", ",4,9,60")
    assert office.desk.take_utilisation(MeasuredUpload("闲.csv", idle.encode(), "李四"))["unknown"] == []
    assert office.desk.open_reviews("李四")["opened"] == opened, case

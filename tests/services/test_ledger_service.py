"""`LedgerService` over gRPC, on the real desk: import, diff, apply, settle, query, rates; and each refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest

from inventory.ledger import reading_json
from inventory.ledger.read import read_ledger
from inventory.model.system import System
from scheduler.services import ledger_servicer
from tests.services.failures import failure_of, fields_of
from tests.services.ledgers import FIVE, a_system, a_workbook
from xisuan.inventory.v1 import ledger_service_pb2 as pb
from xisuan.inventory.v1.ledger_service_pb2_grpc import LedgerServiceStub

SENDER = "示例区"


@pytest.fixture
def stub(channel: grpc.Channel) -> LedgerServiceStub:
    return LedgerServiceStub(channel)


def send(
    stub: LedgerServiceStub, systems: tuple[System, ...] = FIVE, sender: str = SENDER, **changes: Any
) -> pb.ImportResponse:
    fields = {"file_name": "台账.xlsx", "content": a_workbook(systems), "sender": sender, "actor": "李工"}
    return stub.Import(pb.ImportRequest(**(fields | changes)))


def test_a_first_import_applies_and_answers_with_the_reading(stub: LedgerServiceStub) -> None:
    answer = send(stub)
    assert (answer.import_id, answer.status, answer.sender) == ("I1", "applied", SENDER)
    expected = reading_json(read_ledger(a_workbook(FIVE), "台账.xlsx"))
    said = json.loads(answer.reading_json)
    assert {name: said[name] for name in ("systems", "findings", "totals", "illustrative")} == {
        name: expected[name] for name in ("systems", "findings", "totals", "illustrative")
    }
    assert json.loads(answer.diff_json)["counts"] == {"added": 5, "changed": 0, "missing": 0}


def test_the_same_file_again_changes_nothing(stub: LedgerServiceStub) -> None:
    send(stub)
    again = send(stub)
    assert (again.import_id, again.status) == ("I1", "unchanged")


def test_a_corrected_file_waits_with_old_and_new_and_is_applied_on_request(stub: LedgerServiceStub) -> None:
    send(stub)
    corrected = (replace(FIVE[0], users=4242), *FIVE[1:4], a_system("新系统"))
    pending = send(stub, corrected)
    assert pending.status == "pending"
    diff = json.loads(pending.diff_json)
    assert diff["counts"] == {"added": 1, "changed": 1, "missing": 1}
    assert {"field": "users", "old": FIVE[0].users, "new": 4242} in diff["changed"][0]["fields"]
    shown = stub.GetDiff(pb.GetDiffRequest(import_id=pending.import_id))
    assert (shown.status, json.loads(shown.diff_json)["counts"]) == ("pending", diff["counts"])
    applied = stub.Apply(pb.ApplyRequest(import_id=pending.import_id, actor="王工"))
    assert json.loads(applied.diff_json)["counts"] == diff["counts"]
    assert {json.loads(one)["name"] for one in all_systems(stub)} == {system.name for system in corrected}


def test_no_import_id_means_the_newest(stub: LedgerServiceStub) -> None:
    assert failure_of(lambda: stub.GetDiff(pb.GetDiffRequest())).code is grpc.StatusCode.NOT_FOUND
    send(stub)
    answer = stub.GetDiff(pb.GetDiffRequest())
    assert (answer.status, json.loads(answer.diff_json)["import_id"]) == ("applied", "I1")


def test_a_file_without_a_sender_is_told_how_it_counts(stub: LedgerServiceStub) -> None:
    answer = send(stub, sender="")
    assert answer.sender == "台账"
    assert "--sender" in json.loads(answer.reading_json)["notes"][0]


def test_a_mapping_is_remembered_for_its_sender(stub: LedgerServiceStub) -> None:
    mapping = "headings:\n  用户数: ignore\n"
    send(stub, mapping_yaml=mapping)
    again = send(stub, (*FIVE, a_system("新系统")))
    said = json.loads(again.reading_json)
    assert {system["users"] for system in said["systems"]} == {None}
    assert "ignore" in said["mapping_yaml"]
    other = json.loads(send(stub, sender="另一区").reading_json)
    assert other["mapping_yaml"] == ""
    assert None not in {system["users"] for system in other["systems"]}


def test_an_answer_that_would_be_too_long_leaves_the_systems_out_and_says_so(
    stub: LedgerServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_servicer, "MAX_SYSTEMS_IN_ANSWER", 4)
    said = json.loads(send(stub).reading_json)
    assert ("systems" in said, said["systems_left_out"]) == (False, 5)


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        pytest.param({"content": b"no workbook"}, "INVALID_ARGUMENT", "NOT_A_LEDGER", id="no workbook"),
        pytest.param({"content": b""}, "INVALID_ARGUMENT", "NOT_A_LEDGER", id="an empty file"),
        pytest.param({"actor": " "}, "INVALID_ARGUMENT", "actor", id="nobody imports it"),
        pytest.param({"file_name": ""}, "INVALID_ARGUMENT", "file_name", id="no file name"),
        pytest.param({"mapping_yaml": "- 1"}, "INVALID_ARGUMENT", "NOT_A_LEDGER", id="a mapping that is a list"),
        pytest.param(
            {"mapping_yaml": "headings: {甲: nothing}"}, "INVALID_ARGUMENT", "NOT_A_LEDGER", id="an unknown field"
        ),
    ],
)
def test_a_file_that_cannot_be_taken_in_leaves_nothing_behind(
    stub: LedgerServiceStub, changes: dict[str, Any], code: str, where: str
) -> None:
    failure = failure_of(lambda: send(stub, **changes))
    assert failure.code.name == code
    assert where in (failure.reason, *fields_of(failure))
    assert not list(all_systems(stub))
    assert failure_of(lambda: stub.GetDiff(pb.GetDiffRequest())).reason == "NO_IMPORT"


DUPLICATED = (*FIVE, replace(FIVE[0], name="门户网站（二期）"))


def test_a_possible_duplicate_is_settled_once(stub: LedgerServiceStub) -> None:
    send(stub, DUPLICATED)
    (finding,) = (json.loads(one) for one in stub.ListFindings(pb.ListFindingsRequest()).findings_json)
    assert finding["kind"] == "possible_duplicate"
    settle = pb.ResolveRequest(finding_id=finding["id"], decision="distinct", actor="王工", reason="两套系统")
    settled = json.loads(stub.Resolve(settle).finding_json)
    assert (settled["decision"], settled["decided_by"], settled["reason"]) == ("distinct", "王工", "两套系统")
    assert len(list(all_systems(stub))) == 6
    assert failure_of(lambda: stub.Resolve(settle)).code is grpc.StatusCode.FAILED_PRECONDITION
    assert not stub.ListFindings(pb.ListFindingsRequest()).findings_json
    assert len(stub.ListFindings(pb.ListFindingsRequest(settled=True)).findings_json) == 1


def test_two_senders_who_differ_give_a_conflict_to_settle(stub: LedgerServiceStub) -> None:
    send(stub)
    send(stub, (replace(FIVE[0], users=7),), sender="另一局")
    (conflict,) = (json.loads(one) for one in stub.ListFindings(pb.ListFindingsRequest()).findings_json)
    assert (conflict["kind"], conflict["field"], conflict["choices"]) == ("conflict", "users", ["keep", "take"])
    stub.Resolve(pb.ResolveRequest(finding_id=conflict["id"], decision="take", actor="王工", reason="以该局为准"))
    users = {json.loads(one)["name"]: json.loads(one)["users"] for one in all_systems(stub)}
    assert users["门户网站"] == 7


@pytest.mark.parametrize(
    ("call", "code"),
    [
        pytest.param(
            lambda stub: stub.Apply(pb.ApplyRequest(import_id="I77", actor="王工")),
            "NOT_FOUND",
            id="no such import",
        ),
        pytest.param(
            lambda stub: stub.Apply(pb.ApplyRequest(import_id="I1", actor="王工")),
            "FAILED_PRECONDITION",
            id="an import that is applied already",
        ),
        pytest.param(
            lambda stub: stub.GetDiff(pb.GetDiffRequest(import_id="I77")), "NOT_FOUND", id="a diff of no import"
        ),
        pytest.param(
            lambda stub: stub.Resolve(pb.ResolveRequest(finding_id="F77", decision="keep", actor="a", reason="b")),
            "NOT_FOUND",
            id="no such finding",
        ),
        pytest.param(
            lambda stub: stub.Resolve(pb.ResolveRequest(finding_id="F1", decision="maybe", actor="a", reason="b")),
            "INVALID_ARGUMENT",
            id="a decision that does not fit",
        ),
        pytest.param(
            lambda stub: stub.Resolve(pb.ResolveRequest(finding_id="F1", decision="distinct", actor="a")),
            "INVALID_ARGUMENT",
            id="a decision without a reason",
        ),
        pytest.param(
            lambda stub: stub.QuerySystems(pb.QuerySystemsRequest(scope="colour=red")),
            "INVALID_ARGUMENT",
            id="a scope with an unknown field",
        ),
        pytest.param(
            lambda stub: stub.QuerySystems(pb.QuerySystemsRequest(page_size=5000)),
            "INVALID_ARGUMENT",
            id="a page of 5000",
        ),
        pytest.param(
            lambda stub: stub.GetRates(pb.GetRatesRequest(as_of="2021-02-30")),
            "INVALID_ARGUMENT",
            id="no such day",
        ),
        pytest.param(
            lambda stub: stub.GetRates(pb.GetRatesRequest(scope="district")),
            "INVALID_ARGUMENT",
            id="a scope that is no expression",
        ),
    ],
)
def test_what_contradicts_the_ledger_is_refused_with_one_line(
    stub: LedgerServiceStub, call: Callable[[LedgerServiceStub], Any], code: str
) -> None:
    send(stub, DUPLICATED)
    failure = failure_of(lambda: call(stub))
    assert failure.code.name == code
    assert " / " in (failure.violations[0].description if failure.violations else failure.message)
    assert "\n" not in failure.message


def all_systems(stub: LedgerServiceStub, scope: str = "") -> list[str]:
    """Read in pages of two, so that every test goes over page borders."""
    found: list[str] = []
    token = ""
    while True:
        page = stub.QuerySystems(pb.QuerySystemsRequest(scope=scope, page_size=2, page_token=token))
        found += page.systems_json
        token = page.next_page_token
        if not token:
            return found


def test_systems_come_once_each_over_all_pages_and_by_scope(stub: LedgerServiceStub) -> None:
    send(stub, (*FIVE, a_system("专网系统", zone="业务专网", ownership="soe")))
    keys = [json.loads(one)["system_key"] for one in all_systems(stub)]
    assert keys == sorted(set(keys)) and len(keys) == 6
    assert len(all_systems(stub, "ownership=district")) == 5
    assert [json.loads(one)["name"] for one in all_systems(stub, "zone=业务专网")] == ["专网系统"]


def test_rates_have_numerator_denominator_scope_day_and_rows(stub: LedgerServiceStub) -> None:
    send(stub)
    answer = stub.GetRates(pb.GetRatesRequest(as_of="2025-12-31", rows=True))
    cloud = answer.rates[0]
    assert (cloud.numerator, cloud.denominator, cloud.percent) == (1, 4, 25.0)
    assert (cloud.scope, cloud.as_of) == ("ownership=district", "2025-12-31")
    assert list(cloud.numerator_rows) == ["区示例局/档案系统"]
    assert len(cloud.denominator_rows) == 4
    document = json.loads(answer.document_json)
    assert (document["illustrative"], document["total"]) == (True, 5)


def test_a_rate_without_a_denominator_has_no_percent(stub: LedgerServiceStub) -> None:
    send(stub)
    rate = stub.GetRates(pb.GetRatesRequest(as_of="2020-01-01")).rates[0]
    assert (rate.denominator, rate.HasField("percent")) == (0, False)

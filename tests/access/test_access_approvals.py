"""Who may say yes to a migration: the duties that access control grants, else the order; never who executed it."""

from __future__ import annotations

from pathlib import Path

from scheduler.access.principals import Principal, read_grant
from scheduler.services.run_ports import Act, RunAction
from tests.access.guarded import Recorder, bearer, guarded
from xisuan.migration.v1 import migration_service_pb2 as pb
from xisuan.migration.v1.migration_service_pb2_grpc import MigrationServiceStub


def test_duties_hold_where_all_departments_of_a_run_lie_in_their_scope() -> None:
    principal = Principal(
        "李工", tuple(map(read_grant, ["approver:data_bureau@city", "approver:asset_office@city/east"]))
    )
    assert principal.duties(["city/east/a", "city/west/b"]) == {"data_bureau"}
    assert principal.duties(["city/east/a"]) == {"data_bureau", "asset_office"}
    assert principal.duties(["elsewhere"]) == frozenset()


def test_an_approval_carries_the_authenticated_name_and_its_duties_to_the_desk(tmp_path: Path) -> None:
    run = {"run_id": "M1", "systems": [{"key": "city/east/office/reports"}]}
    runs = Recorder({"run": run, "act": run})
    with guarded(tmp_path, runs=runs) as gateway, gateway.channel() as channel:
        stub = MigrationServiceStub(channel)
        request = pb.ActOnRunRequest(run_id="M1", act=pb.RUN_ACT_APPROVE, actor="局长", document_number="1")
        for grants in (["approver:data_bureau@city/east"], ["approver@/"]):
            stub.ActOnRun(
                request, metadata=bearer(gateway.token(*grants, name=f"李工 {len(grants[0])}")), timeout=10
            )
    asked = [arguments[0] for name, arguments, _ in runs.asked if name == "act"]
    assert asked == [
        RunAction(Act.APPROVE, "M1", "李工 30", number="1", duties=frozenset({"data_bureau"})),
        RunAction(Act.APPROVE, "M1", "李工 10", number="1", duties=frozenset()),
    ]

"""Every RPC with every role and scope: allowed, refused, or invisible. RPCs are found by their descriptors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory

from scheduler.access.permissions import PERMISSIONS
from scheduler.access.principals import Role
from scheduler.services.desk_ports import SystemPage
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.services.queue_ports import QueuesNow
from scheduler.services.workload_servicer import WorkloadServicer
from tests.access.guarded import OTHERS, OWN, ROOT_SCOPE, GuardedGateway, Recorder, bearer, grant, guarded
from tests.services.memory import MemoryScheduling
from xisuan.assessment.v1 import assessment_service_pb2
from xisuan.inventory.v1 import ledger_service_pb2
from xisuan.migration.v1 import migration_service_pb2
from xisuan.operation.v1 import operation_service_pb2
from xisuan.pool.v1 import pool_service_pb2
from xisuan.queue.v1 import queue_service_pb2
from xisuan.workload.v1 import workload_service_pb2

FILES = (
    workload_service_pb2,
    pool_service_pb2,
    queue_service_pb2,
    ledger_service_pb2,
    migration_service_pb2,
    assessment_service_pb2,
    operation_service_pb2,
)
SCOPES = (ROOT_SCOPE, OWN, OTHERS)
EVERYBODY = set(Role)
SUBMITTING = {Role.SUBMITTER, Role.ADMINISTRATOR}
STOPPING = {*SUBMITTING, Role.OPERATOR}
OPERATING = {Role.OPERATOR, Role.ADMINISTRATOR}
APPROVING = {Role.APPROVER}
ALLOWED, REFUSED, INVISIBLE = "allowed", "refused", "invisible"
SPEC = {
    "queue": f"{OWN}/transport/reports",
    "client_key": "k",
    "requirements": {"per_task": {"cpu_milli": 1, "memory_bytes": 1024}},
    "program": {"command": ["true"]},
}


@dataclass(frozen=True)
class Row:
    """`roles` may call it: within a subtree where `within`, else only with the role at the root. `request` is about
    something of the subtree city/east. `hides`: outside it the answer is that of something that does not exist."""

    roles: set[Role]
    within: bool = False
    hides: bool = False
    request: dict[str, Any] = field(default_factory=dict)


ONE = {"workload_id": "w-1"}
ROWS: dict[str, Row] = {
    "WorkloadService.Submit": Row(SUBMITTING, within=True, request={"workload": SPEC}),
    "WorkloadService.SubmitBatch": Row(SUBMITTING, within=True, request={"workloads": [SPEC]}),
    "WorkloadService.SubmitStream": Row(SUBMITTING, within=True, request={"workloads": [SPEC]}),
    "WorkloadService.DryRun": Row(SUBMITTING, within=True, request={"workloads": [SPEC]}),
    "WorkloadService.Get": Row(EVERYBODY, within=True, hides=True, request=ONE),
    "WorkloadService.List": Row(EVERYBODY, within=True, hides=True),
    "WorkloadService.Watch": Row(EVERYBODY, within=True, hides=True, request={"cursor": "0"}),
    "WorkloadService.Cancel": Row(STOPPING, within=True, hides=True, request=ONE),
    "WorkloadService.Explain": Row(EVERYBODY, within=True, hides=True, request=ONE),
    "WorkloadService.Estimate": Row(EVERYBODY, within=True, hides=True, request=ONE),
    "WorkloadService.Logs": Row(EVERYBODY, within=True, hides=True, request=ONE),
    "PoolService.ListPools": Row(EVERYBODY),
    "PoolService.Register": Row(OPERATING),
    "PoolService.Cordon": Row(OPERATING, request={"pool_id": "p"}),
    "PoolService.Drain": Row(OPERATING, request={"pool_id": "p"}),
    "PoolService.Maintain": Row(OPERATING, request={"pool_id": "p"}),
    "PoolService.Leave": Row(OPERATING, request={"pool_id": "p"}),
    "QueueService.ApplyQueues": Row(OPERATING),
    "QueueService.ListQueues": Row(EVERYBODY, within=True),
    "QueueService.CreateReservation": Row(OPERATING),
    "QueueService.EndReservation": Row(OPERATING),
    "QueueService.ListReservations": Row(EVERYBODY, within=True),
    "LedgerService.Import": Row(OPERATING),
    "LedgerService.Apply": Row(OPERATING),
    "LedgerService.GetDiff": Row(EVERYBODY),
    "LedgerService.Resolve": Row(OPERATING),
    "LedgerService.QuerySystems": Row(EVERYBODY, within=True, hides=True),
    "LedgerService.ListFindings": Row(EVERYBODY),
    "LedgerService.GetRates": Row(EVERYBODY),
    "MigrationService.Plan": Row(OPERATING),
    "MigrationService.Check": Row(EVERYBODY),
    "MigrationService.Replan": Row(OPERATING),
    "MigrationService.Forecast": Row(EVERYBODY),
    "MigrationService.ListWaves": Row(EVERYBODY),
    "MigrationService.GetStatus": Row(EVERYBODY),
    "MigrationService.StartWave": Row(OPERATING),
    "MigrationService.OpenRun": Row(OPERATING),
    "MigrationService.ActOnRun/approve": Row(
        APPROVING, within=True, hides=True, request={"run_id": "M1", "act": 1}
    ),
    "MigrationService.ActOnRun/refuse": Row(
        APPROVING, within=True, hides=True, request={"run_id": "M1", "act": 2}
    ),
    "MigrationService.ActOnRun/pause": Row(OPERATING, within=True, hides=True, request={"run_id": "M1", "act": 3}),
    "MigrationService.ActOnRun/roll back": Row(
        OPERATING, within=True, hides=True, request={"run_id": "M1", "act": 7}
    ),
    "MigrationService.GetRun": Row(EVERYBODY, within=True, hides=True, request={"run_id": "M1"}),
    "MigrationService.ListRuns": Row(EVERYBODY, within=True, hides=True),
    "MigrationService.HoldCapacity": Row(OPERATING),
    "MigrationService.ReleaseCapacity": Row(OPERATING),
    "MigrationService.Report": Row(EVERYBODY),
    "MigrationService.ExportEvidence": Row(EVERYBODY),
    "AssessmentService.Assess": Row(EVERYBODY),
    "AssessmentService.ImportUtilisation": Row(OPERATING),
    "AssessmentService.ImportTraffic": Row(OPERATING),
    "AssessmentService.OpenReviews": Row(OPERATING),
    "AssessmentService.ListReviews": Row(EVERYBODY),
    "AssessmentService.AdvanceReview": Row(OPERATING),
    "AssessmentService.Decide": Row(APPROVING),
    "AssessmentService.GrantException": Row(APPROVING),
    "AssessmentService.ListExceptions": Row(EVERYBODY),
    "AssessmentService.DeclareRole": Row(OPERATING),
    "AssessmentService.AnalyseDependencies": Row(EVERYBODY),
    "AssessmentService.RightSize": Row(EVERYBODY),
    "AssessmentService.CheckCompatibility": Row(EVERYBODY),
    "AssessmentService.CheckProject": Row(EVERYBODY),
    "AssessmentService.FindLookalikes": Row(EVERYBODY),
    "OperationService.GetServiceStatus": Row(EVERYBODY),
}


def every_call() -> dict[str, Any]:
    """The descriptors of all RPCs, by service and name."""
    return {
        f"{service.name}.{method.name}": method
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


CALLS = every_call()
# Of the contract, and served by no servicer yet: behind the gate there is nothing to allow.
UNSERVED = {name for name in ("WorkloadService.Estimate",) if name.partition(".")[2] not in vars(WorkloadServicer)}


def test_every_rpc_has_a_row_here_and_a_permission_there() -> None:
    assert {name.partition("/")[0] for name in ROWS} == set(CALLS)
    paths = {f"/{method.containing_service.full_name}/{method.name}" for method in CALLS.values()}
    assert paths == set(PERMISSIONS)


def test_every_service_of_the_gateway_is_among_those_that_are_tried(gateway: GuardedGateway) -> None:
    offered = {service.full_name for file in FILES for service in file.DESCRIPTOR.services_by_name.values()}
    assert set(gateway.served()) == offered


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedGateway]:
    run = {"run_id": "M1", "state": "running", "systems": [{"key": f"{OWN}/transport/reports"}]}
    unknown = RequestError(ErrorCode.NOT_FOUND, "nothing of that name")
    ports = {
        "scheduling": MemoryScheduling(),
        "runs": Recorder({"run": run, "runs": (run,), "act": run, "history": ()}),
        "ledger": Recorder({"systems": _systems(f"{OWN}/transport")}),
        "migration": Recorder(),
        "assessment": Recorder(),
        "queues": Recorder({"queues": QueuesNow((), None), "reservations": ()}),
        "operation": Recorder({"status": unknown}),
    }
    with guarded(tmp_path_factory.mktemp("table"), **ports) as up:
        spec = workload_service_pb2.SubmitRequest(workload=SPEC)
        code, said = call(up, CALLS["WorkloadService.Submit"], spec, up.token("submitter@/"))
        assert code is grpc.StatusCode.OK, said
        yield up


def _systems(department: str) -> SystemPage:
    return SystemPage(({"system_key": f"{department}/系统", "department": department},))


def call(gateway: GuardedGateway, method: Any, request: Any, token: str) -> tuple[grpc.StatusCode, Any]:
    """The code, and the first answer or the error's words; a stream is closed after its first message."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    answer_type = message_factory.GetMessageClass(method.output_type)
    with gateway.channel() as channel:
        make = getattr(
            channel,
            f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}",
        )
        stub = make(path, lambda message: message.SerializeToString(), answer_type.FromString)
        asked = iter([request]) if method.client_streaming else request
        try:
            answer = stub(asked, timeout=1.5 if method.name == "Watch" else 20, metadata=bearer(token))
            return grpc.StatusCode.OK, next(iter(answer), None) if method.server_streaming else answer
        except grpc.RpcError as error:
            failed: Any = error
            return failed.code(), failed.details()


def expected(row: Row, role: Role, scope: str) -> str:
    if role not in row.roles or (not row.within and scope != ROOT_SCOPE):
        return REFUSED
    if row.within and scope == OTHERS and row.hides:
        return INVISIBLE
    return REFUSED if row.within and scope == OTHERS and "workload" in json.dumps(row.request) else ALLOWED


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("role", list(Role))
def test_every_call_is_allowed_refused_or_invisible_as_the_table_says(
    gateway: GuardedGateway, role: Role, scope: str
) -> None:
    token = gateway.token(grant(role, scope))
    found, wanted = {}, {}
    for name, row in ROWS.items():
        if name in UNSERVED:
            continue
        method = CALLS[name.partition("/")[0]]
        request = message_factory.GetMessageClass(method.input_type)(**row.request)
        code, said = call(gateway, method, request, token)
        found[name] = outcome(method, code, said)
        wanted[name] = expected(row, role, scope)
    assert found == wanted


def outcome(method: Any, code: grpc.StatusCode, said: Any) -> str:
    """What a caller learns. Allowed is whatever comes from behind the gate, an error of an empty request included."""
    if code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED):
        return REFUSED
    if (
        method.name in ("SubmitBatch", "SubmitStream")
        and said.results[0].error.code == ErrorCode.PERMISSION_DENIED
    ):
        return REFUSED
    if method.name == "List" and not said.workloads:
        return INVISIBLE
    if method.name == "ListRuns" and not said.run_json:
        return INVISIBLE
    if method.name == "QuerySystems" and not said.systems_json:
        return INVISIBLE
    if method.name == "Watch":
        return ALLOWED if code is grpc.StatusCode.OK and said.changes else INVISIBLE
    if code is grpc.StatusCode.NOT_FOUND and ("no workload" in said or "there is no run" in said):
        return INVISIBLE
    return ALLOWED


@pytest.mark.parametrize("name", sorted(CALLS))
def test_nobody_calls_without_a_credential_or_with_a_forged_one(gateway: GuardedGateway, name: str) -> None:
    method = CALLS[name]
    request = message_factory.GetMessageClass(method.input_type)()
    good = gateway.token("administrator@/")
    for token in ("", "nonsense", good[:-6] + "AAAAAA", good + "." + good):
        code, said = call(gateway, method, request, token)
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert not token or token not in said

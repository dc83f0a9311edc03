"""What operators do over gRPC, beside workloads: pools, the ledger, migration. The command line is built on it.

Requests and answers are the messages of the contracts; failures are `CallError`s. Submitting systems use
`xisuan.client`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from xisuan.calls import CallError, Channel, FieldViolation
from xisuan.credentials import Credentials
from xisuan.inventory.v1 import ledger_service_pb2 as ledger_pb
from xisuan.inventory.v1.ledger_service_pb2 import (
    GetDiffResponse,
    GetRatesResponse,
    ImportRequest,
    ImportResponse,
)
from xisuan.inventory.v1.ledger_service_pb2_grpc import LedgerServiceStub
from xisuan.migration.v1 import migration_service_pb2 as migration_pb
from xisuan.migration.v1.migration_service_pb2 import (
    ActOnRunRequest,
    CheckResponse,
    ExportEvidenceRequest,
    ForecastResponse,
    GetStatusResponse,
    HoldCapacityRequest,
    ListWavesResponse,
    OpenRunRequest,
    PlanRequest,
    PlanResponse,
    ReplanRequest,
    ReplanResponse,
    ReportRequest,
    RunAct,
    StartWaveRequest,
    StartWaveResponse,
    Violation,
    Wave,
)
from xisuan.migration.v1.migration_service_pb2_grpc import MigrationServiceStub
from xisuan.operation.v1 import operation_service_pb2 as operation_pb
from xisuan.operation.v1.operation_service_pb2 import GetServiceStatusResponse
from xisuan.operation.v1.operation_service_pb2_grpc import OperationServiceStub
from xisuan.pool.v1 import pool_service_pb2 as pool_pb
from xisuan.pool.v1.pool_pb2 import MaintenanceWindow, Pool, PoolHealth, PoolSpec
from xisuan.pool.v1.pool_service_pb2_grpc import PoolServiceStub

__all__ = [
    "ActOnRunRequest",
    "CallError",
    "CheckResponse",
    "ExportEvidenceRequest",
    "FieldViolation",
    "ForecastResponse",
    "GetDiffResponse",
    "GetRatesResponse",
    "GetServiceStatusResponse",
    "GetStatusResponse",
    "HoldCapacityRequest",
    "ImportRequest",
    "ImportResponse",
    "ListWavesResponse",
    "MaintenanceWindow",
    "OpenRunRequest",
    "Operations",
    "PlanRequest",
    "PlanResponse",
    "Pool",
    "PoolHealth",
    "PoolSpec",
    "ReplanRequest",
    "ReplanResponse",
    "ReportRequest",
    "RunAct",
    "StartWaveRequest",
    "StartWaveResponse",
    "Violation",
    "Wave",
]

PATIENCE_S = 10.0
# Reading and storing a workbook of 200,000 rows, or planning thousands of systems, takes minutes.
LONG_CALL_S = 900.0


class Operations:
    """Calls one service at `address` (host:port). Use it in a `with` block, or `close` it."""

    def __init__(
        self, address: str, *, patience_s: float = PATIENCE_S, credentials: Credentials | None = None
    ) -> None:
        self._channel = Channel(address, patience_s, credentials)
        self._pools = PoolServiceStub(self._channel.grpc)
        self._ledger = LedgerServiceStub(self._channel.grpc)
        self._migration = MigrationServiceStub(self._channel.grpc)
        self._operation = OperationServiceStub(self._channel.grpc)

    def __enter__(self) -> Self:
        return self

    def service_status(self) -> GetServiceStatusResponse:
        """How the service itself does: epoch, store, queues, rates of the last minute, settings."""
        return self._channel.call(self._operation.GetServiceStatus, operation_pb.GetServiceStatusRequest())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def is_serving(self, timeout_s: float) -> bool:
        """The standard health check of the whole service."""
        return self._channel.is_serving(timeout_s)

    # Pools

    def pools(self) -> Sequence[Pool]:
        return self._channel.call(self._pools.ListPools, pool_pb.ListPoolsRequest()).pools

    def register_pool(self, spec: PoolSpec, endpoint: str) -> Pool:
        request = pool_pb.RegisterRequest(spec=spec, endpoint=endpoint)
        return self._channel.call(self._pools.Register, request).pool

    def cordon_pool(self, pool_id: str, *, undo: bool, reason: str) -> Pool:
        request = pool_pb.CordonRequest(pool_id=pool_id, undo=undo, reason=reason)
        return self._channel.call(self._pools.Cordon, request).pool

    def drain_pool(self, pool_id: str, *, reason: str, deadline_ms: int = 0) -> tuple[Pool, tuple[str, ...]]:
        """The pool, and the runs that are being stopped; by force after `deadline_ms` (0: after 10 s)."""
        request = pool_pb.DrainRequest(pool_id=pool_id, reason=reason)
        if deadline_ms:
            request.deadline.FromMilliseconds(deadline_ms)
        answer = self._channel.call(self._pools.Drain, request)
        return answer.pool, tuple(answer.run_ids)

    def maintain_pool(self, pool_id: str, windows: Sequence[MaintenanceWindow]) -> Pool:
        """These are its maintenance windows now."""
        request = pool_pb.MaintainRequest(pool_id=pool_id, windows=windows)
        return self._channel.call(self._pools.Maintain, request).pool

    def leave_pool(self, pool_id: str, *, reason: str) -> None:
        self._channel.call(self._pools.Leave, pool_pb.LeaveRequest(pool_id=pool_id, reason=reason))

    # Ledger

    def import_workbook(self, request: ImportRequest) -> ImportResponse:
        return self._channel.call(self._ledger.Import, request, timeout_s=LONG_CALL_S)

    def apply_import(self, import_id: str, actor: str) -> str:
        """The diff as JSON. Not repeated by itself: an import that was applied cannot be applied again."""
        request = ledger_pb.ApplyRequest(import_id=import_id, actor=actor)
        answer = self._channel.call(self._ledger.Apply, request, timeout_s=LONG_CALL_S, is_idempotent=False)
        return answer.diff_json

    def diff(self, import_id: str) -> GetDiffResponse:
        return self._channel.call(self._ledger.GetDiff, ledger_pb.GetDiffRequest(import_id=import_id))

    def resolve(self, finding_id: str, decision: str, actor: str, reason: str) -> str:
        """The decision as JSON. Not repeated by itself: what is settled is settled."""
        request = ledger_pb.ResolveRequest(finding_id=finding_id, decision=decision, actor=actor, reason=reason)
        return self._channel.call(self._ledger.Resolve, request, is_idempotent=False).finding_json

    def systems(self, scope: str, as_of: str) -> Iterator[str]:
        """Each system as JSON, page by page."""
        token = ""
        while True:
            request = ledger_pb.QuerySystemsRequest(scope=scope, as_of=as_of, page_size=1000, page_token=token)
            page = self._channel.call(self._ledger.QuerySystems, request, timeout_s=LONG_CALL_S)
            yield from page.systems_json
            token = page.next_page_token
            if not token:
                return

    def findings(self, *, settled: bool) -> Sequence[str]:
        """Each finding as JSON."""
        request = ledger_pb.ListFindingsRequest(settled=settled)
        return self._channel.call(self._ledger.ListFindings, request).findings_json

    def rates(self, as_of: str, scope: str, *, rows: bool) -> GetRatesResponse:
        request = ledger_pb.GetRatesRequest(as_of=as_of, scope=scope, rows=rows)
        return self._channel.call(self._ledger.GetRates, request, timeout_s=LONG_CALL_S)

    # Migration

    def plan(self, request: PlanRequest) -> PlanResponse:
        return self._channel.call(self._migration.Plan, request, timeout_s=LONG_CALL_S)

    def check_plan(self, plan_json: str) -> Sequence[Violation]:
        request = migration_pb.CheckRequest(plan_json=plan_json)
        return self._channel.call(self._migration.Check, request, timeout_s=LONG_CALL_S).violations

    def score_plan(self, plan_json: str) -> CheckResponse:
        """What a plan breaks, and what it is worth."""
        request = migration_pb.CheckRequest(plan_json=plan_json)
        return self._channel.call(self._migration.Check, request, timeout_s=LONG_CALL_S)

    def replan(self, request: ReplanRequest) -> ReplanResponse:
        return self._channel.call(self._migration.Replan, request, timeout_s=LONG_CALL_S)

    def forecast(self, seed: int, samples: int) -> ForecastResponse:
        request = migration_pb.ForecastRequest(seed=seed, samples=samples)
        return self._channel.call(self._migration.Forecast, request, timeout_s=LONG_CALL_S)

    def waves(self) -> ListWavesResponse:
        return self._channel.call(self._migration.ListWaves, migration_pb.ListWavesRequest())

    def migration_status(self) -> GetStatusResponse:
        return self._channel.call(self._migration.GetStatus, migration_pb.GetStatusRequest())

    def open_run(self, request: OpenRunRequest) -> str:
        """The id of the new run. Not repeated by itself when the service goes away: look with `runs` first."""
        return str(self._channel.call(self._migration.OpenRun, request).run_id)

    def act_on_run(self, request: ActOnRunRequest) -> str:
        """The run afterwards, as JSON text."""
        return str(self._channel.call(self._migration.ActOnRun, request).run_json)

    def run(self, run_id: str, *, history: bool = False) -> tuple[str, tuple[str, ...]]:
        """The run, and its events when asked for, as JSON texts."""
        request = migration_pb.GetRunRequest(run_id=run_id, history=history)
        answer = self._channel.call(self._migration.GetRun, request)
        return answer.run_json, tuple(answer.history_json)

    def hold_capacity(self, request: HoldCapacityRequest) -> None:
        """Capacity of a pool, kept for the run's queue until it is released. Idempotent."""
        self._channel.call(self._migration.HoldCapacity, request)

    def release_capacity(self, run_id: str, *, as_allocation: bool = False) -> None:
        """Idempotent. `as_allocation`: it stays in the pool as the steady load of the run's systems."""
        request = migration_pb.ReleaseCapacityRequest(run_id=run_id, as_allocation=as_allocation)
        self._channel.call(self._migration.ReleaseCapacity, request)

    def runs(self) -> tuple[str, ...]:
        """Every run in short, as JSON texts, oldest first."""
        return tuple(self._channel.call(self._migration.ListRuns, migration_pb.ListRunsRequest()).run_json)

    def start_wave(self, request: StartWaveRequest) -> StartWaveResponse:
        """Opens the wave's runs. Idempotent."""
        return self._channel.call(self._migration.StartWave, request)

    def report(self, request: ReportRequest) -> str:
        """The monthly report as JSON text."""
        return self._channel.call(self._migration.Report, request, timeout_s=LONG_CALL_S).document_json

    def export_evidence(self, request: ExportEvidenceRequest) -> bytes:
        """A bundle, as the bytes of a ZIP."""
        return self._channel.call(self._migration.ExportEvidence, request, timeout_s=LONG_CALL_S).bundle

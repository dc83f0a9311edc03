"""One gateway: a gRPC server with every service, health checking and reflection, behind access control.

`scheduler.runtime.gateway_actor` makes one; tests make one in their own process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from adapters.client import AdapterClient, ClientTls
from adapters.sdk.listening import bind
from adapters.sdk.tls import ServerTls, require_known_callers
from scheduler.access.door import AccessDoor
from scheduler.access.guard import Guard
from scheduler.services.assessment_ports import Assessment
from scheduler.services.assessment_servicer import AssessmentServicer
from scheduler.services.call_metrics import CallMetrics
from scheduler.services.call_traces import CallTraces
from scheduler.services.desk_ports import Ledger, Migration
from scheduler.services.draining import Draining
from scheduler.services.entrance import Door, Entrance
from scheduler.services.ledger_servicer import LedgerServicer
from scheduler.services.migration_servicer import MigrationServicer
from scheduler.services.operation_ports import Operation
from scheduler.services.operation_servicer import OperationServicer
from scheduler.services.overload import PENDING_OPTIONS, Overload
from scheduler.services.pool_servicer import PoolServicer
from scheduler.services.ports import Scheduling
from scheduler.services.queue_ports import Queues
from scheduler.services.queue_servicer import QueueServicer
from scheduler.services.run_ports import Runs
from scheduler.services.scoped import ScopedLedger, ScopedQueues, ScopedRuns
from scheduler.services.scoped_scheduling import ScopedScheduling
from scheduler.services.workload_servicer import WorkloadServicer
from xisuan.assessment.v1 import assessment_service_pb2
from xisuan.assessment.v1.assessment_service_pb2_grpc import add_AssessmentServiceServicer_to_server
from xisuan.inventory.v1 import ledger_service_pb2
from xisuan.inventory.v1.ledger_service_pb2_grpc import add_LedgerServiceServicer_to_server
from xisuan.migration.v1 import migration_service_pb2
from xisuan.migration.v1.migration_service_pb2_grpc import add_MigrationServiceServicer_to_server
from xisuan.operation.v1 import operation_service_pb2
from xisuan.operation.v1.operation_service_pb2_grpc import add_OperationServiceServicer_to_server
from xisuan.pool.v1 import pool_service_pb2
from xisuan.pool.v1.pool_service_pb2_grpc import add_PoolServiceServicer_to_server
from xisuan.queue.v1 import queue_service_pb2
from xisuan.queue.v1.queue_service_pb2_grpc import add_QueueServiceServicer_to_server
from xisuan.workload.v1 import workload_service_pb2
from xisuan.workload.v1.workload_service_pb2_grpc import add_WorkloadServiceServicer_to_server

MESSAGE_LIMIT = 80 * 1024 * 1024  # a workbook of 64 MiB, with its envelope
# Submissions of 10,000 workloads and imports of workbooks that have begun shall end.
STOP_GRACE_S = 10.0
_OPTIONS = (
    # Two gateways on one port would share its callers at random: the second must be refused instead.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.keepalive_permit_without_calls", 1),
    *PENDING_OPTIONS,
)
_SERVICES = (
    workload_service_pb2.DESCRIPTOR.services_by_name["WorkloadService"].full_name,
    pool_service_pb2.DESCRIPTOR.services_by_name["PoolService"].full_name,
    ledger_service_pb2.DESCRIPTOR.services_by_name["LedgerService"].full_name,
    migration_service_pb2.DESCRIPTOR.services_by_name["MigrationService"].full_name,
    assessment_service_pb2.DESCRIPTOR.services_by_name["AssessmentService"].full_name,
    queue_service_pb2.DESCRIPTOR.services_by_name["QueueService"].full_name,
)


@dataclass(frozen=True, slots=True)
class Ports:
    """What the services are made of: the control plane's parts, or those of a test."""

    scheduling: Scheduling
    ledger: Ledger
    migration: Migration
    runs: Runs
    assessment: Assessment
    queues: Queues


@dataclass(frozen=True, slots=True)
class GatewayAccess:
    """How a gateway knows its callers: its guard, the path of a department in queues, its certificate (None: in the
    clear, on loopback only), and its own certificate towards adapters, whose logs it reads."""

    guard: Guard
    path_of: Callable[[str], str]
    tls: ServerTls | None = None
    to_adapters: ClientTls | None = None


class Unguarded(Enum):
    """Asked for by tests only: no access control at all, and loopback only."""

    UNGUARDED = auto()


UNGUARDED: Final = Unguarded.UNGUARDED


class Gateway:
    """Stateless: every call goes on to the ports. Any number of gateways may serve one control plane."""

    def __init__(self, ports: Ports, access: GatewayAccess | Unguarded) -> None:
        self._access = None if isinstance(access, Unguarded) else access
        self._draining = Draining()
        doors: list[Door] = [Overload()]
        if self._access is not None:
            doors.append(AccessDoor(self._access.guard))
        entrance = Entrance(CallMetrics(), (CallTraces(), self._draining), doors)
        self._server = grpc.aio.server(options=_OPTIONS, interceptors=(entrance,))
        adapters = partial(AdapterClient, tls=None if self._access is None else self._access.to_adapters)
        path_of = str if self._access is None else self._access.path_of
        scheduling = ScopedScheduling(ports.scheduling)
        add_WorkloadServiceServicer_to_server(WorkloadServicer(scheduling, adapters), self._server)
        add_PoolServiceServicer_to_server(PoolServicer(scheduling), self._server)
        add_LedgerServiceServicer_to_server(LedgerServicer(ScopedLedger(ports.ledger, path_of)), self._server)
        runs = ScopedRuns(ports.runs, path_of)
        add_MigrationServiceServicer_to_server(MigrationServicer(ports.migration, runs), self._server)
        add_AssessmentServiceServicer_to_server(AssessmentServicer(ports.assessment), self._server)
        add_QueueServiceServicer_to_server(QueueServicer(ScopedQueues(ports.queues)), self._server)
        self._vitals = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._vitals, self._server)
        self._names = list(_SERVICES)

    def offer_operation(self, operation: Operation) -> None:
        """Serves how the service itself does as well. Before `start`."""
        add_OperationServiceServicer_to_server(OperationServicer(operation), self._server)
        self._names.append(operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"].full_name)

    async def start(self, host: str, port: int) -> int:
        """Serves from now on; returns the port (0 asks for a free one). Raises StartRefused for a port in use, and
        where strangers could call."""
        tls = None if self._access is None else self._access.tls
        require_known_callers(host, are_known=tls is not None)
        names = (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        bound = bind(self._server, host, port, None if tls is None else tls.credentials())
        await self._server.start()
        for name in (*self._names, health.OVERALL_HEALTH):
            await self._vitals.set(name, health_pb2.HealthCheckResponse.SERVING)
        return bound

    async def close(self) -> None:
        """Takes no new calls, ends streams with a word where to go on, lets other calls end, then ends."""
        await self._vitals.enter_graceful_shutdown()
        self._draining.begin()
        await self._server.stop(STOP_GRACE_S)

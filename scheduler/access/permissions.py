"""What each call needs, as one table: which roles, and whether the whole service or a subtree is touched.

`door` asks it before every call; a call that is not in the table is refused. tests/access finds every RPC by
its descriptor, so that a new one without a row fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from scheduler.access.principals import Role

HEALTH: Final = frozenset({"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"})
REFLECTION: Final = frozenset(
    {
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    }
)


class Reach(Enum):
    """What a call touches. WITHIN: what lies in the caller's subtrees, and the rest does not exist for him. SERVICE:
    pools and other matters of the whole service, for which the role must be granted at the root."""

    WITHIN = auto()
    SERVICE = auto()


@dataclass(frozen=True, slots=True)
class Permission:
    """`by_act`: where one call does several things, the roles by the number in its field `act`."""

    roles: frozenset[Role]
    reach: Reach
    by_act: Mapping[int, frozenset[Role]] = field(default_factory=dict)


_ALL = frozenset(Role)
_SUBMITTING = frozenset({Role.SUBMITTER, Role.ADMINISTRATOR})
_STOPPING = _SUBMITTING | {Role.OPERATOR}
_OPERATING = frozenset({Role.OPERATOR, Role.ADMINISTRATOR})
# Whoever executes does not approve (职责分离): an administrator may not either, unless he was granted it as well.
_APPROVING = frozenset({Role.APPROVER})
# RunAct of migration_service.proto: approve, refuse; pause, resume, retry, skip, roll back.
_RUN_ACTS = {1: _APPROVING, 2: _APPROVING, **dict.fromkeys(range(3, 8), _OPERATING)}

LOOK = Permission(_ALL, Reach.WITHIN)
LOOK_AT_SERVICE = Permission(_ALL, Reach.SERVICE)
SUBMIT = Permission(_SUBMITTING, Reach.WITHIN)
STOP = Permission(_STOPPING, Reach.WITHIN)
OPERATE = Permission(_OPERATING, Reach.SERVICE)
APPROVE = Permission(_APPROVING, Reach.SERVICE)
ACT_ON_RUN = Permission(_OPERATING | _APPROVING, Reach.WITHIN, _RUN_ACTS)

_BY_SERVICE: Final[Mapping[str, Mapping[str, Permission]]] = {
    "xisuan.workload.v1.WorkloadService": {
        "Submit": SUBMIT,
        "SubmitBatch": SUBMIT,
        "SubmitStream": SUBMIT,
        "DryRun": SUBMIT,
        "Cancel": STOP,
        "Get": LOOK,
        "List": LOOK,
        "Watch": LOOK,
        "Explain": LOOK,
        "Estimate": LOOK,
        "Logs": LOOK,
    },
    "xisuan.pool.v1.PoolService": {
        "ListPools": LOOK_AT_SERVICE,
        "Register": OPERATE,
        "Cordon": OPERATE,
        "Drain": OPERATE,
        "Maintain": OPERATE,
        "Leave": OPERATE,
    },
    "xisuan.queue.v1.QueueService": {
        "ListQueues": LOOK,
        "ListReservations": LOOK,
        "ApplyQueues": OPERATE,
        "CreateReservation": OPERATE,
        "EndReservation": OPERATE,
    },
    "xisuan.inventory.v1.LedgerService": {
        "QuerySystems": LOOK,
        "GetDiff": LOOK_AT_SERVICE,
        "ListFindings": LOOK_AT_SERVICE,
        "GetRates": LOOK_AT_SERVICE,
        "Import": OPERATE,
        "Apply": OPERATE,
        "Resolve": OPERATE,
    },
    "xisuan.migration.v1.MigrationService": {
        "GetRun": LOOK,
        "ListRuns": LOOK,
        "ActOnRun": ACT_ON_RUN,
        "Check": LOOK_AT_SERVICE,
        "ListWaves": LOOK_AT_SERVICE,
        "GetStatus": LOOK_AT_SERVICE,
        "Report": LOOK_AT_SERVICE,
        "Forecast": LOOK_AT_SERVICE,
        "ExportEvidence": LOOK_AT_SERVICE,
        "Plan": OPERATE,
        "Replan": OPERATE,
        "StartWave": OPERATE,
        "OpenRun": OPERATE,
        "HoldCapacity": OPERATE,
        "ReleaseCapacity": OPERATE,
    },
    "xisuan.assessment.v1.AssessmentService": {
        "Assess": LOOK_AT_SERVICE,
        "ListReviews": LOOK_AT_SERVICE,
        "ListExceptions": LOOK_AT_SERVICE,
        "AnalyseDependencies": LOOK_AT_SERVICE,
        "RightSize": LOOK_AT_SERVICE,
        "CheckCompatibility": LOOK_AT_SERVICE,
        "CheckProject": LOOK_AT_SERVICE,
        "FindLookalikes": LOOK_AT_SERVICE,
        "ImportUtilisation": OPERATE,
        "ImportTraffic": OPERATE,
        "OpenReviews": OPERATE,
        "AdvanceReview": OPERATE,
        "DeclareRole": OPERATE,
        "Decide": APPROVE,
        "GrantException": APPROVE,
    },
    "xisuan.operation.v1.OperationService": {
        "GetServiceStatus": LOOK_AT_SERVICE,
    },
}
PERMISSIONS: Final[Mapping[str, Permission]] = {
    f"/{service}/{call}": permission
    for service, calls in _BY_SERVICE.items()
    for call, permission in calls.items()
}

"""How every servicer turns refusals into google.rpc.Status, and outcomes of items into ItemErrors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from adapters.wire.inspection import InvalidMessage, Violation, violations_to_wire
from adapters.wire.status import Failure, abort
from inventory.store.errors import Locked, StoreError, Unreachable
from scheduler.core.admission import RefusalKind, Refused
from scheduler.operation.instruments import REFUSED
from scheduler.services.ports import ControlPlaneUnavailable, ErrorCode, RequestError
from xisuan.common.v1 import common_pb2

Context = grpc.aio.ServicerContext[Any, Any]

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
_CODE_OF_REFUSAL = {
    RefusalKind.INVALID: ErrorCode.INVALID_ARGUMENT,
    RefusalKind.CONFLICT: ErrorCode.ALREADY_EXISTS,
    RefusalKind.PRECONDITION: ErrorCode.FAILED_PRECONDITION,
    RefusalKind.DENIED: ErrorCode.PERMISSION_DENIED,
}
_RETRY_MS = 1_000


@asynccontextmanager
async def answering(context: Context) -> AsyncIterator[None]:
    """The body of an RPC: what users can cause ends the call with its details; our own faults pass through."""
    try:
        yield
    except InvalidMessage as error:
        REFUSED.labels(ErrorCode.INVALID_ARGUMENT.name).inc()
        await abort(context, Failure.invalid(error))
    except RequestError as error:
        REFUSED.labels(error.reason or error.code.name).inc()
        at_fault = (Violation(error.field, error.message),) if error.field else ()
        retry = error.retry_after_ms or None
        await abort(context, Failure(_STATUS_CODES[error.code], error.message, error.reason, at_fault, retry))
    except ControlPlaneUnavailable as error:
        REFUSED.labels(ErrorCode.UNAVAILABLE.name).inc()
        await abort(context, Failure(grpc.StatusCode.UNAVAILABLE, str(error), retry_after_ms=_RETRY_MS))
    except (Locked, Unreachable) as error:
        # A full disk, a database that is being started again: the same call succeeds when that is over.
        await abort(context, Failure(grpc.StatusCode.UNAVAILABLE, str(error), retry_after_ms=_RETRY_MS))
    except StoreError as error:
        await abort(context, Failure(grpc.StatusCode.FAILED_PRECONDITION, str(error)))


def refused(outcome: Refused, path: str) -> RequestError:
    code = _CODE_OF_REFUSAL[outcome.kind]
    message = f"{path}: {outcome.message}" if path else outcome.message
    field = f"{path}.{outcome.field}" if path and outcome.field else outcome.field
    return RequestError(code, message, outcome.kind.name, field=field)


def refused_item(outcome: Refused, path: str) -> common_pb2.ItemError:
    REFUSED.labels(outcome.kind.name).inc()
    error = common_pb2.ItemError(code=int(_CODE_OF_REFUSAL[outcome.kind]), message=outcome.message)
    if outcome.field:
        error.field_violations.add(field=f"{path}.{outcome.field}", description=outcome.message)
    return error


def exhausted_item(error: RequestError) -> common_pb2.ItemError:
    """An item that may come again, unchanged, when there is less to do."""
    return common_pb2.ItemError(
        code=int(error.code), message=error.message, retryable=True, retry_after_ms=error.retry_after_ms
    )


def invalid_item(error: InvalidMessage) -> common_pb2.ItemError:
    REFUSED.labels(ErrorCode.INVALID_ARGUMENT.name).inc()
    return common_pb2.ItemError(
        code=int(ErrorCode.INVALID_ARGUMENT),
        message=str(error),
        field_violations=violations_to_wire(error.violations),
    )

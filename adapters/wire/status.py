"""Errors as google.rpc.Status: failing a call with details, and reading the details of a failed call.

Services and adapters call `abort`; clients (pool hosts, the command line) call `details_of`. The reasons in
ErrorInfo are stable words that programs match on; messages are for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from adapters.wire.inspection import InvalidMessage, Violation

DOMAIN = "xisuan"
STALE_EPOCH = "STALE_EPOCH"
CURSOR_EXPIRED = "CURSOR_EXPIRED"
_DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call fails. `message` is one line: value, rule, remedy. `reason` is an ErrorInfo reason or empty."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    violations: tuple[Violation, ...] = ()
    retry_after_ms: int | None = None

    @classmethod
    def invalid(cls, violations: InvalidMessage | Sequence[Violation]) -> Failure:
        """INVALID_ARGUMENT with every violation."""
        error = violations if isinstance(violations, InvalidMessage) else InvalidMessage(violations)
        return cls(grpc.StatusCode.INVALID_ARGUMENT, str(error), violations=error.violations)


class CallFailed(Exception):
    """Raised inside a servicer to end its call with this failure; `abort` is what finally sends it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


async def abort(context: grpc.aio.ServicerContext[Any, Any], failure: Failure) -> NoReturn:
    """Ends the call with code, message and details (BadRequest, ErrorInfo, RetryInfo as far as given)."""
    await context.abort_with_status(rpc_status.to_status(to_status_proto(failure)))
    raise AssertionError("unreachable: abort_with_status raises")


def to_status_proto(failure: Failure) -> status_pb2.Status:
    status = status_pb2.Status(code=failure.code.value[0], message=failure.message)
    if failure.violations:
        bad_request = error_details_pb2.BadRequest()
        for violation in failure.violations:
            bad_request.field_violations.add(field=violation.field, description=violation.description)
        _add(status, bad_request)
    if failure.reason:
        _add(status, error_details_pb2.ErrorInfo(reason=failure.reason, domain=DOMAIN))
    if failure.retry_after_ms is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(failure.retry_after_ms)
        _add(status, retry)
    return status


def _add(status: status_pb2.Status, detail: Any) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)


def details_of(error: grpc.RpcError) -> Failure:
    """The failure of a call, sync or asyncio. Details that are absent or not ours leave their fields empty."""
    call: Any = error  # grpc's RpcError is a Call as well, which its types do not say
    code, message = call.code(), call.details() or ""
    status = status_pb2.Status()
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            try:
                status.ParseFromString(value)
            except DecodeError:  # another program's details: code and message are still true
                return Failure(code, message)
    return _read_details(Failure(code, message), status)


def _read_details(plain: Failure, status: status_pb2.Status) -> Failure:
    bad_request, info, retry = (
        error_details_pb2.BadRequest(),
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
    )
    has_retry = False
    for detail in status.details:
        detail.Unpack(bad_request)
        detail.Unpack(info)
        has_retry = detail.Unpack(retry) or has_retry
    return Failure(
        plain.code,
        plain.message,
        reason=info.reason,
        violations=tuple(Violation(v.field, v.description) for v in bad_request.field_violations),
        retry_after_ms=retry.retry_delay.ToMilliseconds() if has_retry else None,
    )


class Answering:
    """Wraps the body of an RPC: CallFailed and InvalidMessage end the call with their details."""

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._context = context

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, CallFailed):
            await abort(self._context, error.failure)
        if isinstance(error, InvalidMessage):
            await abort(self._context, Failure.invalid(error))

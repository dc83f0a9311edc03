"""One channel to a Xisuan service: deadlines, retries, and every failure as one exception.

`xisuan.client` (submitting systems) and `xisuan.operations` (the command line) make their calls through it. It
needs grpcio, grpcio-status and protobuf, and nothing else.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from xisuan.credentials import Credentials, find_credentials
from xisuan.tracing import trace_metadata

CALL_TIMEOUT_S = 30.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_MESSAGE_LIMIT = 80 * 1024 * 1024
_DETAILS_KEY = "grpc-status-details-bin"
_OPTIONS = (
    ("grpc.max_receive_message_length", _MESSAGE_LIMIT),
    ("grpc.max_send_message_length", _MESSAGE_LIMIT),
    # A service that is gone without a word (a cut line) is noticed by the channel, not only by deadlines.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The pauses between attempts are ours; the channel's own must not be longer.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # The address is one of ours, never to be reached through a proxy of the machine.
    ("grpc.enable_http_proxy", 0),
)

Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that breaks a rule: its path in the request, and one line "value: 规则 / rule and remedy"."""

    field: str
    description: str


class CallError(Exception):
    """A call that failed, or one item of a batch that was refused.

    `code` is a name of google.rpc.Code ("INVALID_ARGUMENT", "NOT_FOUND", "UNAVAILABLE", ...); `reason` a stable
    word for programs, or empty; `message` one line for people: value, rule, remedy (one for each fault of a
    file). `retry_after_ms` is given when
    the same call may succeed later, unchanged.
    """

    def __init__(
        self,
        code: str,
        message: str,
        reason: str = "",
        violations: tuple[FieldViolation, ...] = (),
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.reason = reason
        self.violations = violations
        self.retry_after_ms = retry_after_ms

    @property
    def is_retryable(self) -> bool:
        """True when the same call, unchanged, may succeed later."""
        return self.code == "UNAVAILABLE" or self.retry_after_ms is not None


class Channel:
    """A connection to one service. `patience_s` is for how long an unavailable service is tried again. `credentials`
    None: those of the environment or of the service's home (`xisuan.credentials`)."""

    def __init__(self, address: str, patience_s: float, credentials: Credentials | None = None) -> None:
        self.address = address
        self.patience_s = patience_s
        known = find_credentials(address) if credentials is None else credentials
        self.metadata = known.metadata()
        self.grpc = known.channel(address, _OPTIONS)

    def close(self) -> None:
        self.grpc.close()

    def call(
        self,
        method: Callable[..., Response],
        request: Any,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        is_idempotent: bool = True,
    ) -> Response:
        """The answer. An idempotent call that failed for the moment is repeated. Raises CallError."""
        pauses = Pauses(self.patience_s if is_idempotent else 0.0)
        while True:
            try:
                with translated():
                    return method(request, timeout=timeout_s, metadata=(*self.metadata, *trace_metadata()))
            except CallError as error:
                if not error.is_retryable or not pauses.wait(error.retry_after_ms):
                    raise

    def is_serving(self, timeout_s: float) -> bool:
        """The standard health check, over plain bytes: the stubs of it are not part of the bare installation."""
        check: Callable[..., bytes] = self.grpc.unary_unary("/grpc.health.v1.Health/Check")
        try:
            answer = check(b"", timeout=timeout_s)
        except grpc.RpcError:
            return False
        return answer == b"\x08\x01"  # field 1 (status) = 1 (SERVING)


class Pauses:
    """Growing, slightly random pauses between attempts, for at most `patience_s` since the last success."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self.succeeded()

    def succeeded(self) -> None:
        self._ends = time.monotonic() + self._patience_s
        self._next = _FIRST_PAUSE_S

    def wait(self, retry_after_ms: int | None = None) -> bool:
        """Sleeps before the next attempt; False, at once, when patience would end before it."""
        asked = (retry_after_ms or 0) / 1000
        # Callers that failed together must not come back together.
        pause = max(asked, self._next) * random.uniform(0.8, 1.2)
        if time.monotonic() + pause > self._ends:
            return False
        time.sleep(pause)
        self._next = min(self._next * 2, _LONGEST_PAUSE_S)
        return True


@contextmanager
def translated() -> Iterator[None]:
    """Turns gRPC's error into a CallError with what its details say."""
    try:
        yield
    except grpc.RpcError as error:
        raise _call_error(error) from error


def _call_error(error: grpc.RpcError) -> CallError:
    call: Any = error  # grpc's RpcError is a Call as well, which its types do not say
    # Several faults of one file come as lines; within a line no white space is worth keeping.
    said = (" ".join(line.split()) for line in (call.details() or "").splitlines())
    code, message = call.code().name, "\n".join(line for line in said if line)
    status = status_pb2.Status()
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            try:
                status.ParseFromString(value)
            except DecodeError:  # another program's details: code and message are still true
                return CallError(code, message)
    violations, info, retry = (
        error_details_pb2.BadRequest(),
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
    )
    retry_after_ms = None
    for detail in status.details:
        detail.Unpack(violations)
        detail.Unpack(info)
        if detail.Unpack(retry):
            retry_after_ms = retry.retry_delay.ToMilliseconds()
    found = tuple(FieldViolation(one.field, one.description) for one in violations.field_violations)
    return CallError(code, message, info.reason, found, retry_after_ms)

"""Counts every RPC of a gateway by service, method and code, and how long it took.

`scheduler.services.entrance` puts it outermost, so that what other layers refuse is counted too. Methods that no service
has are counted under one name: callers must not be able to make series.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Any, TypeAlias

import grpc

from scheduler.operation.instruments import GRPC_HANDLED, GRPC_SECONDS

# Generic in the stubs of its types, and not at run time.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_UNKNOWN = "unknown"


class CallMetrics:
    """The outermost layer (`scheduler.services.entrance`)."""

    def around(self, handler: Handler, method: str) -> Handler:
        """The same handler, counted."""
        service, _, name = method.lstrip("/").partition("/")
        series = _Series(service, name)
        behaviour, make = _form(handler)

        async def answer(request: Any, context: Any) -> Any:
            async with _Counting(series, context):
                return await behaviour(request, context)

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            async with _Counting(series, context):
                answering = behaviour(request, context)
                if hasattr(answering, "__aiter__"):
                    async for response in answering:
                        yield response
                else:
                    await answering  # it writes to the context itself, as the health service does

        made: Handler = make(
            stream if handler.response_streaming else answer,
            handler.request_deserializer,
            handler.response_serializer,
        )
        return made

    def unknown(self) -> None:
        """A call of a method that no service has."""
        GRPC_HANDLED.labels(_UNKNOWN, _UNKNOWN, grpc.StatusCode.UNIMPLEMENTED.name).inc()


class _Series:
    """The series of one method; to look one up costs more than to count into it."""

    def __init__(self, service: str, method: str) -> None:
        self.seconds = GRPC_SECONDS.labels(service, method)
        self.handled = cache(lambda code: GRPC_HANDLED.labels(service, method, code))


def _form(handler: Handler) -> tuple[Callable[[Any, Any], Any], Callable[..., Any]]:
    """What answers, and what makes a handler of the same kind."""
    forms: dict[tuple[bool, bool], tuple[Any, Callable[..., Any]]] = {
        (False, False): (handler.unary_unary, grpc.unary_unary_rpc_method_handler),
        (False, True): (handler.unary_stream, grpc.unary_stream_rpc_method_handler),
        (True, False): (handler.stream_unary, grpc.stream_unary_rpc_method_handler),
        (True, True): (handler.stream_stream, grpc.stream_stream_rpc_method_handler),
    }
    return forms[bool(handler.request_streaming), bool(handler.response_streaming)]


class _Counting:
    """One call, from its first byte of work to its end, however it ends."""

    __slots__ = ("_context", "_series", "_started")

    def __init__(self, series: _Series, context: Any) -> None:
        self._series = series
        self._context = context

    async def __aenter__(self) -> None:
        self._started = time.perf_counter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        self._series.seconds.observe(time.perf_counter() - self._started)
        self._series.handled(self._code(error)).inc()

    def _code(self, error: BaseException | None) -> str:
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            return grpc.StatusCode.CANCELLED.name
        code = self._context.code()
        if code is not None and code != 0:
            return code.name if isinstance(code, grpc.StatusCode) else _CODES.get(code, _UNKNOWN)
        return grpc.StatusCode.OK.name if error is None else grpc.StatusCode.UNKNOWN.name


_CODES = {code.value[0]: code.name for code in grpc.StatusCode}

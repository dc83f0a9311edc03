"""Counts every RPC of a gateway by service, method and code, and how long it took.

`scheduler.services.server` gives it to its gRPC server as the outermost interceptor, so that what other interceptors
refuse is counted too. Methods that no service has are counted under one name: callers must not be able to make series.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from scheduler.operation.instruments import GRPC_HANDLED, GRPC_SECONDS

# Generic in the stubs of its types, and not at run time.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_UNKNOWN = "unknown"


class CallMetrics(grpc.aio.ServerInterceptor):
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None:
            GRPC_HANDLED.labels(_UNKNOWN, _UNKNOWN, grpc.StatusCode.UNIMPLEMENTED.name).inc()
            return None
        service, _, method = handler_call_details.method.lstrip("/").partition("/")
        return counted(handler, service, method)


def counted(handler: Handler, service: str, method: str) -> Handler:
    """The same handler, counted."""
    behaviour, make = _form(handler)

    async def answer(request: Any, context: Any) -> Any:
        async with _Counting(service, method, context):
            return await behaviour(request, context)

    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        async with _Counting(service, method, context):
            answering = behaviour(request, context)
            if hasattr(answering, "__aiter__"):
                async for response in answering:
                    yield response
            else:
                await answering  # it writes to the context itself, as the health service does

    made: Handler = make(
        stream if handler.response_streaming else answer, handler.request_deserializer, handler.response_serializer
    )
    return made


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

    def __init__(self, service: str, method: str, context: Any) -> None:
        self._service = service
        self._method = method
        self._context = context

    async def __aenter__(self) -> None:
        self._started = time.perf_counter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        GRPC_SECONDS.labels(self._service, self._method).observe(time.perf_counter() - self._started)
        GRPC_HANDLED.labels(self._service, self._method, self._code(error)).inc()

    def _code(self, error: BaseException | None) -> str:
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            return grpc.StatusCode.CANCELLED.name
        code = self._context.code()
        if code is not None and code != 0:
            return code.name if isinstance(code, grpc.StatusCode) else _CODES.get(code, _UNKNOWN)
        return grpc.StatusCode.OK.name if error is None else grpc.StatusCode.UNKNOWN.name


_CODES = {code.value[0]: code.name for code in grpc.StatusCode}

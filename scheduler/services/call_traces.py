"""Makes each unary RPC of a gateway a span, below the trace that its caller names.

`scheduler.services.server` gives it to its gRPC server; what the call asks of the control plane carries the trace on.
Streams are not spans: a watch that lasts for days tells nothing by its duration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from adapters.tracing import KEY, is_tracing, span

# Generic in the stubs of its types, and not at run time.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_UNTRACED = ("/grpc.health.", "/grpc.reflection.")


class CallTraces(grpc.aio.ServerInterceptor):
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not is_tracing() or method.startswith(_UNTRACED):
            return handler
        if handler.request_streaming or handler.response_streaming:
            return handler
        metadata = dict(handler_call_details.invocation_metadata or ())
        parent = str(metadata.get(KEY, ""))
        behaviour: Any = handler.unary_unary
        service, _, name = method.lstrip("/").partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}

        async def answer(request: Any, context: Any) -> Any:
            with span(method.lstrip("/"), parent, attributes, is_server=True):
                return await behaviour(request, context)

        made: Handler = grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )
        return made

"""Makes each unary RPC of a gateway a span, below the trace that its caller names.

What the call asks of the control plane carries the trace on.
Streams are not spans: a watch that lasts for days tells nothing by its duration.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from adapters.tracing import KEY, is_tracing, span

# Generic in the stubs of its types, and not at run time.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_UNTRACED = ("/grpc.health.", "/grpc.reflection.")


class CallTraces:
    """A layer of `scheduler.services.entrance`."""

    def around(self, handler: Handler, method: str) -> Handler:
        if method.startswith(_UNTRACED) or handler.request_streaming or handler.response_streaming:
            return handler
        behaviour: Any = handler.unary_unary
        name = method.lstrip("/")
        service, _, rpc = name.partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": rpc}

        async def answer(request: Any, context: Any) -> Any:
            if not is_tracing():
                return await behaviour(request, context)
            parent = str(dict(context.invocation_metadata() or ()).get(KEY, ""))
            with span(name, parent, attributes, is_server=True):
                return await behaviour(request, context)

        made: Handler = grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )
        return made

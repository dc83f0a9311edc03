"""The one interceptor of a gateway: what every call passes, put around each method once and not at each of its calls.

`scheduler.services.server` gives it to its gRPC server. Layers that need nothing but the call itself (metrics, traces,
draining) are wrapped around a method's handler when it is called first; only the door is asked at every call, before the
message is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias

import grpc

from scheduler.services.call_metrics import CallMetrics

# Generic in the stubs of its types, and not at run time.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"


class Layer(Protocol):
    def around(self, handler: Handler, method: str) -> Handler:
        """The same handler within this layer; `method` is its full name, "/package.Service/Method"."""


class Door(Layer, Protocol):
    async def refusal(self, details: grpc.HandlerCallDetails) -> Handler | None:
        """What ends a call that may not come in, without reading its message; None for one that may."""


class Entrance(grpc.aio.ServerInterceptor):
    """`layers` from the outermost to the innermost, all of them within the metrics; `doors` in the order of asking."""

    def __init__(self, metrics: CallMetrics, layers: Sequence[Layer], doors: Sequence[Door]) -> None:
        self._metrics = metrics
        self._layers = (metrics, *layers, *doors)
        self._doors = tuple(doors)
        self._known: dict[str, Handler] = {}

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler | None:
        method = details.method
        handler = self._known.get(method)
        if handler is None:
            found = await continuation(details)
            if found is None:
                self._metrics.unknown()
                return None
            handler = self._known[method] = self._around(found, method)
        for door in self._doors:
            refusal = await door.refusal(details)
            if refusal is not None:
                return self._metrics.around(refusal, method)
        return handler

    def _around(self, handler: Handler, method: str) -> Handler:
        for layer in reversed(self._layers):
            handler = layer.around(handler, method)
        return handler

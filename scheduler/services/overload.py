"""Refuses calls while too many are under way, before their messages are read: with a code that clients repeat, and a delay.

A door of `scheduler.services.entrance`. Without it a gateway that is asked for more than it can do takes everything in,
answers each call later than the one before, and gRPC itself ends with CANCELLED what piles up before it, which no client
repeats.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from adapters.wire.status import Failure
from scheduler.access.door import refusing

# Generic in the stubs of its types, and not at run time.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
# A gateway answers some hundreds a second: who comes after so many would wait for about a second.
MOST_UNDER_WAY = 512
RETRY_MS = 1_000
# What has arrived and was not taken yet lies in gRPC, which drops calls beyond these numbers (the first: at random).
PENDING_OPTIONS = (
    ("grpc.server.max_pending_requests", 16_384),
    ("grpc.server.max_pending_requests_hard_limit", 32_768),
)


class Overload:
    """Counts unary calls; streams wait for news most of their time, and are bounded by those who open them."""

    def __init__(self, most: int = MOST_UNDER_WAY) -> None:
        self._most = most
        self._under_way = 0
        self._unary: set[str] = set()

    async def refusal(self, details: grpc.HandlerCallDetails) -> Handler | None:
        if self._under_way < self._most or details.method not in self._unary:
            return None
        return refusing(
            Failure(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"同时处理的请求已达 {self._most}；请稍后重试 / {self._most} calls are under way; retry later",
                "OVERLOADED",
                retry_after_ms=RETRY_MS,
            )
        )

    def around(self, handler: Handler, method: str) -> Handler:
        if handler.request_streaming or handler.response_streaming:
            return handler
        self._unary.add(method)
        behaviour: Any = handler.unary_unary

        async def answer(request: Any, context: Any) -> Any:
            self._under_way += 1
            try:
                return await behaviour(request, context)
            finally:
                self._under_way -= 1

        made: Handler = grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )
        return made

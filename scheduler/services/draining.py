"""Lets a gateway end in good order: unary calls finish, streams end at once and say where to go on.

Without it, stopping would wait for watchers, who never end by themselves, and would then cut off whoever is in the
middle of a submission.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc

from adapters.wire.status import Failure, abort

# Generic in the stubs of its types, and not at run time.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_RETRY_MS = 1_000


class Draining:
    """A layer of `scheduler.services.entrance`."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """From now on streams end with UNAVAILABLE, which clients resume elsewhere from their cursor."""
        self._begun.set()

    def around(self, handler: Handler, method: str) -> Handler:
        if not handler.response_streaming:
            return handler
        behaviour: Any = handler.stream_stream if handler.request_streaming else handler.unary_stream
        make: Any = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            answering = behaviour(request, context)
            if not hasattr(answering, "__aiter__"):
                await answering  # it writes to the context itself, and ends by itself: the health service
                return
            async for response in self._until_begun(answering):
                yield response
            if self._begun.is_set():
                await abort(context, _closing())

        made: Handler = make(stream, handler.request_deserializer, handler.response_serializer)
        return made

    async def _until_begun(self, responses: Any) -> AsyncIterator[Any]:
        """The same responses, until draining begins; then the one that is awaited is given up."""
        begun = asyncio.ensure_future(self._begun.wait())
        iterator = aiter(responses)
        coming: asyncio.Task[Any] | None = None
        try:
            while not self._begun.is_set():
                coming = asyncio.ensure_future(anext(iterator))
                await asyncio.wait((coming, begun), return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    return
                try:
                    response = coming.result()
                except StopAsyncIteration:
                    return
                yield response
        finally:
            begun.cancel()
            if coming is not None and not coming.done():
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
            await iterator.aclose()


def _closing() -> Failure:
    return Failure(
        grpc.StatusCode.UNAVAILABLE,
        "服务正在停止，请稍后从原游标继续 / the service is stopping: go on from your cursor in a moment",
        "CLOSING",
        retry_after_ms=_RETRY_MS,
    )

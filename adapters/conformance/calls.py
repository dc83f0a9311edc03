"""A stub that counts which RPCs the suite has called, and gives every unary call a deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

RPCS: dict[str, bool] = {
    method.name: method.server_streaming for method in pb.DESCRIPTOR.services_by_name["PoolAdapterService"].methods
}
"""The contract's RPCs by name; True where the answer is a stream."""


class CountedStub:
    """`PoolAdapterServiceStub` with the same names. Streams have the deadline that their caller gives; `metadata` goes
    with every call."""

    def __init__(
        self, stub: object, called: dict[str, int], call_s: float, metadata: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self._stub = stub
        self._called = called
        self._call_s = call_s
        self._metadata = metadata
        self.latest = ""
        """The RPC that was called last."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._stub, name)
        streams = RPCS[name]

        def call(request: object, **options: object) -> Any:
            self._called[name] = self._called.get(name, 0) + 1
            self.latest = name
            if not streams:
                options.setdefault("timeout", self._call_s)
            if self._metadata:
                options.setdefault("metadata", self._metadata)
            return method(request, **options)

        return call

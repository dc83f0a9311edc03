"""The adapter contract from the scheduler's side: what may be asked of a pool, and what can go wrong.

Pool hosts call an `AdapterPort`; `adapters.client` implements it over gRPC, tests and simulations in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.contract import Capabilities, Launch, Refusal, RunReport, Stop
from inventory.model.pool import Node


class AdapterUnavailable(Exception):
    """The adapter did not answer, or not in time. The outcome of the call is unknown; it may be repeated."""


class AdapterMisbehaved(Exception):
    """The adapter answered something that cannot be true (another pool's id, negative capacity)."""


class CursorExpired(Exception):
    """The adapter no longer keeps the changes after this cursor: list all runs, then watch anew."""


class CapabilityMissing(AdapterUnavailable):
    """The pool does not declare the capability that this call needs: it is not repeated."""


class StaleEpoch(Exception):
    """The adapter has seen a newer leader: this one must stop leading."""


@dataclass(frozen=True, slots=True)
class NodeList:
    nodes: tuple[Node, ...]
    shared_disk_bytes: int


@dataclass(frozen=True, slots=True)
class RunList:
    """Every run that the adapter remembers, and the cursor to watch from."""

    runs: tuple[RunReport, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class WatchBatch:
    cursor: str
    runs: tuple[RunReport, ...] = ()
    nodes_changed: bool = False


class AdapterPort(Protocol):
    """The adapter contract from the scheduler's side. Every method may raise AdapterUnavailable."""

    async def capabilities(self) -> Capabilities: ...

    async def nodes(self) -> NodeList: ...

    async def runs(self) -> RunList: ...

    def watch(self, cursor: str) -> AsyncIterator[WatchBatch]:
        """Raises CursorExpired where the cursor is too old."""

    async def launch(self, epoch: int, launches: Sequence[Launch]) -> list[RunReport | Refusal]:
        """Raises StaleEpoch."""

    async def stop(self, epoch: int, stops: Sequence[Stop]) -> list[RunReport | Refusal]:
        """Raises StaleEpoch."""

    async def renew_leases(self, epoch: int, now_ms: int) -> list[str]:
        """A contact: every lease at the pool runs anew. Returns runs whose lease had expired. Raises StaleEpoch."""

    async def close(self) -> None: ...

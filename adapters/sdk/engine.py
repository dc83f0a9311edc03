"""What a technology implements whose engine is another program: a Kubernetes cluster, a Slurm, a remote Ray.

`adapters.sdk.engine_backend` turns an `Engine` into a `PoolBackend`: it remembers runs durably, asks the engine
again after a crash or a gap, and reports each change once. An engine only translates; it remembers nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc

from adapters.contract import Capabilities, Launch, Refusal, RunReport
from adapters.wire.status import CallFailed, Failure
from inventory.model.pool import Node

_RETRY_AFTER_MS = 1000


class EngineUnavailable(CallFailed):
    """The engine cannot be asked now: not reachable, overloaded, or it refuses this adapter's credentials.

    What was asked may or may not have happened. The message is one line with the endpoint and the remedy; a call
    that it escapes from ends as UNAVAILABLE.
    """

    def __init__(self, message: str) -> None:
        super().__init__(Failure(grpc.StatusCode.UNAVAILABLE, message, retry_after_ms=_RETRY_AFTER_MS))


class NotNow(CallFailed):
    """The run is not in a state for what was asked. One line; a call that it escapes from ends as FAILED_PRECONDITION."""

    def __init__(self, message: str) -> None:
        super().__init__(Failure(grpc.StatusCode.FAILED_PRECONDITION, message))


@dataclass(frozen=True, slots=True)
class Taken:
    """The engine has a run, and calls it `handle` (never empty). `nodes` where they are known already."""

    run_id: str
    handle: str
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancel:
    """A run that is to end: politely first, by force after `grace_ms`. `handle` "" while it is not known."""

    run_id: str
    handle: str
    grace_ms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run is now, and what the engine calls it (never empty)."""

    report: RunReport
    handle: str


class Observer(Protocol):
    """Where an engine says what it sees; both may be called from its event loop at any time after `open`."""

    def observed(self, seen: Sequence[Seen]) -> None:
        """What runs are now. The same thing may be said twice; unknown run ids are ignored."""

    def nodes_changed(self) -> None:
        """`nodes` would answer differently now."""

    def gap(self) -> None:
        """Changes may have been missed: the engine is surveyed anew."""

    def failed(self, message: str) -> None:
        """The engine can observe no more: the adapter ends, and a restart recovers."""


class Engine(Protocol):
    """One technology. Every method may raise EngineUnavailable."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def shared_disk_bytes(self) -> int: ...

    async def open(self, observer: Observer) -> None:
        """Connects and begins to observe. Raises EngineUnavailable when the engine cannot be used at all."""

    async def close(self) -> None:
        """Ends the adapter's own work; runs go on."""

    async def submit(self, launches: Sequence[Launch]) -> Sequence[Taken | Refusal]:
        """A result per item, in order. Idempotent on the run id also across restarts of this adapter: a run that
        the engine has already is Taken again, not started again."""

    async def cancel(self, cancels: Sequence[Cancel]) -> None:
        """Asks for the end of these runs; what the engine does not know is ignored. The end is observed."""

    async def survey(self) -> Sequence[Seen]:
        """Every run of this pool that the engine still knows, ended ones as far back as it keeps them.

        An active run that is missing here is gone: it is reported as lost, or as stopped if that was asked.
        """

    async def recall(self, missing: Mapping[str, str]) -> Sequence[Seen]:
        """How runs ended that a survey no longer shows, where the engine keeps a longer memory of them; `missing` are
        handles by run id. Runs that are not told of are gone; one that is told of as not ended goes on."""

    async def nodes(self) -> Sequence[Node]:
        """All nodes now, in a stable order."""

    def logs(self, handle: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        """The output of a run from byte `offset`; asked only where the capability `logs` is declared."""

"""How one actor calls another: by name, with Ray's failures turned into ours.

Kept apart from the actors themselves, so that a process loads only what its own actor needs.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from adapters.contract import Launch, Refusal, RunReport, Stop
from adapters.port import AdapterUnavailable
from adapters.tracing import current_traceparent, launching
from inventory.model.pool import Pool
from inventory.store import attribution
from scheduler.operation.run_traces import RUN_TRACES
from scheduler.ports import NodeAnswers, NodeBatch, PoolView
from scheduler.runtime.changed_views import ViewCopy
from scheduler.runtime.pool_link import LinkStart
from scheduler.services.ports import ControlPlaneUnavailable

if TYPE_CHECKING:
    # A gateway calls, and decides nothing: it need not load what a cycle is made of.
    from inventory.model.workload import Requirements
    from scheduler.access.guard import AccessSettings
    from scheduler.core.placement.defragmentation import Move, MovePlan
    from scheduler.core.placement.pool_state import PoolState
    from scheduler.cycle import CycleSettings

NAMESPACE = "xisuan"
LEASE_MS = 10_000
CONTROL_PLANE = "control-plane"
log = logging.getLogger("xisuan.calls")


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """`pool_hosts` actors share the pools; `gateways` answer gRPC calls; `cycle` is how placements are decided (None:
    as by default); `access` is how gateways know their callers, and where the certificates lie. `holder` names this
    installation in the leader's lease, which lasts `lease_ms`; no two that may lead on one store have the same name."""

    store_url: str
    pool_hosts: int = 1
    gateways: int = 1
    cycle: CycleSettings | None = None
    access: AccessSettings = field(kw_only=True)
    holder: str = field(kw_only=True)
    lease_ms: int = LEASE_MS


def pool_host_name(number: int) -> str:
    return f"pool-host-{number}"


def actor(name: str) -> Any:
    """The handle of an actor. Raises ValueError while there is none.

    Looked up once: Ray asks its head for a name, and blocks the caller's event loop for that long. A handle outlives
    restarts of its actor; after an error it is forgotten all the same (`lost`), in case another has taken the name.
    """
    if name not in _handles:
        _handles[name] = ray.get_actor(name, NAMESPACE)
    return _handles[name]


def lost(name: str) -> None:
    """A call of this actor found it gone: it is looked up anew."""
    _handles.pop(name, None)


_handles: dict[str, Any] = {}


def control_plane() -> Any:
    """The handle of the control-plane actor. Raises ValueError while there is none."""
    return actor(CONTROL_PLANE)


def _riding() -> tuple[attribution.Attribution | None, str]:
    """What goes with every call: on whose behalf it is made, and the trace that it belongs to."""
    return attribution.current(), current_traceparent()


class RemotePart:
    """A port of `scheduler.services`, answered by the control-plane actor on behalf of whoever asks here."""

    def __init__(self, part: str) -> None:
        self._part = part

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            try:
                return await control_plane().call.remote(self._part, method, arguments, *_riding())
            except RayTaskError as error:
                raise error.cause from None
            except (RayActorError, ValueError) as error:
                lost(CONTROL_PLANE)
                raise ControlPlaneUnavailable(
                    "控制平面正在启动或重启，请重试 / the control plane is starting or restarting; retry"
                ) from error

        return call


class RayHosts:
    """`PoolHosts` over the pool-host actors; a pool belongs to the host that its id hashes to."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._copies = {name: ViewCopy() for name in self._names}

    async def attach(self, pool: Pool, endpoint: str, start: LinkStart) -> None:
        await self._call(self._name(pool.pool_id), "attach", pool, endpoint, start)

    async def detach(self, pool_id: str) -> None:
        await self._call(self._name(pool_id), "detach", pool_id)

    async def attached(self) -> frozenset[str]:
        answers = await asyncio.gather(*(self._call(name, "attached") for name in self._names))
        return frozenset().union(*answers)

    async def views(self) -> Mapping[str, PoolView]:
        calls = (self._views_of(name) for name in self._names)
        return _merged(await asyncio.gather(*calls, return_exceptions=True))

    async def _views_of(self, name: str) -> Mapping[str, PoolView]:
        copy_of = self._copies[name]
        copy_of.take(await self._call(name, "views_since", copy_of.mark))
        return copy_of.views

    async def states(self) -> Mapping[str, PoolState]:
        calls = (self._call(name, "states") for name in self._names)
        states: Mapping[str, PoolState] = _merged(await asyncio.gather(*calls, return_exceptions=True))
        # Arrays that Ray hands over lie in its store and cannot be written; whoever asks wants to try something.
        return copy.deepcopy(states)

    async def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        return await self._spread("place", requests)

    async def probe(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        return await self._spread("probe", requests)

    async def fits_without(self, pool_id: str, batch: NodeBatch, victims: Sequence[str]) -> bool:
        fits: bool = await self._call(self._name(pool_id), "fits_without", pool_id, batch, victims)
        return fits

    async def propose_moves(
        self, pool_id: str, asked: Requirements, share: float, movable: Collection[str]
    ) -> MovePlan:
        plan: MovePlan = await self._call(
            self._name(pool_id), "propose_moves", pool_id, asked, share, frozenset(movable)
        )
        return plan

    async def keep(self, pool_id: str, move: Move, asked: Requirements) -> bool:
        kept: bool = await self._call(self._name(pool_id), "keep", pool_id, move, asked)
        return kept

    async def shut(self, pool_id: str, node_id: str, is_shut: bool) -> None:
        await self._call(self._name(pool_id), "shut", pool_id, node_id, is_shut)

    async def release(self, run_ids: Mapping[str, Sequence[str]]) -> None:
        await self._spread("release", run_ids)

    async def launch(self, pool_id: str, epoch: int, launches: Sequence[Launch]) -> list[RunReport | Refusal]:
        with RUN_TRACES.sending((one.run_id for one in launches), pool_id):
            answer: list[RunReport | Refusal] = await self._call(
                self._name(pool_id), "launch", pool_id, epoch, launches
            )
        return answer

    async def stop(self, pool_id: str, epoch: int, stops: Sequence[Stop]) -> list[RunReport | Refusal]:
        answer: list[RunReport | Refusal] = await self._call(self._name(pool_id), "stop", pool_id, epoch, stops)
        return answer

    async def close(self) -> None:
        answers = (self._call(name, "close") for name in self._names)
        await asyncio.gather(*answers, return_exceptions=True)

    def _name(self, pool_id: str) -> str:
        return self._names[zlib.crc32(pool_id.encode()) % len(self._names)]

    async def _spread(self, method: str, by_pool: Mapping[str, Any]) -> dict[str, Any]:
        """Splits a call by host. A host that does not answer is left out: its pools are not in the result."""
        shares: dict[str, dict[str, Any]] = {}
        for pool_id, asked in by_pool.items():
            shares.setdefault(self._name(pool_id), {})[pool_id] = asked
        calls = (self._call(name, method, share) for name, share in shares.items())
        return _merged(await asyncio.gather(*calls, return_exceptions=True))

    async def _call(self, name: str, method: str, *arguments: Any) -> Any:
        try:
            return await actor(name).call.remote(method, arguments, launching.get())
        except RayTaskError as error:
            raise error.cause from None
        except (RayActorError, ValueError) as error:
            lost(name)
            raise AdapterUnavailable(f"池主机 {name} 正在重启 / pool host {name} is being restarted") from error


def _merged(answers: Sequence[Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for answer in answers:
        if isinstance(answer, AdapterUnavailable):
            log.warning("%s", answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            merged |= answer or {}
    return merged

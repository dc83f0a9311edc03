"""A remote Ray cluster as an engine: one job a run, named by the run id, listed every second.

`__main__.py` gives it to the sdk. Ray refuses a submission id that it has, so a repeated launch is the same job by
Ray's own rule, also after this adapter has lost its memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from adapters.contract import AcceleratorSupport, Capabilities, Launch, Refusal, RefusalCode
from adapters.rayjobs import jobs, naming
from adapters.rayjobs.api import Json, RayApi, RayRefused
from adapters.rayjobs.nodes import Cards, RayNode, live_nodes
from adapters.rayjobs.output import ProgramOutput
from adapters.rayjobs.submission import submission
from adapters.sdk.engine import Cancel, EngineUnavailable, Observer, Seen, Taken
from inventory.model.pool import Node, Pool

_LOOK_EVERY_S = 1.0
_NODES_EVERY_S = 5.0
_STOP_AGAIN_S = 5.0
_FORGET_AT_ONCE = 50
_AT_ONCE = 8
_MAX_BATCH = 200


@dataclass(frozen=True, slots=True)
class RaySettings:
    """What the operator of the adapter chooses; see `--help` of `python -m adapters.rayjobs`."""

    cards: Cards
    grace_s: int = 10
    keep_s: int = 3600
    launch_rate: int = 2


class RayJobsEngine:
    """An `Engine` over one Ray cluster."""

    def __init__(self, pool: Pool, api: RayApi, settings: RaySettings) -> None:
        self._pool = pool
        self._api = api
        self._settings = settings
        self._prefix = naming.prefix(pool.pool_id)
        self._nodes: list[RayNode] = []
        self._jobs: dict[str, Json] = {}
        self._known: dict[str, Seen] = {}
        self._stopping: dict[str, float] = {}  # handle to when the end was last asked for
        self._is_surveyed = False
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._lookout: asyncio.Task[None] | None = None
        self.shared_disk_bytes = pool.disk_bytes
        self.capabilities = Capabilities(
            pool_id=pool.pool_id,
            technology="rayjobs",
            runtimes=("ray-job",),
            max_batch=_MAX_BATCH,
            # A Ray job is one driver: what it spreads over the cluster are Ray's own tasks and actors.
            gangs=False,
            # Ray shares cards by thousandths; more than one are whole.
            accelerators=(AcceleratorSupport(pool.accelerator, step_milli=1),) if pool.accelerator else (),
            chooses_nodes=True,
            refuses_when_full=False,
            launches_per_second=settings.launch_rate,
        )

    # -- Engine -------------------------------------------------------------------------------------------------

    async def open(self, observer: Observer) -> None:
        await self._api.open()
        try:
            self._nodes = await self._live_nodes()
        except EngineUnavailable:
            await self._api.close()
            raise
        self._observer = observer
        self._lookout = asyncio.create_task(self._look_out())

    async def close(self) -> None:
        if self._lookout is not None:
            self._lookout.cancel()
            await asyncio.gather(self._lookout, return_exceptions=True)
            await self._api.close()

    async def submit(self, launches: Sequence[Launch]) -> Sequence[Taken | Refusal]:
        return await asyncio.gather(*(self._submit(launch) for launch in launches))

    async def cancel(self, cancels: Sequence[Cancel]) -> None:
        """Ray knows one grace for each job, from its launch: `grace_ms` of the stop itself cannot be told to it."""
        handles = [one.handle or naming.submission_id(self._pool.pool_id, one.run_id) for one in cancels]
        self._stopping.update((handle, time.monotonic()) for handle in handles)
        await asyncio.gather(*(self._stop(handle) for handle in handles))

    async def survey(self) -> Sequence[Seen]:
        self._nodes = await self._live_nodes()
        seen = self._reports(await self._ours())
        self._is_surveyed = True
        return list(seen.values())

    async def recall(self, missing: Mapping[str, str]) -> Sequence[Seen]:
        """Nothing: Ray remembers what it lists, and no more."""
        return ()

    async def nodes(self) -> Sequence[Node]:
        return [one.node for one in self._nodes]

    async def logs(self, handle: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        """Ray keeps a file on the node where the job ran, and can give it from its beginning only."""
        sent = 0
        if follow and not self._has_ended(handle):
            async for piece in self._output(handle, follow=True):
                fresh = piece[max(0, offset - sent) :]
                sent += len(piece)
                if fresh:
                    yield fresh
        offset = max(offset, sent)
        sent = 0
        async for piece in self._output(handle, follow=False):
            fresh = piece[max(0, offset - sent) :]
            sent += len(piece)
            if fresh:
                yield fresh

    # -- one run ------------------------------------------------------------------------------------------------

    async def _submit(self, launch: Launch) -> Taken | Refusal:
        handle = naming.submission_id(self._pool.pool_id, launch.run_id)
        on = next((one for one in self._nodes if launch.nodes and one.node.node_id == launch.nodes[0]), None)
        if launch.nodes and on is None:
            text = f"{launch.nodes[0]}: 集群中没有此节点，请重新列出节点 / no such node: list the nodes and place it anew"
            return Refusal(launch.run_id, RefusalCode.NOT_FOUND, text)
        need = launch.requirements.per_task.accelerator_milli
        cards = self._card_resource(on, launch.requirements.accelerator) if need else ""
        if need and not cards:
            text = (
                "accelerator: 所选节点没有加速卡，请重新选择 / the chosen nodes have no such cards: place it anew"
            )
            return Refusal(launch.run_id, RefusalCode.RESOURCE_EXHAUSTED, text)
        if need > 1000 and need % 1000:
            text = f"{need} milli: 多于一张须为整卡 / more than one card must be whole: a multiple of 1000"
            return Refusal(launch.run_id, RefusalCode.INVALID_ARGUMENT, text)
        node_id = on.ray_id if on else ""
        try:
            async with self._at_once:
                await self._api.submit(
                    submission(launch, self._pool.pool_id, node_id, cards, self._settings.grace_s)
                )
        except EngineUnavailable as error:
            return Refusal(launch.run_id, RefusalCode.UNAVAILABLE, str(error))
        except RayRefused as refused:
            text = f"{launch.run_id}: Ray 拒绝了此运行 / Ray refused it: {refused}"
            return Refusal(launch.run_id, RefusalCode.INVALID_ARGUMENT, text)
        return Taken(launch.run_id, handle)

    def _card_resource(self, on: RayNode | None, model: str | None) -> str:
        """The resource that cards are on the chosen node, or on any node with that model; "" where there is none."""
        if on is not None:
            return on.cards
        fitting = (one.cards for one in self._nodes if one.cards and model in (None, one.node.accelerator))
        return next(fitting, "")

    async def _stop(self, handle: str) -> None:
        async with self._at_once:
            await self._api.stop(handle)

    # -- output -------------------------------------------------------------------------------------------------

    async def _output(self, handle: str, *, follow: bool) -> AsyncIterator[bytes]:
        """What the program wrote, from its first byte. With `follow` until the run has ended."""
        while follow and not self._has_ended(handle) and not self._driver_node(handle):
            await asyncio.sleep(_LOOK_EVERY_S / 4)
        if not self._driver_node(handle):
            with contextlib.suppress(EngineUnavailable):
                await self._ours()
        job, node_id = self._jobs.get(handle), self._driver_node(handle)
        if job is None or not node_id:
            return
        program = ProgramOutput(handle, job["entrypoint"])
        pieces = self._api.log(handle, node_id, follow=follow)
        async for piece in self._until_ended(handle, pieces) if follow else pieces:
            certain = program.take(piece)
            if certain:
                yield certain
        if not follow and self._has_ended(handle):
            rest = program.rest()
            if rest:
                yield rest

    async def _until_ended(self, handle: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Ray's stream of a file has no end: it is left when its run has ended, and the file is read once more."""
        coming = asyncio.ensure_future(anext(pieces, None))
        try:
            while not self._has_ended(handle):
                await asyncio.wait([coming], timeout=_LOOK_EVERY_S / 4)
                if coming.done():
                    piece = coming.result()
                    if piece is None:
                        return
                    yield piece
                    coming = asyncio.ensure_future(anext(pieces, None))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    def _has_ended(self, handle: str) -> bool:
        seen = self._known.get(handle)
        return seen is not None and seen.report.state.is_final

    def _driver_node(self, handle: str) -> str:
        return str(self._jobs.get(handle, {}).get("driver_node_id") or "")

    # -- looking ------------------------------------------------------------------------------------------------

    async def _look_out(self) -> None:
        """One listing a second for everything; troubles are waited out, and then everything is surveyed."""
        was_away, next_nodes = False, 0.0
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                if time.monotonic() >= next_nodes:
                    next_nodes = time.monotonic() + _NODES_EVERY_S
                    await self._look_at_nodes()
                self._tell(self._reports(await self._ours()))
                await self._stop_again()
                await self._forget_old()
            except EngineUnavailable:
                was_away = True
                continue
            if was_away:
                was_away = False
                self._observer.gap()

    async def _look_at_nodes(self) -> None:
        found = await self._live_nodes()
        if found != self._nodes:
            self._nodes = found
            self._observer.nodes_changed()

    async def _live_nodes(self) -> list[RayNode]:
        return live_nodes(self._pool, await self._api.nodes(), self._settings.cards)

    async def _ours(self) -> dict[str, Json]:
        listed = await self._api.jobs()
        self._jobs = {job["submission_id"]: job for job in listed if jobs.is_ours(job, self._prefix)}
        return self._jobs

    def _reports(self, listed: Mapping[str, Json]) -> dict[str, Seen]:
        names = {one.ray_id: one.node.node_id for one in self._nodes}
        return {
            handle: Seen(jobs.report_of(job, self._prefix, names, names.keys()), handle)
            for handle, job in listed.items()
        }

    def _tell(self, now: dict[str, Seen]) -> None:
        """Tells what differs from the listing before; jobs that are listed no more are left to the survey."""
        changed = [seen for handle, seen in now.items() if self._known.get(handle) != seen]
        if any(handle not in now and not seen.report.state.is_final for handle, seen in self._known.items()):
            self._observer.gap()
        self._known = now
        if changed:
            self._observer.observed(changed)

    async def _stop_again(self) -> None:
        """Ray forgets a stop that comes before the job has begun: it is asked again until the job has ended."""
        for handle in [handle for handle in self._stopping if self._has_ended(handle)]:
            del self._stopping[handle]
        due = time.monotonic() - _STOP_AGAIN_S
        handles = [handle for handle, asked in self._stopping.items() if asked < due and handle in self._jobs]
        self._stopping.update((handle, time.monotonic()) for handle in handles)
        await asyncio.gather(*(self._stop(handle) for handle in handles))

    async def _forget_old(self) -> None:
        """Ray lists every job for ever: those that ended long ago, and are on disk here, are taken off its list."""
        if not self._is_surveyed:
            return
        last = time.time_ns() // 1_000_000 - self._settings.keep_s * 1000
        old = [
            handle
            for handle, job in self._jobs.items()
            if self._has_ended(handle) and job.get("end_time") and job["end_time"] < last
        ]
        for handle in old[:_FORGET_AT_ONCE]:
            await self._api.delete(handle)

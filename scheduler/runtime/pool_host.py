"""A pool host: the links of one or many pools, behind one set of methods.

The control plane reaches hosts through `PoolHosts`. In production each host is a Ray actor
(`scheduler.runtime.pool_host_actor`); one process with a single host does for one machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

from adapters.contract import Launch, Refusal, RunReport, Stop
from adapters.port import AdapterPort, AdapterUnavailable
from inventory.model.pool import Pool
from inventory.model.workload import Requirements
from scheduler.core.book import Book
from scheduler.core.placement.defragmentation import Move, MovePlan
from scheduler.core.placement.pool_state import PoolState
from scheduler.ports import NodeAnswers, NodeBatch, PoolView
from scheduler.runtime.changed_views import ChangedViews, ViewLedger, ViewMark
from scheduler.runtime.pool_link import HeldRun, LinkStart, PoolLink, PoolReport

Connect = Callable[[str], AdapterPort]


class PoolHosts(Protocol):
    """All pool hosts, by pool. Calls about a pool that no host holds raise AdapterUnavailable."""

    async def attach(self, pool: Pool, endpoint: str, start: LinkStart) -> None:
        """Gives a pool to its host, which follows it from now on; an earlier link to it is dropped."""

    async def detach(self, pool_id: str) -> None:
        """The pool is followed no longer."""

    async def attached(self) -> frozenset[str]:
        """Ids of the pools that hosts follow. A host that was restarted follows none."""

    async def views(self) -> Mapping[str, PoolView]:
        """Each pool as its host sees it now, reservations off; pools whose host does not answer are left out."""

    async def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        """Answers, for each pool that could be asked. What is granted is reserved."""

    async def probe(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        """What `place` would answer; nothing stays reserved."""

    async def fits_without(self, pool_id: str, batch: NodeBatch, victims: Sequence[str]) -> bool:
        """Whether the whole batch would get nodes if these runs were gone; nothing is reserved or changed."""

    async def propose_moves(
        self, pool_id: str, asked: Requirements, share: float, movable: Collection[str]
    ) -> MovePlan:
        """Which few running tasks of the pool to move so that one run of `asked` has room; nothing is changed."""

    async def keep(self, pool_id: str, move: Move, asked: Requirements) -> bool:
        """Keeps the place that the move goes to for its run, if it is free (`PoolState.keep`); whether it did."""

    async def shut(self, pool_id: str, node_id: str, is_shut: bool) -> None:
        """While it is shut the node gets no new runs."""

    async def states(self) -> Mapping[str, PoolState]:
        """A copy of each pool's nodes with what is held on them; pools whose host does not answer are left out."""

    async def release(self, run_ids: Mapping[str, Sequence[str]]) -> None: ...

    async def launch(self, pool_id: str, epoch: int, launches: Sequence[Launch]) -> list[RunReport | Refusal]: ...

    async def stop(self, pool_id: str, epoch: int, stops: Sequence[Stop]) -> list[RunReport | Refusal]: ...

    async def close(self) -> None: ...


class PoolHost:
    """Implements `PoolHosts` for the pools attached to it, within one event loop."""

    def __init__(self, connect: Connect, report: Callable[[PoolReport], Awaitable[None]]) -> None:
        self._connect = connect
        self._report = report
        self._links: dict[str, PoolLink] = {}
        self._attaching = asyncio.Lock()
        self._ledger = ViewLedger()

    async def attach(self, pool: Pool, endpoint: str, start: LinkStart) -> None:
        async with self._attaching:
            old = self._links.pop(pool.pool_id, None)
            if old is not None:
                await old.close()
            link = PoolLink(pool, self._connect(endpoint), start, self._report)
            self._links[pool.pool_id] = link
            link.start()

    async def detach(self, pool_id: str) -> None:
        async with self._attaching:
            link = self._links.pop(pool_id, None)
            if link is not None:
                await link.close()

    async def attached(self) -> frozenset[str]:
        return frozenset(self._links)

    async def views(self) -> Mapping[str, PoolView]:
        return {pool_id: link.view() for pool_id, link in self._links.items()}

    async def views_since(self, mark: ViewMark | None) -> ChangedViews:
        """`views`, for whoever keeps a copy of them."""
        return self._ledger.since(mark, await self.views())

    async def states(self) -> Mapping[str, PoolState]:
        return {pool_id: link.state_copy() for pool_id, link in self._links.items()}

    async def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        known = ((self._links.get(pool_id), asked) for pool_id, asked in requests.items())
        return {
            link.pool.pool_id: link.place(asked).with_used_node_ids() for link, asked in known if link is not None
        }

    async def probe(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        answers: dict[str, NodeAnswers] = {}
        for pool_id, asked in requests.items():
            link = self._links.get(pool_id)
            if link is not None:
                answers[pool_id] = link.place(asked).with_used_node_ids()
                link.release(asked.run_ids)
        return answers

    async def fits_without(self, pool_id: str, batch: NodeBatch, victims: Sequence[str]) -> bool:
        return self._link(pool_id).fits_without(batch, victims)

    async def propose_moves(
        self, pool_id: str, asked: Requirements, share: float, movable: Collection[str]
    ) -> MovePlan:
        return self._link(pool_id).propose_moves(asked, share, movable)

    async def keep(self, pool_id: str, move: Move, asked: Requirements) -> bool:
        return self._link(pool_id).keep(move, asked)

    async def shut(self, pool_id: str, node_id: str, is_shut: bool) -> None:
        self._link(pool_id).shut(node_id, is_shut)

    async def release(self, run_ids: Mapping[str, Sequence[str]]) -> None:
        for pool_id, ids in run_ids.items():
            if pool_id in self._links:
                self._links[pool_id].release(ids)

    async def launch(self, pool_id: str, epoch: int, launches: Sequence[Launch]) -> list[RunReport | Refusal]:
        return await self._link(pool_id).launch(epoch, launches)

    async def stop(self, pool_id: str, epoch: int, stops: Sequence[Stop]) -> list[RunReport | Refusal]:
        return await self._link(pool_id).stop(epoch, stops)

    async def close(self) -> None:
        async with self._attaching:
            links = list(self._links.values())
            self._links.clear()
            await asyncio.gather(*(link.close() for link in links))

    def _link(self, pool_id: str) -> PoolLink:
        link = self._links.get(pool_id)
        if link is None:
            raise AdapterUnavailable(f"没有主机持有算力池 {pool_id} / no host holds pool {pool_id}")
        return link


def held_runs(book: Book, pool_id: str) -> list[HeldRun]:
    """What a pool's runs hold, and what those that were lost may still hold."""
    held = []
    for run in (*book.runs_on(pool_id), *book.lost_runs.on(pool_id)):
        workload = book.workload(run.workload_id)
        assert workload is not None  # a live or lost run keeps its workload in the book
        held.append(HeldRun(run.run_id, workload.requirements, run.nodes, workload.partition.lost_after_ms))
    return held

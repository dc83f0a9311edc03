"""Moves of runs within their pool (碎片整理), carried out: the planner begins what a cycle decided and settles it later.

A move is a stop and a relaunch. First the pool's host keeps the new place, under the id of the run that is to come; then
the old run is owed its stop, as one that is preempted is (it gets its grace, and writes its checkpoint). When its pool has
reported the end, the next run is placed at what is kept for it, before the cycle looks at who waits. So nobody takes its
place, and it costs no attempt. The node that runs leave is shut until the last of them has gone, so that nobody takes in
pieces what they free.

Nothing of this is stored but the runs themselves. After a crash of the control plane the old run goes on, or, where it has
stopped already, its workload waits as any other: pools are attached anew, with nothing kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from adapters.port import AdapterUnavailable
from inventory.model.placement import Placement
from inventory.model.workload import Requirements, WorkloadState
from scheduler.core.book import Book
from scheduler.core.lifecycle import place
from scheduler.core.placement.defragmentation import Move, MovePlan
from scheduler.core.queueing.moving import RunMove
from scheduler.ports import Clock, NodeBatch
from scheduler.runtime.pool_host import PoolHosts
from scheduler.runtime.registry import PoolRegistry
from scheduler.runtime.writer import Decision, Writer
from scheduler.services.ports import ControlPlaneUnavailable

log = logging.getLogger("xisuan.moves")
NO_MOVES = MovePlan((), (), 0, 0, 0, 0, 0)
_AWAY = (AdapterUnavailable, ControlPlaneUnavailable)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the planner and its moves read and act on. `on_owed` is told, on the event loop, which pools are owed launches
    or stops."""

    writer: Writer
    hosts: PoolHosts
    registry: PoolRegistry
    clock: Clock
    on_owed: Callable[[Iterable[str]], None]


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """One run on its way: `run_id` is being stopped, `next_id` is the run for which a place is kept."""

    move: RunMove
    next_id: str
    attempt: int
    from_node: str
    asked: Requirements


class RunMoves:
    """Called by the planner on the cycle's thread, between the cycles' own steps; one caller at a time."""

    def __init__(self, around: Surroundings) -> None:
        self._writer = around.writer
        self._hosts = around.hosts
        self._registry = around.registry
        self._clock = around.clock
        self._on_owed = around.on_owed
        self._loop = asyncio.get_running_loop()
        self._under_way: dict[str, _UnderWay] = {}
        self._shut: dict[str, str] = {}  # the node that runs leave, by pool: in each they leave one node at a time

    def propose(self, pool_id: str, asked: Requirements, share: float, movable: Collection[str]) -> MovePlan:
        """What the pool's host proposes; nothing while runs of the pool are still on their way, or it cannot be asked."""
        if any(one.move.pool_id == pool_id for one in self._under_way.values()):
            return NO_MOVES
        try:
            proposed: MovePlan = self._ask(self._hosts.propose_moves(pool_id, asked, share, movable))
        except _AWAY:
            return NO_MOVES
        return proposed

    def begin(self, moves: Sequence[RunMove]) -> None:
        """Of each pool: keeps the new places of all its moves, which are for one newcomer and leave one node, and owes
        the old runs their stops; or none of them, where a place is not free any more."""
        for pool_id in dict.fromkeys(move.pool_id for move in moves):
            self._begin([move for move in moves if move.pool_id == pool_id])

    def _begin(self, moves: Sequence[RunMove]) -> None:
        kept: list[_UnderWay] = []
        with self._writer.reading() as book:
            wanted = [_next_run(book, move) for move in moves]
        for one in wanted:
            if one is None or not self._keep(one):
                self._let_go(kept)
                return
            kept.append(one)
        begun: list[_UnderWay] = []
        try:
            self._shut_node(kept[0].move.pool_id, kept[0].from_node)
            owed = self._writer.submit(lambda book: Decision([_owe_stop(book, one.move) for one in kept])).result()
            begun = [one for one, is_owed in zip(kept, owed, strict=True) if is_owed]
        except _AWAY as error:
            log.warning("moves for %s are given up: %s", moves[0].for_workload_id, error)
        finally:
            self._let_go([one for one in kept if one not in begun])
            self._under_way |= {one.next_id: one for one in begun}
            self._open_nodes()
        self._tell({one.move.pool_id for one in begun})

    def settle(self) -> None:
        """Places the next runs of those that have stopped, and gives up what was kept for those that will not come."""
        for one in list(self._under_way.values()):
            with self._writer.reading() as book:
                stage = _stage(book, one)
            if stage is None:
                continue  # its pool has not reported the end yet
            del self._under_way[one.next_id]
            is_placed = False
            try:
                is_placed = stage and self._placed_again(one)
            finally:
                if not is_placed:
                    self._let_go([one])
            if is_placed:
                self._tell({one.move.pool_id})
        self._open_nodes()

    def _placed_again(self, one: _UnderWay) -> bool:
        """The host is asked first: the place that it kept, or, where it was restarted meanwhile, another or none."""
        try:
            answers = self._ask(self._hosts.place({one.move.pool_id: NodeBatch.of([(one.next_id, one.asked)])}))
        except _AWAY:
            return False
        given = answers.get(one.move.pool_id)
        if given is None or not given.granted[0]:
            return False
        placement = Placement(
            one.move.workload_id, one.next_id, one.attempt, one.move.pool_id, tuple(given.nodes_of(0))
        )

        def decide(book: Book) -> Decision[bool]:
            if placement.pool_id in self._registry.closed():
                return Decision(False)
            changes, stale = place(book, [placement], self._clock.now_ms())
            return Decision(not stale, changes)

        return self._writer.submit(decide).result()

    def _keep(self, one: _UnderWay) -> bool:
        move = Move(one.next_id, "", one.move.to_node, one.move.cards)
        try:
            kept: bool = self._ask(self._hosts.keep(one.move.pool_id, move, one.asked))
        except _AWAY:
            return False
        return kept

    def _let_go(self, kept: Sequence[_UnderWay]) -> None:
        for one in kept:
            try:
                self._ask(self._hosts.release({one.move.pool_id: [one.next_id]}))
            except _AWAY as error:
                log.warning("%s kept a place for %s, and is gone: %s", one.move.pool_id, one.next_id, error)

    def _shut_node(self, pool_id: str, node_id: str) -> None:
        self._shut[pool_id] = node_id
        self._ask(self._hosts.shut(pool_id, node_id, True))

    def _open_nodes(self) -> None:
        """Of pools in which no run is on its way any more."""
        for pool_id in self._shut.keys() - {one.move.pool_id for one in self._under_way.values()}:
            node_id = self._shut.pop(pool_id)
            try:
                self._ask(self._hosts.shut(pool_id, node_id, False))
            except _AWAY as error:
                log.warning("%s had shut %s, and is gone: %s", pool_id, node_id, error)

    def _tell(self, pools: Collection[str]) -> None:
        if pools:
            self._loop.call_soon_threadsafe(self._on_owed, pools)

    def _ask(self, call: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(call, self._loop)
        return future.result()


def _next_run(book: Book, move: RunMove) -> _UnderWay | None:
    """The run that comes after the one that moves; None where that has ended since the cycle looked."""
    run, workload = book.live_run_of(move.workload_id), book.workload(move.workload_id)
    if run is None or workload is None or run.run_id != move.run_id:
        return None
    attempt = book.attempts(move.workload_id).runs + 1
    return _UnderWay(move, f"{move.workload_id}.{attempt}", attempt, run.nodes[0], workload.requirements)


def _owe_stop(book: Book, move: RunMove) -> bool:
    """Whether the run is owed a stop from now on."""
    reason = (
        f"移到节点 {move.to_node}，为 {move.for_workload_id} 腾出位置 / moved to node {move.to_node} to make room for "
        f"{move.for_workload_id}"
    )
    return book.preempt(move.run_id, reason) is not None


def _stage(book: Book, one: _UnderWay) -> bool | None:
    """None: the old run still runs. True: the next one can be placed. False: it will not come (its workload has ended, or
    runs elsewhere)."""
    workload, run = book.workload(one.move.workload_id), book.live_run_of(one.move.workload_id)
    if run is not None and run.run_id == one.move.run_id:
        return None
    return (
        workload is not None
        and workload.state is WorkloadState.QUEUED
        and book.attempts(one.move.workload_id).runs == one.attempt - 1
    )

"""The state as it is, copied for whoever wants to try something: forecasts, counterfactuals, dry runs.

Nodes come from the pool hosts, queues and workloads from the book, in that order: what becomes free in between is missed,
nothing is counted twice. The copy is made under the book's lock, so it shows a bounded window of those who wait.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inventory.model.workload import Workload
from scheduler.core.book import Book
from scheduler.core.history import History
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.queueing.tables import expected_ms
from scheduler.core.queueing.waiting import WaitingRow, order_of
from scheduler.forecast.world import PoolCopy, Situation

# Waiting workloads of each queue and priority that a copy shows.
WINDOW = 500


@dataclass(frozen=True, slots=True)
class Copied:
    """`rows` are those of the workloads that were asked for, whether they wait or not."""

    situation: Situation
    history: History
    rows: tuple[WaitingRow, ...]


def copied(
    book: Book,
    nodes: tuple[Sequence[PoolView], Mapping[str, PoolState]],
    now_ms: int,
    asked: Sequence[Workload],
) -> Copied:
    """`nodes` are the pools as the registry sees them, and copies of their states. Called under the book's lock."""
    views, states = nodes
    tables, shapes = book.tables, book.tables.shapes.clone()
    tree = copy.deepcopy(tables.tree)
    usage = copy.deepcopy(tables.usage, {id(tables.tree): tree, id(tables.shapes): shapes})
    waiting = {row.workload_id: row for row in tables.waiting.select(WINDOW).rows}
    rows = []
    for workload in asked:
        attempts = book.attempts(workload.workload_id).runs if book.workload(workload.workload_id) else 0
        shape, queue = shapes.number(Shape.of(workload)), tree.leaf(workload.queue)
        rows.append(tables.waiting.row(workload.workload_id) or _row(workload, attempts + 1, shape, queue))
    pools = [
        PoolCopy(view.pool, view.health, view.cordoned, view.runtimes, states[view.pool.pool_id])
        for view in views
        if view.pool.pool_id in states
    ]
    situation = Situation(
        now_ms=now_ms,
        waiting=tuple(waiting.values()),
        running={one.pool.pool_id: tuple(tables.running.by_end(one.pool.pool_id)) for one in pools},
        shapes=shapes,
        usage=usage,
        pools=pools,
        reservations=tuple(one for one in book.calendar if not one.is_over(now_ms)),
    )
    return Copied(situation, book.history.clone(), tuple(rows))


def with_waiting(situation: Situation, rows: Sequence[WaitingRow]) -> Situation:
    """The same with these waiting as well."""
    known = {row.workload_id for row in situation.waiting}
    more = tuple(row for row in rows if row.workload_id not in known)
    return Situation(
        situation.now_ms,
        (*situation.waiting, *more),
        situation.running,
        situation.shapes,
        situation.usage,
        situation.pools,
        situation.reservations,
    )


def _row(workload: Workload, attempt: int, shape: int, queue: int) -> WaitingRow:
    return WaitingRow(
        order_ms=order_of(workload.submitted_ms, workload.finish_by_ms, expected_ms(workload)),
        submitted_ms=workload.submitted_ms,
        id_length=len(workload.workload_id),
        workload_id=workload.workload_id,
        attempt=attempt,
        shape=shape,
        queue=queue,
        priority=workload.priority,
        estimated_ms=expected_ms(workload),
    )

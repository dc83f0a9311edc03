"""What every pool says to every shape, kept current while one cycle takes capacity from the pools.

The cycle asks `best` for the pool to try next and `opinions` for the reasons when none is left; explain asks for
opinions alone. Workloads of one shape share their answers, and a pool is judged again only after something about
it changed, so that thousands of waiting workloads cost thousands of look-ups and not thousands of stacks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from inventory.model.placement import PoolOpinion, Reason, ReasonCode
from inventory.model.units import Resources
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.stack import Stack

_ROOM = frozenset({ReasonCode.CAPACITY, ReasonCode.FRAGMENTED})
_REFUSED = -1  # a score that no pool can have: scores and weights are not negative


class _Row:
    """One shape: what holds for the whole cycle, and what is remembered until a pool changes."""

    __slots__ = (
        "by_share",
        "declared_reasons",
        "declared_score",
        "known",
        "open",
        "refusals",
        "seen",
        "written",
    )

    def __init__(self, pools: int) -> None:
        self.declared_reasons: list[tuple[Reason, ...]] = [()] * pools
        self.declared_score = [0] * pools
        self.open: list[int] = []  # pools that no declared filter refuses, in tie order
        self.by_share: list[int] | None = None  # of these, in the order of `pool_to_wait_for`
        self.refusals: dict[int, Reason] = {}  # said by pool hosts in this cycle
        self.seen = [-1] * pools  # the pool's version that `known` is about
        self.known = [_REFUSED] * pools
        self.written: tuple[int, tuple[PoolOpinion, ...]] | None = None


class Evaluation:
    """Filters and scores of one stack over the pools of one snapshot. Not thread-safe; lives for one cycle.

    `seed` decides between pools of equal score: one order of the pools a seed, the same in every cycle, and not
    disturbed by pools that come and go.
    """

    def __init__(self, stack: Stack, views: Sequence[PoolView], seed: int) -> None:
        self._stack = stack
        self._views = list(views)
        self._index = {view.pool.pool_id: i for i, view in enumerate(self._views)}
        self._tie_order = sorted(range(len(self._views)), key=lambda i: tie_key(seed, self._views[i].pool.pool_id))
        self._versions = [0] * len(self._views)
        self._changes = 0
        self._closed: dict[int, Reason] = {}
        self._rows: dict[Shape, _Row] = {}

    def view(self, pool_id: str) -> PoolView:
        """The pool with what this cycle has taken from it."""
        return self._views[self._index[pool_id]]

    def best(self, shape: Shape) -> str | None:
        """The id of the feasible pool with the highest weighted score; None when no pool is feasible."""
        row = self._row(shape)
        best, best_score = None, _REFUSED
        for i in row.open:
            if i in row.refusals or i in self._closed:
                continue
            if row.seen[i] != self._versions[i]:
                row.known[i] = self._judge(shape, row, i)
                row.seen[i] = self._versions[i]
            if row.known[i] > best_score:
                best, best_score = i, row.known[i]
        return None if best is None else self._views[best].pool.pool_id

    def opinions(self, shape: Shape) -> tuple[PoolOpinion, ...]:
        """What each pool says now, in the order of the views; one object for a shape while nothing changes."""
        row = self._row(shape)
        if row.written is None or row.written[0] != self._changes:
            row.written = (self._changes, tuple(self._write(shape, row, i) for i in range(len(self._views))))
        return row.written[1]

    def pool_to_wait_for(self, shape: Shape) -> str | None:
        """Of a shape for which `best` is None: the pool that lacks free room and nothing else, and in which the
        shape is smallest once it is empty. None when there is no such pool."""
        row = self._row(shape)
        if row.by_share is None:
            roomy = [i for i in row.open if shape.total.fits_in(self._views[i].allocatable)]
            row.by_share = sorted(roomy, key=lambda i: self._emptied(shape.total, i))
        for i in row.by_share:
            reason = row.refusals.get(i) or self._closed.get(i)
            if reason is None or reason.code in _ROOM:
                return self._views[i].pool.pool_id
        return None

    def take(self, pool_id: str, shape: Shape) -> None:
        """Counts a placement that is under way against the pool at once."""
        self._change_free(pool_id, shape.total * -1)

    def give_back(self, pool_id: str, shape: Shape) -> None:
        """Undoes `take` for a placement that the pool host refused."""
        self._change_free(pool_id, shape.total)

    def add_refusal(self, pool_id: str, shape: Shape, refusal: Reason) -> None:
        """The pool host cannot hold this shape: no workload of it asks there again in this cycle.

        Safe because within a cycle a pool only gets fuller; what ends meanwhile is seen by the next cycle.
        """
        self._row(shape).refusals[self._index[pool_id]] = refusal
        self._changes += 1

    def close(self, pool_id: str, reason: Reason) -> None:
        """No further workload of any shape goes to this pool in this cycle. The first reason given stays."""
        self._closed.setdefault(self._index[pool_id], reason)
        self._changes += 1

    def is_closed(self, pool_id: str) -> bool:
        return self._index[pool_id] in self._closed

    def _change_free(self, pool_id: str, amount: Resources) -> None:
        i = self._index[pool_id]
        self._views[i] = replace(self._views[i], free=self._views[i].free + amount)
        self._versions[i] += 1
        self._changes += 1

    def _emptied(self, amount: Resources, i: int) -> tuple[float, str]:
        return amount.dominant_share(self._views[i].allocatable), self._views[i].pool.pool_id

    def _row(self, shape: Shape) -> _Row:
        row = self._rows.get(shape)
        if row is None:
            row = self._rows[shape] = _Row(len(self._views))
            for i, view in enumerate(self._views):
                refusals = (refuse(shape, view) for refuse in self._stack.declared_filters)
                row.declared_reasons[i] = tuple(reason for reason in refusals if reason is not None)
            row.open = [i for i in self._tie_order if not row.declared_reasons[i]]
            for i in row.open:
                view = self._views[i]
                row.declared_score[i] = sum(w * score(shape, view) for _, score, w in self._stack.declared_scores)
        return row

    def _judge(self, shape: Shape, row: _Row, i: int) -> int:
        view = self._views[i]
        for refuse in self._stack.free_filters:
            if refuse(shape, view) is not None:
                return _REFUSED
        return row.declared_score[i] + sum(w * score(shape, view) for _, score, w in self._stack.free_scores)

    def _write(self, shape: Shape, row: _Row, i: int) -> PoolOpinion:
        view = self._views[i]
        pool_id = view.pool.pool_id
        if i in row.refusals:
            # The host has looked at every node: its answer replaces what the sums say.
            return PoolOpinion(pool_id, reasons=(row.refusals[i],))
        found = [
            reason for reason in (refuse(shape, view) for refuse in self._stack.free_filters) if reason is not None
        ]
        closed = (self._closed[i],) if i in self._closed else ()
        reasons = (*row.declared_reasons[i], *found, *closed)
        if reasons:
            return PoolOpinion(pool_id, reasons=reasons)
        weighted = [
            (name, score(shape, view), w)
            for name, score, w in (*self._stack.declared_scores, *self._stack.free_scores)
        ]
        return PoolOpinion(
            pool_id,
            scores=tuple((name, value) for name, value, _ in weighted),
            score=sum(value * w for _, value, w in weighted),
        )


def tie_key(seed: int, pool_id: str) -> bytes:
    """Sorts pools of equal score. Depends on one pool and the seed alone, so other pools do not disturb it."""
    return hashlib.blake2b(f"{seed}/{pool_id}".encode(), digest_size=8).digest()

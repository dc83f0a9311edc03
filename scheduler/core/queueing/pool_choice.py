"""Which pool each row of a batch should try, for the cycle: the arrays behind `kernels.pool_choice`.

What depends on shape and pool alone is asked of the stack once and remembered over cycles in a `PoolMemory`; what
depends on free room is computed for each row. A stack with further policies that read `free` is asked policy by
policy (`choose_plainly`): slower, the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from inventory.model.units import Resources
from scheduler.core.placement.evaluation import tie_key
from scheduler.core.placement.filters import accelerator, capacity, health, too_large
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.scores import free_capacity
from scheduler.core.placement.scores.input_locality import staging_ms
from scheduler.core.placement.stack import Stack
from scheduler.core.queueing.backfill import Profile, Shadow
from scheduler.core.queueing.kernels.pool_choice import (
    NO_POOL,
    Batch,
    Choices,
    PoolColumns,
    ShapeRows,
    choose_pools,
)
from scheduler.core.queueing.shapes import DIMENSIONS, Flags, Int32s, Int64s, ShapeTable, resources, vector


class PoolMemory:
    """What the stack says of shapes and pools apart from free room, kept as long as it is true. A cache, no more:
    cycles with and without it decide alike. Belongs to one caller of `run_cycle`."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._views: list[PoolView] = []
        self.order: Int32s = np.zeros(0, dtype=np.int32)
        self.is_open: Flags = np.zeros((0, 0), dtype=np.bool_)
        self.score: Int64s = np.zeros((0, 0), dtype=np.int64)
        self.staging_ms: Int64s = np.zeros((0, 0), dtype=np.int64)
        self._is_known: Flags = np.zeros((0, 0), dtype=np.bool_)

    def bring_up_to(self, stack: Stack, seed: int, views: Sequence[PoolView], shapes: ShapeTable) -> None:
        """Forgets what is no longer true of these pools, and makes room for new shapes."""
        key = (stack, seed, id(shapes), tuple(view.pool.pool_id for view in views))
        if key != self._key:
            self._key, self._stack, self._shapes = key, stack, shapes  # `shapes` is kept, so its id stays its own
            ids = [view.pool.pool_id for view in views]
            self.order = np.array(sorted(range(len(ids)), key=lambda i: tie_key(seed, ids[i])), dtype=np.int32)
            self._is_known = np.zeros((0, len(views)), dtype=np.bool_)
        else:
            for i, (old, new) in enumerate(zip(self._views, views, strict=True)):
                if not _declares_the_same(old, new):
                    self._is_known[:, i] = False
        self._views = list(views)
        known = len(self._is_known)
        if known < len(shapes):
            size = max(64, 2 * known, len(shapes))
            self._is_known = _grown(self._is_known, size)
            self.is_open = _grown(self.is_open, size) if known else np.zeros((size, len(views)), dtype=np.bool_)
            empty = np.zeros((size, len(views)), dtype=np.int64)
            self.score = _grown(self.score, size) if known else empty
            self.staging_ms = _grown(self.staging_ms, size) if known else empty.copy()

    def learn(self, numbers: Int32s) -> None:
        """Asks the stack about those of these shapes that are not known for some pool."""
        if self._is_known[numbers].all():
            return
        for number in np.unique(numbers).tolist():
            shape = self._shapes.shapes[number]
            for i in np.flatnonzero(~self._is_known[number]).tolist():
                view = self._views[i]
                self.is_open[number, i] = all(
                    refuse(shape, view) is None for refuse in self._stack.declared_filters
                )
                if self.is_open[number, i]:
                    scores = (weight * score(shape, view) for _, score, weight in self._stack.declared_scores)
                    self.score[number, i] = sum(scores)
                    self.staging_ms[number, i] = staging_ms(shape.inputs, view.pool)
            self._is_known[number] = True


class PoolChoice:
    """The pools of one cycle: what is free, who is refused where, and what is kept for whom."""

    def __init__(
        self, memory: PoolMemory, stack: Stack, seed: int, views: Sequence[PoolView], shapes: ShapeTable
    ) -> None:
        memory.bring_up_to(stack, seed, views, shapes)
        count = len(views)
        self.views = views
        self.timetables: dict[int, Timetable] = {}
        self._memory = memory
        self._stack = stack
        self._shapes = shapes
        self._refused: list[tuple[int, int]] = []
        self._pools = PoolColumns(
            order=memory.order,
            allocatable=_amounts([view.allocatable for view in views]),
            free=_amounts([view.free for view in views]),
            has_cards=np.array([view.largest_task.accelerator_milli > 0 for view in views], dtype=np.bool_),
            is_closed=np.zeros(count, dtype=np.bool_),
            has_shadow=np.zeros(count, dtype=np.bool_),
            shadow_ms=np.zeros(count, dtype=np.int64),
            extra=np.zeros((count, DIMENSIONS), dtype=np.int64),
        )
        self._is_compiled = _reads_only_capacity(stack)
        weight = sum(weight for _, _, weight in stack.free_scores)
        self._rules = np.array([weight, bool(stack.free_filters)], dtype=np.int64)

    @property
    def free(self) -> Int64s:
        """What each pool has free with what this cycle took already off (p, 4)."""
        return self._pools.free

    def staging_ms(self, shape: int, pool: int) -> int:
        """How long the inputs of this shape take to get to the pool, where it is open to it."""
        return int(self._memory.staging_ms[shape, pool])

    def choose(self, shape: Int32s, end_ms: Int64s, queue: Int32s, may_stop: Flags) -> tuple[Choices, int]:
        """The pool of each row in turn, taken at once, and how many rows were looked at: the look ends
        with the first of those that `may_stop` it for which there is none. An `end_ms` is without staging; 0 is unknown."""
        self._memory.learn(shape)
        out = Choices(np.full(len(shape), NO_POOL, dtype=np.int32), np.zeros(len(shape), dtype=np.bool_))
        if not self.timetables:
            return out, self._choose_some(shape, end_ms, may_stop, out)
        for i in range(len(shape)):
            kept = self._close_for(int(shape[i]), int(end_ms[i]), int(queue[i]))
            one = Choices(out.pool[i : i + 1], out.takes_extra[i : i + 1])
            self._choose_some(shape[i : i + 1], end_ms[i : i + 1], may_stop[i : i + 1], one)
            self._pools.is_closed[kept] = False
            chosen = int(one.pool[0])
            if chosen in self.timetables:
                ends_ms = self._end_there(int(shape[i]), chosen, int(end_ms[i]))
                self.timetables[chosen].start(self._shapes.totals[shape[i]], ends_ms, int(queue[i]))
            if chosen == NO_POOL and may_stop[i]:
                return out, i + 1
        return out, len(shape)

    def give_back(self, pool: int, shape: int, takes_extra: bool, end_ms: int, queue: int) -> None:
        """Undoes the choice of a row that the pool's host refused."""
        total = self._shapes.totals[shape]
        self._pools.free[pool] += total
        if takes_extra:
            self._pools.extra[pool] += total
        if pool in self.timetables:
            self.timetables[pool].undo_start(total, self._end_there(shape, pool, end_ms), queue)

    def refuse(self, pool: int, shape: int) -> None:
        """The pool's host cannot hold this shape: no row of it asks there again in this cycle."""
        if self._memory.is_open[shape, pool]:
            self._memory.is_open[shape, pool] = False
            self._refused.append((shape, pool))

    def forget_refusals(self) -> None:
        """At the end of the cycle: the memory is for what holds in the next one too."""
        for shape, pool in self._refused:
            self._memory.is_open[shape, pool] = True
        self._refused.clear()

    def close(self, pool: int) -> None:
        self._pools.is_closed[pool] = True

    def is_closed(self, pool: int) -> bool:
        return bool(self._pools.is_closed[pool])

    def is_open(self, shapes: Int32s, pool: int) -> Flags:
        """Which of these rows might go to the pool, had it room (n)."""
        self._memory.learn(shapes)
        is_open: Flags = self._memory.is_open[shapes, pool]
        return is_open

    def keep_for_head(self, pool: int, shadow: Shadow) -> None:
        """From now on rows take of this pool only what does not delay the head that waits there."""
        self._pools.has_shadow[pool] = True
        self._pools.shadow_ms[pool] = shadow.start_ms
        self._pools.extra[pool] = shadow.extra

    def has_head(self, pool: int) -> bool:
        return bool(self._pools.has_shadow[pool])

    def waits_in(self, shape: int) -> list[int]:
        """Pools in which this shape lacks nothing but room that they do have when empty, smallest share first."""
        self._memory.learn(np.array([shape], dtype=np.int32))
        total = resources(self._shapes.totals[shape])
        refused = {pool for refused_shape, pool in self._refused if refused_shape == shape}
        pools = [
            i
            for i in range(len(self.views))
            if (self._memory.is_open[shape, i] or i in refused)
            and not self._pools.is_closed[i]
            and total.fits_in(self.views[i].allocatable)
        ]
        return sorted(pools, key=lambda i: (total.dominant_share(self.views[i].allocatable), self._id(i)))

    def _end_there(self, shape: int, pool: int, end_ms: int) -> int:
        """The end in this pool, staging included; 0: nobody knows."""
        return end_ms + self.staging_ms(shape, pool) if end_ms else 0

    def _id(self, pool: int) -> str:
        return self.views[pool].pool.pool_id

    def _choose_some(self, shape: Int32s, end_ms: Int64s, may_stop: Flags, out: Choices) -> int:
        if not self._is_compiled:
            return self._choose_plainly(shape, end_ms, may_stop, out)
        memory = self._memory
        rows = ShapeRows(memory.is_open, memory.score, memory.staging_ms, self._shapes.totals)
        looked: int = choose_pools(self._pools, rows, Batch(shape, end_ms, may_stop), self._rules, out)
        return looked

    def _close_for(self, shape: int, end_ms: int, queue: int) -> list[int]:
        """Pools with a timetable in which this row may not start now; they are closed for it."""
        total = self._shapes.totals[shape]
        kept = [
            pool
            for pool, timetable in self.timetables.items()
            if not self._pools.is_closed[pool]
            and not timetable.may_start(total, self._end_there(shape, pool, end_ms), queue)
        ]
        self._pools.is_closed[kept] = True
        return kept

    def _choose_plainly(self, shape: Int32s, end_ms: Int64s, may_stop: Flags, out: Choices) -> int:
        """The kernel's rule with the stack's own policies."""
        pools = self._pools
        for i, number in enumerate(shape.tolist()):
            total = self._shapes.totals[number]
            best, best_score, best_extra = NO_POOL, -1, False
            for p in pools.order.tolist():
                if pools.is_closed[p] or not self._memory.is_open[number, p]:
                    continue
                in_time = (
                    not pools.has_shadow[p] or 0 < self._end_there(number, p, int(end_ms[i])) <= pools.shadow_ms[p]
                )
                if not in_time and not (total <= pools.extra[p]).all():
                    continue
                score = self._judge(self._shapes.shapes[number], number, p)
                if score is not None and score > best_score:
                    best, best_score, best_extra = p, score, not in_time
            out.pool[i], out.takes_extra[i] = best, best_extra
            if best == NO_POOL:
                if may_stop[i]:
                    return i + 1
                continue
            pools.free[best] -= total
            if best_extra:
                pools.extra[best] -= total
        return len(shape)

    def _judge(self, shape: Shape, number: int, pool: int) -> int | None:
        view = replace(self.views[pool], free=resources(self._pools.free[pool]))
        if any(refuse(shape, view) is not None for refuse in self._stack.free_filters):
            return None
        free = sum(weight * score(shape, view) for _, score, weight in self._stack.free_scores)
        return int(self._memory.score[number, pool]) + free


class Timetable:
    """The future of one pool in which more than one waits for room, or in which the calendar keeps some.

    `for_all` is what is free for whoever has no reservation. A queue with reservations of its own has a profile of
    its own, in which they are not taken off.
    """

    def __init__(self, now_ms: int, for_all: Profile, of_holders: dict[int, Profile]) -> None:
        self._now_ms = now_ms
        self._for_all = for_all
        self._of_holders = of_holders

    def profile(self, queue: int) -> Profile:
        return self._of_holders.get(queue, self._for_all)

    def may_start(self, need: Int64s, end_ms: int, queue: int) -> bool:
        return self.profile(queue).fits(need.tolist(), self._now_ms, end_ms or _FOR_EVER)

    def start(self, need: Int64s, end_ms: int, queue: int) -> None:
        """A row starts now. What it takes of a reservation of its own was off for the others already."""
        during = self._now_ms, end_ms or _FOR_EVER
        own = self._of_holders.get(queue)
        if own is None:
            self.reserve(need, during)
            return
        for profile in self._of_holders.values():
            profile.take(need.tolist(), *during)
        self._for_all.lower_to(own, *during)

    def undo_start(self, need: Int64s, end_ms: int, queue: int) -> None:
        """It does not start after all. Of what a holder took beyond its reservation, the others hear in the next
        cycle."""
        during = self._now_ms, end_ms or _FOR_EVER
        profiles = list(self._of_holders.values())
        if queue not in self._of_holders:
            profiles.append(self._for_all)
        for profile in profiles:
            profile.take(need.tolist(), *during, sign=-1)

    def reserve(self, need: Int64s, during: tuple[int, int]) -> None:
        """Whoever takes it, it is gone for all."""
        for profile in (self._for_all, *self._of_holders.values()):
            profile.take(need.tolist(), *during)


_FOR_EVER = 1 << 62


def _reads_only_capacity(stack: Stack) -> bool:
    """True for the policies that the kernel knows. Where these filters are missing, `capacity` speaks for them."""
    needed = {too_large.refuse, accelerator.refuse, health.refuse}
    return (
        set(stack.free_filters) <= {capacity.refuse}
        and (not stack.free_filters or needed <= set(stack.declared_filters))
        and all(score is free_capacity.score for _, score, _ in stack.free_scores)
    )


def _declares_the_same(old: PoolView, new: PoolView) -> bool:
    return (
        old.pool is new.pool
        and old.allocatable == new.allocatable
        and old.largest_task == new.largest_task
        and old.health is new.health
        and old.cordoned == new.cordoned
        and old.runtimes == new.runtimes
    )


def _grown(array: Any, size: int) -> Any:
    extra = np.zeros((size - len(array), array.shape[1]), dtype=array.dtype)
    return np.concatenate([array, extra])


def _amounts(amounts: Sequence[Resources]) -> Int64s:
    return np.array([vector(amount) for amount in amounts], dtype=np.int64).reshape(len(amounts), DIMENSIONS)

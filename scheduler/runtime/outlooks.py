"""Answers about the future: estimates, counterfactuals, dry runs, warnings about deadlines. Nothing is changed by any.

The control plane delegates to `Outlooks`. Each answer works on a copy of the state, on a thread, one at a time, and for a
few seconds at most: whoever asks much waits, and the cycle does not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from inventory.model.placement import Placement
from inventory.model.workload import Submission, Workload, WorkloadState
from scheduler.core.book import Book
from scheduler.core.placement.explain import Explanation, Standing, explain, explain_opinions
from scheduler.core.placement.protocol import PoolView
from scheduler.core.placement.scores.input_locality import staging_ms
from scheduler.core.queueing.tables import expected_ms
from scheduler.core.standing import due, standing
from scheduler.cycle import CycleSettings
from scheduler.forecast.correction import Correction, Raw
from scheduler.forecast.counterfactuals import Counterfactual, counterfactuals
from scheduler.forecast.forecast import Effort, Question, StartForecast, forecast
from scheduler.forecast.probe import Probe
from scheduler.forecast.world import Situation
from scheduler.ports import Preemption
from scheduler.runtime.dry_runs import Asked, as_workload, asked_for, carbon_g, cost_cny
from scheduler.runtime.planning import Planner
from scheduler.runtime.pool_host import PoolHosts
from scheduler.runtime.situation import Copied, copied, with_waiting
from scheduler.runtime.writer import Writer
from scheduler.services.outlooks import Outlook, Stopped, Warned, deadline_warning
from scheduler.services.ports import DryRunPlacement

LONGEST_S: Final = 3.0
# Dry runs and submissions of many: so many of them are forecast.
MOST_FORECASTS: Final = 4
# Forecasts that are remembered until their workloads start.
MOST_OPEN: Final = 1000


class Outlooks:
    def __init__(
        self, writer: Writer, planner: Planner, hosts: PoolHosts, settings: Callable[[], CycleSettings]
    ) -> None:
        self._writer = writer
        self._planner = planner
        self._hosts = hosts
        self._settings = settings
        self._turn = asyncio.Semaphore(1)
        self._is_warm = False
        self._correction = Correction()
        self._open: dict[
            str, tuple[int, Raw]
        ] = {}  # forecasts whose workloads have not started: when, and what was said

    async def outlook(self, workload: Workload, *, with_changes: bool) -> Outlook:
        """Of a workload that waits for room, or of the first such element of an array."""
        async with self._turn:
            asked = await asyncio.to_thread(self._writer.look, lambda book: _waiting(book, workload))
            if asked is None:
                return Outlook()
            await self._learn()
            have = await self._copy([asked])
            outlook = await asyncio.to_thread(self._outlook, have, with_changes)
            said = outlook.forecast
            if said is not None and said.raw is not None and len(self._open) < MOST_OPEN:
                self._open.setdefault(asked.workload_id, (have.situation.now_ms, said.raw))
            return outlook

    async def _learn(self) -> None:
        """From forecasts whose workloads have started since: what they were off by widens or narrows the next."""
        ids = tuple(self._open)
        starts = await asyncio.to_thread(
            self._writer.look,
            lambda book: {one: book.history.starts[one] for one in ids if one in book.history.starts},
        )
        for workload_id, started_ms in starts.items():
            asked_ms, raw = self._open.pop(workload_id)
            if started_ms >= asked_ms:  # else it had been placed before, and waits again
                self._correction.score(raw, started_ms - asked_ms)

    def _outlook(self, have: Copied, with_changes: bool) -> Outlook:
        (row,) = have.rows
        changes: tuple[Counterfactual, ...] = ()
        if with_changes:
            changes = counterfactuals(have.situation, Probe(have.situation, self._settings()), row)
        return Outlook(self._forecast(have, 0, LONGEST_S), changes)

    async def explain(self, workload: Workload) -> Explanation:
        """Where it stands by itself, and what pools say to it; of an array, to its first element that waits for room."""

        def look(book: Book) -> tuple[Standing | None, Workload | None]:
            return standing(book, workload, book.live_run_of(workload.workload_id)), _waiting(book, workload)

        own, waits = await asyncio.to_thread(self._writer.look, look)
        if own is not None and not own.waits_for_pools:
            return Explanation(workload.workload_id, (), (), (), None, own)
        asked = waits or workload
        verdicts = self._planner.verdicts(asked.workload_id)
        if asked.state is WorkloadState.QUEUED and verdicts:
            said = explain_opinions(workload.workload_id, verdicts)
        else:
            said = explain(asked, await self._planner.views(), self._settings().stack)
        if own is None and waits is not None and waits.finish_by_ms:
            now_ms = self._planner.now_ms()
            own = due(waits.finish_by_ms, now_ms + expected_ms(waits))
        return replace(said, workload_id=workload.workload_id, standing=own)

    async def warnings(self, workloads: Sequence[Workload]) -> Mapping[str, Warned]:
        """About deadlines of workloads that were just accepted, by their ids."""
        dated = [one for one in workloads if one.finish_by_ms]
        if not dated:
            return {}
        now_ms = self._planner.now_ms()
        found = {}
        async with self._turn:
            have = await self._copy(dated)
            for number, workload in enumerate(dated):
                soonest_ms = now_ms + _length_ms(workload, _soonest_staging(workload, have.situation))
                said = None
                is_one = workload.array is None
                if is_one and number < MOST_FORECASTS and soonest_ms <= workload.finish_by_ms:
                    said = await asyncio.to_thread(self._forecast, have, number, LONGEST_S / MOST_FORECASTS)
                warned = deadline_warning(workload.finish_by_ms, said, soonest_ms)
                if warned is not None:
                    found[workload.workload_id] = warned
        return found

    async def dry_run(self, submissions: Sequence[Submission]) -> list[DryRunPlacement]:
        now_ms = self._planner.now_ms()
        asked = await asyncio.to_thread(
            lambda: [asked_for(submission, number, now_ms) for number, submission in enumerate(submissions)]
        )
        plan = await self._planner.dry_run([workload for one in asked for workload in one.in_turn], now_ms)
        await self._warm_up(submissions)
        views, stack = await self._planner.views(), self._settings().stack
        placements = {placement.workload_id: placement for placement in plan.placements}
        verdicts = {entry.workload_id: entry for entry in plan.unplaced}
        futures = await self._futures(asked, placements)
        by_id = {view.pool.pool_id: view for view in views}
        answers = []
        for one in asked:
            placed, waits = one.placed(placements), one.first_waiting(placements)
            first = waits or one.in_turn[0]
            if first.workload_id in verdicts:
                said = explain_opinions(first.workload_id, verdicts[first.workload_id].opinions)
            else:
                said = explain(first, views, stack)
            mine = {workload.workload_id for workload in one.in_turn}
            victims = tuple(victim for victim in plan.preemptions if victim.for_workload_id in mine)
            pool_id = placed[0].pool_id if placed else ""
            view = by_id.get(pool_id or (victims[0].pool_id if victims else ""))
            runs = one.in_pools(placed, view.pool.pool_id) if view else {}
            future = futures.get(one.workload.workload_id)
            answers.append(
                DryRunPlacement(
                    pool_id,
                    placed[0].nodes if placed else (),
                    said,
                    sum(runs[used] * cost_cny(by_id[used].pool, first) for used in runs),
                    carbon_g=_carbon_g(runs, by_id, first),
                    staging_ms=max((staging_ms(first.inputs, by_id[used].pool) for used in runs), default=0),
                    forecast=future,
                    victims=await self._stopped(victims),
                    warnings=_warnings(one.workload, future, view, now_ms),
                    array=one.elements(placed),
                )
            )
        return answers

    async def _warm_up(self, submissions: Sequence[Submission]) -> None:
        """Once, which is when the service rehearses: what a probe compiles or loads on first use is ready before anybody
        waits for it."""
        if self._is_warm or not submissions:
            return
        self._is_warm = True
        asked = as_workload(submissions[0], 0, self._planner.now_ms())
        async with self._turn:
            have = await self._copy([asked])
            probe, (row,) = Probe(have.situation, self._settings()), have.rows
            await asyncio.to_thread(probe.placement, row, have.situation.shapes.shapes[row.shape])

    async def _futures(
        self, asked: Sequence[Asked], placements: Mapping[str, Placement]
    ) -> Mapping[str, StartForecast | None]:
        """Of the first few that would wait, by the id of the workload; of an array, its first element that would."""
        waiting = {one.workload.workload_id: one.first_waiting(placements) for one in asked}
        asked_about = [(key, first) for key, first in waiting.items() if first is not None][:MOST_FORECASTS]
        if not asked_about:
            return {}
        # Those of this dry run that would start now are before it in every future.
        started = [one for each in asked for one in each.in_turn if one.workload_id in placements]
        async with self._turn:
            have = await self._copy([first for _, first in asked_about] + started)
            have = replace(have, situation=with_waiting(have.situation, have.rows[len(asked_about) :]))
            return {
                key: await asyncio.to_thread(self._forecast, have, number, LONGEST_S / len(asked_about))
                for number, (key, _) in enumerate(asked_about)
            }

    async def _stopped(self, victims: Sequence[Preemption]) -> tuple[Stopped, ...]:
        if not victims:
            return ()

        def look(book: Book) -> tuple[Stopped, ...]:
            known = [(one, book.workload(one.workload_id)) for one in victims]
            return tuple(
                Stopped(one.run_id, one.workload_id, one.pool_id, workload.queue)
                for one, workload in known
                if workload is not None
            )

        return await asyncio.to_thread(self._writer.look, look)

    async def _copy(self, asked: Sequence[Workload]) -> Copied:
        views = await self._planner.views()
        states = await self._hosts.states()
        now_ms = self._planner.now_ms()
        return await asyncio.to_thread(
            self._writer.look, lambda book: copied(book, (views, states), now_ms, asked)
        )

    def _forecast(self, have: Copied, number: int, seconds: float) -> StartForecast | None:
        row = have.rows[number]
        situation = with_waiting(have.situation, [row])
        effort = Effort(clock=time.monotonic, ends_at=time.monotonic() + seconds)
        question = Question(row.workload_id, situation, have.history, self._settings())
        return forecast(question, effort, self._correction)


def _waiting(book: Book, workload: Workload) -> Workload | None:
    """The workload, if it waits for room; of an array its first element that does."""
    progress = book.arrays.of(workload.workload_id)
    ids = (workload.workload_id,) if progress is None else tuple(progress.under_way)
    waits = next((one for one in ids if one in book.tables.waiting), None)
    return None if waits is None else book.workload(waits)


def _soonest_staging(workload: Workload, situation: Situation) -> int:
    """Of its inputs, to the pool that they reach first."""
    return min((staging_ms(workload.inputs, one.pool) for one in situation.pools), default=0)


def _length_ms(workload: Workload, staging: int) -> int:
    """How long all of it takes at least, each run with its staging: of an array, as many turns as `max_parallel` makes."""
    array = workload.array
    turns = 1 if array is None else -(-array.count // (array.max_parallel or array.count))
    return turns * (expected_ms(workload) + staging)


def _warnings(
    workload: Workload, said: StartForecast | None, view: PoolView | None, now_ms: int
) -> tuple[Warned, ...]:
    if not workload.finish_by_ms:
        return ()
    staging = staging_ms(workload.inputs, view.pool) if view is not None else 0
    warned = deadline_warning(workload.finish_by_ms, said, now_ms + _length_ms(workload, staging))
    return () if warned is None else (warned,)


def _carbon_g(runs: Mapping[str, int], views: Mapping[str, PoolView], each: Workload) -> float | None:
    """Of so many runs in each pool; None where one of the pools does not say, or nothing is known of the length."""
    grams = [(count, carbon_g(views[pool_id], each)) for pool_id, count in runs.items()]
    known = [count * one for count, one in grams if one is not None]
    return sum(known) if grams and len(known) == len(grams) else None

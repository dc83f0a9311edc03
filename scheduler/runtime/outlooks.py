"""Answers about the future: estimates, counterfactuals, dry runs, warnings about deadlines. Nothing is changed by any.

The control plane delegates to `Outlooks`. Each answer works on a copy of the state, on a thread, one at a time, and for a
few seconds at most: whoever asks much waits, and the cycle does not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from inventory.model.placement import PoolOpinion
from inventory.model.pool import Pool
from inventory.model.workload import Submission, Workload, WorkloadState
from scheduler.core.book import Book
from scheduler.core.placement.explain import Explanation, explain, explain_opinions
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.scores.energy import added_milliwatts
from scheduler.core.placement.scores.input_locality import staging_ms
from scheduler.core.queueing.tables import expected_ms
from scheduler.cycle import CycleSettings
from scheduler.forecast.correction import Correction, Raw
from scheduler.forecast.counterfactuals import Counterfactual, counterfactuals
from scheduler.forecast.forecast import Effort, Question, StartForecast, forecast
from scheduler.forecast.probe import Probe
from scheduler.forecast.world import Situation
from scheduler.ports import Plan, Preemption
from scheduler.runtime.planning import Planner, as_workload
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
        verdicts = self._planner.verdicts(workload.workload_id)
        if workload.state is WorkloadState.QUEUED and verdicts:
            return explain_opinions(workload.workload_id, verdicts)
        return explain(workload, await self._planner.views(), self._settings().stack)

    async def warnings(self, workloads: Sequence[Workload]) -> Mapping[str, Warned]:
        """About deadlines of workloads that were just accepted, by their ids."""
        dated = [one for one in workloads if one.finish_by_ms and one.array is None]
        if not dated:
            return {}
        now_ms = self._planner.now_ms()
        found = {}
        async with self._turn:
            have = await self._copy(dated)
            for number, workload in enumerate(dated):
                soonest_ms = now_ms + expected_ms(workload) + _soonest_staging(workload, have.situation)
                said = None
                if number < MOST_FORECASTS and soonest_ms <= workload.finish_by_ms:
                    said = await asyncio.to_thread(self._forecast, have, number, LONGEST_S / MOST_FORECASTS)
                warned = deadline_warning(workload.finish_by_ms, said, soonest_ms)
                if warned is not None:
                    found[workload.workload_id] = warned
        return found

    async def dry_run(self, submissions: Sequence[Submission]) -> list[DryRunPlacement]:
        plan = await self._planner.dry_run(submissions)
        await self._warm_up(submissions)
        views, stack = await self._planner.views(), self._settings().stack
        now_ms = self._planner.now_ms()
        asked = [as_workload(submission, number, now_ms) for number, submission in enumerate(submissions)]
        placed = {placement.workload_id: placement for placement in plan.placements}
        opinions: dict[str, tuple[PoolOpinion, ...]] = {e.workload_id: e.opinions for e in plan.unplaced}
        futures = await self._futures(asked, plan)
        by_id = {view.pool.pool_id: view for view in views}
        answers = []
        for workload in asked:
            key = workload.workload_id
            said = explain_opinions(key, opinions[key]) if key in opinions else explain(workload, views, stack)
            pool_id = placed[key].pool_id if key in placed else ""
            victims = tuple(one for one in plan.preemptions if one.for_workload_id == key)
            view = by_id.get(pool_id or (victims[0].pool_id if victims else ""))
            answers.append(
                DryRunPlacement(
                    pool_id,
                    placed[key].nodes if key in placed else (),
                    said,
                    _cost_cny(view.pool, workload) if view else 0.0,
                    carbon_g=_carbon_g(view, workload) if view else None,
                    staging_ms=staging_ms(workload.inputs, view.pool) if view else 0,
                    forecast=futures.get(key),
                    victims=await self._stopped(victims),
                    warnings=_warnings(workload, futures.get(key), view, now_ms),
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

    async def _futures(self, asked: Sequence[Workload], plan: Plan) -> Mapping[str, StartForecast | None]:
        """Of the first few that would wait."""
        placed = {placement.workload_id for placement in plan.placements}
        waiting = [one for one in asked if one.workload_id not in placed][:MOST_FORECASTS]
        if not waiting:
            return {}
        async with self._turn:
            have = await self._copy(waiting)
            return {
                one.workload_id: await asyncio.to_thread(self._forecast, have, number, LONGEST_S / len(waiting))
                for number, one in enumerate(waiting)
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


def _warnings(
    workload: Workload, said: StartForecast | None, view: PoolView | None, now_ms: int
) -> tuple[Warned, ...]:
    if not workload.finish_by_ms:
        return ()
    staging = staging_ms(workload.inputs, view.pool) if view is not None else 0
    warned = deadline_warning(workload.finish_by_ms, said, now_ms + expected_ms(workload) + staging)
    return () if warned is None else (warned,)


def _cost_cny(pool: Pool, submission: Submission) -> float:
    """Price of the estimated running time at list prices; 0 without an estimate."""
    need, hours = submission.requirements.total, submission.estimated_ms / 3_600_000
    cards = need.accelerator_milli / 1000 * (pool.card_hour_cny or 0.0)
    return hours * (need.cpu_milli / 1000 * pool.vcpu_hour_cny + cards)


def _carbon_g(view: PoolView, workload: Workload) -> float | None:
    """Grams of CO2 of the estimated running time: the power that it adds, by the grid of the pool, green power aside."""
    milliwatts, grid = added_milliwatts(Shape.of(workload), view), view.pool.carbon_g_kwh
    if milliwatts is None or grid is None or not workload.estimated_ms:
        return None
    kwh = milliwatts / 1e6 * workload.estimated_ms / 3_600_000
    return kwh * grid * (1 - view.pool.green_share)

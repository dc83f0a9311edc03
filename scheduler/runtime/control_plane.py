"""The control plane: the one place that decides, stores, and tells others to act.

It implements `scheduler.services.ports.Scheduling` for the gateways and takes the reports of the pool hosts. In
production it is wrapped in a Ray actor (`scheduler.runtime.actors`); nothing here knows Ray or gRPC. Everything
that it promises is in the store first; everything that it holds in memory can be loaded from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from adapters.port import AdapterUnavailable, StaleEpoch
from inventory.model.pool import Pool, PoolHealth
from inventory.model.workload import Submission, WorkloadState
from inventory.store.errors import StoreError
from scheduler.core.admission import Known, Outcome, admit
from scheduler.core.book import Book
from scheduler.core.changes import Change, RunChanged, WorkloadChanged, WorkloadSubmitted
from scheduler.core.lifecycle import cancel, reconcile
from scheduler.core.placement.explain import Explanation, explain, explain_opinions
from scheduler.cycle import CycleSettings
from scheduler.ports import Clock
from scheduler.runtime.change_feed import ChangeFeed
from scheduler.runtime.consequences import migrations
from scheduler.runtime.dispatcher import Dispatcher, decide_result
from scheduler.runtime.planning import Planner, as_workload
from scheduler.runtime.pool_host import PoolHosts
from scheduler.runtime.pool_link import HeldRun, PoolReport
from scheduler.runtime.registry import CORDONED, DRAINING, OPEN, PoolRegistry
from scheduler.runtime.writer import Decision, Writer
from scheduler.services.ports import (
    ChangePage,
    DryRunPlacement,
    ErrorCode,
    LogSource,
    PoolStatus,
    RequestError,
    WatchFilter,
    WorkloadPage,
    WorkloadRecord,
)
from scheduler.store.projection import pool_admission_changed, pool_health_changed, pool_registered
from scheduler.store.scheduler_store import SchedulerStore

log = logging.getLogger("xisuan.control_plane")
SUPERVISE_S = 2.0


@dataclass(frozen=True, slots=True)
class ControlPlaneSettings:
    """`live_limit` bounds unfinished workloads, so that memory is refused before it runs out."""

    actor: str = "control-plane"
    live_limit: int = 1_000_000
    cycle: CycleSettings = field(default_factory=CycleSettings)


class ControlPlane:
    """Made by `start`, which loads the state and begins to lead; ended by `close`."""

    def __init__(
        self,
        store: SchedulerStore,
        hosts: PoolHosts,
        clock: Clock,
        settings: ControlPlaneSettings,
        on_deposed: Callable[[], None],
    ) -> None:
        self._store = store
        self._hosts = hosts
        self._clock = clock
        self._settings = settings
        self._on_deposed = on_deposed
        self._loop = asyncio.get_running_loop()
        leadership = store.start_leadership(settings.actor, clock.now_ms())
        self.epoch = leadership.epoch
        self._installation = leadership.installation
        self._last_number = leadership.last_number
        self._registry = PoolRegistry(store.pools())
        self._feed = ChangeFeed(store)
        self.writer = Writer(store, settings.actor, clock.now_ms, migrations, self._after_commit)
        self._dispatcher = Dispatcher(self.writer, hosts, self._registry, self.epoch, self._deposed)
        self._planner = Planner(self.writer, hosts, self._registry, clock, settings.cycle, self._wake_pools)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._planner.serve(), name="planner"),
            asyncio.create_task(self._supervise(), name="supervisor"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._fail_stop)
        self._planner.wake()

    async def close(self) -> None:
        """Stops acting, then stores what was handed in. Runs on pools go on."""
        for task in self._tasks:
            task.remove_done_callback(self._fail_stop)
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._dispatcher.close()
        await self._hosts.close()
        await asyncio.to_thread(self.writer.close)

    # Workloads

    async def submit(self, submissions: Sequence[Submission]) -> list[Outcome]:
        def decide(book: Book) -> Decision[list[Outcome]]:
            if book.live_count + len(submissions) > self._settings.live_limit:
                raise _too_many(book.live_count, self._settings.live_limit)
            known = self._known(book, submissions)
            outcomes, changes = admit(book, known, submissions, self._new_id, self._clock.now_ms())
            return Decision(outcomes, changes)

        return await asyncio.wrap_future(self.writer.submit(decide))

    async def get(self, workload_id: str) -> WorkloadRecord:
        found = await asyncio.to_thread(self._store.workload, workload_id)
        if found is None:
            raise RequestError(
                ErrorCode.NOT_FOUND,
                f"没有作业 {workload_id}；用 xisuan workload ls 查看 / no workload {workload_id}; "
                "see xisuan workload ls",
            )
        return WorkloadRecord(*found)

    async def list_workloads(
        self, queue: str, states: frozenset[WorkloadState], page_size: int, page_token: str
    ) -> WorkloadPage:
        if page_token and not page_token.isdecimal():
            raise RequestError(
                ErrorCode.INVALID_ARGUMENT,
                f"page_token {page_token!r} 不是上一页给出的值 / is not one that a page before gave",
            )
        records, following = await asyncio.to_thread(
            self._store.page, queue, states, int(page_token or 0), page_size
        )
        return WorkloadPage(
            tuple(WorkloadRecord(*record) for record in records), "" if following is None else str(following)
        )

    async def changes(self, cursor: int | None, wanted: WatchFilter, wait_ms: int) -> ChangePage:
        return await self._feed.changes(cursor, wanted, wait_ms)

    async def cancel(self, workload_id: str, reason: str) -> WorkloadRecord:
        await self.get(workload_id)  # NOT_FOUND for an unknown id

        def decide(book: Book) -> Decision[str]:
            run = book.live_run_of(workload_id)
            return Decision(run.pool_id if run else "", cancel(book, workload_id, reason))

        pool_id = await asyncio.wrap_future(self.writer.submit(decide))
        if pool_id:
            self._dispatcher.wake(pool_id)
        return await self.get(workload_id)

    async def explain(self, workload_id: str) -> Explanation:
        record = await self.get(workload_id)
        verdicts = self._planner.verdicts(workload_id)
        if record.workload.state is WorkloadState.QUEUED and verdicts:
            return explain_opinions(workload_id, verdicts)
        return explain(record.workload, self._registry.views(), self._settings.cycle.stack)

    async def dry_run(self, submissions: Sequence[Submission]) -> list[DryRunPlacement]:
        plan = await self._planner.dry_run(submissions)
        placed = {placement.workload_id: placement for placement in plan.placements}
        opinions = {entry.workload_id: entry.opinions for entry in plan.unplaced}
        answers = []
        for number, submission in enumerate(submissions):
            asked = as_workload(submission, number, self._clock.now_ms())
            views, stack = self._registry.views(), self._settings.cycle.stack
            key = asked.workload_id
            said = explain_opinions(key, opinions[key]) if key in opinions else explain(asked, views, stack)
            pool_id = placed[key].pool_id if key in placed else ""
            nodes = placed[key].nodes if key in placed else ()
            cost = _cost_cny(self._registry.get(pool_id).pool, submission) if pool_id else 0.0
            answers.append(DryRunPlacement(pool_id, nodes, said, cost))
        return answers

    async def log_source(self, workload_id: str, attempt: int) -> LogSource:
        record = await self.get(workload_id)
        runs = [run for run in record.runs if attempt in (0, run.attempt)]
        if not runs:
            raise RequestError(
                ErrorCode.NOT_FOUND,
                f"作业 {workload_id} 还没有第 {attempt or 1} 次运行；状态为 {record.workload.state} / workload "
                f"{workload_id} has no run {attempt or 1} yet; it is {record.workload.state}",
            )
        return LogSource(runs[-1].run_id, self._registry.get(runs[-1].pool_id).endpoint)

    # Pools

    async def pools(self) -> tuple[PoolStatus, ...]:
        with self.writer.reading() as book:
            active = {pool_id: len(book.runs_on(pool_id)) for pool_id in self._registry.ids()}
        return tuple(entry.status(active[entry.pool.pool_id]) for entry in self._registry)

    async def register_pool(self, pool: Pool, endpoint: str) -> PoolStatus:
        draft = pool_registered(pool, endpoint)
        await asyncio.wrap_future(self.writer.submit(lambda _: Decision(None, drafts=[draft])))
        self._registry.declare(pool, endpoint)
        await self._attach(pool.pool_id)
        return await self._status(pool.pool_id)

    async def cordon_pool(self, pool_id: str, cordoned: bool, reason: str) -> PoolStatus:
        await self._admit(pool_id, CORDONED if cordoned else OPEN, reason)
        return await self._status(pool_id)

    async def drain_pool(self, pool_id: str, reason: str) -> tuple[PoolStatus, tuple[str, ...]]:
        await self._admit(pool_id, DRAINING, reason)
        with self.writer.reading() as book:
            run_ids = tuple(run.run_id for run in book.runs_on(pool_id))
        return await self._status(pool_id), run_ids

    async def _admit(self, pool_id: str, admission: str, reason: str) -> None:
        if self._registry.get(pool_id).admission == admission:
            return
        draft = pool_admission_changed(pool_id, admission, reason)
        await asyncio.wrap_future(self.writer.submit(lambda _: Decision(None, drafts=[draft])))
        self._registry.admit(pool_id, admission)
        self._dispatcher.wake(pool_id)
        self._planner.wake()

    async def _status(self, pool_id: str) -> PoolStatus:
        with self.writer.reading() as book:
            active = len(book.runs_on(pool_id))
        return self._registry.get(pool_id).status(active)

    async def report(self, report: PoolReport) -> None:
        """Takes a pool host's report. When it returns, the reported changes are durable."""
        pool_id = report.pool_id
        if pool_id not in self._registry.ids():
            return
        health_changed = self._registry.take_report(report)
        decisions = [decide_result(run) for run in report.runs]

        def conclude(book: Book) -> Decision[None]:
            changes: list[Change] = []
            if report.listed is not None:
                changes = reconcile(book, pool_id, report.listed, self._clock.now_ms())
            health = pool_health_changed(pool_id, report.health.value, report.health_message)
            cursors = (
                {pool_id: report.cursor} if report.cursor and (report.runs or report.listed is not None) else {}
            )
            return Decision(None, changes, [health] if health_changed else [], cursors)

        futures = self.writer.submit_each([*decisions, conclude])
        await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))
        if report.listed is not None:
            self._dispatcher.forget_stops(pool_id)
        if report.health is PoolHealth.READY and (health_changed or report.listed is not None):
            self._dispatcher.wake(pool_id)
            self._planner.wake()

    # Inside

    def _new_id(self) -> str:
        self._last_number += 1
        return f"w-{self._installation}-{self._last_number}"

    def _known(self, book: Book, submissions: Sequence[Submission]) -> Known:
        """Stored workloads that the batch may refer to and the book has let go."""
        keys = {(item.queue, name) for item in submissions for name in (item.client_key, *item.after)}
        ids = {name for item in submissions for name in item.after}
        return self._store.lookup(
            [key for key in keys if book.workload_by_key(*key) is None],
            [name for name in ids if book.workload(name) is None],
        )

    def _after_commit(self, changes: list[Change]) -> None:
        """On the writer's thread: watchers hear of every commit, the planner of what it can act on."""
        self._loop.call_soon_threadsafe(self._feed.notify)
        if any(_may_allow_a_placement(change) for change in changes):
            self._planner.wake()

    def _wake_pools(self, pool_ids: Iterable[str]) -> None:
        for pool_id in pool_ids:
            self._dispatcher.wake(pool_id)

    async def _attach(self, pool_id: str) -> None:
        entry = self._registry.get(pool_id)
        cursor = await asyncio.to_thread(self._store.cursor, pool_id)
        with self.writer.reading() as book:
            held = [
                HeldRun(run.run_id, workload.requirements, run.nodes)
                for run in book.runs_on(pool_id)
                if (workload := book.workload(run.workload_id)) is not None
            ]
        await self._hosts.attach(entry.pool, entry.endpoint, cursor, held)

    async def _supervise(self) -> None:
        """Pools that no host follows (at the start, or after a host was restarted) are attached."""
        while True:
            try:
                for pool_id in self._registry.ids() - await self._hosts.attached():
                    await self._attach(pool_id)
            except AdapterUnavailable as error:
                log.warning("a pool host does not answer: %s", error)
            await asyncio.sleep(SUPERVISE_S)

    def _deposed(self, error: StaleEpoch) -> None:
        log.error("a newer leader exists, so this one ends: %s", error)
        self._on_deposed()

    def _fail_stop(self, task: asyncio.Task[None]) -> None:
        """A loop that dies takes the control plane with it; a restart loads what is stored and goes on."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            kind = "store" if isinstance(error, StoreError) else "control plane"
            log.error("%s: %s failed: %s", kind, task.get_name(), error, exc_info=error)
            self._on_deposed()


def _may_allow_a_placement(change: Change) -> bool:
    match change:
        case WorkloadSubmitted(workload):
            return workload.state is WorkloadState.QUEUED
        case WorkloadChanged():
            return change.state is WorkloadState.QUEUED
        case RunChanged():
            return change.state.is_final
        case _:
            return False


def _too_many(live: int, limit: int) -> RequestError:
    return RequestError(
        ErrorCode.RESOURCE_EXHAUSTED,
        f"未完成作业已达 {live}，上限 {limit}；请稍后重试 / "
        f"{live} workloads are unfinished, the limit is {limit}; retry later",
        "TOO_MANY_WORKLOADS",
        retry_after_ms=1_000,
    )


def _cost_cny(pool: Pool, submission: Submission) -> float:
    """Price of the estimated running time at list prices; 0 without an estimate."""
    need, hours = submission.requirements.total, submission.estimated_ms / 3_600_000
    cards = need.accelerator_milli / 1000 * (pool.card_hour_cny or 0.0)
    return hours * (need.cpu_milli / 1000 * pool.vcpu_hour_cny + cards)

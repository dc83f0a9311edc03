"""The control plane: the one place that decides, stores, and tells others to act.

It implements `scheduler.services.ports.Scheduling` for the gateways and takes the reports of the pool hosts. In
production it is wrapped in a Ray actor (`control_plane_actor`); nothing here knows Ray or gRPC. Everything
that it promises is in the store first; everything that it holds in memory can be loaded from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from adapters.contract import DEFAULT_GRACE_MS
from adapters.port import AdapterUnavailable, StaleEpoch
from inventory.model.maintenance import Maintenance
from inventory.model.pool import Pool, PoolHealth
from inventory.model.submission_batch import SubmissionBatch
from inventory.model.workload import Submission, WorkloadState
from inventory.store.errors import StoreError
from scheduler.core.admission import Outcome
from scheduler.core.book import Book
from scheduler.core.changes import Change, RunChanged
from scheduler.core.lifecycle import cancel, reconcile
from scheduler.core.partition import lose_unheard
from scheduler.core.placement.explain import Explanation
from scheduler.cycle import CycleSettings
from scheduler.operation.commits import CommitMeter
from scheduler.ports import Clock
from scheduler.runtime.change_feed import ChangeFeed
from scheduler.runtime.dispatcher import Dispatcher, decide_heard
from scheduler.runtime.gathering import Asked
from scheduler.runtime.looks import Wake, wake_of
from scheduler.runtime.outlooks import Outlooks
from scheduler.runtime.planning import Planner
from scheduler.runtime.pool_host import PoolHosts, held_runs
from scheduler.runtime.pool_link import LinkStart, PoolReport
from scheduler.runtime.queue_desk import QueueDesk
from scheduler.runtime.registry import (
    CORDONED,
    DRAINING,
    OPEN,
    PoolRegistry,
    pool_is_held,
    registering,
    require_windows,
)
from scheduler.runtime.run_moves import Surroundings
from scheduler.runtime.submission_desk import Answer, SubmissionDesk
from scheduler.runtime.workload_records import read_page, read_record
from scheduler.runtime.writer import Decide, Decision, Writer, WriterEvents
from scheduler.services.outlooks import Outlook, Warned
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
from scheduler.services.queue_ports import Definition
from scheduler.store.projection import (
    pool_admission_changed,
    pool_health_changed,
    pool_left,
    pool_maintained,
)
from scheduler.store.scheduler_store import SchedulerStore

log = logging.getLogger("xisuan.control_plane")
Result = TypeVar("Result")
SUPERVISE_S = 2.0
# A pool whose lease has expired asks the run to end, and ends it by force after this; then it tells.
ENDING_MS = DEFAULT_GRACE_MS + 2_000


@dataclass(frozen=True, slots=True)
class ControlPlaneSettings:
    """`live_limit` bounds unfinished workloads, so that memory is refused before it runs out."""

    actor: str = "control-plane"
    live_limit: int = 1_000_000
    cycle: CycleSettings = field(default_factory=CycleSettings)


class ControlPlane:
    """Loads the state and becomes the leader when it is made, acts from `start` on, and ends by `close`.

    `on_deposed` is called, once, when this control plane must not go on: a newer one leads, or a part of it
    failed.
    """

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
        self._registry = PoolRegistry(store.pools(), store.maintenance(), clock)
        self._feed = ChangeFeed(store)
        events = WriterEvents(self._after_commit, self._writer_failed)
        self.writer = Writer(store, settings.actor, clock.now_ms, events)
        self._submissions = SubmissionDesk(self.writer, store, clock, leadership, settings.live_limit)
        self._meter = CommitMeter(self.writer, clock.now_ms)
        self._dispatcher = Dispatcher(self.writer, hosts, self._registry, self.epoch, self._deposed)
        around = Surroundings(self.writer, hosts, self._registry, clock, self._wake_pools)
        self._planner = Planner(around, settings.cycle)
        self._outlooks = Outlooks(self.writer, self._planner, hosts, lambda: self._settings.cycle)
        self._dispatcher.on_mended = self._planner.wake
        self.queues = QueueDesk(store, self.writer, self._registry, clock, self._planner.wake)
        self._tasks: list[asyncio.Task[None]] = []
        self._attached: set[str] = set()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._is_over = False

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._planner.serve(), name="planner"),
            asyncio.create_task(self._supervise(), name="supervisor"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._fail_stop)
        self._planner.wake()

    def reconfigure(self, cycle: CycleSettings) -> None:
        self._settings = replace(self._settings, cycle=cycle)
        self._planner.reconfigure(cycle)

    async def close(self) -> None:
        """Stops acting, then stores what was handed in. Runs on pools go on."""
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._dispatcher.close()
        await self._hosts.close()
        await asyncio.to_thread(self.writer.close)
        await asyncio.gather(*self._under_way, return_exceptions=True)

    # Workloads

    async def submit(self, submissions: Sequence[Submission]) -> list[Outcome]:
        return await asyncio.wrap_future(self._submissions.submit(SubmissionBatch.of(submissions)))

    async def submit_all(self, asked: Sequence[Asked]) -> list[Answer]:
        """The submissions of several callers, each decided by itself; an error is that caller's answer alone."""
        return await asyncio.wrap_future(self._submissions.submit_all(asked))

    async def get(self, workload_id: str) -> WorkloadRecord:
        return await asyncio.to_thread(read_record, self._store, workload_id)

    async def list_workloads(
        self,
        queue: str,
        states: frozenset[WorkloadState],
        page_size: int,
        page_token: str,
        array_id: str = "",
        within: tuple[str, ...] = (),
    ) -> WorkloadPage:
        page = (page_size, page_token)
        return await asyncio.to_thread(read_page, self._store, queue, states, page, array_id, within)

    async def changes(self, cursor: int | None, wanted: WatchFilter, wait_ms: int) -> ChangePage:
        return await self._feed.changes(cursor, wanted, wait_ms)

    async def cancel(self, workload_id: str, reason: str) -> WorkloadRecord:
        await self.get(workload_id)  # NOT_FOUND for an unknown id
        await self._to_the_end(self._cancel(workload_id, reason))
        return await self.get(workload_id)

    async def _cancel(self, workload_id: str, reason: str) -> None:
        def decide(book: Book) -> Decision[Iterable[str]]:
            progress = book.arrays.of(workload_id)
            ids = (workload_id,) if progress is None else progress.open_ids
            runs = [run for one in ids if (run := book.live_run_of(one)) is not None]
            return Decision({run.pool_id for run in runs}, cancel(book, workload_id, reason))

        self._wake_pools(await self._write(decide))

    async def explain(self, workload_id: str) -> Explanation:
        return await self._outlooks.explain((await self.get(workload_id)).workload)

    async def outlook(self, workload_id: str, with_changes: bool) -> Outlook:
        return await self._outlooks.outlook((await self.get(workload_id)).workload, with_changes=with_changes)

    async def warnings(self, workload_ids: Sequence[str]) -> Mapping[str, Warned]:
        known = await self._look(lambda book: [book.workload(one) for one in workload_ids])
        return await self._outlooks.warnings([one for one in known if one is not None])

    async def dry_run(self, submissions: Sequence[Submission]) -> list[DryRunPlacement]:
        return await self._outlooks.dry_run(submissions)

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
        await self._planner.views()
        active = await self._look(lambda book: {entry: book.run_count_on(entry) for entry in self._registry.ids()})
        return tuple(entry.status(active.get(entry.pool.pool_id, 0)) for entry in self._registry)

    async def register_pool(self, pool: Pool, endpoint: str) -> PoolStatus:
        await self._to_the_end(self._register(pool, endpoint))
        return await self._status(pool.pool_id)

    async def cordon_pool(self, pool_id: str, cordoned: bool, reason: str) -> PoolStatus:
        await self._to_the_end(self._admit(pool_id, CORDONED if cordoned else OPEN, reason))
        return await self._status(pool_id)

    async def drain_pool(
        self, pool_id: str, reason: str, deadline_ms: int = 0
    ) -> tuple[PoolStatus, tuple[str, ...]]:
        due_ms = self._clock.now_ms() + deadline_ms if deadline_ms else 0
        run_ids = await self._to_the_end(self._admit(pool_id, DRAINING, reason, due_ms))
        return await self._status(pool_id), run_ids

    async def maintain_pool(self, pool_id: str, windows: Sequence[Maintenance]) -> PoolStatus:
        self._registry.get(pool_id)
        require_windows(windows, self._clock.now_ms())
        stated = sorted(windows, key=lambda window: window.starts_ms)
        await self._to_the_end(self._maintain(pool_id, stated))
        return await self._status(pool_id)

    async def leave_pool(self, pool_id: str, reason: str) -> None:
        if pool_id in self._registry.ids():
            await self._to_the_end(self._leave(pool_id, reason))

    async def _maintain(self, pool_id: str, windows: Sequence[Maintenance]) -> None:
        draft = pool_maintained(pool_id, [asdict(window) for window in windows])
        await self._write(lambda _: Decision(None, drafts=[draft]))
        self._registry.maintain(pool_id, windows)
        self._dispatcher.wake(pool_id)
        self._planner.wake()

    async def _leave(self, pool_id: str, reason: str) -> None:
        def decide(book: Book) -> Decision[None]:
            held = book.runs_on(pool_id)
            if held:
                raise pool_is_held(pool_id, len(held))
            book.lost_runs.listed(pool_id, ())
            return Decision(None, drafts=[pool_left(pool_id, reason)], cursors={pool_id: ""})

        before = self._registry.get(pool_id)
        self._registry.admit(pool_id, CORDONED)  # before it is stored, so that no placement slips in
        try:
            await self._write(decide)
        except Exception:
            self._registry.admit(pool_id, before.admission, before.drain_deadline_ms)
            raise
        self._registry.remove(pool_id)
        self._attached.discard(pool_id)
        await self._dispatcher.forget(pool_id)
        await self._hosts.detach(pool_id)
        self._planner.wake()

    async def _register(self, pool: Pool, endpoint: str) -> None:
        await self._write(registering(pool, endpoint))
        self._registry.declare(pool, endpoint)
        self._attached.discard(pool.pool_id)
        try:
            await self._attach(pool.pool_id)
        except AdapterUnavailable as error:
            log.warning("%s is registered, and attached when its host is back: %s", pool.pool_id, error)

    # Queues

    async def define_queues(self, content: Mapping[str, Any]) -> None:
        """Replaces queues, budgets and reservations by this document (`scheduler.core.queueing.document`).

        Raises RequestError with every fault. When it returns, the document is durable and in force.
        """
        await self.queues.apply(Definition(content))

    async def _admit(self, pool_id: str, admission: str, reason: str, due_ms: int = 0) -> tuple[str, ...]:
        """The ids of the runs that the pool had at this moment."""

        def decide(book: Book) -> Decision[tuple[str, ...]]:
            stored = f"{admission}:{due_ms}" if due_ms else admission
            is_known = (before.admission, before.drain_deadline_ms) == (admission, due_ms)
            drafts = [] if is_known else [pool_admission_changed(pool_id, stored, reason)]
            return Decision(tuple(run.run_id for run in book.runs_on(pool_id)), drafts=drafts)

        before = self._registry.get(pool_id)
        if admission != OPEN:
            self._registry.admit(pool_id, admission, due_ms)  # before it is stored, so that no placement slips in
        try:
            run_ids = await self._write(decide)
        except Exception:
            self._registry.admit(pool_id, before.admission, before.drain_deadline_ms)
            raise
        self._registry.admit(pool_id, admission, due_ms)
        self._dispatcher.forget_stops(pool_id)  # with another deadline they are asked anew
        self._dispatcher.wake(pool_id)
        self._planner.wake()
        return run_ids

    async def _status(self, pool_id: str) -> PoolStatus:
        active = await self._look(lambda book: book.run_count_on(pool_id))
        return self._registry.get(pool_id).status(active)

    # Reports of pool hosts

    async def report(self, report: PoolReport) -> None:
        """Takes a pool host's report. When it returns, the changes are durable; when it raises, give it again."""
        if report.pool_id in self._registry.ids():
            await self._to_the_end(self._take(report))

    async def _take(self, report: PoolReport) -> None:
        pool_id = report.pool_id
        before = self._registry.get(pool_id)
        health_changed = before.health is not report.health
        lost: list[str] = []
        owed: set[str] = set()

        def conclude(book: Book) -> Decision[None]:
            lost_now: list[Change] = []
            if report.listed is not None:
                lost_now = reconcile(book, pool_id, report.listed, self._clock.now_ms())
                lost.extend(change.run_id for change in lost_now if isinstance(change, RunChanged))
                lost.extend(book.lost_runs.listed(pool_id, report.listed))
            given_up = lose_unheard(book, pool_id, report.unheard_ms, ENDING_MS, self._clock.now_ms())
            owed.update(book.lost_runs.take_woken())
            health = pool_health_changed(pool_id, report.health.value, report.health_message)
            cursors = {}
            if given_up or report.runs or report.listed is not None:
                # Where something is known that a resumed stream would not tell again, the next leader lists anew.
                cursors[pool_id] = "" if given_up or book.lost_runs.has_debts(pool_id) else report.cursor
            return Decision(None, [*lost_now, *given_up], [health] if health_changed else [], cursors)

        decisions: list[Decide] = [decide_heard(pool_id, run) for run in report.runs]
        await asyncio.wrap_future(self.writer.submit_each([*decisions, conclude]))
        if lost:
            # The host cannot know: it sees only what the pool lists, and holds what was placed.
            log.warning("%s no longer remembers %d runs, which are placed anew", pool_id, len(lost))
            await self._hosts.release({pool_id: lost})
        self._registry.take_report(report)
        for debtor in owed:
            self._dispatcher.wake(debtor)
        if report.outranked:
            self._deposed(StaleEpoch(f"{pool_id} obeys a newer leader than epoch {self.epoch}"))
        if report.listed is not None:
            self._dispatcher.forget_stops(pool_id)
        if report.health is PoolHealth.READY and (health_changed or report.listed is not None):
            self._dispatcher.wake(pool_id)
            self._planner.wake()
        elif before.allocatable != report.allocatable or before.largest_task != report.largest_task:
            self._planner.wake()  # nodes have come, gone, or been opened

    # Inside

    async def _write(self, decide: Callable[[Book], Decision[Result]]) -> Result:
        return await asyncio.wrap_future(self.writer.submit(decide))

    async def _look(self, question: Callable[[Book], Result]) -> Result:
        """Off the event loop, which must not wait for a commit."""
        return await asyncio.to_thread(self.writer.look, question)

    async def _to_the_end(self, change: Coroutine[Any, Any, Result]) -> Result:
        """What follows a commit happens even when the caller goes away between the two."""
        task = asyncio.create_task(change)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    def _after_commit(self, changes: Sequence[Change]) -> None:
        """On the writer's thread: watchers hear of every commit, the planner of what it can act on.

        Without changes: either nothing about workloads was stored, or the store failed and nobody knows.
        """
        self._loop.call_soon_threadsafe(self._feed.notify)
        self._meter.committed(changes)
        reason = wake_of(changes) if changes else Wake.ANYTHING
        if reason is not Wake.NOTHING:
            self._planner.wake(reason)

    def _writer_failed(self, error: BaseException) -> None:
        """On the writer's thread."""
        self._loop.call_soon_threadsafe(self._deposed, error)

    def _wake_pools(self, pool_ids: Iterable[str]) -> None:
        for pool_id in pool_ids:
            self._dispatcher.wake(pool_id)

    async def _attach(self, pool_id: str) -> None:
        """Gives the pool to its host, with what its runs hold. No cycle may place meanwhile: the host would forget
        what it granted between our look at the book and the new link."""
        entry = self._registry.get(pool_id)
        async with self._planner.between_cycles:
            # First the cursor: what ends after it is told again, so nothing that is held here is held for ever.
            cursor = await asyncio.to_thread(self._store.cursor, pool_id)
            held = await self._look(lambda book: held_runs(book, pool_id))
            await self._hosts.attach(entry.pool, entry.endpoint, LinkStart(self.epoch, cursor, tuple(held)))
            self._attached.add(pool_id)
        self._planner.wake()

    async def _supervise(self) -> None:
        """Attaches each pool once when we begin to lead, and again when its host was restarted.

        A host that survived our predecessor follows its pools already, with reservations of cycles that died: it
        gets each pool anew, and reports it. A leader that slept, and was replaced meanwhile, ends here: Deposed.
        """
        while True:
            try:
                await asyncio.to_thread(self._store.require_leadership)
                self._look_at_windows()
                followed = self._attached & await self._hosts.attached()
                for pool_id in sorted(self._registry.ids() - followed):
                    await self._attach(pool_id)
            except (AdapterUnavailable, StoreError) as error:
                log.warning("a pool could not be attached and is tried again: %s", error)
            await asyncio.sleep(SUPERVISE_S)

    def _look_at_windows(self) -> None:
        """Maintenance begins and ends; runs that were asked to end and have not are ended by force."""
        changed = self._registry.observe()
        overdue = self._registry.overdue()
        for pool_id in {*changed, *overdue}:
            self._dispatcher.forget_stops(pool_id)
            self._dispatcher.wake(pool_id)
        if changed:
            self._planner.wake()

    def _deposed(self, error: BaseException) -> None:
        """A newer leader exists, or a part of this one failed: it ends, and a restart loads what is stored."""
        if not self._is_over:
            self._is_over = True
            log.error("this control plane (epoch %d) ends: %s", self.epoch, error, exc_info=error)
            self._on_deposed()

    def _fail_stop(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._deposed(error)

"""The registry of pools in the control plane: what was declared, and what is known now.

Declarations and admissions are durable (events); health and free capacity are what the hosts last reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from adapters.contract import DEFAULT_GRACE_MS
from adapters.wire.scalars import MAX_DURATION_MS
from inventory.model.maintenance import Maintenance, Phase, strictest
from inventory.model.pool import Pool, PoolHealth
from inventory.model.units import Resources
from scheduler.core.book import Book
from scheduler.ports import Clock, PoolView
from scheduler.runtime.pool_link import PoolReport
from scheduler.runtime.writer import Decision
from scheduler.services.ports import ErrorCode, PoolStatus, RequestError
from scheduler.store.projection import pool_registered
from scheduler.store.scheduler_store import StoredPool

NOTHING = Resources()
OPEN, CORDONED, DRAINING = "open", "cordoned", "draining"


@dataclass(frozen=True, slots=True)
class Registered:
    pool: Pool
    endpoint: str
    admission: str = OPEN
    health: PoolHealth = PoolHealth.UNKNOWN
    health_message: str = ""
    allocatable: Resources = NOTHING
    free: Resources = NOTHING
    largest_task: Resources = NOTHING
    runtimes: frozenset[str] = frozenset()
    max_batch: int = 1
    nodes: int = 0
    drain_deadline_ms: int = 0
    windows: tuple[Maintenance, ...] = ()
    phase: Phase = Phase.OPEN
    window_starts_ms: int = 0
    circuit_broken: str = ""

    @property
    def is_closed(self) -> bool:
        """It takes no new runs."""
        return self.admission != OPEN or self.phase is not Phase.OPEN or bool(self.circuit_broken)

    @property
    def is_draining(self) -> bool:
        return self.admission == DRAINING or self.phase in (Phase.EMPTYING, Phase.UNDER_WAY)

    @property
    def deadline_ms(self) -> int:
        """When runs that were asked to end are ended by force; 0: none was given. The earlier of drain and window."""
        drain_ms = self.drain_deadline_ms if self.admission == DRAINING else 0
        window_ms = self.window_starts_ms if self.phase in (Phase.EMPTYING, Phase.UNDER_WAY) else 0
        return min(filter(None, (drain_ms, window_ms)), default=0)

    def view(self) -> PoolView:
        return PoolView(
            pool=self.pool,
            health=self.health,
            cordoned=self.is_closed,
            allocatable=self.allocatable,
            free=self.free,
            largest_task=self.largest_task,
            runtimes=self.runtimes,
        )

    def status(self, active_runs: int) -> PoolStatus:
        return PoolStatus(
            pool=self.pool,
            endpoint=self.endpoint,
            health=self.health,
            health_message=self.health_message or self.circuit_broken or self._window_message(),
            cordoned=self.is_closed,
            draining=self.is_draining,
            nodes=self.nodes,
            allocatable=self.allocatable,
            free=self.free,
            active_runs=active_runs,
            promised=self.pool.capacity if self.pool.node_groups else NOTHING,
            maintenance=self.windows,
            drain_deadline_ms=self.deadline_ms,
        )

    def _window_message(self) -> str:
        return "" if self.phase is Phase.OPEN else f"维护窗口 {self.phase} / maintenance {self.phase}"


class PoolRegistry:
    """Changed on the control plane's event loop only; reading is safe from any thread (entries are immutable)."""

    def __init__(
        self, stored: Iterable[StoredPool], windows: Mapping[str, Sequence[Mapping[str, Any]]], clock: Clock
    ) -> None:
        self._clock = clock
        self._pools: dict[str, Registered] = {}
        self._made: dict[str, _Made] = {}  # views of the last look: most pools have not changed since
        self._known: dict[str, _Made] = {}  # likewise, of what was told
        for one in stored:
            admission, deadline_ms = admission_of(one.admission)
            stated = tuple(Maintenance(**window) for window in windows.get(one.pool.pool_id, ()))
            self._pools[one.pool.pool_id] = Registered(
                one.pool, one.endpoint, admission, drain_deadline_ms=deadline_ms, windows=stated
            )
        self.observe()

    def __iter__(self) -> Iterator[Registered]:
        return iter(tuple(self._pools.values()))

    def ids(self) -> frozenset[str]:
        return frozenset(self._pools)

    def get(self, pool_id: str) -> Registered:
        """RequestError NOT_FOUND, with the ids that exist, for an unknown pool."""
        if pool_id not in self._pools:
            known = ", ".join(sorted(self._pools)) or "-"
            raise RequestError(
                ErrorCode.NOT_FOUND,
                f"没有算力池 {pool_id}，已登记：{known} / no pool {pool_id}; registered are: {known}",
            )
        return self._pools[pool_id]

    def declare(self, pool: Pool, endpoint: str) -> Registered:
        known = self._pools.get(pool.pool_id)
        entry = replace(known, pool=pool, endpoint=endpoint) if known else Registered(pool, endpoint)
        self._pools[pool.pool_id] = entry
        return entry

    def admit(self, pool_id: str, admission: str, deadline_ms: int = 0) -> None:
        self._pools[pool_id] = replace(self.get(pool_id), admission=admission, drain_deadline_ms=deadline_ms)

    def maintain(self, pool_id: str, windows: Sequence[Maintenance]) -> None:
        self._pools[pool_id] = replace(self.get(pool_id), windows=tuple(windows))
        self.observe()

    def remove(self, pool_id: str) -> None:
        self._pools.pop(pool_id, None)

    def observe(self) -> list[str]:
        """Takes note of the time: the ids of pools whose windows ask something else than before."""
        now_ms = self._clock.now_ms()
        changed = []
        for pool_id, entry in self._pools.items():
            phase, window = strictest(entry.windows, now_ms)
            starts_ms = window.starts_ms if window else 0
            if (phase, starts_ms) != (entry.phase, entry.window_starts_ms):
                self._pools[pool_id] = replace(entry, phase=phase, window_starts_ms=starts_ms)
                changed.append(pool_id)
        return changed

    def overdue(self) -> list[str]:
        """Pools that drain and whose deadline has passed."""
        now_ms = self._clock.now_ms()
        return [one.pool.pool_id for one in self if one.is_draining and 0 < one.deadline_ms <= now_ms]

    def grace_ms(self, pool_id: str) -> int:
        """How long a run that is asked to end there may take."""
        entry = self.get(pool_id)
        if not entry.is_draining or not entry.deadline_ms:
            return DEFAULT_GRACE_MS
        return min(max(0, entry.deadline_ms - self._clock.now_ms()), MAX_DURATION_MS)

    def break_circuit(self, pool_id: str, why: str) -> None:
        """Nothing new is placed there until `why` is empty."""
        self._pools[pool_id] = replace(self.get(pool_id), circuit_broken=why)

    def closed(self) -> frozenset[str]:
        """Pools that take no new runs."""
        return frozenset(entry.pool.pool_id for entry in self if entry.is_closed)

    def take_report(self, report: PoolReport) -> None:
        before = self._pools.get(report.pool_id)
        if before is None:
            return
        self._pools[report.pool_id] = replace(
            before,
            health=report.health,
            health_message=report.health_message,
            allocatable=report.allocatable,
            free=report.free,
            largest_task=report.largest_task,
            runtimes=report.runtimes,
            max_batch=report.max_batch,
            nodes=report.nodes,
        )

    def take_views(self, live: Mapping[str, PoolView]) -> None:
        """What hosts say now of the capacity of their pools."""
        for pool_id, view in live.items():
            entry = self._pools.get(pool_id)
            if entry is not None and not _says_the_same(entry, view):
                self._pools[pool_id] = replace(
                    entry,
                    allocatable=view.allocatable,
                    free=view.free,
                    largest_task=view.largest_task,
                    runtimes=view.runtimes,
                )

    def known_views(self) -> tuple[PoolView, ...]:
        """Every pool as it was told last, by its host's answers and its reports: nobody is asked."""
        known = self._known
        self._known = {
            pool_id: made
            if (made := known.get(pool_id)) is not None and made.entry is entry
            else _Made(entry, None, _within_promise(entry.view()))
            for pool_id, entry in tuple(self._pools.items())
        }
        return tuple(one.view for one in self._known.values())

    def views(self, live: Mapping[str, PoolView]) -> tuple[PoolView, ...]:
        """Every pool: what is declared and admitted here, with the capacity that its host sees now.

        A pool that was ready and whose host says nothing of it is unreachable until the host is back.
        """
        made: dict[str, _Made] = {}
        for pool_id, entry in self._pools.items():
            seen = live.get(pool_id)
            known = self._made.get(pool_id)
            if known is None or known.entry is not entry or known.seen is not seen:
                known = _Made(entry, seen, _within_promise(_seen(entry.view(), seen)))
            made[pool_id] = known
        self._made = made
        return tuple(one.view for one in made.values())


def registering(pool: Pool, endpoint: str) -> Callable[[Book], Decision[None]]:
    """Stores what is declared of a pool. Runs that are placed there from then on are expected to end after their staging."""
    draft = pool_registered(pool, endpoint)

    def decide(book: Book) -> Decision[None]:
        book.tables.know(pool)
        return Decision(None, drafts=[draft])

    return decide


def admission_of(text: str) -> tuple[str, int]:
    """A stored admission: open, cordoned, draining, or draining:UNIX_MS with the deadline of the drain."""
    word, _, deadline = text.partition(":")
    return word, int(deadline or 0)


class _Made(NamedTuple):
    """A view, and what it was made of."""

    entry: Registered
    seen: PoolView | None
    view: PoolView


def _says_the_same(entry: Registered, view: PoolView) -> bool:
    return (
        entry.allocatable == view.allocatable
        and entry.free == view.free
        and entry.largest_task == view.largest_task
        and entry.runtimes == view.runtimes
    )


def _within_promise(view: PoolView) -> PoolView:
    """A pool that shows more than its owner promised gets no more than that: the rest may be taken away any time."""
    if not view.pool.node_groups:
        return view
    surplus = view.allocatable.shortage(view.pool.capacity)
    allocatable = view.allocatable - surplus
    used = view.allocatable - view.free
    left = allocatable - (used - used.shortage(allocatable))
    return replace(view, allocatable=allocatable, free=view.free - view.free.shortage(left))


def _seen(view: PoolView, live: PoolView | None) -> PoolView:
    if live is None:
        ready = view.health is PoolHealth.READY
        return replace(view, health=PoolHealth.UNREACHABLE if ready else view.health)
    return replace(
        view,
        allocatable=live.allocatable,
        free=live.free,
        largest_task=live.largest_task,
        runtimes=live.runtimes,
    )


def pool_is_held(pool_id: str, runs: int) -> RequestError:
    return RequestError(
        ErrorCode.FAILED_PRECONDITION,
        f"算力池 {pool_id} 上还有 {runs} 个运行；请先 xisuan pool drain {pool_id} / pool {pool_id} still has {runs} runs: "
        f"xisuan pool drain {pool_id} first",
        "POOL_IS_HELD",
    )


def require_windows(windows: Sequence[Maintenance], now_ms: int) -> None:
    """RequestError INVALID_ARGUMENT for a window that is over, or ends before it starts."""
    for number, window in enumerate(windows):
        if window.ends_ms <= max(window.starts_ms, now_ms):
            raise RequestError(
                ErrorCode.INVALID_ARGUMENT,
                f"windows[{number}]: 结束时间须晚于开始时间和现在 / must end after its start, and after now",
            )

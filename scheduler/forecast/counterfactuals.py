"""What would have to be different for a workload to start: found by search, each verified by a probe.

`xisuan workload explain` shows them. One change at a time, the smallest of its kind: less of an amount (by bisection),
one wish given up, or the moment at which what is in the way is expected to be over. Where no single change helps,
pairs of wishes are tried. The protection level (等保) is not a wish: nobody is told to lower it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import combinations
from math import ceil
from typing import Final

from inventory.model.constraints import NodeSelector
from inventory.model.system import Zone
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import NodeBatch, Shape
from scheduler.core.placement.wording import zone_en
from scheduler.core.queueing.running import RunningRow
from scheduler.core.queueing.waiting import WaitingRow
from scheduler.cycle import CycleSettings
from scheduler.forecast.probe import Probe
from scheduler.forecast.world import Situation, World

MOST: Final = 6
HORIZON_MS: Final = 30 * 86_400_000
_CORE, _CARD = 1000, 1000
_CHINA = timezone(timedelta(hours=8))
Change = Callable[[Requirements], Requirements]


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """With this change alone it would start in this pool; `at_ms` (0: now) is when, for a change of time."""

    code: str
    change_zh: str
    change_en: str
    pool_id: str
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Wish:
    """Something asked for that can be given up without asking for less."""

    code: str
    zh: str
    en: str
    change: Change


def counterfactuals(situation: Situation, probe: Probe, row: WaitingRow) -> tuple[Counterfactual, ...]:
    """The changes that would let this workload start, at most `MOST`; empty where it would start as it is."""
    shape = situation.shapes.shapes[row.shape]
    search = _Search(situation, probe, row, shape, probe.settings)
    if search.placed(shape.requirements) is not None:
        return ()
    found = [*search.of_amounts(), *search.of_wishes()]
    moment = search.of_time()
    if moment is not None:
        found.append(moment)
    if not found:
        found += search.of_pairs()
    return tuple(found[:MOST])


@dataclass(frozen=True, slots=True)
class _Search:
    situation: Situation
    probe: Probe
    row: WaitingRow
    shape: Shape
    settings: CycleSettings

    def placed(self, needs: Requirements) -> str | None:
        """The pool where it would start with these requirements."""
        placement = self.probe.placement(self.row, replace(self.shape, requirements=needs))
        return None if placement is None else placement.pool_id

    # Less of an amount

    def of_amounts(self) -> Iterator[Counterfactual]:
        needs = self.shape.requirements
        each = needs.per_task
        if each.accelerator_milli > _CARD:
            yield from self._less("cards", ("卡", "cards"), each.accelerator_milli // _CARD, self._with_cards)
        if needs.tasks > 1:
            yield from self._less("tasks", ("个任务", "tasks"), needs.tasks, lambda n: replace(needs, tasks=n))
        if each.cpu_milli > _CORE:
            yield from self._less("cpu", ("核", "CPUs"), each.cpu_milli / _CORE, self._with_cores)
        if each.memory_bytes > GIB:
            yield from self._less("memory", ("GiB 内存", "GiB memory"), each.memory_bytes / GIB, self._with_memory)

    def _less(
        self, code: str, unit: tuple[str, str], asked: float, changed: Callable[[int], Requirements]
    ) -> Iterator[Counterfactual]:
        """The most that would start, by bisection between 1 and the last whole number below what is asked: less never
        fits worse."""
        low, high, pool_id = 0, ceil(asked), None
        while high - low > 1:
            middle = (low + high) // 2
            here = self.placed(changed(middle))
            if here is None:
                high = middle
            else:
                low, pool_id = middle, here
        if pool_id is not None:
            (zh, en), fewer, was = unit, f"{asked - low:.4g}", f"{asked:.6g}"
            each = " a task" if code != "tasks" and self.shape.requirements.tasks > 1 else ""
            yield Counterfactual(
                code,
                f"少 {fewer} {zh}（{low} 而非 {was}）",
                f"{fewer} {en.removesuffix('s') if fewer == '1' else en} fewer{each} ({low} instead of {was})",
                pool_id,
            )

    def _with_cards(self, count: int) -> Requirements:
        return self._with(replace(self.shape.requirements.per_task, accelerator_milli=count * _CARD))

    def _with_cores(self, count: int) -> Requirements:
        return self._with(replace(self.shape.requirements.per_task, cpu_milli=count * _CORE))

    def _with_memory(self, count: int) -> Requirements:
        return self._with(replace(self.shape.requirements.per_task, memory_bytes=count * GIB))

    def _with(self, per_task: Resources) -> Requirements:
        return replace(self.shape.requirements, per_task=per_task)

    # Wishes

    def of_wishes(self) -> Iterator[Counterfactual]:
        for wish in wishes(self.shape.requirements):
            pool_id = self.placed(wish.change(self.shape.requirements))
            if pool_id is not None:
                yield Counterfactual(wish.code, wish.zh, wish.en, pool_id)

    def of_pairs(self) -> Iterator[Counterfactual]:
        for one, other in combinations(wishes(self.shape.requirements), 2):
            if one.code == other.code:
                continue
            pool_id = self.placed(other.change(one.change(self.shape.requirements)))
            if pool_id is not None:
                yield Counterfactual(
                    f"{one.code}+{other.code}", f"{one.zh}，且{other.zh}", f"{one.en}, and {other.en}", pool_id
                )

    # Time

    def of_time(self) -> Counterfactual | None:
        """The moment at which it would start if nobody else waited and all runs ended as expected: the cycle itself says so,
        with quotas, budgets and reservations, on a copy of the state that is moved forward."""
        given = self.situation
        world = _Undisturbed(
            replace(given, waiting=(self.row,)), self.settings, _as_expected, _later_steps(given.now_ms)
        )
        world.run(given.now_ms + HORIZON_MS, lambda: self.row.workload_id in world.started)
        started = world.started.get(self.row.workload_id)
        if started is None:
            return None
        clock = _clock(started.start_ms)
        zh, en = self._event_before(world, started.start_ms)
        return Counterfactual(
            "time", f"{clock} 之后{zh}", f"after {clock}{en}", started.pool_id, at_ms=started.start_ms
        )

    def _event_before(self, world: World, at_ms: int) -> tuple[str, str]:
        """What happens last before it starts: a run ends, or the calendar turns."""
        last_ms, workload_id = max(
            ((ms, row.workload_id) for row, ms in world.ended if ms <= at_ms), default=(0, "")
        )
        for one in self.situation.reservations:
            if last_ms < one.until_ms <= at_ms:
                return f"，预留 {one.reservation_id} 结束时", f", when reservation {one.reservation_id} ends,"
        renewed = [ms for ms in self.situation.usage.renewals_ms(self.situation.now_ms) if last_ms < ms <= at_ms]
        if renewed:
            return "，预算的新周期开始时", ", when a new period of the budget begins,"
        if workload_id:
            return f"，{workload_id} 结束时（按其预计时长）", f", when {workload_id} ends (by its own estimate),"
        return "", ""


class _Undisturbed(World):
    """Nobody is stopped for it."""

    def fits_without(self, pool_id: str, batch: NodeBatch, victims: Sequence[str]) -> bool:
        return False


def _as_expected(row: RunningRow, elapsed_ms: int) -> int:
    return row.end_ms - row.started_ms


def _later_steps(now_ms: int) -> Callable[[int], int]:
    """The further away, the less often the cycle is asked: a moment is at most a twentieth of the way too late."""
    return lambda moment: max(1, (moment - now_ms) // 20)


def _clock(ms: int) -> str:
    """Rounded up to the minute: at that minute it holds."""
    return datetime.fromtimestamp(-(-ms // 60_000) * 60, UTC).astimezone(_CHINA).strftime("%m-%d %H:%M")


def wishes(needs: Requirements) -> Iterator[_Wish]:
    """What these requirements ask for besides amounts, each with how to give it up."""
    if needs.zone is not None:
        for zone in Zone:
            if zone is not needs.zone:
                yield _Wish("zone", f"允许网络区域 {zone}", f"zone {zone_en(zone)} allowed", _zone_to(zone))
    if needs.pools:
        yield _Wish("pools", "允许其他算力池", "other pools allowed", lambda n: replace(n, pools=frozenset()))
    if needs.accelerator is not None:
        yield _Wish("accelerator", "允许其他型号的卡", "other card models allowed", _any_model)
    if needs.accelerator_kind is not None:
        yield _Wish("accelerator_kind", "允许其他种类的卡", "other kinds of cards allowed", _any_kind)
    if needs.architectures:
        yield _Wish(
            "architectures",
            "允许其他架构",
            "other architectures allowed",
            lambda n: replace(n, architectures=frozenset()),
        )
    for rule in sorted(needs.node_selectors, key=str):
        without = needs.node_selectors - {rule}
        yield _Wish("node_labels", f"不要求节点标签 {rule}", f"without the node label {rule}", _selectors(without))
    if needs.gang_topology is not None:
        yield _Wish(
            "together",
            f"任务不必同在一个 {needs.gang_topology}",
            f"tasks in several {needs.gang_topology} domains",
            lambda n: replace(n, gang_topology=None),
        )
    if needs.affinities or needs.spreads:
        yield _Wish(
            "affinity",
            "不要求亲和、反亲和与分散",
            "without affinities and spreads",
            lambda n: replace(n, affinities=frozenset(), spreads=frozenset()),
        )
    if needs.tasks_per_node:
        yield _Wish(
            "tasks_per_node",
            "每节点任务数不限",
            "any number of tasks a node",
            lambda n: replace(n, tasks_per_node=0),
        )


def _zone_to(zone: Zone) -> Change:
    return lambda needs: replace(needs, zone=zone)


def _selectors(kept: frozenset[NodeSelector]) -> Change:
    return lambda needs: replace(needs, node_selectors=kept)


def _any_model(needs: Requirements) -> Requirements:
    return replace(needs, accelerator=None)


def _any_kind(needs: Requirements) -> Requirements:
    return replace(needs, accelerator_kind=None)

"""The planner's board: what is still free in pools and windows while a plan is being made.

Who calls this: `greedy.py`. The one mutable thing of the planner; it lives for one call of `plan_waves`.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from inventory.model.calendar import Freeze
from inventory.model.units import Resources
from scheduler.core.waves.limit_book import LimitBook
from scheduler.core.waves.obstacles import Binding, Obstacle
from scheduler.core.waves.pool_choice import (
    Eligible,
    balance,
    eligible_pools,
    fixed_scores,
    hosts_for,
    nearness,
    weigh,
)
from scheduler.core.waves.problem import Hosts, Item, PoolSlot, WaveProblem
from scheduler.core.waves.shape import Shape, concerns, make_shape

# Steps of the search for pools for one cluster. Eight systems with three pools each need at most 3^8 = 6,561.
_SEARCH_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Choice:
    """The pool chosen for one item, with its scores; `full` names eligible pools that had too little free; `team_id`
    moves it, where it needs a team."""

    pool_id: str
    scores: Mapping[str, int]
    score: int
    full: tuple[str, ...]
    team_id: str | None = None


Choices = dict[str, Choice]


class Board:
    def __init__(self, problem: WaveProblem, seed: int, shape: Shape | None = None) -> None:
        self._problem = problem
        self.shape = shape or make_shape(problem)
        self._limits = LimitBook(self.shape)
        self._pool_pins = {pin.system_key: pin.pool_id for pin in problem.pins if pin.pool_id is not None}
        self._systems = [0] * len(problem.windows)
        # What arrives after the last window is of no use to this plan.
        end = max((slot.window.first_day for slot in problem.windows), default=date.min)
        self._free = {
            (pool.pool_id, hosts.architecture): _finally_free(pool, hosts, end)
            for pool in problem.pools
            for hosts in pool.hosts
        }
        self._disk = {
            pool.pool_id: pool.free_disk_bytes
            + sum(each.amount.disk_bytes for each in pool.arrivals if each.day <= end)
            for pool in problem.pools
        }
        self._copied: Counter[tuple[int, str]] = Counter()
        self._copy_rate = {pool.pool_id: pool.copy_bytes_per_second for pool in problem.pools}
        self._placed: dict[str, tuple[int, str]] = {}  # item key -> window index, pool id
        self._partners = _partners(problem.items)
        ties = sorted(pool.pool_id for pool in problem.pools)
        random.Random(seed).shuffle(ties)
        self._ties = {pool_id: rank for rank, pool_id in enumerate(ties)}
        self._frozen: dict[object, list[Freeze | None]] = {}
        self._exempt = frozenset(key for held in problem.freezes for key in held.exempt)
        self._eligible: dict[object, tuple[Eligible, dict[str, dict[str, int]]]] = {}
        # Whether the last search ended for want of steps: then it proves nothing.
        self.gave_up = False

    def window_of(self, key: str) -> int | None:
        """The window of an item that is placed; None where it is not."""
        placed = self._placed.get(key)
        return placed[0] if placed else None

    @property
    def is_limited(self) -> bool:
        """Whether links or arriving capacity can rule a window out, beside each pool's own line."""
        return self._limits.is_rising

    def eligible(self, item: Item) -> Eligible:
        return self._judged(item)[0]

    def obstacle(self, items: Sequence[Item], window: int) -> Obstacle | None:
        """What keeps the items out of the window, pools apart; the caller has judged the order."""
        slot = self._problem.windows[window]
        for item in items:
            freeze = self._freezes_of(item)[window]
            if freeze is not None:
                return Obstacle(Binding.FREEZE, freeze.name)
        if any(item.risk > slot.max_risk for item in items):
            return Obstacle(Binding.PILOT)
        if self._systems[window] + len(items) > slot.cap:
            return Obstacle(Binding.CAP, str(slot.cap))
        return self._limits.obstacle(items, window)

    def choose_pools(self, items: Sequence[Item], window: int | None) -> Choices | None:
        """A pool for each item, the best first, so that all fit together; None where the search finds none.

        With a window, what is copied over each pool's link must fit in its hours as well.
        """
        search = _Search(self, window)
        largest_first = sorted(items, key=lambda item: (-item.need.cpu_milli, -item.need.disk_bytes, item.key))
        found = search.run(largest_first)
        self.gave_up = found is None and search.exhausted
        return found

    def can_copy(self, items: Sequence[Item], window: int, choices: Choices) -> bool:
        """Whether the links of the chosen pools carry what the items copy in this window."""
        wanted: Counter[str] = Counter()
        for item in items:
            wanted[choices[item.key].pool_id] += item.copy_bytes
        seconds = self._problem.windows[window].window.seconds
        if any(
            self._copied[window, pool_id] + amount > self._copy_rate[pool_id] * seconds
            for pool_id, amount in wanted.items()
        ):
            return False
        taken: list[Item] = []
        for item in items:
            if not self._limits.fits(item, choices[item.key].pool_id, window):
                break
            self._limits.move(item, choices[item.key].pool_id, window, 1)
            taken.append(item)
        for item in taken:
            self._limits.move(item, choices[item.key].pool_id, window, -1)
        return len(taken) == len(items)

    def commit(
        self, items: Sequence[Item], window: int, choices: Choices, teams: Mapping[str, int] | None = None
    ) -> Choices:
        """Returns the choices with the teams that do the work: `teams` by place, or of the board's choice."""
        for item in items:
            self.take(item, choices[item.key].pool_id, window)
        self._systems[window] += len(items)
        chosen = self._limits.commit(items, window, teams)
        return {key: replace(choice, team_id=chosen.get(key)) for key, choice in choices.items()}

    def choice_of(self, item: Item, pool_id: str) -> Choice:
        """A given pool, with the scores that it has now."""
        choices, full = self.ranked(item, None)
        found = next((choice for choice in choices if choice.pool_id == pool_id), Choice(pool_id, {}, 0, ()))
        return replace(found, full=full)

    def take(self, item: Item, pool_id: str, window: int | None) -> None:
        self._move(item, pool_id, window, 1)
        self._placed[item.key] = (-1 if window is None else window, pool_id)

    def give_back(self, item: Item, pool_id: str, window: int | None) -> None:
        self._move(item, pool_id, window, -1)
        del self._placed[item.key]

    def ranked(self, item: Item, window: int | None) -> tuple[list[Choice], tuple[str, ...]]:
        """The pools with room for the item now, the best first, and the eligible ones without."""
        eligible, fixed = self._judged(item)
        partners = self._partner_pools(item)
        choices: list[Choice] = []
        full: list[str] = []
        pinned = self._pool_pins.get(item.key)
        for pool in eligible.pools:
            if pinned is not None and pool.pool_id != pinned:
                continue
            left, whole = self._left_after(item, pool)
            if left.is_negative or not self._can_copy(item, pool, window):
                full.append(pool.pool_id)
                continue
            scores = {
                **fixed[pool.pool_id],
                "balance": balance(left, whole),
                "nearness": nearness(pool.pool_id, partners),
            }
            choices.append(Choice(pool.pool_id, scores, weigh(scores), ()))
        choices.sort(key=lambda choice: (-choice.score, self._ties[choice.pool_id]))
        return choices, tuple(full)

    def _left_after(self, item: Item, pool: PoolSlot) -> tuple[Resources, Resources]:
        """What hosts and disk would have left, and what they had at first. Negative: too little."""
        hosts = hosts_for(item, pool)
        assert hosts is not None  # an eligible pool has hosts for the item
        free = self._free[pool.pool_id, hosts.architecture]
        need = item.need
        left = Resources(
            free.cpu_milli - need.cpu_milli,
            free.memory_bytes - need.memory_bytes,
            self._disk[pool.pool_id] - need.disk_bytes,
            free.accelerator_milli - need.accelerator_milli,
        )
        whole = hosts.free + Resources(disk_bytes=pool.free_disk_bytes)
        return left, whole

    def _can_copy(self, item: Item, pool: PoolSlot, window: int | None) -> bool:
        if window is None:
            return True
        seconds = self._problem.windows[window].window.seconds
        if self._copied[window, pool.pool_id] + item.copy_bytes > self._copy_rate[pool.pool_id] * seconds:
            return False
        return self._limits.fits(item, pool.pool_id, window)

    def _move(self, item: Item, pool_id: str, window: int | None, sign: int) -> None:
        pool = next(pool for pool in self.eligible(item).pools if pool.pool_id == pool_id)
        hosts = hosts_for(item, pool)
        assert hosts is not None  # an eligible pool has hosts for the item
        compute = Resources(item.need.cpu_milli, item.need.memory_bytes, 0, item.need.accelerator_milli)
        self._free[pool_id, hosts.architecture] -= compute * sign
        self._disk[pool_id] -= item.need.disk_bytes * sign
        if window is not None:
            self._copied[window, pool_id] += item.copy_bytes * sign
            self._limits.move(item, pool_id, window, sign)

    def _partner_pools(self, item: Item) -> list[str]:
        return [self._placed[key][1] for key in self._partners[item.key] if key in self._placed]

    def _judged(self, item: Item) -> tuple[Eligible, dict[str, dict[str, int]]]:
        alike = (item.zone, item.level, item.architecture, item.accelerator, item.per_server, item.need)
        if alike not in self._eligible:
            eligible = eligible_pools(item, self._problem.pools)
            self._eligible[alike] = (eligible, fixed_scores(item, eligible.pools))
        return self._eligible[alike]

    def _freezes_of(self, item: Item) -> list[Freeze | None]:
        """For each window the first freeze that stops the item there."""
        alike: object = (item.zone, item.sectors, item.ownership, item.tags, item.region, item.department)
        if item.key in self._exempt:
            alike = item.key
        if alike not in self._frozen:
            mine = [
                held.freeze
                for held in self._problem.freezes
                if not held.lifted and item.key not in held.exempt and concerns(held.freeze, item)
            ]
            self._frozen[alike] = [
                next((f for f in mine if f.first <= last and first <= f.last), None)
                for first, last in self.shape.spans
            ]
        return self._frozen[alike]


class _Search:
    """Depth-first over the pools of each item, the best first, until all have one or the steps are used up."""

    def __init__(self, board: Board, window: int | None) -> None:
        self._board = board
        self._window = window
        self._steps = _SEARCH_STEPS

    @property
    def exhausted(self) -> bool:
        return self._steps == 0

    def run(self, items: Sequence[Item]) -> Choices | None:
        """Leaves the board as it was."""
        if not items:
            return {}
        item, rest = items[0], items[1:]
        choices, full = self._board.ranked(item, self._window)
        for choice in choices:
            if self._steps == 0:
                return None
            self._steps -= 1
            self._board.take(item, choice.pool_id, self._window)
            found = self.run(rest)
            self._board.give_back(item, choice.pool_id, self._window)
            if found is not None:
                found[item.key] = Choice(choice.pool_id, choice.scores, choice.score, full)
                return found
        return None


def _partners(items: Sequence[Item]) -> dict[str, tuple[str, ...]]:
    """By item key: the items that it uses, that use it, or that are in its move group."""
    found: dict[str, set[str]] = {item.key: set(item.uses) for item in items}
    groups: dict[str, list[str]] = defaultdict(list)
    for item in items:
        groups[item.group].append(item.key)
        for used in item.uses:
            found[used].add(item.key)
    return {item.key: tuple(sorted((found[item.key] | set(groups[item.group])) - {item.key})) for item in items}


def _finally_free(pool: PoolSlot, hosts: Hosts, end: date) -> Resources:
    """With everything that arrives by then."""
    free = hosts.free
    for arrival in pool.arrivals:
        if arrival.day <= end and arrival.architecture.runs_on(hosts.architecture):
            free = free + replace(arrival.amount, disk_bytes=0)
    return free

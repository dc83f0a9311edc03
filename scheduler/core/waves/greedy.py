"""The greedy wave planner: clusters in order of urgency, each in the earliest window that takes it.

Who calls this: the migration service, `xisuan migration plan`, and later planners as their first solution.
Pure and deterministic: one problem and one seed give one plan. It finds good plans fast, not best ones; that each
plan keeps every rule is judged by `check.py`, which shares no code with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from inventory.model.migration import Assignment, Pair, SplitDependency, Unplaced, UnplacedRule, WavePlan
from scheduler.core.waves import reasons
from scheduler.core.waves.board import Board, Choices
from scheduler.core.waves.clusters import Cluster, form_clusters, in_order
from scheduler.core.waves.obstacles import Binding, Obstacle
from scheduler.core.waves.problem import Item, WaveProblem


@dataclass(frozen=True, slots=True)
class Placing:
    """Where and when some items go, and what ruled out each earlier window, in order."""

    items: tuple[Item, ...]
    window: int
    choices: Choices
    earlier: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why some items could not be placed: `culprit` is the item that has no pool, where one is to blame."""

    items: tuple[Item, ...]
    rule: UnplacedRule
    reason: Pair
    culprit: Item | None = None


def plan_waves(problem: WaveProblem, seed: int) -> WavePlan:
    """Assigns every item to a window and a pool, or says why not. `seed` decides between equals."""
    clustering = form_clusters(problem)
    board = Board(problem, seed)
    planner = Planner(problem, board, clustering.unbound)
    windows = {group.group_id: group.allowed for group in board.shape.groups}
    for cluster in in_order(clustering, seed, open_windows=windows):
        planner.settle(cluster)
    return planner.plan(seed, clustering.large_cycles)


class Planner:
    """Settles clusters one by one on a board, and makes a plan of what it has kept."""

    def __init__(self, problem: WaveProblem, board: Board, unbound: frozenset[tuple[str, str]]) -> None:
        self._problem = problem
        self._board = board
        self._unbound = unbound
        self._largest_cap = max((slot.cap for slot in problem.windows), default=0)
        self._placings: list[Placing] = []
        self._failures: list[Failure] = []
        self._notes: list[Pair] = []

    def settle(self, cluster: Cluster) -> None:
        """Places a cluster as one; a cycle that has no common place is placed group by group."""
        outcome = self._place(cluster.items)
        if len(cluster.parts) == 1 or isinstance(outcome, Placing):
            self._keep(outcome)
            if len(cluster.parts) > 1:
                self._notes.append(reasons.cycle_together([item.name for item in cluster.items]))
            return
        self._notes.append(reasons.cycle_split([item.name for item in cluster.items], outcome.reason))
        cycle = frozenset(item.key for item in cluster.items)
        for part in cluster.parts:
            outcome = self._place(part)
            if isinstance(outcome, Failure) and outcome.rule is UnplacedRule.NO_WINDOW:
                # Waiting for the parts before it leaves it no night: it goes before them, and that is a split.
                outcome = self._place(part, unbound_from=cycle)
            self._keep(outcome)

    @property
    def placings(self) -> Sequence[Placing]:
        return self._placings

    def keep_at(
        self, items: Sequence[Item], window: int, pools: Mapping[str, str], teams: Mapping[str, int]
    ) -> None:
        """Takes a place that was found elsewhere, unseen: the judge sees to it."""
        choices = {item.key: self._board.choice_of(item, pools[item.key]) for item in items}
        chosen = self._board.commit(items, window, choices, teams)
        self._placings.append(Placing(tuple(items), window, chosen, ()))

    def settle_rest(self, items: Sequence[Item]) -> None:
        """Places a group that was left over where there is room, or says why there is none. Its users may have moved
        already: it does not come after them."""
        self._keep(self._place(items, last=self._before_its_users(items)))

    def failure_of(self, items: Sequence[Item]) -> Failure | None:
        """Why the items have no place as things stand; None where they have one. Places nothing."""
        outcome = self._place(items)
        return outcome if isinstance(outcome, Failure) else None

    def keep_out(self, failure: Failure) -> None:
        """Takes a reason that was found elsewhere, unseen."""
        self._failures.append(failure)

    def explain_kept(self) -> None:
        """Finds, on the full board, what rules out each earlier window of every placing that came by `keep_at`."""
        self._placings = [
            replace(placing, earlier=tuple(self._why_not(placing, window) for window in range(placing.window)))
            for placing in self._placings
        ]

    def _why_not(self, placing: Placing, window: int) -> Obstacle:
        earliest, used = self._after_what_is_used(placing.items, frozenset())
        if window < earliest:
            return Obstacle(Binding.ORDER, used)
        obstacle = self._board.obstacle(placing.items, window)
        if obstacle is None and not self._board.can_copy(placing.items, window, placing.choices):
            obstacle = Obstacle(Binding.POOLS)
        return obstacle or Obstacle(Binding.CHOSEN)

    def plan(self, seed: int, large_cycles: Sequence[tuple[str, ...]], solver: str = "greedy") -> WavePlan:
        used_windows = sorted({placing.window for placing in self._placings})
        wave_of = {window: number for number, window in enumerate(used_windows, start=1)}
        cap = self._problem.settings.systems_per_window
        notes = [
            *self._problem.notes,
            *(reasons.cycle_too_large(names, cap) for names in large_cycles),
            *self._notes,
        ]
        return WavePlan(
            settings=self._problem.settings,
            seed=seed,
            solver=solver,
            windows=tuple(self._problem.windows[window].window for window in used_windows),
            assignments=self._assignments(wave_of),
            unplaced=self._unplaced(),
            left_out=self._problem.left_out,
            splits=self._splits(),
            notes=tuple(notes),
            declarations=self._problem.declarations,
        )

    def _place(
        self, items: Sequence[Item], unbound_from: frozenset[str] = frozenset(), last: int | None = None
    ) -> Placing | Failure:
        """The earliest window with pools for all items, not after `last`; commits nothing. `unbound_from` need not be
        waited for."""
        items = tuple(items)
        for item in items:
            eligible = self._board.eligible(item)
            if not eligible.pools:
                return Failure(items, UnplacedRule.NO_POOL, reasons.no_pool(item, eligible.refused), item)
        if len(items) > self._largest_cap:
            return Failure(items, UnplacedRule.GROUP_TOO_LARGE, reasons.group_too_large(items, self._largest_cap))
        anywhere = self._board.choose_pools(items, None)
        if anywhere is None:
            return Failure(items, UnplacedRule.NO_CAPACITY, reasons.no_capacity(items, self._board))
        earliest, used_last = self._after_what_is_used(items, unbound_from)
        obstacles: list[Obstacle] = []
        for window in range(len(self._problem.windows)):
            if window < earliest:
                obstacles.append(Obstacle(Binding.ORDER, used_last))
                continue
            if last is not None and window > last:
                obstacles.append(Obstacle(Binding.USERS))
                continue
            obstacle = self._board.obstacle(items, window)
            if obstacle is None:
                fits = self._board.can_copy(items, window, anywhere)
                choices = anywhere if fits else self._board.choose_pools(items, window)
                if choices is not None:
                    return Placing(items, window, choices, tuple(obstacles))
                obstacle = Obstacle(Binding.COPY_VOLUME if not self._board.is_limited else Binding.POOLS)
            obstacles.append(obstacle)
        return Failure(items, UnplacedRule.NO_WINDOW, reasons.no_window(obstacles, self._problem))

    def _keep(self, outcome: Placing | Failure) -> None:
        if isinstance(outcome, Placing):
            choices = self._board.commit(outcome.items, outcome.window, outcome.choices)
            self._placings.append(replace(outcome, choices=choices))
        else:
            self._failures.append(outcome)

    def _after_what_is_used(self, items: Sequence[Item], unbound_from: frozenset[str]) -> tuple[int, str]:
        """The first window that comes not before any used system, and the key of the one that says so.

        Used systems that are not (or not yet) placed bind nobody: see rule 6 of the problem.
        """
        own = unbound_from.union(item.key for item in items)
        earliest, because = 0, ""
        for item in items:
            for used in item.uses:
                window = self._board.window_of(used)
                binds = used not in own and (item.key, used) not in self._unbound
                if window is not None and binds and window > earliest:
                    earliest, because = window, used
        return earliest, because

    def _before_its_users(self, items: Sequence[Item]) -> int | None:
        """The first window of a system that uses one of them and is placed; None where none is."""
        own = {item.key for item in items}
        windows = [
            window
            for user in self._problem.items
            if user.key not in own
            and any(used in own and (user.key, used) not in self._unbound for used in user.uses)
            and (window := self._board.window_of(user.key)) is not None
        ]
        return min(windows, default=None)

    def _assignments(self, wave_of: dict[int, int]) -> tuple[Assignment, ...]:
        explain = reasons.Explainer(self._problem, self._board, wave_of)
        made = [
            Assignment(
                system_key=item.key,
                system_name=item.name,
                wave=wave_of[placing.window],
                window_id=self._problem.windows[placing.window].window.window_id,
                pool_id=placing.choices[item.key].pool_id,
                group=item.group,
                why_here=explain.here(item, placing.choices[item.key]),
                why_then=explain.then(item, placing.window),
                why_not_earlier=explain.not_earlier(placing.earlier),
                team_id=placing.choices[item.key].team_id,
            )
            for placing in self._placings
            for item in placing.items
        ]
        return tuple(sorted(made, key=lambda assignment: (assignment.wave, assignment.system_key)))

    def _unplaced(self) -> tuple[Unplaced, ...]:
        out = []
        for failure in self._failures:
            for item in failure.items:
                rule, reason = failure.rule, failure.reason
                if failure.culprit is not None and failure.culprit is not item:
                    rule, reason = UnplacedRule.GROUP_HELD, reasons.held_by(failure.culprit, failure.reason)
                out.append(Unplaced(item.key, item.name, rule, reason))
        return tuple(sorted(out, key=lambda unplaced: unplaced.system_key))

    def _splits(self) -> tuple[SplitDependency, ...]:
        broken = []
        for item in self._problem.items:
            mine = self._board.window_of(item.key)
            for used in item.uses:
                theirs = self._board.window_of(used)
                if mine is not None and theirs is not None and mine < theirs:
                    broken.append(SplitDependency(item.key, used, reasons.SPLIT))
        return tuple(broken)

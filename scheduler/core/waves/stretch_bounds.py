"""A lower bound on the finish by refuting one finish after another on a calendar of a few stretches.

Who calls this: `solve.py`, for plans that place everything, where counting alone leaves a gap. Order and scarcity together often
forbid what neither does alone: what cannot all come before a summer's freeze, with what it uses, comes after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from scheduler.core.budget import Budget
from scheduler.core.waves.bottlenecks import scarcities
from scheduler.core.waves.bounds import kept_together
from scheduler.core.waves.gap_guide import GapNode, long_gaps
from scheduler.core.waves.shape import Shape

if TYPE_CHECKING:  # OR-Tools takes a second to load
    from scheduler.core.waves.cp_sat.stretches import StretchQuestion

# Into so many stretches the calendar is cut, one model after another: few are answered sooner, many refute more.
_STRETCHES = (3, 8, 24, 1000)
_FEWER = (3, 8)  # for finishes that may well be possible
_MOST_CHOICES = 60_000  # groups times stretches in one model
_SHARE = 0.5  # of the budget, for one model


@dataclass(frozen=True, slots=True)
class Refuted:
    """No plan finishes before window `bound`; `latest`, by group, are windows by which everything would move for the least
    finish that was not refuted (empty: unknown); `effort` is deterministic time."""

    bound: int
    latest: Mapping[int, int]
    effort: float


def raised_bound(shape: Shape, bound: int, last: int, seed: int, budget: Budget) -> Refuted:
    """The highest bound from `bound` to `last` (the finish of a plan that is known) that the model gives within the budget. Holds
    for plans that place every group with an open window."""
    search = _Search(shape, seed, budget)
    high = last
    latest: Mapping[int, int] = {}
    finish = last - 1  # most often the plan is as early as can be, so this is asked first
    stretches: Sequence[int] = _STRETCHES
    while bound < high and not search.is_over:
        refuted, found = search.ask(finish, stretches)
        if refuted:
            bound = finish + 1
        else:
            high, latest, stretches = finish, found, _FEWER
        finish = (bound + high - 1) // 2
    return Refuted(bound, latest, search.effort)


class _Search:
    """Questions until the budget is spent."""

    def __init__(self, shape: Shape, seed: int, budget: Budget) -> None:
        self._questions = _Questions(shape)
        self._seed, self._budget = seed, budget
        self.effort = 0.0

    @property
    def is_over(self) -> bool:
        return self._budget.is_spent or self.effort >= self._budget.effort

    def ask(self, finish: int, stretches: Sequence[int]) -> tuple[bool, Mapping[int, int]]:
        """Whether the finish was refuted; else by when everything would move, by group (empty: unknown)."""
        from scheduler.core.waves.cp_sat.stretches import refute

        latest: Mapping[int, int] = {}
        for question in self._questions.until(finish, stretches):
            if question is None:
                return True, {}
            answer = refute(question, self._seed, self._part())
            self.effort += answer.effort
            if answer.is_refuted:
                return True, {}
            latest = answer.latest or latest
            if self.is_over:
                break
        return False, latest

    def _part(self) -> Budget:
        budget, left = self._budget, self._budget.seconds_left
        effort = max(0.01, min(_SHARE * budget.effort, budget.effort - self.effort))
        if left is None or budget.clock is None:
            return Budget(effort)
        return Budget(effort, budget.clock, budget.clock() + _SHARE * left)


class _Questions:
    """The questions about one estate: only the finish differs."""

    def __init__(self, shape: Shape) -> None:
        from scheduler.core.waves.cp_sat.stretches import StretchLoad

        self._shape = shape
        self._loads = tuple(StretchLoad(each.amounts, each.offered) for each in scarcities(shape))
        self._kept = [(_by_group(shape, needs), limits) for needs, limits in kept_together(shape)]

    def until(self, finish: int, stretches: Sequence[int]) -> Iterator[StretchQuestion | None]:
        """With more and more stretches; None where somebody has no window until then that the order leaves him."""
        from scheduler.core.waves.cp_sat.stretches import RisingLoad, StretchQuestion

        shape = self._shape
        allowed = _narrowed(shape, finish)
        if allowed is None:
            yield None
            return
        uses = [(user, used) for user, used in shape.edges if allowed[user] and allowed[used]]
        nodes = [GapNode((g,), mask) for g, mask in enumerate(allowed) if mask]
        ends = {finish}
        for before, after in long_gaps(self._shape, nodes, finish):
            ends |= {before, after - 1}
        for most in stretches:
            if most == stretches[0] or min(most, finish) * len(nodes) <= _MOST_CHOICES:
                ends = _halved(ends, most)
                limits = tuple(RisingLoad(needs, [able[w] for w in sorted(ends)]) for needs, able in self._kept)
                yield StretchQuestion(allowed, uses, self._loads, limits, tuple(sorted(ends)))


def _halved(ends: Collection[int], most: int) -> set[int]:
    """So many ends of stretches: the longest ones are cut in half."""
    found = set(ends)
    while len(found) < most:
        length, first = max((later - earlier, -earlier) for earlier, later in pairwise([-1, *sorted(found)]))
        if length < 2:
            break
        found.add(-first + length // 2)
    return found


def _by_group(shape: Shape, needs: Mapping[int, int]) -> dict[int, int]:
    amounts: Counter[int] = Counter()
    for index, amount in needs.items():
        amounts[shape.group_of[index]] += amount
    return amounts


def _narrowed(shape: Shape, finish: int) -> list[int] | None:
    """By group: the windows until the finish that the order leaves; None where somebody has none."""
    until = (1 << (finish + 1)) - 1
    masks = [group.allowed & until for group in shape.groups]
    if any(group.allowed and not mask for group, mask in zip(shape.groups, masks, strict=True)):
        return None
    edges = [(user, used) for user, used in shape.edges if masks[user] and masks[used]]
    changed = True
    while changed:
        changed = False
        for user, used in edges:
            later = masks[user] & (-1 << ((masks[used] & -masks[used]).bit_length() - 1))
            earlier = masks[used] & ((1 << masks[user].bit_length()) - 1)
            if not later or not earlier:
                return None
            changed = changed or later != masks[user] or earlier != masks[used]
            masks[user], masks[used] = later, earlier
    return masks

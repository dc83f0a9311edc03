"""A lower bound on the finish by refuting one finish after another on a calendar of a few stretches.

Who calls this: `solve.py`, for plans that place everything, where counting alone leaves a gap. Order and scarcity together often
forbid what neither does alone: what cannot all come before a summer's freeze, with what it uses, comes after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from scheduler.core.waves.bottlenecks import scarcities
from scheduler.core.waves.bounds import kept_together
from scheduler.core.waves.gap_guide import GapNode, long_gaps
from scheduler.core.waves.shape import Shape

if TYPE_CHECKING:  # OR-Tools takes a second to load
    from scheduler.core.waves.cp_sat.stretches import StretchQuestion

# Into so many stretches the calendar is cut, one model after another: few are answered sooner, many refute more.
_STRETCHES = (3, 5, 8, 12)
_MOST_CHOICES = 60_000  # groups times stretches in one model
_SHARE = 0.15  # of the effort, for one model


@dataclass(frozen=True, slots=True)
class Refuted:
    """No plan finishes before window `bound`; `effort` is deterministic time."""

    bound: int
    effort: float


def raised_bound(shape: Shape, bound: int, last: int, seed: int, effort: float) -> Refuted:
    """The highest bound from `bound` to `last` (the finish of a plan that is known) that the model gives in the effort. Holds for
    plans that place every group with an open window."""
    from scheduler.core.waves.cp_sat.stretches import refute

    spent, high = 0.0, last
    maker = _Questions(shape)
    finish = last - 1  # most often the plan is as early as can be, so this is asked first
    while bound < high and spent < effort:
        refuted = False
        for question in maker.until(finish):
            if question is not None:
                answer = refute(question, min(_SHARE * effort, effort - spent), seed)
                spent += answer.effort
            refuted = question is None or answer.is_refuted
            if refuted or spent >= effort:
                break
        bound, high = (finish + 1, high) if refuted else (bound, finish)
        finish = (bound + high - 1) // 2
    return Refuted(bound, spent)


class _Questions:
    """The questions about one estate: only the finish differs."""

    def __init__(self, shape: Shape) -> None:
        from scheduler.core.waves.cp_sat.stretches import StretchLoad

        self._shape = shape
        self._loads = tuple(StretchLoad(each.amounts, each.offered) for each in scarcities(shape))
        self._kept = [(_by_group(shape, needs), limits) for needs, limits in kept_together(shape)]

    def until(self, finish: int) -> Iterator[StretchQuestion | None]:
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
        for most in _STRETCHES:
            if most == _STRETCHES[0] or most * len(nodes) <= _MOST_CHOICES:
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

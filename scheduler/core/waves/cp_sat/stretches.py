"""Whether everything can have moved by a window, with the calendar cut into a few stretches: a model that refutes finishes.

Who calls this: `scheduler.core.waves.stretch_bounds`. What moves within a stretch is not said to the window, so every plan keeps
these rules, and where they cannot be kept there is no plan. OR-Tools is imported by this package alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

from scheduler.core.budget import Budget
from scheduler.core.waves.cp_sat.projects import configured

_MOST_FAMILIES = 8  # sets of windows within a stretch that are counted by themselves, the most common ones


@dataclass(frozen=True, slots=True)
class StretchLoad:
    """Something of which windows offer some: what each node takes, what each window has."""

    takes: Mapping[int, int]
    offers: Sequence[int]


@dataclass(frozen=True, slots=True)
class RisingLoad:
    """Something that nodes take and keep: `limits` by stretch, for all that moved until its last window."""

    takes: Mapping[int, int]
    limits: Sequence[int]


@dataclass(frozen=True, slots=True)
class StretchQuestion:
    """`allowed` windows by node, as bits; `uses` (user, used) by node; `ends` are the last windows of the stretches, the last of
    them the finish that is asked about."""

    allowed: Sequence[int]
    uses: Sequence[tuple[int, int]]
    loads: Sequence[StretchLoad]
    rising: Sequence[RisingLoad]
    ends: Sequence[int]


@dataclass(frozen=True, slots=True)
class StretchAnswer:
    """Whether it was refuted; else `latest`, by node the last window of the stretch in which it moves, where that was found;
    `effort` is deterministic time."""

    is_refuted: bool
    latest: Mapping[int, int]
    effort: float


def refute(question: StretchQuestion, seed: int, budget: Budget) -> StretchAnswer:
    """Refuted is only what was proven within the budget."""
    model = cp_model.CpModel()
    moves = _Moves(model, question)
    moves.order()
    for load in question.loads:
        moves.fill(load)
    for rising in question.rising:
        moves.rise(rising)
    solver = configured(seed, budget)
    # Order and scarcity contradict each other in the relaxation above all; what the presolve would find out costs more
    # than it saves.
    solver.parameters.linearization_level = 2
    solver.parameters.cp_model_probing_level = 0
    solver.parameters.symmetry_level = 0
    status = solver.solve(model)
    found = moves.latest(solver) if status in (cp_model.OPTIMAL, cp_model.FEASIBLE) else {}
    return StretchAnswer(status == cp_model.INFEASIBLE, found, solver.deterministic_time)


class _Moves:
    """By node and stretch: whether it has moved by the stretch's end."""

    def __init__(self, model: cp_model.CpModel, question: StretchQuestion) -> None:
        self._model, self._question = model, question
        ends = question.ends
        self._inside = [
            (1 << (end + 1)) - (1 << (first + 1)) for first, end in zip((-1, *ends[:-1]), ends, strict=True)
        ]
        self._by = [self._of(n, mask & ((1 << (ends[-1] + 1)) - 1)) for n, mask in enumerate(question.allowed)]

    def _of(self, n: int, mask: int) -> list[cp_model.IntVar | int]:
        found: list[cp_model.IntVar | int] = []
        moved: cp_model.IntVar | int = 0
        left = mask
        for k, inside in enumerate(self._inside):
            if left & inside:
                left &= ~inside
                if left:
                    here = self._model.new_bool_var(f"m{n}_{k}")
                    if not isinstance(moved, int):
                        self._model.add_implication(moved, here)
                    moved = here
                else:
                    moved = 1
            found.append(moved)
        return found

    def order(self) -> None:
        for user, used in self._question.uses:
            known: set[tuple[object, object]] = set()
            for one, other in zip(self._by[user], self._by[used], strict=True):
                pair = (
                    one if isinstance(one, int) else one.index + 2,
                    other if isinstance(other, int) else other.index + 2,
                )
                if pair in known or pair[0] == 0 or pair[1] == 1:
                    continue
                known.add(pair)
                self._model.add(one <= other)

    def fill(self, load: StretchLoad) -> None:
        """In every stretch: what moves there at all, and what moves in it on the same few windows alone."""
        for k, inside in enumerate(self._inside):
            families: dict[int, list[int]] = defaultdict(list)
            for n in load.takes:
                if self._question.allowed[n] & inside:
                    families[self._question.allowed[n] & inside].append(n)
            amounts = {mask: sum(load.takes[n] for n in nodes) for mask, nodes in families.items()}
            common = sorted(amounts, key=lambda mask: (-amounts[mask], mask))[:_MOST_FAMILIES]
            for test in sorted({inside, *common, *(one | other for one in common for other in common)}):
                within = [mask for mask in families if not mask & ~test]
                able = sum(load.offers[w] for w in _windows(test))
                if sum(amounts[mask] for mask in within) > able:
                    takers = [n for mask in within for n in families[mask]]
                    self._model.add(sum(load.takes[n] * self._in(n, k) for n in takers) <= able)

    def rise(self, load: RisingLoad) -> None:
        for k, limit in enumerate(load.limits):
            if sum(load.takes.values()) > limit:
                self._model.add(sum(amount * self._by[n][k] for n, amount in load.takes.items()) <= limit)

    def latest(self, solver: cp_model.CpSolver) -> dict[int, int]:
        return {
            n: next(end for end, moved in zip(self._question.ends, by, strict=True) if solver.value(moved))
            for n, by in enumerate(self._by)
            if self._question.allowed[n]
        }

    def _in(self, n: int, k: int) -> cp_model.LinearExprT:
        return self._by[n][k] - self._by[n][k - 1] if k else self._by[n][k]


def _windows(mask: int) -> list[int]:
    return [w for w in range(mask.bit_length()) if mask >> w & 1]

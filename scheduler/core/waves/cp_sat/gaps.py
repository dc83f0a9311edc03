"""Who moves before a long gap of the calendar, who after it: the choice that decides a large plan's finish, as a model.

Who calls this: `scheduler.core.waves.gap_guide`. A system that is frozen all summer moves before it or after it, and whoever
waits for it follows. The model knows no windows, only three parts of time (before, between, after), the order, and what
each part offers; it is small, and its optimum is a bound for every plan. OR-Tools is imported by this package alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

_LATE = 1 << 16  # one more system after the gap outweighs any number before it


@dataclass(frozen=True, slots=True)
class GapLoad:
    """Something that windows offer some of: what each node takes, what each window has."""

    takes: Sequence[int]
    offers: Sequence[int]


@dataclass(frozen=True, slots=True)
class GapQuestion:
    """Nodes move together or not at all: `sizes` in systems, `allowed` windows as bits, `uses` (user, used) by node. The
    gap lies between the windows `before` and `after`."""

    sizes: Sequence[int]
    allowed: Sequence[int]
    uses: Sequence[tuple[int, int]]
    loads: Sequence[GapLoad]
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class GapAnswer:
    """Nodes that have to move by the window before the gap, and those that move after it; no plan moves fewer than
    `least_after` systems after it. `effort` is deterministic time."""

    early: frozenset[int]
    late: frozenset[int]
    least_after: int
    effort: float


def answer_gap(question: GapQuestion, effort: float, seed: int) -> GapAnswer | None:
    """None where nothing was found in the effort: the question may contradict itself."""
    model = cp_model.CpModel()
    asked = _Choices(model, question)
    asked.order()
    for load in question.loads:
        asked.fill(load)
    nodes = range(len(question.sizes))
    model.minimize(sum(question.sizes[n] * (_LATE * asked.late[n] + asked.early[n]) for n in nodes))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed % (1 << 31)
    solver.parameters.max_deterministic_time = effort
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    return GapAnswer(
        early=frozenset(n for n in nodes if solver.value(asked.early[n])),
        late=frozenset(n for n in nodes if solver.value(asked.late[n])),
        least_after=max(0, int(solver.best_objective_bound)) // _LATE,
        effort=solver.deterministic_time,
    )


class _Choices:
    """Early, late, or between, for each node."""

    def __init__(self, model: cp_model.CpModel, question: GapQuestion) -> None:
        self._model, self._question = model, question
        self.early: list[cp_model.IntVar | int] = []
        self.late: list[cp_model.IntVar | int] = []
        until = (1 << (question.before + 1)) - 1
        for n, mask in enumerate(question.allowed):
            between = mask & ~until & ((1 << question.after) - 1)
            early: cp_model.IntVar | int = model.new_bool_var(f"e{n}") if mask & until else 0
            late: cp_model.IntVar | int = model.new_bool_var(f"l{n}") if mask >> question.after else 0
            if not isinstance(early, int) or not isinstance(late, int):
                model.add(early + late <= 1 if between else early + late == 1)
            self.early.append(early)
            self.late.append(late)

    def order(self) -> None:
        for user, used in self._question.uses:
            for later, earlier in (
                (self.early[user], self.early[used]),
                (self.late[used], self.late[user]),
            ):
                if not isinstance(later, int):
                    self._model.add(later <= earlier)

    def fill(self, load: GapLoad) -> None:
        """Until the gap, for what is confined to each stretch of windows; and between both parts."""
        question = self._question
        until = (1 << (question.before + 1)) - 1
        first = [(mask & -mask).bit_length() - 1 for mask in question.allowed]
        last = [(mask & until).bit_length() - 1 for mask in question.allowed]
        takers = [n for n, amount in enumerate(load.takes) if amount]
        early = [n for n in takers if first[n] <= question.before]
        for end in sorted({last[n] for n in early}):
            confined = [n for n in early if last[n] <= end]
            for start in sorted({first[n] for n in confined}):
                inside = [n for n in confined if first[n] >= start]
                self._at_most(load, inside, sum(load.offers[start : end + 1]), between=False)
        self._at_most(load, takers, sum(load.offers[question.before + 1 : question.after]), between=True)

    def _at_most(self, load: GapLoad, nodes: Sequence[int], able: int, *, between: bool) -> None:
        if sum(load.takes[n] for n in nodes) > able:
            terms = [
                load.takes[n] * (1 - self.early[n] - self.late[n] if between else self.early[n]) for n in nodes
            ]
            self._model.add(sum(terms) <= able)

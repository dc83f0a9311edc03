"""A part of the wave problem as a CP-SAT model, improved aim by aim.

Who calls this: `scheduler.core.waves.solve`, directly or through the caller's parallel map (`improve_part` is a function
of plain values). OR-Tools is imported by this package alone.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from ortools.sat.python import cp_model

from scheduler.core.budget import Budget
from scheduler.core.waves.cp_sat.projects import configured
from scheduler.core.waves.part import Part, PartItem, PartPrefix
from scheduler.core.waves.problem import Aim
from scheduler.core.waves.solution import NOWHERE
from scheduler.core.waves.team_sharing import share_out


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a part: its aims in order, the last window that may be used, a window before which no plan
    finishes (`first_bound`), and `tail`: before everything else, as few systems as can be in that window (a step
    towards an earlier finish)."""

    aims: tuple[Aim, ...]
    last: int
    first_bound: int = 0
    tail: int | None = None


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """`windows`, `pools`, `teams` by number of group and item; None where nothing was found. `bounds` for the aims
    that were reached, for this part; `proven` the ones solved to the optimum. `effort` is deterministic time. No solution
    of the part leaves fewer than `least_unplaced` of its systems without a place."""

    windows: Mapping[int, int] | None
    pools: Mapping[int, int]
    teams: Mapping[int, int]
    bounds: Mapping[Aim, int]
    proven: tuple[Aim, ...]
    infeasible: bool
    effort: float
    least_unplaced: int = 0


def improve_part(part: Part, order: Order, seed: int, budget: Budget) -> PartAnswer:
    """Anytime: what was found for the first aims stands when the budget ends at a later one.

    Where the teams of a window suffice together but cannot share out its systems, the window's teams become variables
    and the part is solved again with what is left of the budget.
    """
    named: frozenset[int] = frozenset()
    effort = 0.0
    while True:
        left = replace(budget, effort=max(0.01, budget.effort - effort))
        answer = _Search(_Model(part, order, named), seed, left).run()
        effort += answer.effort
        answer = replace(answer, effort=effort)
        if answer.windows is None:
            return answer
        teams, short = share_out(part, answer.windows)
        if not short:
            return replace(answer, teams=teams)
        if effort >= budget.effort or budget.is_spent or short <= named:
            return replace(answer, windows=None, proven=())
        named |= short


class _Model:
    """Booleans: group in window, item in pool, item with team; the rest follows from them."""

    def __init__(self, part: Part, order: Order, named: frozenset[int] = frozenset()) -> None:
        """In the windows of `named` each system's team is a variable; elsewhere the teams of a skill count together,
        and who does what is found afterwards."""
        self.part, self.order, self._named = part, order, named
        self.model = cp_model.CpModel()
        model = self.model
        self.at: list[dict[int, cp_model.IntVar]] = []
        self.placed: list[cp_model.IntVar | int] = []
        for place, group in enumerate(part.groups):
            choices = {w: model.new_bool_var(f"x{place}_{w}") for w in group.windows if w <= order.last}
            self.at.append(choices)
            if part.all_move:
                model.add_exactly_one(choices.values())
                self.placed.append(1)
            else:
                here = model.new_bool_var(f"p{place}")
                model.add(sum(choices.values()) == here)
                self.placed.append(here)
        self._places = {each.index for each in self.placed if not isinstance(each, int)}
        self._moved: dict[tuple[int, int], cp_model.IntVar] = {}
        self.pool = [self._choice("y", place, item.pools, item) for place, item in enumerate(part.items)]
        self.team: dict[tuple[int, int], dict[int, cp_model.IntVar]] = {}
        self._order_groups()
        self._fill_windows()
        self._fill_teams()
        self._fill_pools()
        if part.budget is not None:
            model.add(self.expression(Aim.COST) <= part.budget)

    def _choice(
        self, letter: str, place: int, options: Sequence[int], item: PartItem
    ) -> dict[int, cp_model.IntVar | int]:
        """One option each, or none where the group has no place."""
        here = self.placed[item.group]
        if len(options) == 1:
            return {options[0]: here}
        choices: dict[int, cp_model.IntVar | int] = {
            each: self.model.new_bool_var(f"{letter}{place}_{each}") for each in options
        }
        if choices:
            self.model.add(sum(choices.values()) == here)
        return choices

    def _order_groups(self) -> None:
        """Whoever has moved by a window has had all that it uses moved by then: a clause for each of its windows. They bind
        the relaxation far tighter than an order of window numbers would."""
        part, model = self.part, self.model
        for user, used in part.edges:
            last = max(self.at[used], default=NOWHERE)
            for w in self.at[user]:
                if w < last:
                    here = [self._until(used, w), _not(self._until(user, w)), _not(self.placed[used])]
                    model.add_bool_or(here)
        for one, other in part.ties:
            for w in set(self.at[one]) | set(self.at[other]):
                model.add(self.at[one].get(w, 0) == self.at[other].get(w, 0))

    def _fill_windows(self) -> None:
        """Caps and tags; windows close one after another from the end, which is what the finish counts."""
        part, model = self.part, self.model
        self.open: dict[int, cp_model.IntVar] = {}
        floor = self.floor = max(self.order.first_bound, part.last_of_others)
        for w in sorted(part.caps):
            users = [(group.size, self.at[n][w]) for n, group in enumerate(part.groups) if w in self.at[n]]
            if not users:
                continue
            load = sum(size * x for size, x in users)
            cap = max(0, part.caps[w])
            if w > floor:
                self.open[w] = model.new_bool_var(f"open{w}")
                model.add(load <= cap * self.open[w])
                for _, x in users:
                    model.add_implication(x, self.open[w])
            elif sum(size for size, _ in users) > cap:
                model.add(load <= cap)
        ordered = sorted(self.open)
        for earlier, later in pairwise(ordered):
            model.add_implication(self.open[later], self.open[earlier])
        for (tag, w), left in part.tags.items():
            users = [
                (sum(tag in item.tags for item in members), self.at[n][w])
                for n, members in self._members().items()
                if w in self.at[n]
            ]
            if min(self._cap(w), sum(count for count, _ in users)) > left:
                model.add(sum(count * x for count, x in users) <= max(0, left))

    def _members(self) -> dict[int, list[PartItem]]:
        found: dict[int, list[PartItem]] = defaultdict(list)
        for item in self.part.items:
            found[item.group].append(item)
        return found

    def _fill_teams(self) -> None:
        """A window's systems that only some teams can move take no more than these teams' minutes."""
        part = self.part
        wanting = [(place, item) for place, item in enumerate(part.items) if item.teams]
        sets = sorted({frozenset(item.teams) for _, item in wanting}, key=sorted)
        unions = sorted({one | other for one in sets for other in sets} | set(sets), key=sorted)
        for w in sorted(part.caps):
            here = [(place, item, x) for place, item in wanting if (x := self.at[item.group].get(w)) is not None]
            if w in self._named:
                self._name_teams(w, here)
            for teams in unions:
                uses = [(item.minutes, x) for _, item, x in here if teams.issuperset(item.teams)]
                able = sum(part.minutes.get((team, w), 0) for team in teams)
                if self._most_in(w, (minutes for minutes, _ in uses)) > max(0, able):
                    self.model.add(sum(minutes * x for minutes, x in uses) <= max(0, able))

    def _name_teams(self, w: int, here: Sequence[tuple[int, PartItem, cp_model.IntVar]]) -> None:
        load: dict[int, list[tuple[int, cp_model.IntVar]]] = defaultdict(list)
        for place, item, x in here:
            options = {team: self.model.new_bool_var(f"v{place}_{w}_{team}") for team in item.teams}
            self.team[place, w] = options = {t: v for t, v in options.items() if (t, w) in self.part.minutes}
            self.model.add(sum(options.values()) == x)
            for team, variable in options.items():
                load[team].append((item.minutes, variable))
        for team, uses in load.items():
            self.model.add(sum(minutes * v for minutes, v in uses) <= max(0, self.part.minutes[team, w]))

    def _fill_pools(self) -> None:
        part, model = self.part, self.model
        copies: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for place, item in enumerate(part.items):
            for pool in item.pools:
                for w in self.at[item.group]:
                    if item.copy:
                        copies[pool, w].append((place, item.copy))
        for key, takers in copies.items():
            pool, w = key
            if self._most_in(w, (amount for _, amount in takers)) > part.copies[key]:
                model.add(
                    sum(
                        amount
                        * self._both(self.at[part.items[n].group][w], self.pool[n][pool], f"z{n}_{w}_{pool}")
                        for n, amount in takers
                    )
                    <= max(0, part.copies[key])
                )
        for number, prefix in enumerate(part.prefixes):
            self._fill_prefix(number, prefix)

    def _fill_prefix(self, number: int, prefix: PartPrefix) -> None:
        """Only the steps at which everything that might have moved by then would be too much."""
        for w, left in prefix.left:
            early = [
                (place, pool, amount)
                for (place, pool), amount in prefix.demand.items()
                if min(self.at[self.part.items[place].group], default=w + 1) <= w
            ]
            if self._most_by(w, early) > left:
                terms = [
                    amount
                    * self._both(
                        self._until(self.part.items[place].group, w),
                        self.pool[place][pool],
                        f"q{number}_{place}_{w}_{pool}",
                    )
                    for place, pool, amount in early
                ]
                self.model.add(sum(terms) <= max(0, left))

    def _cap(self, w: int) -> int:
        return max(0, self.part.caps[w])

    def _most_in(self, w: int, amounts: Iterable[int]) -> int:
        """No window holds more systems than its cap: no more than so many of the largest amounts come together."""
        return sum(heapq.nlargest(self._cap(w), amounts))

    def _most_by(self, w: int, early: Sequence[tuple[int, int, int]]) -> int:
        """No more systems can have moved by window w than the windows until then hold: the largest amounts count."""
        places = sum(max(0, cap) for each, cap in self.part.caps.items() if each <= w)
        largest: dict[int, int] = {}
        for place, _, amount in early:
            largest[place] = max(largest.get(place, 0), amount)
        return sum(sorted(largest.values(), reverse=True)[:places])

    def _until(self, group: int, w: int) -> cp_model.IntVar | int:
        """Whether the group has moved by window w; 0 where it has no window until then."""
        choices = self.at[group]
        inside = [each for each in choices if each <= w]
        if len(inside) == len(choices):
            return self.placed[group] if inside else 0
        moved: cp_model.IntVar | int = 0
        for each in inside:
            known = self._moved.get((group, each))
            if known is None:
                known = choices[each]
                if not isinstance(moved, int):
                    known = self.model.new_bool_var(f"u{group}_{each}")
                    self.model.add(moved + choices[each] == known)
                self._moved[group, each] = known
            moved = known
        return moved

    def _both(self, one: cp_model.IntVar | int, other: cp_model.IntVar | int, name: str) -> cp_model.IntVar:
        """A literal that is one AND other."""
        if isinstance(one, int):
            one, other = other, one
        if isinstance(one, int):
            return self.model.new_constant(min(one, int(other)) if isinstance(other, int) else 1)
        # A window's choice implies that the group has a place, which stands for the only team or pool.
        if isinstance(other, int) or other.index in self._places:
            return one
        if one.index in self._places:
            return other
        both = self.model.new_bool_var(name)
        self.model.add_bool_or([both, one.negated(), other.negated()])
        self.model.add_implication(both, one)
        self.model.add_implication(both, other)
        return both

    def unplaced(self) -> cp_model.LinearExprT:
        return sum(group.size * (1 - self.placed[n]) for n, group in enumerate(self.part.groups))

    def weighted(self) -> cp_model.LinearExprT:
        return sum(weight * self.expression(aim) for aim, weight in self.part.weights)

    def window_after(self, opened: int) -> int:
        """The last window in use when so many are open beyond the floor."""
        return sorted(self.open)[opened - 1] if opened > 0 else self.floor

    def in_window(self, w: int) -> cp_model.LinearExprT:
        return sum(group.size * self.at[n][w] for n, group in enumerate(self.part.groups) if w in self.at[n])

    def expression(self, aim: Aim) -> cp_model.LinearExprT:
        """What the part contributes to an aim; the finish as a number of windows beyond the floor."""
        part = self.part
        if aim is Aim.FINISH:
            return cp_model.LinearExpr.sum(list(self.open.values()))
        if aim is Aim.RISK:
            return self._riskiest()
        if aim is Aim.CHANGE:
            return sum(
                self._changed(place, item) for place, item in enumerate(part.items) if item.last is not None
            )
        own = sum(
            price * self.at[n][w]
            for n, group in enumerate(part.groups)
            for w, price in zip(group.windows, group.price[aim], strict=True)
            if w in self.at[n] and price
        )
        return cp_model.LinearExpr.sum([own, self._traffic()]) if aim is Aim.TRAFFIC else own

    def _riskiest(self) -> cp_model.IntVar:
        part, model = self.part, self.model
        floor = max(part.risk_there.values(), default=0)
        peak = model.new_int_var(floor, floor + sum(group.risk for group in part.groups), "peak")
        for w in part.caps:
            load = sum(group.risk * self.at[n][w] for n, group in enumerate(part.groups) if w in self.at[n])
            model.add(load + part.risk_there.get(w, 0) <= peak)
        return peak

    def _traffic(self) -> cp_model.LinearExprT:
        part, model = self.part, self.model
        binds = set(part.edges)
        days = {
            n: sum(part.days[w] * x for w, x in self.at[n].items())
            for n in {each for user, used, _ in part.traffic for each in (user, used)}
        }
        terms: list[cp_model.LinearExprT] = []
        for user, used, gb in part.traffic:
            if (user, used) in binds and part.all_move:
                terms.append(gb * (days[user] - days[used]))
                continue
            apart = model.new_int_var(0, max(part.days), f"d{user}_{used}")
            for one, other in ((user, used), (used, user)):
                both = [each for each in (self.placed[one], self.placed[other]) if not isinstance(each, int)]
                model.add(apart >= days[one] - days[other]).only_enforce_if(both)
            terms.append(gb * apart)
        return sum(terms)

    def _changed(self, place: int, item: PartItem) -> cp_model.LinearExprT:
        assert item.last is not None  # the caller asks for such items only
        window, pool = item.last
        x = self.at[item.group].get(window)
        y = self.pool[place].get(pool)
        if x is None or y is None:
            return 1
        return 1 - self._both(x, y, f"same{place}")


class _Search:
    """Solves aim after aim; what was reached for one is a bound for the next."""

    def __init__(self, model: _Model, seed: int, budget: Budget) -> None:
        self._model = model
        self._seed = seed
        self._budget = budget
        self._effort = 0.0
        self._values: dict[int, int] | None = None

    def run(self) -> PartAnswer:
        self._hint_present()
        bounds: dict[Aim, int] = {}
        proven: list[Aim] = []
        least = 0
        steps = self._steps()
        for number, (aim, asked) in enumerate(steps):
            if self._budget.is_spent or self._effort >= self._budget.effort:
                break
            status, bound = self._minimize(asked(), len(steps) - number)
            if status == cp_model.INFEASIBLE and number == 0:
                return PartAnswer(None, {}, {}, bounds, (), True, self._effort)
            if number == 0 and not self._model.part.all_move:
                least = max(0, bound)
            if aim is not None:
                bounds[aim] = self._model.window_after(bound) if aim is Aim.FINISH else bound
            if status == cp_model.OPTIMAL and aim is not None:
                proven.append(aim)
            if self._values is None:
                break
        if self._values is None:
            return PartAnswer(None, {}, {}, bounds, (), False, self._effort, least)
        windows, pools = self.chosen()
        return PartAnswer(windows, pools, {}, bounds, tuple(proven), False, self._effort, least)

    def _steps(self) -> list[tuple[Aim | None, Callable[[], cp_model.LinearExprT]]]:
        model, order = self._model, self._model.order
        steps: list[tuple[Aim | None, Callable[[], cp_model.LinearExprT]]] = []
        if not model.part.all_move:
            steps.append((None, model.unplaced))
        if order.tail is not None:
            steps.append((None, partial(model.in_window, order.tail)))
        if model.part.weights and order.tail is None:
            steps.append((None, model.weighted))
        else:
            steps.extend((aim, partial(model.expression, aim)) for aim in order.aims)
        return steps

    def _minimize(self, expression: cp_model.LinearExprT, rest: int) -> tuple[cp_model.CpSolverStatus, int]:
        """`rest` counts the aims still to come, this one included: each may use an equal part of what is left."""
        model = self._model.model
        model.minimize(expression)
        solver = configured(self._seed, self._share(rest))
        # Parts are many and small: what the presolve would find out costs more than it saves.
        solver.parameters.cp_model_probing_level = 0
        solver.parameters.max_presolve_iterations = 1
        solver.parameters.symmetry_level = 0
        status = solver.solve(model)
        self._effort += solver.deterministic_time
        assert status != cp_model.MODEL_INVALID, model.validate()
        if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            self._values = {v.index: solver.value(v) for v in self._variables()}
            model.add(expression <= round(solver.objective_value))
            model.clear_hints()  # type: ignore[no-untyped-call]  # OR-Tools left its type out
            for variable in self._variables():
                model.add_hint(variable, self._values[variable.index])
        known = status in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.UNKNOWN)
        return status, round(solver.best_objective_bound) if known else 0

    def _share(self, rest: int) -> Budget:
        budget = self._budget
        effort = max(0.01, (budget.effort - self._effort) / rest)
        left = budget.seconds_left
        if left is None or budget.clock is None:
            return Budget(effort, None, None, budget.workers)
        return Budget(effort, budget.clock, budget.clock() + left / rest, budget.workers)

    def _variables(self) -> Iterable[cp_model.IntVar]:
        """Each once: a group's place stands for the only pool of every system in it, and a second hint is an error."""
        model = self._model
        found = {x.index: x for choices in (*model.at, *model.team.values()) for x in choices.values()}
        found.update((y.index, y) for options in model.pool for y in options.values() if not isinstance(y, int))
        return found.values()

    def _hint_present(self) -> None:
        model, part = self._model, self._model.part
        for n, group in enumerate(part.groups):
            for w, x in model.at[n].items():
                model.model.add_hint(x, int(w == group.now))
        for place, options in enumerate(model.pool):
            if len(options) > 1:
                for pool, y in options.items():
                    if not isinstance(y, int):
                        model.model.add_hint(y, int(pool == part.items[place].pool_now))

    def chosen(self) -> tuple[dict[int, int], dict[int, int]]:
        """Windows by group number, pools by item number."""
        model, part, values = self._model, self._model.part, self._values
        assert values is not None  # the caller has looked
        windows = {
            group.number: next((w for w, x in model.at[n].items() if values[x.index]), NOWHERE)
            for n, group in enumerate(part.groups)
        }
        pools = {}
        for place, options in enumerate(model.pool):
            item = part.items[place]
            here = windows[part.groups[item.group].number] != NOWHERE
            pools[item.number] = next(
                (o for o, y in options.items() if here and _is_taken(y, values, len(options))), NOWHERE
            )
        return windows, pools


def _not(literal: cp_model.IntVar | int) -> cp_model.LiteralT:
    return 1 - literal if isinstance(literal, int) else literal.negated()


def _is_taken(variable: cp_model.IntVar | int, values: Mapping[int, int], options: int) -> bool:
    if options == 1 or isinstance(variable, int):
        return True
    return bool(values[variable.index])

"""What is left of teams, tags, links, arriving capacity and budget while a plan is being made.

Who calls this: `board.py`, which keeps pools and windows itself. Mutable; it lives for one call of the planner.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from inventory.model.calendar import Window
from scheduler.core.waves.obstacles import Binding, Obstacle
from scheduler.core.waves.problem import Item
from scheduler.core.waves.shape import PrefixResource, Shape


class LimitBook:
    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._pool_place = {pool.pool_id: number for number, pool in enumerate(shape.problem.pools)}
        self._minutes = [list(row) for row in shape.minutes]
        self._tagged: Counter[tuple[str, int]] = Counter()
        self._caps = {cap.tag: cap.most for cap in shape.problem.concurrency}
        self._spent = 0
        self._pins = {pin.system_key: pin.window_id for pin in shape.problem.pins if pin.window_id is not None}
        # Only what changes over time is kept here; the board keeps what does not.
        rising = [(resource, resource.steps) for resource in shape.prefixes if len(resource.steps) > 1]
        self._load = [[0] * len(steps) for _, steps in rising]
        self._takes: dict[tuple[int, int], list[tuple[int, PrefixResource, tuple[int, ...], int]]] = defaultdict(
            list
        )
        for place, (resource, steps) in enumerate(rising):
            for choice, amount in resource.demand.items():
                self._takes[choice].append((place, resource, steps, amount))

    @property
    def is_rising(self) -> bool:
        """Whether any capacity changes over time."""
        return bool(self._load)

    def obstacle(self, items: Sequence[Item], window: int) -> Obstacle | None:
        """What keeps the items out of the window, whatever their pools."""
        slot = self._shape.problem.windows[window]
        for item in items:
            found = self._of_day(item, *self._shape.spans[window], slot.window)
            if found is not None:
                return found
        groups = {self._shape.group_of[self._shape.index_of[item.key]] for item in items}
        shapes = [self._shape.groups[group] for group in groups]
        if any(each.own >> window & 1 and not each.allowed >> window & 1 for each in shapes):
            return Obstacle(Binding.ORDER)
        for tag, count in Counter(tag for item in items for tag in item.tags if tag in self._caps).items():
            if self._tagged[tag, window] + count > self._caps[tag]:
                return Obstacle(Binding.CONCURRENCY, tag)
        short = self._short_of_team(items, window)
        if short is not None:
            return Obstacle(Binding.TEAM, short.team or short.skill or "")
        if any(not each.own >> window & 1 for each in shapes):
            # Not its dates, and its teams work: some line or pool cannot take it by then, whatever the others do.
            return Obstacle(Binding.POOLS)
        budget = self._shape.problem.budget
        if budget is not None and self._spent + self._cost(items, window) > budget:
            return Obstacle(Binding.BUDGET, str(budget))
        return None

    def fits(self, item: Item, pool_id: str, window: int) -> bool:
        """Whether links and arriving capacity of the pool take the item in the window, now."""
        for place, resource, steps, amount in self._takes.get(self._choice(item, pool_id), ()):
            load = self._load[place]
            for number, step in enumerate(steps):
                if step >= window and load[number] + amount > resource.limits[step]:
                    return False
        return True

    def move(self, item: Item, pool_id: str, window: int, sign: int) -> None:
        for place, _, steps, amount in self._takes.get(self._choice(item, pool_id), ()):
            load = self._load[place]
            for number, step in enumerate(steps):
                if step >= window:
                    load[number] += amount * sign

    def commit(self, items: Sequence[Item], window: int, given: Mapping[str, int] | None = None) -> dict[str, str]:
        """Takes tags, minutes and money; returns the team of each system that needs one: the given ones, or of its
        own choice."""
        teams = self._teams(items, window) if given is None else given
        assert teams is not None  # `obstacle` found none before
        for item in items:
            for tag in item.tags:
                self._tagged[tag, window] += 1
            team = teams.get(item.key)
            if team is not None:
                self._minutes[team][window] -= item.crew * item.minutes
        self._spent += self._cost(items, window)
        return {key: self._shape.problem.teams[team].team_id for key, team in teams.items()}

    def _of_day(self, item: Item, first: date, last: date, window: Window) -> Obstacle | None:
        pinned = self._pins.get(item.key)
        if pinned is not None and pinned != window.window_id:
            return Obstacle(Binding.PIN, pinned)
        if item.earliest is not None and first < item.earliest:
            return Obstacle(Binding.EARLIEST, item.earliest.isoformat())
        if item.deadline is not None and last > item.deadline:
            return Obstacle(Binding.DEADLINE, item.deadline.isoformat())
        if item.minutes > window.seconds // 60:
            return Obstacle(Binding.LENGTH, str(item.minutes))
        return None

    def _short_of_team(self, items: Sequence[Item], window: int) -> Item | None:
        if self._teams(items, window) is not None:
            return None
        return max(
            (item for item in items if item.needs_team), key=lambda item: (item.crew * item.minutes, item.key)
        )

    def _teams(self, items: Sequence[Item], window: int) -> Mapping[str, int] | None:
        """A team for each item that needs one: the choosiest item first, then the longest; to the team with the most
        minutes left."""
        wanting = [item for item in items if item.needs_team]
        if not wanting:
            return {}
        options = {
            item.key: [
                team
                for team in self._shape.teams_of[self._shape.index_of[item.key]]
                if self._shape.works[team] >> window & 1
            ]
            for item in wanting
        }
        left: dict[int, int] = {team: self._minutes[team][window] for teams in options.values() for team in teams}
        chosen: dict[str, int] = {}
        for item in sorted(
            wanting, key=lambda each: (len(options[each.key]), -each.crew * each.minutes, each.key)
        ):
            need = item.crew * item.minutes
            able = [team for team in options[item.key] if left[team] >= need]
            if not able:
                return None
            best = max(able, key=lambda team: (left[team], -team))
            left[best] -= need
            chosen[item.key] = best
        return chosen

    def _cost(self, items: Sequence[Item], window: int) -> int:
        return sum(self._shape.cost(self._shape.index_of[item.key], window) for item in items)

    def _choice(self, item: Item, pool_id: str) -> tuple[int, int]:
        return self._shape.index_of[item.key], self._pool_place[pool_id]

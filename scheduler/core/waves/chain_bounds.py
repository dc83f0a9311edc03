"""A lower bound on the finish of plans that leave a few systems out, by branching on whom they leave out.

Who calls this: `bounds.py`, where a plan has systems without a place. What nobody places binds none of its users, so leaving one
platform out may set thousands free, and most others set nobody free but themselves. Everyone who waits is given one
chain of used systems that makes him wait; the chains form a forest, and who leaves a system out sets free at most
those who hang on it. Where that would free too many, we ask twice: is it left out (then the forest is grown anew without
it), or placed (then the next largest counts)? The bound of the tree is the least of its leaves, and holds wherever the
search stops.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.core.waves.bottlenecks import Scarce
from scheduler.core.waves.shape import Shape

_MOST_NODES = 120


def finish_with_some_left_out(
    shape: Shape,
    scarce: Sequence[Scarce],
    spared: int,
    goal: int,
    most_nodes: int = _MOST_NODES,
    kept: frozenset[int] = frozenset(),
) -> int:
    """The index of a window: no plan that places the groups of `kept` and leaves out at most `spared` systems of those
    with an open window ends before it; the number of windows where there is no such plan. Nothing is asked beyond `goal`."""
    tree = _Tree(shape, scarce, goal)
    leaves = [tree.leaf(frozenset(), kept, spared)]
    for _ in range(most_nodes):
        leaf = leaves[0]
        if leaf.bound >= goal or leaf.heaviest is None:
            break
        heapq.heappop(leaves)
        size = shape.groups[leaf.heaviest].size
        out = tree.leaf(leaf.out | {leaf.heaviest}, leaf.kept, leaf.spared - size)
        placed = tree.leaf(leaf.out, leaf.kept | {leaf.heaviest}, leaf.spared)
        for each in (out, placed):
            heapq.heappush(leaves, each.at_least(leaf.bound))
    return leaves[0].bound


@dataclass(frozen=True, slots=True, order=True)
class _Leaf:
    """Plans that leave `out` out, place `kept`, and leave out at most `spared` systems more: none ends before `bound`.
    `heaviest`: who else would set the most free; None where that is nobody."""

    bound: int
    number: int
    out: frozenset[int]
    kept: frozenset[int]
    spared: int
    heaviest: int | None

    def at_least(self, bound: int) -> _Leaf:
        return _Leaf(max(self.bound, bound), self.number, self.out, self.kept, self.spared, self.heaviest)


@dataclass(frozen=True, slots=True)
class _Forest:
    """By group: the window at the end of its chain, who is next on its chain (itself where it ends), and the order in
    which everyone stands before whom he waits for."""

    limit: Sequence[int]
    parent: Sequence[int]
    order: Sequence[int]

    def hanging(self, amounts: Mapping[int, int]) -> list[int]:
        """By group: what it and all that hang on it take."""
        found = [0] * len(self.parent)
        for g, amount in amounts.items():
            found[g] = amount
        for g in self.order:
            if self.parent[g] != g:
                found[self.parent[g]] += found[g]
        return found


class _Tree:
    def __init__(self, shape: Shape, scarce: Sequence[Scarce], goal: int) -> None:
        self._shape, self._scarce, self._goal = shape, scarce, goal
        self._own = [group.own for group in shape.groups]
        self._uses: list[list[int]] = [[] for _ in shape.groups]
        self._users: list[list[int]] = [[] for _ in shape.groups]
        for user, used in shape.edges:
            if self._own[user] and self._own[used]:  # who can move nowhere binds nobody
                self._uses[user].append(used)
                self._users[used].append(user)
        self._used_first = _sorted_by(self._uses, self._users)
        self._made = 0

    def leaf(self, out: frozenset[int], kept: frozenset[int], spared: int) -> _Leaf:
        self._made += 1
        forests = [
            self._grown(self._uses, self._used_first, out, kept, forwards=True),
            self._grown(self._users, self._used_first[::-1], out, kept, forwards=False),
        ]
        masks = [
            0 if g in out else own & (-1 << first) & ((1 << (last + 1)) - 1)
            for g, (own, first, last) in enumerate(zip(self._own, forests[0].limit, forests[1].limit, strict=True))
        ]
        able = [
            g
            for g, group in enumerate(self._shape.groups)
            if group.size <= spared and g not in kept and g not in out
        ]
        bound, heaviest = 0, None
        for resource in self._scarce:
            amounts = {g: amount for g, amount in resource.amounts.items() if g not in out}
            one, other = (forest.hanging(amounts) for forest in forests)
            freed = heapq.nlargest(spared, ((one[g] + other[g], -g) for g in able))
            found = Scarce(resource.offered, amounts, resource.windows, ()).least_finish(
                masks, sum(amount for amount, _ in freed)
            )
            if heaviest is None or found > bound:
                heaviest = -freed[0][1] if freed and freed[0][0] > 2 * amounts.get(-freed[0][1], 0) else None
            bound = max(bound, found)
            if bound >= self._goal:
                break
        return _Leaf(min(bound, self._goal), self._made, out, kept, spared, heaviest)

    def _grown(
        self,
        nexts: Sequence[Sequence[int]],
        order: Sequence[int],
        out: frozenset[int],
        kept: frozenset[int],
        *,
        forwards: bool,
    ) -> _Forest:
        """Forwards: the first window of each by what it uses; backwards: the last one by its users. Of several that make
        one wait equally long, its chain goes by one that is placed for certain, else by the least laden."""
        windows = self._shape.windows
        reach = _first if forwards else _last
        limit = [reach(own, 0 if forwards else windows - 1, windows) for own in self._own]
        causes: list[list[int]] = [[] for _ in limit]
        for g in order:
            if g in out:
                continue
            alone = limit[g]
            for other in nexts[g]:
                passed = limit[other] > alone if forwards else limit[other] < alone
                if not passed or other in out:
                    continue
                moved = reach(self._own[g], limit[other], windows)
                if moved == limit[g]:
                    causes[g].append(other)
                elif (moved > limit[g]) is forwards:
                    limit[g], causes[g] = moved, [other]
        parent, laden = list(range(len(limit))), [group.size for group in self._shape.groups]
        for g in reversed(order):
            if causes[g]:
                parent[g] = min(causes[g], key=lambda other: (other not in kept, laden[other], other))
                laden[parent[g]] += laden[g]
        return _Forest(limit, parent, order[::-1])


def _first(own: int, window: int, windows: int) -> int:
    """The first open window from there on; the number of windows where there is none."""
    later = own >> window
    return window + (later & -later).bit_length() - 1 if later else windows


def _last(own: int, window: int, _windows: int) -> int:
    """The last open window until there; -1 where there is none."""
    return (own & ((1 << (window + 1)) - 1)).bit_length() - 1


def _sorted_by(before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> list[int]:
    """All groups, each after those before it."""
    missing = [len(each) for each in before]
    found = [g for g, count in enumerate(missing) if not count]
    for g in found:
        for other in after[g]:
            missing[other] -= 1
            if not missing[other]:
                found.append(other)
    return found

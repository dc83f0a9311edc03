"""Cycles of dependencies, and which of them to bridge for a while so that the members can move one after another.

A dependency whose user moves before what it uses works across sites until the other has followed: it needs a
temporary bridge. The cheapest set of bridges that breaks every cycle is a minimum feedback arc set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

Edge = tuple[str, str]
"""A dependency: (user, used)."""

# Exact up to here: 2^14 subsets times 14 members are a quarter of a second.
MOST_FOR_EXACT = 14


@dataclass(frozen=True, slots=True)
class CycleSplit:
    """How a cycle is split: `order` of moving, the `bridges` needed meanwhile, their `cost`.

    `is_least`: no other order is cheaper. Otherwise `cost` is that of a good order, found without a proof.
    """

    order: tuple[str, ...]
    bridges: tuple[Edge, ...]
    cost: int
    is_least: bool


def split_cycle(members: Sequence[str], weights: Mapping[Edge, int]) -> CycleSplit:
    """The cheapest bridges for a cycle: minimum feedback arc set, exact for at most MOST_FOR_EXACT members.

    `weights[user, used]` is the cost of bridging that dependency, at least 0; pairs that are not listed do not
    depend on each other. Edges that leave `members` are ignored.
    """
    inside = {edge: weight for edge, weight in weights.items() if {*edge} <= set(members) and edge[0] != edge[1]}
    keys = sorted(set(members))
    is_exact = len(keys) <= MOST_FOR_EXACT
    order = _least_order(keys, inside) if is_exact else order_of_cycle(keys, inside)
    place = {key: at for at, key in enumerate(order)}
    bridges = tuple(sorted(edge for edge in inside if place[edge[0]] < place[edge[1]]))
    return CycleSplit(order, bridges, sum(inside[edge] for edge in bridges), is_exact)


def _least_order(keys: Sequence[str], weights: Mapping[Edge, int]) -> tuple[str, ...]:
    """The order with the least weight of edges whose user stands before what it uses.

    Dynamic programming over the sets of members that have moved already (Lawler 1964): least[S] is the cheapest way
    to move S first, whatever follows. O(2^n n).
    """
    count = len(keys)
    index = {key: at for at, key in enumerate(keys)}
    to_pay = [[0] * count for _ in keys]  # to_pay[user][used]: paid when user moves and used has not
    for (user, used), weight in weights.items():
        to_pay[index[user]][index[used]] = weight
    whole = (1 << count) - 1
    least = [0] * (whole + 1)
    last = [0] * (whole + 1)
    waiting = [_sums(row) for row in to_pay]  # waiting[user][T]: what user pays when T has not moved
    for moved in range(1, whole + 1):
        best = -1
        for member in range(count):
            bit = 1 << member
            if moved & bit:
                cost = least[moved ^ bit] + waiting[member][whole & ~moved]
                if best < 0 or cost < best:
                    best, last[moved] = cost, member
        least[moved] = best
    order: list[str] = []
    moved = whole
    while moved:
        order.append(keys[last[moved]])
        moved ^= 1 << last[moved]
    return tuple(reversed(order))


def _sums(row: Sequence[int]) -> list[int]:
    """The sum of the row over every subset of its columns."""
    sums = [0] * (1 << len(row))
    for subset in range(1, len(sums)):
        low = subset & -subset
        sums[subset] = sums[subset ^ low] + row[low.bit_length() - 1]
    return sums


def strong_components(uses: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Strongly connected components of any graph of names, each sorted, in the order of their least member."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(uses)
    graph.add_edges_from((user, used) for user in uses for used in uses[user])
    return sorted(tuple(sorted(part)) for part in nx.strongly_connected_components(graph))


def order_of_cycle(members: Sequence[str], weights: Mapping[tuple[str, str], int]) -> tuple[str, ...]:
    """An order of a cycle's members in which what is used stands before its users, but for cheap edges.

    `weights[user, used]` is what it costs to move `user` before `used`. The edges left pointing the wrong way are
    the ones to be split: their total weight is small, not least (the problem is NP-hard).
    Source: Eades, Lin, Smyth, A fast and effective heuristic for the feedback arc set problem, IPL 47 (1993).
    """
    left = dict.fromkeys(sorted(members))
    inside = {edge: weight for edge, weight in weights.items() if edge[0] in left and edge[1] in left}
    uses: dict[str, dict[str, int]] = {key: {} for key in left}
    used_by: dict[str, dict[str, int]] = {key: {} for key in left}
    for (user, used), weight in inside.items():
        uses[user][used] = weight
        used_by[used][user] = weight
    # How much more a member is used than it uses, among those left.
    surplus = {key: sum(used_by[key].values()) - sum(uses[key].values()) for key in left}
    first: list[str] = []
    last: list[str] = []

    def take(key: str) -> str:
        del left[key]
        for used in uses[key]:
            surplus[used] -= used_by[used].pop(key)
        for user in used_by[key]:
            surplus[user] += uses[user].pop(key)
        return key

    while left:
        free = [key for key in left if not uses[key]]
        unused = [key for key in left if not used_by[key]]
        if free:
            first.extend(take(key) for key in free)
        elif unused:
            last.extend(take(key) for key in unused)
        else:
            # The member that many use and that itself uses little goes first: few of its own edges are split.
            first.append(take(max(left, key=surplus.__getitem__)))
    return (*first, *reversed(last))

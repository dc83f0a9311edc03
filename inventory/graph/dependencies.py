"""The graph itself: users and used, blast radius, depth, cycles, critical path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from inventory.graph.cycles import strong_components
from inventory.graph.names import Resolution, resolve_names
from inventory.model.system import System


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The longest chain of systems, each using the next: no plan that moves one after the other is shorter.

    `steps` are in the order of moving (what is used first); a cycle is one step, its members sorted. `length` is
    the sum of the weights, of a cycle's members all together.
    """

    steps: tuple[tuple[str, ...], ...]
    length: int


class SystemGraph:
    """The graph of one ledger. Keys are those of `system_key`; all answers are sorted, so they repeat."""

    def __init__(self, keys: Iterable[str], uses: Mapping[str, Iterable[str]]) -> None:
        """`uses` may name only keys of `keys`. An edge of a system to itself is left out."""
        self._graph: nx.DiGraph[str] = nx.DiGraph()
        self._graph.add_nodes_from(sorted(keys))
        for user in sorted(uses):
            self._graph.add_edges_from((user, used) for used in sorted(uses[user]) if used != user)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._graph)

    def uses(self, key: str) -> tuple[str, ...]:
        """What the system uses directly."""
        return tuple(sorted(self._graph.successors(key)))

    def used_by(self, key: str) -> tuple[str, ...]:
        """Who uses the system directly."""
        return tuple(sorted(self._graph.predecessors(key)))

    def blast_radius(self, key: str) -> tuple[str, ...]:
        """Every system that would notice this one's failure: its transitive dependents, without itself."""
        return tuple(sorted(nx.ancestors(self._graph, key)))

    def blast_sizes(self) -> dict[str, int]:
        """The size of every system's blast radius, at once."""
        condensed = nx.condensation(self._graph)
        members: dict[int, set[str]] = {part: condensed.nodes[part]["members"] for part in condensed}
        above: dict[int, int] = {}  # component -> bit set of the components that reach it, itself included
        sizes: dict[str, int] = {}
        weights = {component: len(members[component]) for component in condensed}
        for component in nx.topological_sort(condensed):
            bits = 1 << component
            for user in condensed.predecessors(component):
                bits |= above[user]
            above[component] = bits
            reach = sum(weights[index] for index in _bits(bits))
            for key in members[component]:
                sizes[key] = reach - 1
        return sizes

    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Each strongly connected component of two systems or more, its members named."""
        return tuple(sorted(part for part in strong_components(self._adjacency()) if len(part) > 1))

    def depths(self) -> dict[str, int]:
        """0 for a system that uses nothing, else one more than the deepest that it uses; a cycle counts as one."""
        condensed = nx.condensation(self._graph)
        members: dict[int, set[str]] = {part: condensed.nodes[part]["members"] for part in condensed}
        level: dict[int, int] = {}
        for component in reversed(list(nx.topological_sort(condensed))):
            level[component] = max((level[used] + 1 for used in condensed.successors(component)), default=0)
        return {key: level[component] for component in condensed for key in members[component]}

    def critical_path(self, weights: Mapping[str, int] | None = None) -> CriticalPath:
        """The heaviest chain of dependencies. `weights` are what moving each system takes (absent: 1, at least 0);
        of equal chains the one whose last system has the least key."""
        condensed = nx.condensation(self._graph)
        members = {part: tuple(sorted(condensed.nodes[part]["members"])) for part in condensed}
        cost = {part: sum((weights or {}).get(key, 1) for key in members[part]) for part in condensed}
        best: dict[int, int] = {}
        below: dict[int, int | None] = {}
        for part in reversed(list(nx.topological_sort(condensed))):
            used = sorted(condensed.successors(part), key=lambda one: (-best[one], members[one]))
            below[part] = used[0] if used else None
            best[part] = cost[part] + (best[used[0]] if used else 0)
        at: int | None = min(best, key=lambda part: (-best[part], members[part]), default=None)
        length = 0 if at is None else best[at]
        steps: list[tuple[str, ...]] = []
        while at is not None:
            steps.append(members[at])
            at = below[at]
        return CriticalPath(tuple(reversed(steps)), length)

    def _adjacency(self) -> dict[str, list[str]]:
        return {key: list(self._graph.successors(key)) for key in self._graph}


def contracted(uses: Mapping[str, Iterable[str]], groups: Iterable[Sequence[str]]) -> dict[str, set[str]]:
    """The graph between groups of systems: group (by its least member) -> the groups that its members use. Systems of
    no group are left out, and so is what members of one group use of each other."""
    group_of = {member: min(members) for members in groups for member in members}
    found: dict[str, set[str]] = {group: set() for group in group_of.values()}
    for user, listed in uses.items():
        for used in listed:
            if user in group_of and used in group_of and group_of[user] != group_of[used]:
                found[group_of[user]].add(group_of[used])
    return found


def build_graph(systems: Sequence[System]) -> tuple[SystemGraph, Resolution]:
    """The graph of a ledger, and the names that could not be resolved."""
    resolution = resolve_names(systems)
    return SystemGraph(resolution.uses, resolution.uses), resolution


def _bits(value: int) -> Iterable[int]:
    while value:
        low = value & -value
        yield low.bit_length() - 1
        value ^= low

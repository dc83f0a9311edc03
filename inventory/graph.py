"""The dependency graph of systems: who uses whom, what must move together, what breaks when one is moved.

Who calls this: the wave planner (`scheduler.core.waves`) and reports on the ledger. This is the one module that
imports networkx; callers get tuples of system keys. An edge points from the dependent system to what it uses.

Only a shared database, a consolidation, or a declaration makes a move group (docs/architecture.md, decision 15):
were every dependency to bind, a real ledger would be one group that could never be moved.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import networkx as nx

from inventory.model.system import Disposition, System, system_key


class GroupCause(StrEnum):
    DATABASE = "database"  # the members name the same database instance
    CONSOLIDATION = "consolidation"  # one member is merged into another that also has to move
    DECLARED = "declared"  # a person said so


@dataclass(frozen=True, slots=True)
class MoveGroup:
    """同批组: systems that move in one window or not at all. `causes` say why: (cause, what they share).

    A system that shares with no one is a group of itself, without causes. `group_id` is the least member's key.
    """

    group_id: str
    members: tuple[str, ...]
    causes: tuple[tuple[GroupCause, str], ...] = ()


@dataclass(frozen=True, slots=True)
class UnresolvedName:
    """A name in `deps` or `merged_into` of system `user` that is no one system: no candidate (the ledger has none
    of this name) or several (systems of other departments share it)."""

    user: str
    name: str
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resolution:
    """Names made into keys: `uses[key]` are the keys that a system uses, `merges[key]` the one it is merged
    into."""

    uses: Mapping[str, tuple[str, ...]]
    merges: Mapping[str, str]
    unresolved: tuple[UnresolvedName, ...]


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

    def _adjacency(self) -> dict[str, list[str]]:
        return {key: list(self._graph.successors(key)) for key in self._graph}


def resolve_names(systems: Sequence[System]) -> Resolution:
    """Makes keys of the names in `deps` and `merged_into`: in the system's own department first, then anywhere.

    Names are compared in NFKC without white space, as in `system_key`. Of two rows with one key the first counts.
    """
    keys_of: dict[str, dict[str, None]] = defaultdict(dict)
    for system in systems:
        keys_of[_plain(system.name)][system_key(system.name, system.department)] = None
    uses: dict[str, tuple[str, ...]] = {}
    merges: dict[str, str] = {}
    unresolved: list[UnresolvedName] = []

    def find(system: System, name: str) -> str | None:
        candidates = tuple(keys_of.get(_plain(name), ()))
        own = system_key(name, system.department)
        if own in candidates:
            return own
        if len(candidates) == 1:
            return candidates[0]
        unresolved.append(UnresolvedName(system_key(system.name, system.department), name, candidates))
        return None

    for system in systems:
        key = system_key(system.name, system.department)
        if key in uses:
            continue
        found = (find(system, name) for name in system.deps)
        uses[key] = tuple(sorted({used for used in found if used is not None and used != key}))
        if system.merged_into:
            target = find(system, system.merged_into)
            if target is not None and target != key:
                merges[key] = target
    return Resolution(uses, merges, tuple(unresolved))


def build_graph(systems: Sequence[System]) -> tuple[SystemGraph, Resolution]:
    """The graph of a ledger, and the names that could not be resolved."""
    resolution = resolve_names(systems)
    return SystemGraph(resolution.uses, resolution.uses), resolution


def move_groups(
    systems: Sequence[System], merges: Mapping[str, str], declared: Iterable[Iterable[str]] = ()
) -> tuple[MoveGroup, ...]:
    """Partitions the systems into move groups, ordered by id. Declared keys that no system bears are passed over
    (the caller reports them). `merges` counts for systems whose disposition is to be consolidated."""
    keys = {system_key(system.name, system.department): system for system in systems}
    shared: list[tuple[GroupCause, str, list[str]]] = []
    databases: dict[str, list[str]] = defaultdict(list)
    for key, system in keys.items():
        if system.database_instance:
            databases[_plain(system.database_instance)].append(key)
        target = merges.get(key)
        if system.disposition is Disposition.CONSOLIDATE and target in keys:
            shared.append((GroupCause.CONSOLIDATION, keys[target].name, [key, target]))
    shared.extend((GroupCause.DATABASE, instance, members) for instance, members in databases.items())
    shared.extend((GroupCause.DECLARED, "", sorted(set(members) & set(keys))) for members in declared)

    together: nx.Graph[str] = nx.Graph()
    together.add_nodes_from(keys)
    for _, _, members in shared:
        together.add_edges_from(pairwise(members))
    causes: dict[str, set[tuple[GroupCause, str]]] = defaultdict(set)
    for cause, what, members in shared:
        if len(members) > 1:
            causes[members[0]].add((cause, what))
    groups = []
    for component in nx.connected_components(together):
        ordered = sorted(component)
        reasons = sorted({reason for member in ordered for reason in causes[member]})
        groups.append(MoveGroup(ordered[0], tuple(ordered), tuple(reasons)))
    return tuple(sorted(groups, key=lambda group: group.group_id))


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


def _bits(value: int) -> Iterable[int]:
    while value:
        low = value & -value
        yield low.bit_length() - 1
        value ^= low


def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).split())

"""同批组: which systems move in one window or not at all.

Only a shared database, a consolidation, or a declaration makes a move group (docs/architecture.md, decision 15):
were every dependency to bind, a real ledger would be one group that could never be moved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import networkx as nx

from inventory.graph.names import plain_name
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
            databases[plain_name(system.database_instance)].append(key)
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

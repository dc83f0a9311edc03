"""The dependency graph of systems: who uses whom, what must move together, what breaks when one is moved.

Who calls this: the wave planner (`scheduler.core.waves`), assessment, and reports on the ledger. This is the one
package that imports networkx; callers get tuples of system keys. An edge points from the dependent system to what
it uses.

    names         names in the ledger made into keys
    dependencies  SystemGraph: users, blast radius, depth, critical path
    groups        move groups: what moves in one window or not at all
    cycles        cycles, and the cheapest dependencies to bridge while one is split
    traffic       measured traffic against declared dependencies
"""

from __future__ import annotations

from inventory.graph.cycles import CycleSplit, Edge, order_of_cycle, split_cycle, strong_components
from inventory.graph.dependencies import CriticalPath, SystemGraph, build_graph, contracted
from inventory.graph.groups import GroupCause, MoveGroup, move_groups
from inventory.graph.names import Resolution, UnresolvedName, resolve_names
from inventory.graph.traffic import DependencyEvidence, Flow, Observation, compare_traffic

__all__ = [
    "CriticalPath",
    "CycleSplit",
    "DependencyEvidence",
    "Edge",
    "Flow",
    "GroupCause",
    "MoveGroup",
    "Observation",
    "Resolution",
    "SystemGraph",
    "UnresolvedName",
    "build_graph",
    "compare_traffic",
    "contracted",
    "move_groups",
    "order_of_cycle",
    "resolve_names",
    "split_cycle",
    "strong_components",
]

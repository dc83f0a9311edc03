"""Dependency analysis of a ledger as one document: groups, cycles with their bridges, reach, critical path, traffic.

Who calls this: `Assessor.dependencies`. Systems are named as people know them; keys stand beside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from inventory.assessment.documents import Document
from inventory.assessment.estate import Estate, graph_key
from inventory.graph import Edge, split_cycle

_GIB = 1024**3
_COPY_GB_A_DAY = 1024


def analysis_json(estate: Estate) -> Document:
    """The whole ledger. Closed and merged systems count where it is said who uses whom: who uses them must be told.
    Cycles and the critical path are about moving, so they hold what has still to move, move group by move group."""
    return {
        "as_of": estate.day.isoformat(),
        "systems": len(estate.systems),
        "dependencies": sum(len(used) for used in estate.resolution.uses.values()),
        "move_groups": [
            {
                "group": group.group_id,
                "members": [estate.name_of(member) for member in group.members],
                "causes": [{"cause": cause.value, "shares": what} for cause, what in group.causes],
            }
            for group in estate.groups
            if len(group.members) > 1
        ],
        "cycles": [_cycle_json(estate, cycle) for cycle in estate.moving_graph.cycles()],
        "widest_reach": _widest(estate),
        "critical_path": _critical_path(estate),
        "unresolved": [
            {
                "system": estate.name_of(one.user),
                "names": one.name,
                "candidates": [estate.name_of(candidate) for candidate in one.candidates],
            }
            for one in estate.resolution.unresolved
        ],
        "traffic": traffic_json(estate),
    }


def system_analysis_json(estate: Estate, key: str) -> Document:
    """One system: whom it uses, who uses it, who would notice its failure, whom it moves with."""
    graph, mine = estate.graph, graph_key(estate.systems[key])
    group = next(group for group in estate.groups if mine in group.members)
    mine_moving = next((name for name, members in estate.moving_groups.items() if mine in members), None)
    cycles = [cycle for cycle in estate.moving_graph.cycles() if mine_moving in cycle]
    return {
        "as_of": estate.day.isoformat(),
        "system_key": key,
        "name": estate.systems[key].name,
        "uses": [estate.name_of(one) for one in graph.uses(mine)],
        "used_by": [estate.name_of(one) for one in graph.used_by(mine)],
        "blast_radius": [estate.name_of(one) for one in graph.blast_radius(mine)],
        "moves_with": [estate.name_of(one) for one in group.members if one != mine],
        "causes": [{"cause": cause.value, "shares": what} for cause, what in group.causes],
        "cycles": [_cycle_json(estate, cycle) for cycle in cycles],
        "unresolved": [one.name for one in estate.resolution.unresolved if one.user == mine],
        "traffic": [
            row
            for row in traffic_json(estate)["dependencies"]
            if estate.systems[key].name in (row["user"], row["used"])
        ],
    }


def traffic_json(estate: Estate) -> Document:
    """Declared dependencies against the newest traffic file; without one nothing is confirmed or refuted."""
    file = estate.traffic_file
    evidence = estate.evidence_of_dependencies if file is not None else ()
    return {
        "file": None
        if file is None
        else {name: file[name] for name in ("id", "filename", "first_day", "last_day")},
        "counts": dict(sorted(Counter(one.observation.value for one in evidence).items())),
        "dependencies": [
            {
                "user": estate.name_of(one.user),
                "used": estate.name_of(one.used),
                "observation": one.observation.value,
                "requests": one.requests,
                "bytes": one.bytes,
            }
            for one in evidence
        ],
    }


def _bridge_costs(estate: Estate) -> Mapping[Edge, int]:
    """What bridging each dependency costs: 1, and one more for each GiB of measured traffic that would cross."""
    size = {(flow.user, flow.used): flow.bytes for flow in estate.flows}
    return {
        (user, used): 1 + size.get((user, used), 0) // _GIB
        for user, listed in estate.resolution.uses.items()
        for used in listed
    }


def _cycle_json(estate: Estate, cycle: Sequence[str]) -> dict[str, Any]:
    """A cycle of move groups with its cheapest bridges, named dependency by dependency: a group moves as one, so what
    its members use of each other is never bridged."""
    group_of = {member: group for group in cycle for member in estate.moving_groups[group]}
    between = {
        (user, used): cost
        for (user, used), cost in _bridge_costs(estate).items()
        if user in group_of and used in group_of and group_of[user] != group_of[used]
    }
    weights: Counter[Edge] = Counter()
    for (user, used), cost in between.items():
        weights[group_of[user], group_of[used]] += cost
    split = split_cycle(cycle, weights)
    broken = sorted(edge for edge in between if (group_of[edge[0]], group_of[edge[1]]) in set(split.bridges))
    order = [member for group in split.order for member in estate.moving_groups[group]]
    return {
        "members": sorted(estate.name_of(one) for one in order),
        "order": [estate.name_of(one) for one in order],
        "bridges": [
            {"user": estate.name_of(user), "used": estate.name_of(used), "cost": between[user, used]}
            for user, used in broken
        ],
        "cost": split.cost,
        "is_least": split.is_least,
    }


def _widest(estate: Estate) -> list[Document]:
    sizes = sorted(estate.graph.blast_sizes().items(), key=lambda item: (-item[1], item[0]))
    return [{"system": estate.name_of(key), "reaches": size} for key, size in sizes[:10] if size]


def _critical_path(estate: Estate) -> Document:
    """The longest chain of moves one after the other, in days of copying: one day for each begun TB, at least one; a
    move group is one move. The pace is the project's own assumption."""
    days = {
        graph_key(system): max(1, -(-int(system.disk_gb or 0) // _COPY_GB_A_DAY))
        for system in estate.systems.values()
    }
    groups = estate.moving_groups
    path = estate.moving_graph.critical_path(
        {group: sum(days[member] for member in members) for group, members in groups.items()}
    )
    return {
        "days": path.length,
        "steps": [[estate.name_of(one) for group in step for one in groups[group]] for step in path.steps],
        "assumes_gb_a_day": _COPY_GB_A_DAY,
    }

"""What a planner moves at one stroke, and in which order: move groups, cycles, and the order that dependencies
set.

Who calls this: `greedy.py`. Pure. A cluster is one move group, or a cycle of groups that fits in one window;
clusters depend on each other without cycles. A cycle that does not fit is split at its cheapest edges, and those
edges no longer bind.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from inventory.graph import order_of_cycle, strong_components
from scheduler.core.waves.problem import Item, WaveProblem


@dataclass(frozen=True, slots=True)
class Cluster:
    """Groups that move in one window if they can; `parts` holds each group's items, in the order in which the
    groups are placed one by one where they cannot."""

    parts: tuple[tuple[Item, ...], ...]

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(item for part in self.parts for item in part)


@dataclass(frozen=True, slots=True)
class Clustering:
    """`uses[n]` are the indices of clusters that must be settled before cluster n. `unbound` are the dependencies
    (user, used) by item key that do not bind, because a cycle was too large for one window. `large_cycles` are the
    cycles that were split, by system names."""

    clusters: tuple[Cluster, ...]
    uses: tuple[frozenset[int], ...]
    unbound: frozenset[tuple[str, str]]
    large_cycles: tuple[tuple[str, ...], ...]


def form_clusters(problem: WaveProblem) -> Clustering:
    """Cycles of at most `systems_per_window` systems become one cluster; every other group is its own."""
    members: dict[str, list[Item]] = defaultdict(list)
    for item in problem.items:
        members[item.group].append(item)
    weights = group_dependencies(problem.items)
    adjacency: dict[str, list[str]] = {group: [] for group in members}
    for user, used in weights:
        adjacency[user].append(used)
    clusters: list[Cluster] = []
    unbound: set[tuple[str, str]] = set()
    large: list[tuple[str, ...]] = []
    for component in strong_components(adjacency):
        order = order_of_cycle(component, weights) if len(component) > 1 else component
        parts = tuple(tuple(members[group]) for group in order)
        if len(parts) > 1 and sum(map(len, parts)) > problem.settings.systems_per_window:
            clusters.extend(Cluster((part,)) for part in parts)
            unbound |= backward_dependencies(parts)
            large.append(tuple(item.name for part in parts for item in part))
        else:
            clusters.append(Cluster(parts))
    home = {item.key: index for index, cluster in enumerate(clusters) for item in cluster.items}
    uses: list[set[int]] = [set() for _ in clusters]
    for item in problem.items:
        for used in item.uses:
            if home[used] != home[item.key] and (item.key, used) not in unbound:
                uses[home[item.key]].add(home[used])
    return Clustering(tuple(clusters), tuple(map(frozenset, uses)), frozenset(unbound), tuple(large))


def group_dependencies(items: Sequence[Item]) -> dict[tuple[str, str], int]:
    """How many dependencies lead from one group to another: the cost of moving the first before the second."""
    group_of = {item.key: item.group for item in items}
    return dict(
        Counter(
            (item.group, group_of[used]) for item in items for used in item.uses if group_of[used] != item.group
        )
    )


def backward_dependencies(parts: Sequence[Sequence[Item]]) -> set[tuple[str, str]]:
    """The dependencies among ordered groups that lead from an earlier group to a later one."""
    rank = {item.key: number for number, part in enumerate(parts) for item in part}
    return {
        (item.key, used)
        for number, part in enumerate(parts)
        for item in part
        for used in item.uses
        if rank.get(used, -1) > number
    }


class Urgency(StrEnum):
    """What comes first among clusters that are equally pressed for time."""

    CONTRACT = "contract"  # the earliest contract end, low risk, a small blast radius
    SCARCE = "scarce"  # the fewest open windows
    LARGE = "large"  # the most people's minutes, then the most systems
    UNLOCKS = "unlocks"  # the most systems that wait for it, directly or not
    CLOSING = "closing"  # the soonest freeze of its own, or of anyone who waits for it
    SHUFFLED = "shuffled"  # by the seed alone


def in_order(
    clustering: Clustering,
    seed: int,
    urgency: Urgency = Urgency.CONTRACT,
    open_windows: Mapping[str, int] | None = None,
    due: Sequence[float] = (),
) -> Iterator[Cluster]:
    """Clusters, each after what it uses; among those that are free, the most urgent first. `open_windows` by group, as
    bits; what must move soonest goes before everything else. `due` by cluster (none: no dates): the least goes first.

    By contract, urgent is: the earliest end of an operation contract, its own or that of any cluster that waits for it; then
    low risk, so that harmless systems are the pilots; then a small blast radius. `seed` settles what is still
    equal.
    """
    waiting: list[set[int]] = [set() for _ in clustering.clusters]
    for user, used_ones in enumerate(clustering.uses):
        for used in used_ones:
            waiting[used].add(user)
    plain = _urgency(clustering, waiting, seed)
    windows = open_windows or {}
    ranks = [_rank(cluster, plain[index], urgency, windows) for index, cluster in enumerate(clustering.clusters)]
    if urgency is Urgency.CLOSING:
        closing = _closing(clustering, waiting, windows)
        ranks = [(rank[0], closing[index], *rank[1:]) for index, rank in enumerate(ranks)]
    keys = [(due[index] if due else 0, rank) for index, rank in enumerate(ranks)]
    missing = [len(used) for used in clustering.uses]
    free = [(keys[index], index) for index, count in enumerate(missing) if count == 0]
    heapq.heapify(free)
    while free:
        _, index = heapq.heappop(free)
        yield clustering.clusters[index]
        for user in waiting[index]:
            missing[user] -= 1
            if missing[user] == 0:
                heapq.heappush(free, (keys[user], user))


def _rank(
    cluster: Cluster, plain: tuple[int, int, int, int], urgency: Urgency, windows: Mapping[str, int]
) -> tuple[int, ...]:
    masks = [windows.get(item.group, -1) for item in cluster.items]
    latest = min((mask.bit_length() if mask > 0 else 1 << 30 for mask in masks), default=0)
    if urgency is Urgency.SCARCE:
        return latest, min(mask.bit_count() for mask in masks), *plain
    if urgency is Urgency.LARGE:
        return latest, -sum(item.crew * item.minutes for item in cluster.items), -len(cluster.items), *plain
    if urgency in (Urgency.UNLOCKS, Urgency.CLOSING):
        return latest, -max(item.dependents for item in cluster.items), *plain
    if urgency is Urgency.SHUFFLED:
        return latest, plain[-1]
    return latest, *plain


def _closing(clustering: Clustering, waiting: Sequence[set[int]], windows: Mapping[str, int]) -> list[int]:
    """By cluster: the first window that is closed after an open one, for it or for anyone who waits for it."""
    found = []
    for cluster in clustering.clusters:
        mask = -1
        for item in cluster.items:
            mask &= windows.get(item.group, -1)
        first = (mask & -mask).bit_length() - 1
        gaps = ~mask & (-1 << first) if mask else 0
        found.append((gaps & -gaps).bit_length() if mask else 0)
    for index in reversed(list(_topological(clustering.uses, waiting))):
        found[index] = min([found[index], *(found[user] for user in waiting[index])])
    return found


def _urgency(clustering: Clustering, waiting: Sequence[set[int]], seed: int) -> list[tuple[int, int, int, int]]:
    ties = list(range(len(clustering.clusters)))
    random.Random(seed).shuffle(ties)
    ends = [_earliest_end(cluster.items) for cluster in clustering.clusters]
    for index in reversed(list(_topological(clustering.uses, waiting))):
        ends[index] = min([ends[index], *(ends[user] for user in waiting[index])])
    return [
        (
            ends[index],
            max(item.risk for item in cluster.items),
            max(item.dependents for item in cluster.items),
            ties[index],
        )
        for index, cluster in enumerate(clustering.clusters)
    ]


def _topological(uses: Sequence[frozenset[int]], waiting: Sequence[set[int]]) -> Iterator[int]:
    missing = [len(used) for used in uses]
    free = [index for index, count in enumerate(missing) if count == 0]
    while free:
        index = free.pop()
        yield index
        for user in waiting[index]:
            missing[user] -= 1
            if missing[user] == 0:
                free.append(user)


def _earliest_end(items: Sequence[Item]) -> int:
    """As a day number; an unknown end is after all others."""
    return min((item.contract_end or date.max).toordinal() for item in items)

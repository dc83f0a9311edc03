"""Lower bounds on the finish of a wave plan that need no solver: which window no plan can finish before.

Who calls this: `solve.py`, `conflicts.py`. Each bound holds for every plan that places all systems which can be placed at
all, or all but a number of them: it looks at sets of systems that share few windows, pools or teams, and counts what these
offer until a window. Who leaves systems out may leave out the largest, and what nobody places binds none of its users: so
where k systems are spared, a system waits for the last but k of those that it uses (`chain_bounds.py` asks who they are).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from scheduler.core.waves.bottlenecks import Scarce, scarcities
from scheduler.core.waves.chain_bounds import finish_with_some_left_out
from scheduler.core.waves.shape import Shape

# Of what is scarce, so many are asked about everyone who might be left out: those that bind the most.
_ASKED = 2
# Of so many groups that are left out, each is asked about by itself.
_MOST_LEFT_OUT = 8


def earliest_finish(shape: Shape, spared: int = 0, goal: int | None = None) -> int:
    """The index of a window: no plan that places every group with an open window, but for at most `spared` systems, ends
    before it. -1 where nothing need be placed; the number of windows where there is no such plan. Where systems are
    spared, nothing is asked beyond `goal`."""
    masks = _with_some_spared(shape, spared) if spared else [group.allowed for group in shape.groups]
    firsts = sorted(
        (
            (_first_open(mask, 0, shape.windows), group.size)
            for mask, group in zip(masks, shape.groups, strict=True)
            if group.own
        ),
        reverse=True,
    )
    left = spared
    while firsts and firsts[0][1] <= left:
        left -= firsts.pop(0)[1]
    if not firsts:
        return -1
    scarce = list(scarcities(shape))
    bounds = [firsts[0][0], *_prefix_bounds(shape, masks, spared)]
    bounds.extend(each.least_finish(masks, sum(each.largest[:spared])) for each in scarce)
    goal = shape.windows if goal is None else goal
    if spared and max(bounds) < goal:
        bounds.append(finish_with_some_left_out(shape, _most_binding(shape, scarce), spared, goal))
    return max(bounds)


def finish_of_others(shape: Shape, left_out: Collection[int], goal: int) -> int:
    """The index of a window: no plan that leaves out as few systems as these groups have, but not just these groups, ends
    before it. Who leaves others out places one of these at least. Nothing is asked beyond `goal`."""
    spared = sum(shape.groups[g].size for g in left_out)
    if len(left_out) > _MOST_LEFT_OUT:
        return min(goal, earliest_finish(shape, spared, goal))
    scarce = _most_binding(shape, list(scarcities(shape)))
    return min(
        (finish_with_some_left_out(shape, scarce, spared, goal, kept=frozenset({g})) for g in left_out),
        default=goal,
    )


def _most_binding(shape: Shape, scarce: Sequence[Scarce]) -> list[Scarce]:
    """What bounds the finish the most while nobody is left out."""
    masks = _with_some_spared(shape, 0)
    return sorted(scarce, key=lambda each: -each.least_finish(masks, 0))[:_ASKED]


def _with_some_spared(shape: Shape, spared: int) -> list[int]:
    """By group: the windows that stay open whoever is left out. Of the k + 1 used groups that open last, one at least is
    placed where no more than k systems are left out, and its users come after it."""
    uses: dict[int, set[int]] = defaultdict(set)
    for user, used in shape.edges:
        if shape.groups[used].own:  # who can move nowhere binds nobody
            uses[user].add(used)
    firsts = [_first_open(group.own, 0, shape.windows) for group in shape.groups]
    binding = [(user, sorted(all_used)) for user, all_used in uses.items() if len(all_used) > spared]
    changed = True
    while changed:
        changed = False
        for user, all_used in binding:
            waits = sorted((firsts[used] for used in all_used), reverse=True)[spared]
            if waits > firsts[user]:
                later = _first_open(shape.groups[user].own, waits, shape.windows)
                firsts[user], changed = later, True
    return [group.own & (-1 << first) for group, first in zip(shape.groups, firsts, strict=True)]


def _first_open(own: int, window: int, windows: int) -> int:
    """The number of windows where there is none."""
    later = own & (-1 << window)
    return (later & -later).bit_length() - 1 if later else windows


def kept_together(shape: Shape) -> Iterator[tuple[dict[int, int], tuple[int, ...]]]:
    """(what each item takes at least, limit by window) of pools and links: what is confined to some pools must wait until
    these, together, can hold it."""
    by_name: dict[str, list[int]] = defaultdict(list)
    for number, resource in enumerate(shape.prefixes):
        kind = resource.name if resource.name.startswith("link:") else resource.name.partition(":")[2]
        by_name[kind].append(number)
    for pools in sorted({pools for pools in shape.pools_of if pools}):
        confined = [index for index, own in enumerate(shape.pools_of) if own and set(own) <= set(pools)]
        for numbers in by_name.values():
            resources = [shape.prefixes[number] for number in numbers]
            mine = [r for r in resources if any((index, p) in r.demand for index in confined for p in pools)]
            # A pool of its own that asks nothing of these resources sets the system free.
            needs = {
                index: min(sum(r.demand.get((index, pool), 0) for r in mine) for pool in shape.pools_of[index])
                for index in confined
                if shape.groups[shape.group_of[index]].own
            }
            needs = {index: amount for index, amount in needs.items() if amount}
            if needs:
                yield needs, tuple(sum(r.limits[w] for r in mine) for w in range(shape.windows))


def _prefix_bounds(shape: Shape, masks: Sequence[int], spared: int) -> Iterator[int]:
    for needs, limits in kept_together(shape):
        amounts = sorted(amount for index, amount in needs.items() if masks[shape.group_of[index]])
        need = sum(amounts[: max(0, len(amounts) - spared)])
        yield next((w for w, limit in enumerate(limits) if limit >= need), shape.windows)

"""By when everything has to move so that as little as possible is left for after a long freeze.

Who calls this: `justification.py`, for the order in which it packs. A long gap in the windows of some systems (a flood
season, a summer of examinations) splits the plan: what misses the last window before it waits for months, and with it
all that uses it. The choice who comes before it is a small model of its own (`cp_sat.gaps`), solved to the optimum in a
moment, and tells every unit the last window by which the choice still holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from scheduler.core.waves.shape import Shape

if TYPE_CHECKING:  # OR-Tools takes a second to load
    from scheduler.core.waves.cp_sat.gaps import GapLoad, GapQuestion

_SHORTEST = 5  # windows that a gap spans at least
_MOST_GAPS = 2
_EFFORT = 1.0  # deterministic seconds a gap


@dataclass(frozen=True, slots=True)
class GapNode:
    """Groups that move together."""

    groups: tuple[int, ...]
    allowed: int


@dataclass(frozen=True, slots=True)
class Guide:
    """`latest[node]`: the window by which it has to move; `effort` is what finding that took."""

    latest: tuple[int, ...]
    effort: float


def guide(
    shape: Shape, nodes: Sequence[GapNode], uses: Sequence[tuple[int, int]], last: int, seed: int
) -> Guide | None:
    """None where the calendar has no long gap before the window `last`. `uses` are (user, used) by node, without
    cycles."""
    gaps = long_gaps(shape, nodes, last)
    if not gaps:
        return None
    from scheduler.core.waves.cp_sat.gaps import answer_gap

    chosen = list(nodes)  # with the windows that the gaps so far leave them
    effort = 0.0
    for before, after in gaps:
        found = answer_gap(_question(shape, chosen, uses, (before, after)), _EFFORT, seed)
        if found is None:
            effort += _EFFORT
            continue
        effort += found.effort
        for n, node in enumerate(chosen):
            part = -1 << after
            if n in found.early:
                part = (1 << (before + 1)) - 1
            elif n not in found.late:
                part = (1 << after) - 1
            chosen[n] = replace(node, allowed=node.allowed & part)
    latest = [node.allowed.bit_length() - 1 if node.allowed else shape.windows for node in chosen]
    return Guide(tuple(_passed_down(nodes, latest, uses)), effort)


def long_gaps(shape: Shape, nodes: Sequence[GapNode], last: int) -> list[tuple[int, int]]:
    """(window before, window after) of the gaps that keep the most systems the longest, the worst first."""
    weight: Counter[tuple[int, int]] = Counter()
    for node in nodes:
        open_windows = [w for w in range(last + 1) if node.allowed >> w & 1]
        for before, after in pairwise(open_windows):
            if after - before >= _SHORTEST:
                weight[before, after] += (after - before) * sum(shape.groups[g].size for g in node.groups)
    return sorted(weight, key=lambda gap: (-weight[gap], gap))[:_MOST_GAPS]


def _question(
    shape: Shape, nodes: Sequence[GapNode], uses: Sequence[tuple[int, int]], gap: tuple[int, int]
) -> GapQuestion:
    from scheduler.core.waves.cp_sat.gaps import GapQuestion

    return GapQuestion(
        sizes=[sum(shape.groups[g].size for g in node.groups) for node in nodes],
        allowed=_propagated([node.allowed for node in nodes], uses),
        uses=uses,
        loads=tuple(_loads(shape, nodes)),
        before=gap[0],
        after=gap[1],
    )


def _loads(shape: Shape, nodes: Sequence[GapNode]) -> Iterator[GapLoad]:
    from scheduler.core.waves.cp_sat.gaps import GapLoad

    members = [[item for g in node.groups for item in shape.groups[g].members] for node in nodes]
    yield GapLoad([len(inside) for inside in members], [slot.cap for slot in shape.problem.windows])
    for cap in shape.problem.concurrency:
        tagged = set(shape.tag_members(cap.tag))
        yield GapLoad([sum(i in tagged for i in inside) for inside in members], [cap.most] * shape.windows)
    wanted = {teams for i, teams in enumerate(shape.teams_of) if shape.items[i].needs_team and teams}
    for teams in sorted(wanted):
        confined = {i for i, own in enumerate(shape.teams_of) if own and set(own) <= set(teams)}
        minutes = [
            sum(shape.items[i].crew * shape.items[i].minutes for i in inside if i in confined)
            for inside in members
        ]
        yield GapLoad(
            minutes,
            [
                sum(shape.minutes[team][w] for team in teams if shape.works[team] >> w & 1)
                for w in range(shape.windows)
            ],
        )


def _propagated(allowed: Sequence[int], uses: Sequence[tuple[int, int]]) -> list[int]:
    """No user before the first window of what it uses, nothing used after the last of its users."""
    masks = list(allowed)
    changed = True
    while changed:
        changed = False
        for user, used in uses:
            if not masks[user] or not masks[used]:
                continue
            later = masks[user] & (-1 << ((masks[used] & -masks[used]).bit_length() - 1))
            earlier = masks[used] & ((1 << masks[user].bit_length()) - 1)
            if later and later != masks[user]:
                masks[user], changed = later, True
            if earlier and earlier != masks[used]:
                masks[used], changed = earlier, True
    return masks


def _passed_down(nodes: Sequence[GapNode], latest: Sequence[int], uses: Sequence[tuple[int, int]]) -> list[int]:
    """What is used moves no later than its users have to, and each in a window of its own."""
    found = [_open_until(node, w) for node, w in zip(nodes, latest, strict=True)]
    changed = True
    while changed:
        changed = False
        for user, used in uses:
            if found[user] < found[used]:
                found[used], changed = _open_until(nodes[used], found[user]), True
    return found


def _open_until(node: GapNode, window: int) -> int:
    """The last window of the node by then; `window` itself where it has none."""
    able = node.allowed & ((1 << (window + 1)) - 1)
    return able.bit_length() - 1 if able else window

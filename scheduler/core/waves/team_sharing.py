"""Who of the teams does what in a window, once it is known which systems move there.

Who calls this: `cp_sat.waves`, after each solution in which the teams of a skill were counted together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from scheduler.core.waves.part import Part, PartItem
from scheduler.core.waves.solution import NOWHERE


def share_out(part: Part, windows: Mapping[int, int]) -> tuple[dict[int, int], frozenset[int]]:
    """A team for each system that needs one, by item number; and the windows in which the teams cannot share the work
    out (or no way was found within a bound of steps)."""
    by_window: dict[int, list[PartItem]] = defaultdict(list)
    for item in part.items:
        w = windows[part.groups[item.group].number]
        if item.teams and w != NOWHERE:
            by_window[w].append(item)
    chosen: dict[int, int] = {}
    short = []
    for w, items in by_window.items():
        left = {team: part.minutes[team, w] for item in items for team in item.teams if (team, w) in part.minutes}
        found = _shared(sorted(items, key=lambda item: (len(item.teams), -item.minutes, item.number)), left)
        if found is None:
            short.append(w)
        else:
            chosen.update(found)
    return chosen, frozenset(short)


def _shared(items: Sequence[PartItem], left: dict[int, int]) -> dict[int, int] | None:
    """Depth first, the emptiest team first; at most 2,000 steps."""
    steps = 0

    def place(number: int) -> dict[int, int] | None:
        nonlocal steps
        if number == len(items):
            return {}
        item = items[number]
        for team in sorted((t for t in item.teams if t in left), key=lambda t: (-left[t], t)):
            if left[team] < item.minutes or steps >= 2000:
                continue
            steps += 1
            left[team] -= item.minutes
            found = place(number + 1)
            left[team] += item.minutes
            if found is not None:
                found[item.number] = team
                return found
        return None

    return place(0)

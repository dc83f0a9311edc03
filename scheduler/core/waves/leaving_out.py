"""Which few systems to leave out, where not all can be placed, so that most of the others can.

Who calls this: `solve.py`, when the greedy plans leave systems over. A platform that is frozen until autumn keeps all that
use it waiting, and what waits crowds the windows that are left. Who has no place binds nobody (the users work across
sites meanwhile, and the plan says so), so leaving the platform out may give hundreds of systems a place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scheduler.core.waves.shape import Shape

_MOST = 6


def culprits(shape: Shape) -> Iterator[frozenset[int]]:
    """Groups to leave out, one more each time: always the one that keeps the others waiting the longest, counted in windows
    times systems, for each system of its own. Ends when nobody keeps anybody waiting."""
    left_out: frozenset[int] = frozenset()
    for _ in range(_MOST):
        worst = _worst(shape, left_out)
        if worst is None:
            return
        left_out |= {worst}
        yield left_out


def _worst(shape: Shape, left_out: frozenset[int]) -> int | None:
    alone = [_open_from(group.own, 0, shape.windows) for group in shape.groups]
    first, cause = list(alone), list(range(len(alone)))
    edges = [(user, used) for user, used in shape.edges if user not in left_out and used not in left_out]
    changed = True
    while changed:
        changed = False
        for user, used in edges:
            # Who can move nowhere binds nobody.
            if first[user] < first[used] < shape.windows:
                first[user] = _open_from(shape.groups[user].own, first[used], shape.windows)
                cause[user], changed = cause[used], True
    waiting: Counter[int] = Counter()
    for g, by in enumerate(cause):
        if by != g:
            waiting[by] += (first[g] - alone[g]) * shape.groups[g].size
    return max(waiting, key=lambda g: (waiting[g] / shape.groups[g].size, -g), default=None)


def _open_from(own: int, window: int, windows: int) -> int:
    """The first open window from there on; the number of windows where there is none."""
    later = own & (-1 << window)
    return (later & -later).bit_length() - 1 if later else windows

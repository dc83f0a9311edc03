"""Families of windows as bottlenecks: what is confined to few windows has to wait until these have offered enough.

Who calls this: `bounds.py` and `chain_bounds.py`, for systems, capped tags and people's minutes. A test is a set of windows: what
may move only in the set, or after the finish, has to find room in the part of the set before the finish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scheduler.core.waves.shape import Shape

# Families of windows that are tried as bottlenecks: the most common ones, and their tails.
_MOST_FAMILIES = 60
_TESTS_AT_ONCE = 256
_WORD = 64
# Kinds of the shortest systems whose number in a window bounds a team: minutes cannot be cut in pieces.
_MOST_LENGTHS = 8


@dataclass(frozen=True, slots=True)
class Scarce:
    """Something of which window w offers `offered[w]`. `amounts` by group: what moving it takes; `windows` (bits): those
    in which it can be taken at all; `largest`: what single systems take, the most first."""

    offered: tuple[int, ...]
    amounts: Mapping[int, int]
    windows: int
    largest: tuple[int, ...]

    def least_finish(self, masks: Sequence[int], forgiven: int) -> int:
        """The index of a window: no plan in which the groups keep to their windows `masks`, but for groups that take no
        more than `forgiven` in sum, ends before it; the number of windows where there is no such plan."""
        families: Counter[int] = Counter()
        for g, amount in self.amounts.items():
            families[masks[g] & self.windows] += amount
        return least_finish(families, self.offered, forgiven)


def scarcities(shape: Shape) -> Iterator[Scarce]:
    """Places in windows, capped tags, and for each set of teams that some systems are confined to: their minutes, and how
    many of their systems of the shortest kind fit in one window."""
    able = [g for g, group in enumerate(shape.groups) if group.own]
    one_each = {index: 1 for g in able for index in shape.groups[g].members}
    yield _scarce(shape, [slot.cap for slot in shape.problem.windows], one_each)
    for cap in shape.problem.concurrency:
        tagged = [index for index in shape.tag_members(cap.tag) if index in one_each]
        if tagged:
            yield _scarce(shape, [cap.most] * shape.windows, dict.fromkeys(tagged, 1))
    wanted = {shape.teams_of[index] for index in one_each if shape.items[index].needs_team} - {()}
    for teams in sorted(wanted):
        yield from _of_teams(shape, teams, one_each)


def _of_teams(shape: Shape, teams: tuple[int, ...], able: Iterable[int]) -> Iterator[Scarce]:
    works = 0
    for team in teams:
        works |= shape.works[team]
    minutes = [
        [shape.minutes[team][w] for team in teams if shape.works[team] >> w & 1] for w in range(shape.windows)
    ]
    need = {
        index: shape.items[index].crew * shape.items[index].minutes
        for index in able
        if shape.items[index].needs_team and shape.teams_of[index] and set(shape.teams_of[index]) <= set(teams)
    }
    need = {index: amount for index, amount in need.items() if amount}
    if need:
        yield _scarce(shape, [sum(each) for each in minutes], need, works)
    for least in sorted(set(need.values()))[:_MOST_LENGTHS]:
        counts = [sum(one // least for one in each) for each in minutes]
        yield _scarce(shape, counts, {index: 1 for index, amount in need.items() if amount >= least}, works)


def _scarce(shape: Shape, offered: Sequence[int], by_item: Mapping[int, int], windows: int = -1) -> Scarce:
    amounts: Counter[int] = Counter()
    for index, amount in by_item.items():
        amounts[shape.group_of[index]] += amount
    return Scarce(tuple(offered), amounts, windows, tuple(sorted(by_item.values(), reverse=True)))


def least_finish(families: Mapping[int, int], offered: Sequence[int], forgiven: int) -> int:
    """The least window by which every test has offered what can use only it, but for `forgiven`. `families[windows]`: the
    amount of what may use those windows alone."""
    if not families:
        return 0
    count = len(offered)
    common = sorted(families, key=lambda mask: (-families[mask], mask))[:_MOST_FAMILIES]
    tests = sorted({mask & tail for mask in [*common, _union(families)] for tail in _tails(common)} - {0})
    amounts = np.fromiter(families.values(), np.float64, len(families))
    masks = _words(families, count)
    best = 0
    for at in range(0, len(tests), _TESTS_AT_ONCE):
        part = _words(tests[at : at + _TESTS_AT_ONCE], count)
        outside = _first_windows(masks[None, :, :] & ~part[:, None, :], count)
        rows = np.arange(len(part))[:, None] * (count + 1)
        weights = np.broadcast_to(amounts, outside.shape)
        first = np.bincount((outside + rows).ravel(), weights.ravel(), len(part) * (count + 1))
        # What may use windows outside the test set can do so only before the finish.
        confined = amounts.sum() - np.cumsum(first.reshape(len(part), count + 1)[:, :count], axis=1)
        able = np.cumsum(_bits(part, count) * np.asarray(offered, np.float64), axis=1)
        best = max(best, int((confined > able + forgiven).sum(axis=1).max()))
    return best


def _tails(masks: Iterable[int]) -> set[int]:
    """All windows, and all from the first window of each mask on."""
    return {-1, *(-1 << ((mask & -mask).bit_length() - 1) for mask in masks if mask)}


def _union(masks: Iterable[int]) -> int:
    whole = 0
    for mask in masks:
        whole |= mask
    return whole


def _words(masks: Iterable[int], count: int) -> npt.NDArray[np.uint64]:
    """(mask, word): the first `count` bits of each, 64 to a word."""
    whole = (1 << count) - 1
    size = -(-max(count, 1) // _WORD)
    raw = b"".join((mask & whole).to_bytes(size * 8, "little") for mask in masks)
    return np.frombuffer(raw, np.dtype("<u8")).reshape(-1, size)


def _first_windows(masks: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.int64]:
    """The first window of each mask; `count` where it has none."""
    found = np.full(masks.shape[:-1], count, np.int64)
    for word in reversed(range(masks.shape[-1])):
        bits = masks[..., word]
        below = np.bitwise_count((bits & (~bits + np.uint64(1))) - np.uint64(1)).astype(np.int64)
        found = np.where(bits != 0, below + word * _WORD, found)
    return found


def _bits(masks: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.float64]:
    """(mask, window): 1 where the window is in the mask."""
    spread = np.unpackbits(masks.view(np.uint8), axis=1, bitorder="little")
    return spread[:, :count].astype(np.float64)

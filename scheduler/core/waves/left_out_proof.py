"""What is proven about the systems that a plan leaves out, in words: impossible, or only not found in the time given.

Who calls this: `solve.py`, when a plan is told. Three things can be proven: that nothing could take a system even if it were
the only one; that every plan leaves out at least so many; that who leaves out no more leaves out just these.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from inventory.model.migration import Pair, WavePlan
from scheduler.core.waves.bounds import earliest_finish, finish_of_others
from scheduler.core.waves.shape import Shape

_ALONE: Pair = (
    "；已证明：即使只迁它（和它的同批组）也没有位置",
    "; proven: nothing could take it even if it, with its move group, were the only one to move",
)
_JUST_THESE: Pair = (
    "；已证明：凡不多放弃系统的计划都放不下它",
    "; proven: every plan that leaves out no more systems leaves out this one",
)
_AS_MANY: Pair = (
    "；已证明：任何计划都至少有 {} 个这样的系统没有位置，放弃哪些可以选择",
    "; proven: every plan leaves out at least {} of those that could move by themselves; which ones is a choice",
)
_NOT_PROVEN: Pair = (
    "；未证明放不下，只是在所给时间内没有找到位置，可给更多 --seconds",
    "; not proven to be impossible: no place was found in the time given; give more --seconds",
)
_SOME_PROVEN: Pair = (
    "；只证明任何计划都至少有 {} 个这样的系统没有位置，可给更多 --seconds",
    "; proven is only that every plan leaves out at least {} of those that could move by themselves; give more --seconds",
)


@dataclass(frozen=True, slots=True)
class LeftOutProof:
    """`alone` are groups that nothing could take, whatever the others do; `others` systems besides have no place in the
    plan, and in no plan fewer than `least`; `only`: no plan that leaves out as few leaves out others."""

    alone: frozenset[str]
    alone_systems: int
    others: int
    least: int
    only: bool

    def words(self, group: str) -> Pair:
        if group in self.alone:
            return _ALONE
        if self.least == self.others:
            return _JUST_THESE if self.only else _with(_AS_MANY, self.least)
        return _with(_SOME_PROVEN, self.least) if self.least else _NOT_PROVEN


def left_out_proof(shape: Shape, left_out: Collection[int], least: int) -> LeftOutProof:
    """`left_out` are groups without a place; `least` is what the solver has proven about those with an open window."""
    alone = [g for g in left_out if not shape.groups[g].own]
    others = [g for g in left_out if shape.groups[g].own]
    count = sum(shape.groups[g].size for g in others)
    for fewer in (count - 1, 0):
        if fewer >= least and earliest_finish(shape, fewer) >= shape.windows:
            least = fewer + 1
    only = 0 < count == least and finish_of_others(shape, others, shape.windows) >= shape.windows
    return LeftOutProof(
        frozenset(shape.groups[g].group_id for g in alone),
        sum(shape.groups[g].size for g in alone),
        count,
        least,
        only,
    )


def with_proof(plan: WavePlan, shape: Shape, proof: LeftOutProof) -> WavePlan:
    """The plan whose reasons say what is proven."""
    told = []
    for each in plan.unplaced:
        zh, en = proof.words(shape.items[shape.index_of[each.system_key]].group)
        told.append(replace(each, reason=(each.reason[0] + zh, each.reason[1] + en)))
    return replace(plan, unplaced=tuple(told))


def _with(pair: Pair, count: int) -> Pair:
    return pair[0].format(count), pair[1].format(count)

"""What is told of waiting, without the names of what a caller may not see: workloads and reservations of others.

`scoped_scheduling` has every reason, change and moment of a limited caller pass through here. The texts are those of
`scheduler.core.queueing.wording` and `scheduler.forecast.counterfactuals`; tests/access holds the three together.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Final

from inventory.model.placement import PoolOpinion, Reason, ReasonCode
from scheduler.core.placement.explain import Explanation
from scheduler.forecast.counterfactuals import Counterfactual

Hidden = Callable[[str], Awaitable[bool]]
"""Whether a workload with this id is to stay unnamed."""
_WORKLOAD_ID: Final = re.compile(r"\bw-[0-9a-z]+(?:-[0-9]+)*\b", re.ASCII)
_HOLDER: Final = re.compile(r"为 (?P<zh>\S+) 预留/reserved for (?P=zh)")
_RESERVATION: Final = (
    (re.compile(r"预留 \S+ 结束"), "该预留结束"),
    (re.compile(r"reservation \S+ ends"), "it ends"),
)


async def unnamed_explanation(said: Explanation, sees: Callable[[str], bool], hidden: Hidden) -> Explanation:
    """`sees`: whether the caller may look at a queue."""
    opinions = {one.pool_id: await _unnamed_opinion(one, sees, hidden) for one in said.opinions}
    nearest = opinions.get(said.nearest.pool_id) if said.nearest is not None else None
    return replace(said, opinions=tuple(opinions.values()), nearest=nearest)


async def unnamed_change(change: Counterfactual, hidden: Hidden) -> Counterfactual:
    zh, en = await _without_workloads((change.change_zh, change.change_en), hidden)
    (pattern_zh, _), (pattern_en, _) = _RESERVATION
    return replace(
        change,
        change_zh=pattern_zh.sub("其他队列的预留结束", zh),
        change_en=pattern_en.sub("a reservation of another queue ends", en),
    )


async def _unnamed_opinion(opinion: PoolOpinion, sees: Callable[[str], bool], hidden: Hidden) -> PoolOpinion:
    reasons = [await _unnamed_reason(reason, sees, hidden) for reason in opinion.reasons]
    return replace(opinion, reasons=tuple(reasons))


async def _unnamed_reason(reason: Reason, sees: Callable[[str], bool], hidden: Hidden) -> Reason:
    if reason.code is ReasonCode.RESERVATION:
        return _without_reservation(reason, sees)
    texts = (reason.offered, reason.remedy_zh, reason.remedy_en)
    offered, zh, en = await _without_workloads(texts, hidden)
    return replace(reason, offered=offered, remedy_zh=zh, remedy_en=en)


def _without_reservation(reason: Reason, sees: Callable[[str], bool]) -> Reason:
    """How much is kept, and until when, stays: the caller has to plan with it."""
    holder = _HOLDER.search(reason.offered)
    if holder is not None and sees(holder["zh"]):
        return reason
    (pattern_zh, zh), (pattern_en, en) = _RESERVATION
    return replace(
        reason,
        offered=_HOLDER.sub("为其他队列预留/reserved for another queue", reason.offered),
        remedy_zh=pattern_zh.sub(zh, reason.remedy_zh),
        remedy_en=pattern_en.sub(en, reason.remedy_en),
    )


async def _without_workloads(texts: Iterable[str], hidden: Hidden) -> list[str]:
    """Texts in the order zh before en, or with both in one ("其他作业/another workload")."""
    told = list(texts)
    names = {name for text in told for name in _WORKLOAD_ID.findall(text)}
    unnamed = {name for name in names if await hidden(name)}

    def without(text: str) -> str:
        instead = "another workload" if text.isascii() else "其他作业"
        return _WORKLOAD_ID.sub(lambda found: instead if found[0] in unnamed else found[0], text)

    return [without(text) for text in told]

"""Why a workload waits, or where it could go: the answer for `xisuan workload explain`, dry-run and gRPC.

From stored verdicts (`explain_opinions`) or asked afresh (`explain`), both without side effects. An answer has
the typed reasons of every pool, how many pools gave each, and the pool that comes nearest with what would have to
change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inventory.model.placement import PoolOpinion, Reason, ReasonCode, Verdict
from inventory.model.workload import Workload
from scheduler.core.placement.evaluation import Evaluation, tie_key
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.stack import Stack

_VERDICT_WORDS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.UNSCHEDULABLE: ("等待可能有用", "waiting may help"),
    Verdict.UNRESOLVABLE: (
        "等待无用，需要修改作业或算力池",
        "waiting does not help: change the workload or a pool",
    ),
    Verdict.ERROR: ("系统方原因，待算力池恢复", "on our side: wait until a pool answers again"),
}
_CODE_WORDS: Mapping[ReasonCode, tuple[str, str]] = {
    ReasonCode.ZONE: ("网络区域", "zone"),
    ReasonCode.PROTECTION_LEVEL: ("等保级别", "protection level"),
    ReasonCode.ARCHITECTURE: ("架构", "architecture"),
    ReasonCode.ACCELERATOR: ("加速卡", "accelerator"),
    ReasonCode.POOL_NOT_ALLOWED: ("不在允许的池中", "pool not allowed"),
    ReasonCode.RUNTIME: ("运行方式", "runtime"),
    ReasonCode.NODE_SELECTOR: ("节点标签", "node labels"),
    ReasonCode.TAINTED: ("节点污点", "taints"),
    ReasonCode.AFFINITY: ("亲和与拓扑", "affinity and topology"),
    ReasonCode.TOO_LARGE: ("需求过大", "too large"),
    ReasonCode.CAPACITY: ("余量不足", "capacity"),
    ReasonCode.FRAGMENTED: ("余量零碎", "fragmented"),
    ReasonCode.QUOTA: ("队列配额", "queue quota"),
    ReasonCode.BUDGET: ("队列预算", "queue budget"),
    ReasonCode.RESERVATION: ("日历预留", "reservation"),
    ReasonCode.BACKFILL: ("为等待者保留", "kept for who waits before"),
    ReasonCode.CORDONED: ("已封锁", "cordoned"),
    ReasonCode.UNREACHABLE: ("不可达", "unreachable"),
    ReasonCode.QUARANTINED: ("已隔离", "quarantined"),
}

# What a workload may give up by itself; nothing about the room it needs follows from it.
_WISHES = frozenset(
    {
        ReasonCode.ZONE,
        ReasonCode.PROTECTION_LEVEL,
        ReasonCode.ARCHITECTURE,
        ReasonCode.ACCELERATOR,
        ReasonCode.POOL_NOT_ALLOWED,
        ReasonCode.RUNTIME,
    }
)
# What stands in the way beside the pool, which has room.
_NOT_OF_THE_POOL = frozenset(
    {ReasonCode.QUOTA, ReasonCode.BUDGET, ReasonCode.RESERVATION, ReasonCode.BACKFILL, ReasonCode.CORDONED}
)
_COLON = ("：", ": ")
_SEMICOLON = ("；", "; ")


@dataclass(frozen=True, slots=True)
class Standing:
    """What a workload waits for by itself, or that it waits for nothing, in one line each. `waits_for_pools`: what pools say
    will matter, now or when the rest is over."""

    zh: str
    en: str
    waits_for_pools: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the pools say to one workload.

    `feasible` holds pool ids, best score first. `counts` says how many pools gave each reason, most frequent
    first. `nearest` is the refusing pool for which the least would have to change: first the one whose reasons may
    go by themselves, then the one with the fewest reasons; None when no pool refuses or there are no pools.
    """

    workload_id: str
    opinions: tuple[PoolOpinion, ...]
    feasible: tuple[str, ...]
    counts: tuple[tuple[ReasonCode, int], ...]
    nearest: PoolOpinion | None
    standing: Standing | None = None

    @property
    def verdict(self) -> Verdict | None:
        """Whether waiting may help: the mildest of what the pools say. None where a pool is feasible, and for a workload
        that waits for none."""
        if self.feasible or (self.standing is not None and not self.standing.waits_for_pools):
            return None
        per_pool = [pool_verdict(opinion) for opinion in self.opinions]
        for verdict in (Verdict.UNSCHEDULABLE, Verdict.ERROR, Verdict.UNRESOLVABLE):
            if verdict in per_pool:
                return verdict
        return Verdict.UNRESOLVABLE  # there are no pools

    @property
    def summary_zh(self) -> str:
        """One line: how many pools can take it, why others cannot, what comes nearest, whether waiting helps."""
        return self._summary(0)

    @property
    def summary_en(self) -> str:
        """The English twin of `summary_zh`."""
        return self._summary(1)

    def _summary(self, language: int) -> str:
        if self.standing is None:
            return self._of_pools(language)
        own = (self.standing.zh, self.standing.en)[language]
        return own + _SEMICOLON[language] + self._of_pools(language) if self.standing.waits_for_pools else own

    def _of_pools(self, language: int) -> str:
        pools, open_pools, verdict, nearest = len(self.opinions), len(self.feasible), self.verdict, self.nearest
        if not pools:
            return ("没有登记的算力池，请先登记一个", "no pool is registered: register one")[language]
        head = (f"{pools} 个算力池中 {open_pools} 个可用", f"{open_pools} of {pools} pools can take it")[language]
        if verdict is None:
            return f"{head}{_COLON[language]}{', '.join(self.feasible)}"
        counts = ", ".join(f"{count} × {_CODE_WORDS[code][language]}" for code, count in self.counts)
        parts = [f"{head}{_COLON[language]}{counts}"]
        if nearest is not None:
            remedies = _SEMICOLON[language].join((r.remedy_zh, r.remedy_en)[language] for r in nearest.reasons)
            if len(nearest.reasons) == 1 and nearest.reasons[0].code in _WISHES:
                # No other filter of that pool objects, its free room included.
                remedies = (f"只差一项：{remedies}", f"it would fit but for one thing: {remedies}")[language]
            parts.append(f"{('最接近的是', 'nearest is')[language]} {nearest.pool_id}{_COLON[language]}{remedies}")
        return _SEMICOLON[language].join([*parts, _VERDICT_WORDS[verdict][language]])


def explain(workload: Workload, views: Sequence[PoolView], stack: Stack, seed: int = 0) -> Explanation:
    """Asks filters and scores, not the pool hosts: a feasible pool may still be fragmented node by node.

    With the cycle's seed, the first feasible pool is the one that the cycle would ask first.
    """
    opinions = Evaluation(stack, views, seed).opinions(Shape.of(workload))
    return explain_opinions(workload.workload_id, opinions, seed)


def explain_opinions(workload_id: str, opinions: Sequence[PoolOpinion], seed: int = 0) -> Explanation:
    """Orders and counts what pools have said, in a cycle or afresh."""
    feasible = sorted((o for o in opinions if o.feasible), key=lambda o: (-o.score, tie_key(seed, o.pool_id)))
    counted = Counter(code for opinion in opinions for code in {reason.code for reason in opinion.reasons})
    refusing = [opinion for opinion in opinions if not opinion.feasible]
    return Explanation(
        workload_id,
        tuple(opinions),
        tuple(opinion.pool_id for opinion in feasible),
        tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0]))),
        min(refusing, key=_distance, default=None),
    )


def pool_verdict(opinion: PoolOpinion) -> Verdict | None:
    """The hardest of one pool's reasons: while one remains that will not change, waiting does not help there."""
    verdicts = {reason.verdict for reason in opinion.reasons}
    for verdict in (Verdict.UNRESOLVABLE, Verdict.ERROR, Verdict.UNSCHEDULABLE):
        if verdict in verdicts:
            return verdict
    return None


def explanation_lines(explanation: Explanation) -> list[str]:
    """The explanation as text for a terminal: both summaries, then a line for each pool and reason."""
    lines = [
        f"{explanation.workload_id}: {explanation.summary_zh}",
        f"{explanation.workload_id}: {explanation.summary_en}",
    ]
    for opinion in explanation.opinions:
        if opinion.feasible:
            scores = ", ".join(f"{name} {value}" for name, value in opinion.scores)
            lines.append(f"  {opinion.pool_id}: 可用 / feasible, {opinion.score} ({scores})")
        for reason in opinion.reasons:
            zh, en = _CODE_WORDS[reason.code]
            lines.append(
                f"  {opinion.pool_id}: {zh} / {en}: 需要/needs {reason.needed}; 现有/has {reason.offered}; "
                f"{reason.remedy_zh} / {reason.remedy_en}"
            )
            lines.extend(_node_lines(reason))
    return lines


def _node_lines(reason: Reason) -> list[str]:
    """How many nodes each filter of the pool's host refused, and what the nearest of them lack."""
    lines = []
    for one in reason.nodes:
        zh, en = _CODE_WORDS[one.code]
        nearest = f": 最接近/nearest {one.nearest_zh} / {one.nearest_en}" if one.nearest_zh else ""
        lines.append(f"    {one.nodes} 个节点/nodes {zh} / {en}{nearest}")
    return lines


def _distance(opinion: PoolOpinion) -> tuple[int, int, int, str]:
    """A pool that has room, and for which only a queue or the calendar stands in the way, is nearer than a full one."""
    hard = sum(reason.verdict is not Verdict.UNSCHEDULABLE for reason in opinion.reasons)
    lacks = sum(reason.code not in _NOT_OF_THE_POOL for reason in opinion.reasons)
    return hard, len(opinion.reasons), lacks, opinion.pool_id

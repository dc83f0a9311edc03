"""Why a workload waits, or where it could go: the answer for `xisuan workload explain`, dry-run and gRPC.

From stored verdicts (`explain_opinions`) or asked afresh (`explain`), both without side effects. An answer has
the typed reasons of every pool, how many pools gave each, and the pool that comes nearest with what would have to
change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from inventory.model.placement import PoolOpinion, ReasonCode, Verdict
from inventory.model.workload import Workload
from scheduler.core.placement.evaluation import Evaluation
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.stack import Stack

_VERDICT_TEXT = {
    Verdict.UNSCHEDULABLE: "可能自行消除/may change by itself",
    Verdict.UNRESOLVABLE: "不会自行消除/will not change by itself",
    Verdict.ERROR: "系统原因/on our side",
}
CODE_TEXT = {
    ReasonCode.ZONE: "网络区域/zone",
    ReasonCode.PROTECTION_LEVEL: "等保/protection level",
    ReasonCode.ARCHITECTURE: "架构/architecture",
    ReasonCode.ACCELERATOR: "加速卡/accelerator",
    ReasonCode.POOL_NOT_ALLOWED: "不在允许的池中/pool not allowed",
    ReasonCode.RUNTIME: "运行方式/runtime",
    ReasonCode.TOO_LARGE: "过大/too large",
    ReasonCode.CAPACITY: "余量不足/capacity",
    ReasonCode.FRAGMENTED: "碎片/fragmented",
    ReasonCode.CORDONED: "已封锁/cordoned",
    ReasonCode.UNREACHABLE: "不可达/unreachable",
    ReasonCode.QUARANTINED: "已隔离/quarantined",
}


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

    @property
    def verdict(self) -> Verdict | None:
        """Whether waiting may help: the mildest of what the pools say. None where a pool is feasible."""
        if self.feasible:
            return None
        per_pool = [pool_verdict(opinion) for opinion in self.opinions]
        for verdict in (Verdict.UNSCHEDULABLE, Verdict.ERROR, Verdict.UNRESOLVABLE):
            if verdict in per_pool:
                return verdict
        return Verdict.UNRESOLVABLE  # there are no pools


def explain(workload: Workload, views: Sequence[PoolView], stack: Stack) -> Explanation:
    """Asks filters and scores, not the pool hosts: a feasible pool may still be fragmented node by node."""
    evaluation = Evaluation(stack, views, seed=0)
    return explain_opinions(workload.workload_id, evaluation.opinions(Shape.of(workload)))


def explain_opinions(workload_id: str, opinions: Sequence[PoolOpinion]) -> Explanation:
    """Orders and counts what pools have said, in a cycle or afresh."""
    feasible = sorted((o for o in opinions if o.feasible), key=lambda o: (-o.score, o.pool_id))
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
    """The explanation as text for a terminal: a heading, the counts, one line a reason, the nearest pool."""
    pools = len(explanation.opinions)
    head = f"{explanation.workload_id}: {len(explanation.feasible)}/{pools} 个算力池可用 / pools feasible"
    lines = [f"{head}: {', '.join(explanation.feasible)}" if explanation.feasible else head]
    if not pools:
        lines.append("  没有登记的算力池,请先登记 / no pool is registered: register one")
    if explanation.verdict is not None and pools:
        lines[0] += f"({_VERDICT_TEXT[explanation.verdict]})"
    lines += [f"  {count} × {CODE_TEXT[code]}" for code, count in explanation.counts]
    for opinion in explanation.opinions:
        if opinion.feasible:
            scores = " ".join(f"{name}={value}" for name, value in opinion.scores)
            lines.append(f"  {opinion.pool_id}: 可用/feasible {opinion.score} ({scores})")
        for reason in opinion.reasons:
            lines.append(
                f"  {opinion.pool_id}: {CODE_TEXT[reason.code]}: 需要/needs {reason.needed};"
                f"现有/offers {reason.offered} -> {reason.remedy_zh} / {reason.remedy_en}"
            )
    if explanation.nearest is not None and not explanation.feasible:
        nearest = explanation.nearest
        lines.append(
            f"  最接近/nearest {nearest.pool_id}: {';'.join(r.remedy_zh for r in nearest.reasons)} / "
            f"{'; '.join(r.remedy_en for r in nearest.reasons)}"
        )
    return lines


def _distance(opinion: PoolOpinion) -> tuple[int, int, str]:
    hard = sum(reason.verdict is not Verdict.UNSCHEDULABLE for reason in opinion.reasons)
    return hard, len(opinion.reasons), opinion.pool_id

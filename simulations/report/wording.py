"""The answer in words, Chinese and English: which entry is best, by how much, how sure. The page and the terminal say
the same sentences.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulations.metrics.definitions import Better
from simulations.metrics.statistics import CONFIDENCE, seeds_needed
from simulations.report.contest import Contest, Rival, Verdict

AXIS_ZH = {"policy": "策略", "capacity": "容量方案", "failures": "故障模型", "trace": "负载"}
AXIS_EN = {"policy": "policy", "capacity": "capacity", "failures": "failure model", "trace": "workload"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One statement in both languages."""

    zh: str
    en: str


def answer(verdict: Verdict) -> Sentence:
    """Which one, and against the nearest rival by how much."""
    metric, best = verdict.metric, verdict.best
    own = metric.text(verdict.value.mean)
    if not verdict.rivals:
        return Sentence(
            f"{best}：{metric.zh} {own}（没有可比的对象）", f"{best}: {metric.en} {own} (nothing to compare with)"
        )
    nearest = verdict.rivals[0]
    if nearest.value.mean == verdict.value.mean and not _clear(nearest):
        return Sentence(
            f"{metric.zh}上没有差别：{best} 与 {nearest.name} 同为 {own}",
            f"No difference in {metric.en}: {best} and {nearest.name} both have {own}",
        )
    way_zh, way_en = ("低", "lower") if metric.better is Better.LOWER else ("高", "higher")
    leads_zh, leads_en = ("最好", "is best") if verdict.is_sure else ("领先", "leads")
    by = metric.difference(abs(verdict.value.mean - nearest.value.mean)).lstrip("+")
    part = _percent(verdict.value.mean, nearest.value.mean)
    return Sentence(
        f"{best} {leads_zh}：{metric.zh} {own}，比次优的 {nearest.name} {way_zh} {by}{part and f'（{part}）'}",
        f"{best} {leads_en}: {metric.en} {own}, {by}{part and f' ({part})'} {way_en} than the runner-up {nearest.name}",
    )


def certainty(verdict: Verdict) -> Sentence:
    """How sure the answer is, and what would make it surer."""
    seeds = len(verdict.contest.seeds)
    if not verdict.rivals:
        return Sentence(f"{seeds} 个种子", f"{seeds} seeds")
    if all(one.difference is None or one.difference.half_width is None for one in verdict.rivals):
        return Sentence(
            "只有一个共同的种子：无法判断把握，请至少用 5 个种子",
            "One shared seed: nothing can be said about certainty; use five seeds or more",
        )
    level = f"{CONFIDENCE:.0%}"
    if verdict.is_sure:
        return Sentence(
            f"有把握：{seeds} 个种子逐一配对，对其余 {len(verdict.rivals)} 个的差异合起来以 {level} 置信度不为零",
            f"Sure: over {seeds} paired seeds it differs from all {len(verdict.rivals)} others with {level} confidence "
            "taken together",
        )
    names = [one.name for one in verdict.unclear]
    more = [n for one in verdict.unclear if one.difference is not None and (n := seeds_needed(one.difference))]
    zh = f"；按目前的离散程度约需 {max(more):,} 个种子" if more else ""
    en = f"; about {max(more):,} seeds would be needed at this spread" if more else ""
    return Sentence(
        f"把握不足：{seeds} 个种子下与 {'、'.join(names)} 分不出高下（{level}）{zh}",
        f"Not sure: over {seeds} seeds it cannot be told apart from {', '.join(names)} ({level}){en}",
    )


def setting(contest: Contest) -> Sentence:
    """What is held fixed."""
    zh = " · ".join(f"{AXIS_ZH[axis]} {name}" for axis, name in contest.setting.items())
    en = " · ".join(f"{AXIS_EN[axis]} {name}" for axis, name in contest.setting.items())
    return Sentence(zh, en)


def overall(verdicts: list[Verdict]) -> Sentence | None:
    """One sentence over several contests; None for a single one."""
    if len(verdicts) < 2:
        return None
    wins: dict[str, list[Verdict]] = {}
    for one in verdicts:
        wins.setdefault(one.best, []).append(one)
    best = max(wins, key=lambda name: len(wins[name]))
    sure = sum(one.is_sure for one in wins[best])
    metric = verdicts[0].metric
    if all(one.metric == metric for one in verdicts):
        by_zh, by_en = f"按{metric.zh}", f"by {metric.en}"
    else:
        by_zh, by_en = "按各自的首要指标", "each by its deciding metric"
    return Sentence(
        f"{by_zh}，{best} 在 {len(verdicts)} 种情形中的 {len(wins[best])} 种领先（其中 {sure} 种有把握）",
        f"{by_en}, {best} leads in {len(wins[best])} of {len(verdicts)} settings (sure in {sure})",
    )


def _clear(rival: Rival) -> bool:
    return rival.difference is not None and rival.difference.is_clear


def _percent(value: float, base: float) -> str:
    return f"{abs(value - base) / abs(base):.1%}" if base else ""

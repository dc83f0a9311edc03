"""How results of simulations and answers to planners' questions look: tables for people, documents for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from console import printing
from simulations.metrics.definitions import METRICS
from simulations.metrics.result import Result
from simulations.metrics.statistics import Estimate
from simulations.questions.comparison import ComparedPolicy, ComparedSetting
from simulations.questions.lost_pool import METRICS as LOSS_METRICS
from simulations.questions.lost_pool import PoolLoss
from simulations.questions.saturation import GrowthPlan, Saturation
from simulations.questions.smallest_capacity import Limit, SmallestCapacity
from simulations.questions.wave_plan import WaveImpact
from simulations.report import wording

COMPARED = (
    "wait_mean",
    "wait_p95",
    "slowdown_mean",
    "utilisation_cpu",
    "utilisation_accelerator",
    "jain",
    "preemptions",
    "energy_kwh",
    "electricity_cny",
    "carbon_kg",
    "charge_cny",
)


def show_result(result: Result) -> None:
    label = result.label
    printing.table(
        f"{result.provenance.scenario}：{label.trace} · {label.capacity} · {label.failures} · {label.policy}"
        f" · 种子 {label.seed} / seed {label.seed}",
        ("指标", "metric", "值 / value"),
        [(METRICS[key].zh, METRICS[key].en, METRICS[key].text(value)) for key, value in _known(result)],
    )
    rows = [
        (pool, *(METRICS[key].text(metrics[key]) if key in metrics else "-" for key in _pool_keys(result)))
        for pool, metrics in result.measures.pools.items()
    ]
    columns = [f"{METRICS[key].zh}/{METRICS[key].en}" for key in _pool_keys(result)]
    printing.table("各算力池 / pools", ("池/pool", *columns), rows)
    for note in result.notes:
        printing.warn(note)
    proof = result.provenance
    printing.say(
        f"场景 / scenario {proof.scenario_hash[:12]} · 轨迹 / trace {proof.trace_hash[:12]}"
        f" · 代码 / code {proof.code_version}"
    )


def _known(result: Result) -> list[tuple[str, float]]:
    return [(key, result.measures.metrics[key]) for key in METRICS if key in result.measures.metrics]


def _pool_keys(result: Result) -> list[str]:
    found = {key for metrics in result.measures.pools.values() for key in metrics}
    return [key for key in METRICS if key in found]


def show_compared(settings: Sequence[ComparedSetting], metrics: Sequence[str]) -> None:
    """Each setting: its table, then who is best and how sure that is, in the sentences of the report."""
    for compared in settings:
        mine = compared.rows
        shown = [metric for metric in metrics if any(metric in row.values for row in mine)]
        printing.table(
            " · ".join(mine[0].setting) + "：均值 ± 95%（与基准的差） / mean ± 95 % (difference from the base)",
            ("策略/policy", *(f"{METRICS[metric].zh}/{METRICS[metric].en}" for metric in shown)),
            [(row.policy, *(_compared(row, metric) for metric in shown)) for row in mine],
        )
        if compared.judged is not None:
            for said in (wording.answer(compared.judged), wording.certainty(compared.judged)):
                printing.say(f"{said.zh} / {said.en}")


def _compared(row: ComparedPolicy, metric: str) -> str:
    value = row.values.get(metric)
    if value is None:
        return "-"
    text = _with_interval(metric, value)
    difference = row.differences.get(metric)
    if difference is None:
        return text
    sign = "" if difference.is_clear or difference.half_width is None else " ≈"
    return f"{text} ({METRICS[metric].difference(difference.mean)}{sign})"


def _with_interval(metric: str, value: Estimate) -> str:
    text = METRICS[metric].text(value.mean)
    return text if value.half_width is None else f"{text} ± {METRICS[metric].text(value.half_width)}"


def compared_json(compared: ComparedSetting) -> list[dict[str, Any]]:
    """One object a policy; `is_best` and `is_sure` as the report judges, by the metric `judged_by`."""
    judged = compared.judged
    return [
        _policy_json(row)
        | {
            "judged_by": None if judged is None else judged.metric.key,
            "is_best": judged is not None and row.policy == judged.best,
            "is_sure": judged is not None and judged.is_sure,
        }
        for row in compared.rows
    ]


def _policy_json(row: ComparedPolicy) -> dict[str, Any]:
    trace, capacity, failures = row.setting
    return {
        "trace": trace,
        "capacity": capacity,
        "failures": failures,
        "policy": row.policy,
        "values": _estimates(row.values),
        "differences": _estimates(row.differences),
    }


def _estimates(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {metric: estimate_json(value) for metric, value in estimates.items()}


def estimate_json(value: Estimate) -> dict[str, Any]:
    return {"mean": value.mean, "half_width": value.half_width, "seeds": value.seeds}


def show_losses(losses: Sequence[PoolLoss]) -> None:
    shown = [metric for metric in LOSS_METRICS if any(metric in loss.values for loss in losses)]
    printing.table(
        "失去一个池会怎样（N-1） / what if a pool is lost (N-1)",
        ("失去的池/pool lost", *(f"{METRICS[metric].zh}/{METRICS[metric].en}" for metric in shown)),
        [(loss.pool_id or "无/none", *(_loss(loss, metric) for metric in shown)) for loss in losses],
    )


def _loss(loss: PoolLoss, metric: str) -> str:
    value, difference = loss.values.get(metric), loss.differences.get(metric)
    if value is None:
        return "-"
    text = METRICS[metric].text(value.mean)
    return text if difference is None else f"{text} ({METRICS[metric].difference(difference.mean)})"


def losses_json(losses: Sequence[PoolLoss]) -> list[dict[str, Any]]:
    return [
        {"pool": loss.pool_id, "values": _estimates(loss.values), "differences": _estimates(loss.differences)}
        for loss in losses
    ]


def show_smallest(found: SmallestCapacity, limit: Limit) -> None:
    name = METRICS[limit.metric]
    printing.table(
        f"最小容量：{name.zh}不超过 {name.text(limit.value)} / smallest capacity with {name.en} at most"
        f" {name.text(limit.value)}",
        ("倍数/scale", "节点/nodes", f"{name.zh}/{name.en}", "放不下或未启动/left out", "够/enough"),
        [
            (
                f"{one.scale:.4g}",
                one.nodes,
                "-" if one.value is None else _with_interval(limit.metric, one.value),
                f"{one.left_out:g}",
                one.is_enough,
            )
            for one in sorted(found.tried, key=lambda one: one.scale)
        ],
    )
    if found.best is not None:
        printing.say(
            f"答案：{found.best.nodes} 个节点（现有的 {found.best.scale:.4g} 倍）"
            f" / answer: {found.best.nodes} nodes ({found.best.scale:.4g} times what there is)",
            "bold",
        )


def smallest_json(found: SmallestCapacity) -> dict[str, Any]:
    def one_json(one: Any) -> dict[str, Any]:
        return {
            "scale": one.scale,
            "nodes": one.nodes,
            "value": None if one.value is None else estimate_json(one.value),
            "left_out": one.left_out,
            "is_enough": one.is_enough,
        }

    best = None if found.best is None else one_json(found.best)
    return {"best": best, "tried": [one_json(one) for one in found.tried]}


def show_saturation(found: Saturation, plan: GrowthPlan) -> None:
    printing.table(
        f"年增长 {plan.yearly:.1%} 时各池何时饱和（≥ {plan.threshold:.0%}）"
        f" / when each pool saturates at {plan.yearly:.1%} growth a year (at {plan.threshold:.0%} or above)",
        ("池/pool", "饱和日/day", "今天的负载/load today", "末日的负载/load at the end"),
        [
            (
                pool,
                f"第 {day} 天 / day {day}"
                if day is not None
                else f"{found.levels[-1].day} 天内不会 / not by then",
                f"{found.levels[0].loads[pool]:.1%}",
                f"{found.levels[-1].loads[pool]:.1%}",
            )
            for pool, day in found.days.items()
        ],
    )
    printing.table(
        "各日的需求与等待 / demand and waiting by day",
        ("天/day", "需求/demand", "等待 p95/waiting p95", *found.days),
        [
            (
                level.day,
                f"x{level.demand:.3f}",
                "-" if level.waiting is None else METRICS["wait_p95"].text(level.waiting.mean),
                *(f"{level.loads[pool]:.1%}" for pool in found.days),
            )
            for level in found.levels
        ],
    )


def saturation_json(found: Saturation) -> dict[str, Any]:
    return {
        "days": found.days,
        "levels": [
            {
                "day": level.day,
                "demand": level.demand,
                "loads": level.loads,
                "wait_p95": None if level.waiting is None else estimate_json(level.waiting),
            }
            for level in found.levels
        ],
    }


def show_impact(impact: WaveImpact) -> None:
    pools = list(impact.before)
    rows = [("之前/before", "-", "-", *(f"{impact.before[pool]:.1%}" for pool in pools))]
    for one in impact.waves:
        left = f"{one.waiting} 等待/wait" + (f"，{one.nowhere} 放不下/fit nowhere" if one.nowhere else "")
        shares = (f"{one.shares[pool]:.1%}" for pool in pools)
        rows.append((f"第 {one.wave} 批/wave {one.wave}", str(one.started), left, *shares))
    printing.table(
        "各批次之后一天各池的占用 / share of each pool that is taken, a day after each wave",
        ("批次/wave", "已运行/running", "未能运行/not running", *pools),
        rows,
    )
    if impact.wait_p95 is not None:
        before, after = (METRICS["wait_p95"].text(value) for value in impact.wait_p95)
        printing.say(
            f"其他作业等待 p95：无迁移 {before}，有迁移 {after}"
            f" / waiting p95 of the other jobs: {before} without, {after} with the migration"
        )


def impact_json(impact: WaveImpact) -> dict[str, Any]:
    return {
        "before": impact.before,
        "waves": [
            {
                "wave": one.wave,
                "at_ms": one.at_ms,
                "started": one.started,
                "waiting": one.waiting,
                "nowhere": one.nowhere,
                "shares": one.shares,
            }
            for one in impact.waves
        ],
        "wait_p95": None if impact.wait_p95 is None else list(impact.wait_p95),
        "stuck": list(impact.stuck),
    }

"""Every metric by its key: names for people, unit, which way is better, and how a value is written.

Tables and reports read names and units here; the definitions stand in the functions that compute, named in `defined`.
`docs/metrics.md` tells the same to people, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Better(Enum):
    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"  # it describes the run and is no merit


@dataclass(frozen=True, slots=True)
class Metric:
    """`unit` of the value as computed: "s", "ratio" (0..1, shown in percent), "jobs", "kWh" ...; "" a bare number."""

    key: str
    zh: str
    en: str
    unit: str
    better: Better
    defined: str

    def text(self, value: float, half: float | None = None) -> str:
        """The value for people; with `half`, "12.3 ± 0.4 h": both in the unit that suits the value."""
        return self._text(value, self.unit, "", half)

    def difference(self, value: float, half: float | None = None) -> str:
        """A signed difference; of ratios in percentage points."""
        return self._text(value, "points" if self.unit == "ratio" else self.unit, "+", half)

    def _text(self, value: float, unit: str, sign: str, half: float | None) -> str:
        scale, decimals, shown = _scale(value, unit)
        text = f"{value / scale:{sign},.{decimals}f}"
        if half is not None:
            text += f" ± {half / scale:,.{decimals}f}"
        return f"{text} {shown}" if shown else text


def _scale(value: float, unit: str) -> tuple[float, int, str]:
    """What the value is divided by, with how many decimals it is written, and in what unit."""
    size = abs(value)
    if unit in ("ratio", "points"):
        return 0.01, 2, "%" if unit == "ratio" else "pp"
    if unit == "s":  # up to two minutes in seconds, to two hours in minutes, to two days in hours
        steps = ((120, 1, "s"), (7200, 60, "min"), (48 * 3600, 3600, "h"))
        return next(((scale, 1, name) for below, scale, name in steps if size < below), (86400, 1, "d"))
    if unit == "":
        return 1, 3 if size < 100 else 1, ""
    return 1, 0 if size >= 1000 or value == int(value) else 2, unit


_L, _H, _N = Better.LOWER, Better.HIGHER, Better.NEITHER
_ROWS = (
    ("wait_mean", "等待时间 均值", "waiting time, mean", "s", _L, "jobs.waiting_ms"),
    ("wait_p50", "等待时间 中位", "waiting time, p50", "s", _L, "jobs.waiting_ms"),
    ("wait_p95", "等待时间 p95", "waiting time, p95", "s", _L, "jobs.waiting_ms"),
    ("wait_p99", "等待时间 p99", "waiting time, p99", "s", _L, "jobs.waiting_ms"),
    ("slowdown_mean", "有界减速比 均值", "bounded slowdown, mean", "", _L, "jobs.bounded_slowdown"),
    ("slowdown_p50", "有界减速比 中位", "bounded slowdown, p50", "", _L, "jobs.bounded_slowdown"),
    ("slowdown_p95", "有界减速比 p95", "bounded slowdown, p95", "", _L, "jobs.bounded_slowdown"),
    ("slowdown_p99", "有界减速比 p99", "bounded slowdown, p99", "", _L, "jobs.bounded_slowdown"),
    ("makespan", "完工时间", "makespan", "s", _L, "jobs.job_measures"),
    ("allocation_cpu", "CPU 分配率", "allocation, CPU", "ratio", _H, "usage.usage_measures"),
    ("allocation_memory", "内存分配率", "allocation, memory", "ratio", _H, "usage.usage_measures"),
    ("allocation_accelerator", "加速卡分配率", "allocation, cards", "ratio", _H, "usage.usage_measures"),
    ("utilisation_cpu", "CPU 有效利用率", "utilisation, CPU", "ratio", _H, "usage.usage_measures"),
    ("utilisation_memory", "内存有效利用率", "utilisation, memory", "ratio", _H, "usage.usage_measures"),
    ("utilisation_accelerator", "加速卡有效利用率", "utilisation, cards", "ratio", _H, "usage.usage_measures"),
    ("fragmentation", "加速卡碎片率", "fragmentation, cards", "ratio", _L, "fragmentation.fragmentation_measures"),
    ("jain", "公平性 Jain 指数", "fairness, Jain index", "", _H, "fairness.jain_index"),
    ("share_deviation", "份额偏差", "share deviation", "ratio", _L, "fairness.share_deviation"),
    ("deadline_miss_rate", "超期率", "deadline misses, share", "ratio", _L, "jobs.missed_deadlines"),
    ("deadline_misses", "超期作业", "deadline misses", "jobs", _L, "jobs.missed_deadlines"),
    ("preemptions", "抢占次数", "preemptions", "runs", _L, "usage.usage_measures"),
    ("preempted_core_hours", "抢占浪费 核时", "work lost to preemption", "core-h", _L, "usage.usage_measures"),
    ("preempted_card_hours", "抢占浪费 卡时", "work lost to preemption", "card-h", _L, "usage.usage_measures"),
    ("wasted_core_hours", "浪费 核时", "wasted work", "core-h", _L, "usage.usage_measures"),
    ("wasted_card_hours", "浪费 卡时", "wasted work", "card-h", _L, "usage.usage_measures"),
    ("moves", "移动次数", "moves to make room", "runs", _L, "usage.usage_measures"),
    ("failed_runs", "因故障结束", "runs ended by failures", "runs", _N, "usage.usage_measures"),
    ("energy_kwh", "耗电量", "energy", "kWh", _L, "accounts.energy"),
    ("carbon_kg", "碳排放", "carbon", "kgCO2", _L, "accounts.energy"),
    ("electricity_cny", "电费", "electricity", "CNY", _L, "accounts.energy"),
    ("charge_cny", "资源费用", "charge", "CNY", _L, "accounts.charges"),
    ("jobs", "作业数", "jobs", "jobs", _N, "jobs.job_measures"),
    ("jobs_unplaceable", "任何池都放不下", "jobs that fit nowhere", "jobs", _N, "jobs.job_measures"),
    ("jobs_unstarted", "结束时未启动", "not started at the end", "jobs", _L, "jobs.job_measures"),
    ("jobs_unfinished", "结束时未完成", "not finished at the end", "jobs", _L, "jobs.job_measures"),
    ("runs", "运行次数", "runs", "runs", _N, "measure.measure"),
)
METRICS: Mapping[str, Metric] = {row[0]: Metric(*row) for row in _ROWS}


def metric(key: str) -> Metric:
    """Raises KeyError with the known keys for one that does not exist."""
    if key not in METRICS:
        raise KeyError(f"未知指标 / unknown metric {key!r}; 可用 / known: {', '.join(METRICS)}")
    return METRICS[key]

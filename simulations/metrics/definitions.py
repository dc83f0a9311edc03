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

    def text(self, value: float) -> str:
        """The value for people, without a sign."""
        return self._text(value, self.unit)

    def difference(self, value: float) -> str:
        """A signed difference; of ratios in percentage points."""
        shown = self._text(value, "points" if self.unit == "ratio" else self.unit)
        return shown if value < 0 else f"+{shown}"

    def _text(self, value: float, unit: str) -> str:
        if unit == "ratio":
            return f"{value * 100:.2f} %"
        if unit == "points":
            return f"{value * 100:.2f} pp"
        if unit == "s":
            return _duration(value)
        if unit == "":
            return f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"
        return f"{_amount(value)} {unit}"


def _duration(seconds: float) -> str:
    """Up to two minutes in seconds, up to two days in hours, then in days."""
    size = abs(seconds)
    if size < 120:
        return f"{seconds:.1f} s"
    if size < 2 * 3600:
        return f"{seconds / 60:.1f} min"
    if size < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} d"


def _amount(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"


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
    ("fragmentation", "加速卡碎片率", "fragmentation, cards", "ratio", _L, "fragmentation.stranded"),
    ("jain", "公平性 Jain 指数", "fairness, Jain index", "", _H, "fairness.jain_index"),
    ("share_deviation", "份额偏差", "share deviation", "ratio", _L, "fairness.share_deviation"),
    ("deadline_miss_rate", "超期率", "deadline misses, share", "ratio", _L, "jobs.missed_deadlines"),
    ("deadline_misses", "超期作业", "deadline misses", "jobs", _L, "jobs.missed_deadlines"),
    ("preemptions", "抢占次数", "preemptions", "runs", _L, "usage.usage_measures"),
    ("preempted_core_hours", "抢占浪费 核时", "work lost to preemption", "core-h", _L, "usage.usage_measures"),
    ("preempted_card_hours", "抢占浪费 卡时", "work lost to preemption", "card-h", _L, "usage.usage_measures"),
    ("wasted_core_hours", "浪费 核时", "wasted work", "core-h", _L, "usage.usage_measures"),
    ("wasted_card_hours", "浪费 卡时", "wasted work", "card-h", _L, "usage.usage_measures"),
    ("failures", "因故障结束", "runs ended by failures", "runs", _N, "usage.usage_measures"),
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

"""Right-sizing: how large a system needs to be, from measured percentiles, with a comfort factor and a confidence.

Who calls this: `inventory.assessment`. Integers: vCPU and GB. The terms stand in the rule file. A system that was
measured thinly keeps its size: no number is better than a wrong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from inventory.model.migration import Pair
from inventory.model.system import System
from inventory.utilisation.measurement import Coverage, Measurement, Spread, coverage_of


class Confidence(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SizingTerms:
    """`percentile` is 50, 95 or 99; `comfort_pct` multiplies what it says (130: a third more); a server gets one of
    `vcpu_sizes` and `mem_sizes_gb`; shorter windows than `least_days`, and those that ended over
    `stale_after_days` ago, give low confidence at most. A system idles when more than
    `idle_redundancy_pct` percent of its vCPU would be saved."""

    percentile: int
    comfort_pct: int
    vcpu_sizes: tuple[int, ...]
    mem_sizes_gb: tuple[int, ...]
    least_days: int
    stale_after_days: int
    idle_redundancy_pct: int


@dataclass(frozen=True, slots=True)
class RightSize:
    """The present size and the proposed one, both over all servers; None where it is not known or nothing can be
    proposed. `reasons` tell what the numbers rest on."""

    vcpu: int | None
    mem_gb: int | None
    proposed_vcpu: int | None
    proposed_mem_gb: int | None
    confidence: Confidence
    reasons: tuple[Pair, ...]

    @property
    def vcpu_saved(self) -> int:
        """Negative when the system is too small."""
        return 0 if self.vcpu is None or self.proposed_vcpu is None else self.vcpu - self.proposed_vcpu

    def is_idle(self, terms: SizingTerms) -> bool:
        """True when it is known, with more than low confidence, that most of the vCPU is not needed."""
        if not self.vcpu or self.confidence in (Confidence.NONE, Confidence.LOW):
            return False
        return self.vcpu_saved * 100 > terms.idle_redundancy_pct * self.vcpu

    @property
    def mem_gb_saved(self) -> int:
        return 0 if self.mem_gb is None or self.proposed_mem_gb is None else self.mem_gb - self.proposed_mem_gb


def right_size(system: System, measurement: Measurement | None, terms: SizingTerms, day: date) -> RightSize:
    """The proposal for one system on that day. The system is taken to be spread evenly over its servers."""
    mem = None if system.mem_gb is None else int(system.mem_gb)
    confidence, reasons = _confidence(measurement, terms, day)
    if measurement is None or confidence is Confidence.NONE:
        return RightSize(system.vcpu, mem, None, None, confidence, reasons)
    servers = system.servers or 1
    cpu, cpu_reason = _need(system.vcpu, servers, measurement.cpu, terms, "vCPU")
    memory, memory_reason = _need(mem, servers, measurement.mem, terms, "GB")
    return RightSize(system.vcpu, mem, cpu, memory, confidence, (*reasons, cpu_reason, memory_reason))


def _need(
    size: int | None, servers: int, spread: Spread | None, terms: SizingTerms, unit: str
) -> tuple[int | None, Pair]:
    if size is None or spread is None:
        missing = ("规格", "the size") if size is None else ("利用率数据", "its utilisation")
        return None, (f"{unit}：缺少{missing[0]}，不建议", f"{unit}: {missing[1]} is unknown; nothing proposed")
    used = {50: spread.p50, 95: spread.p95, 99: spread.p99}[terms.percentile]
    # In hundredths of percent, so that 27.5 % stays exact.
    need = -(-size * round(used * 100) * terms.comfort_pct // (100 * 100 * 100))
    sizes = terms.vcpu_sizes if unit == "vCPU" else terms.mem_sizes_gb
    per_server = _next_size(-(-need // servers), sizes)
    total = per_server * servers
    factor = terms.comfort_pct / 100
    return total, (
        f"{unit}：现 {size}，p{terms.percentile} {used:g}%×{factor:g} 需 {need}，{servers} 台各 {per_server}，共 {total}",
        f"{unit}: {size} now; p{terms.percentile} {used:g}% x {factor:g} needs {need}; {servers} x {per_server} = {total}",
    )


def _next_size(need: int, sizes: Sequence[int]) -> int:
    """The least size that is enough; beyond the largest, whole multiples of it."""
    largest = sizes[-1]
    return next((size for size in sizes if size >= need), -(-need // largest) * largest)


def _confidence(
    measurement: Measurement | None, terms: SizingTerms, day: date
) -> tuple[Confidence, tuple[Pair, ...]]:
    if measurement is None:
        return Confidence.NONE, (("没有利用率数据，维持现规格", "nothing was measured; keep the size"),)
    # The thinner of the two metrics says how far both may be trusted.
    thinnest = min((one.days for one in (measurement.cpu, measurement.mem) if one is not None), default=0)
    found = coverage_of(thinnest, measurement.window_days)
    share = round(thinnest * 100 / measurement.window_days, 1)
    said = (
        f"{measurement.first_day} 至 {measurement.last_day}，数据覆盖 {share:g}%（{found}）",
        f"{measurement.first_day} to {measurement.last_day}, coverage {share:g}% ({found})",
    )
    if found in (Coverage.NONE, Coverage.THIN):
        return Confidence.NONE, (said, ("数据太少，维持现规格", "too little data; keep the size"))
    if (day - measurement.last_day).days > terms.stale_after_days:
        return Confidence.LOW, (said, ("数据已陈旧，请重新采集", "the data is old; measure again"))
    if found is Coverage.PARTIAL or measurement.window_days < terms.least_days:
        return Confidence.LOW, (said,)
    if not (measurement.cpu_is_peak and measurement.mem_is_peak):
        return Confidence.MEDIUM, (
            said,
            ("只有日平均值，峰值可能更高", "daily averages only; peaks may be higher"),
        )
    return (Confidence.HIGH if found is Coverage.FULL else Confidence.MEDIUM), (said,)

"""Go or no-go (割接决策): computed from evidence, each criterion with its line on the sheet. Pure.

The step `go_no_go` of a runbook calls this right before the cutover touches the service; the sheet becomes the
evidence that the commander signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.core.migration.decisions import last_moment_ms
from scheduler.core.migration.run import MigrationRun

OVERRUN_EVIDENCE = "window_overrun_pct"
"""The chance in percent that the run's window is overrun, by the plan's forecast: `{"value": .., "at_most": ..}`."""
_OVERRUN = "窗口超时概率 / chance of overrunning the window"


@dataclass(frozen=True, slots=True)
class Criterion:
    """`evidence` must be there; where `at_most` is given, its value must be a number not above it."""

    evidence: str
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the sheet: what was asked, what was found ("中文 / English"), and whether it allows to go."""

    criterion: str
    found: str
    holds: bool


def go_no_go(run: MigrationRun, criteria: Sequence[Criterion], now_ms: int) -> tuple[Line, ...]:
    """The sheet: the criteria, then whether the rehearsed cutover and its rollback still fit into the window, then the
    forecast's chance of overrunning it.

    The answer is "go" when every line holds.
    """
    lines = [_judged(run, criterion) for criterion in criteria]
    rehearsed = run.evidence.get("rehearsal_ms", {}).get("value")
    if rehearsed is not None:
        left_ms = last_moment_ms(run) - now_ms
        lines.append(
            Line(
                "窗口放得下割接与回退 / the window holds cutover and rollback",
                f"演练用时 / rehearsed {int(rehearsed)} ms, 剩余 / left {left_ms} ms",
                left_ms >= int(rehearsed),
            )
        )
    overrun = run.evidence.get(OVERRUN_EVIDENCE)
    if overrun is not None:
        lines.append(_overrun(int(overrun["value"]), overrun["at_most"]))
    return tuple(lines)


def _overrun(percent: int, at_most: float | None) -> Line:
    """From durations learned of cutovers that were done. Where the plan sets no limit, it is told and does not decide."""
    if at_most is None:
        return Line(_OVERRUN, f"{percent}%, 计划未设上限 / the plan sets no limit", holds=True)
    return Line(f"{_OVERRUN} ≤ {at_most:g}%", f"{percent}%", holds=percent <= at_most)


def _judged(run: MigrationRun, criterion: Criterion) -> Line:
    found = run.evidence.get(criterion.evidence)
    if found is None:
        return Line(criterion.evidence, "缺失 / missing", holds=False)
    if criterion.at_most is None:
        return Line(criterion.evidence, "已具备 / present", holds=True)
    value = found.get("value")
    asked = f"{criterion.evidence} ≤ {criterion.at_most}"
    if not isinstance(value, int):
        return Line(asked, "没有数值 / it holds no number", holds=False)
    return Line(asked, str(value), holds=value <= criterion.at_most)

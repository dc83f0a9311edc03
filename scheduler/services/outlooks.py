"""What the control plane answers about the future of a workload: its start as an interval, and what would start it now.

Part of the port `scheduler.services.ports.Scheduling`; the wording for people is here, so that gateways and the command line
say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from scheduler.forecast.counterfactuals import Counterfactual
from scheduler.forecast.forecast import StartForecast

_CHINA = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Outlook:
    """`forecast` None: there is nothing to estimate (it runs, it has ended, it waits for others, or is resting)."""

    forecast: StartForecast | None = None
    counterfactuals: tuple[Counterfactual, ...] = ()


@dataclass(frozen=True, slots=True)
class Warned:
    """Something to know about a workload that was accepted all the same."""

    code: str
    message_zh: str
    message_en: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """A run that would be preempted."""

    run_id: str
    workload_id: str
    pool_id: str
    queue: str


def summary(said: StartForecast) -> tuple[str, str]:
    """One line each in Chinese and English."""
    if said.not_started == said.futures:
        return (
            f"推演 {said.futures} 次，没有一次能在 30 天内开始",
            f"in none of the futures that were run ({said.futures}) does it start within 30 days",
        )
    if said.latest_ms is None:
        text_zh = (
            f"{said.futures} 次推演中 {said.not_started} 次在 30 天内未能开始；最早约 {_clock(said.earliest_ms)}"
        )
        text_en = (
            f"in {said.not_started} of {said.futures} futures it does not start within 30 days; "
            f"not before about {_clock(said.earliest_ms)}"
        )
        return text_zh, text_en
    pool_zh, pool_en = (
        (f"，多半在 {said.pool_id}", f", most likely in {said.pool_id}") if said.pool_id else ("", "")
    )
    if said.futures == 1:
        # One future is no interval.
        about = _clock(said.earliest_ms)
        kind_zh, kind_en = ("", "") if said.newcomers else ("，不计后来者", ", in which nobody else comes")
        return (
            f"预计约 {about} 开始（只来得及推演一次{kind_zh}）{pool_zh}",
            f"starts about {about} (one future{kind_en}){pool_en}",
        )
    part = round(100 * said.probability)
    text_zh = f"预计 {_clock(said.earliest_ms)} 至 {_clock(said.latest_ms)} 之间开始（{part}%）{pool_zh}"
    text_en = f"starts between {_clock(said.earliest_ms)} and {_clock(said.latest_ms)} ({part} %){pool_en}"
    return text_zh, text_en


def deadline_warning(finish_by_ms: int, said: StartForecast | None, soonest_ms: int) -> Warned | None:
    """`soonest_ms` is when it would end if it started now. None where the deadline can be met as far as anybody knows."""
    due = _clock(finish_by_ms)
    if soonest_ms > finish_by_ms:
        return Warned(
            "deadline",
            f"期限 {due} 无法满足：即使现在开始，也要到 {_clock(soonest_ms)} 才能完成",
            f"the deadline {due} can't be met: if it started now, it would end at {_clock(soonest_ms)}",
        )
    if said is None or said.median_ms is None:
        return None
    finish_ms = said.finish_latest_ms
    if finish_ms is not None and finish_ms > finish_by_ms:
        first_ms = said.finish_earliest_ms or finish_ms
        likely = first_ms > finish_by_ms
        words = ("多半错过", "will probably be missed") if likely else ("可能错过", "may be missed")
        return Warned(
            "deadline",
            f"期限 {due} {words[0]}：预计 {_clock(first_ms)} 至 {_clock(finish_ms)} 之间完成",
            f"the deadline {due} {words[1]}: it is expected to end between {_clock(first_ms)} and {_clock(finish_ms)}",
        )
    return None


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(_CHINA).strftime("%m-%d %H:%M:%S")

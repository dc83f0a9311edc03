"""Measures of single jobs: waiting, bounded slowdown, makespan, deadlines. `measure` calls `job_measures`.

Jobs that fit nowhere are counted and left out; jobs submitted after the simulation ended are left out.
Jobs that did not start or finish count with what is certain, the time until the end of the simulation: a policy
that lets jobs starve must not look better for it. The counts of both stand beside the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulations.engine.outcome import Ending, Outcome

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SLOWDOWN_THRESHOLD_MS = 10_000  # jobs shorter than this count as this long
NEVER = -1
_LATEST = np.iinfo(np.int64).max
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True, eq=False)
class JobTimes:
    """Of every job of the trace: `first_start_ms` and `finished_ms` (int64, -1: never), and whether it counts."""

    first_start_ms: Int64s
    finished_ms: Int64s
    counts: Bools


def job_times(outcome: Outcome) -> JobTimes:
    jobs, runs = len(outcome.trace), outcome.runs
    first = np.full(jobs, _LATEST, dtype=np.int64)
    np.minimum.at(first, runs.job, runs.started_ms)
    first[first == _LATEST] = NEVER
    finished = np.full(jobs, NEVER, dtype=np.int64)
    done = runs.ending == Ending.FINISHED
    finished[runs.job[done]] = runs.ended_ms[done]
    counts = outcome.trace.submitted_ms <= outcome.ended_ms
    counts[outcome.unplaceable] = False
    return JobTimes(first, finished, counts)


def waiting_ms(outcome: Outcome, times: JobTimes) -> Int64s:
    """First start - submission of every job that counts; for one that never started, end of the simulation -
    submission (a lower bound)."""
    until = np.where(times.first_start_ms == NEVER, outcome.ended_ms, times.first_start_ms)
    return (until - outcome.trace.submitted_ms)[times.counts]


def bounded_slowdown(outcome: Outcome, times: JobTimes) -> Floats:
    """max(1, (finished - submitted) / max(runtime, 10 s)) of every job that counts; for one that is not finished,
    with the end of the simulation (a lower bound). Time lost to preemption and failures is in it.

    Source: Feitelson and Rudolph, "Metrics and benchmarking for parallel job scheduling", JSSPP 1998.
    """
    until = np.where(times.finished_ms == NEVER, outcome.ended_ms, times.finished_ms)
    response = (until - outcome.trace.submitted_ms)[times.counts]
    runtime = outcome.trace.runtime_ms[times.counts]
    return np.maximum(1.0, response / np.maximum(runtime, SLOWDOWN_THRESHOLD_MS))


def missed_deadlines(outcome: Outcome, times: JobTimes) -> tuple[int, int]:
    """(missed, decided) among the jobs with a deadline. A job misses it by finishing after it, or by not being
    finished when the simulation ends after it; it is undecided while neither is known."""
    deadline = outcome.trace.deadline_ms
    has_one = (deadline > 0) & times.counts
    late = np.where(times.finished_ms == NEVER, outcome.ended_ms, times.finished_ms) > deadline
    undecided = (times.finished_ms == NEVER) & (outcome.ended_ms <= deadline)
    return int((has_one & late & ~undecided).sum()), int((has_one & ~undecided).sum())


def job_measures(outcome: Outcome, times: JobTimes) -> dict[str, float]:
    """The metrics of `definitions` that speak of jobs."""
    counted = int(times.counts.sum())
    found = {
        "jobs": float(counted),
        "jobs_unplaceable": float(len(outcome.unplaceable)),
        "jobs_unstarted": float((times.counts & (times.first_start_ms == NEVER)).sum()),
        "jobs_unfinished": float((times.counts & (times.finished_ms == NEVER)).sum()),
    }
    if not counted:
        return found
    found |= spread("wait", waiting_ms(outcome, times) / 1000)
    found |= spread("slowdown", bounded_slowdown(outcome, times))
    if len(outcome.runs.job):
        first_arrival = int(outcome.trace.submitted_ms[times.counts][0])
        found["makespan"] = (int(outcome.runs.ended_ms.max()) - first_arrival) / 1000
    missed, decided = missed_deadlines(outcome, times)
    if decided:
        found["deadline_misses"] = float(missed)
        found["deadline_miss_rate"] = missed / decided
    return found


def spread(name: str, values: Floats) -> dict[str, float]:
    """Mean and percentiles of at least one value. The p-th percentile is the smallest value that at least p % of the
    values do not exceed (nearest rank, so it is always one of them)."""
    percentiles = np.percentile(values, PERCENTILES, method="inverted_cdf")
    return {f"{name}_mean": float(values.mean())} | {
        f"{name}_p{p}": float(value) for p, value in zip(PERCENTILES, percentiles, strict=True)
    }

"""Fairness between queues over time: the Jain index and the share deviation. Called by `measure`.

At each moment every queue has a dominant share (Ghodsi et al., DRF, NSDI 2011): the largest fraction, over the
resources, of what the pools then offer that its runs hold. Its fair share is what it would get if the *same sum* of
shares were divided by weighted max-min among the queues, none getting more than it demands (its waiting and running
jobs together). A work-conserving policy is so not blamed for queues that ask for little, nor for a full cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulations.engine.outcome import DIMENSIONS, Outcome
from simulations.metrics.jobs import NEVER, JobTimes
from simulations.metrics.moments import COUNT, Moments
from simulations.metrics.usage import NAMED, Usage, vector

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Dominant shares by queue and moment (q, COUNT): held, demanded, and the fair division of what is held."""

    held: Floats
    demanded: Floats
    fair: Floats

    @property
    def contested(self) -> Bools:
        """Moments (COUNT) at which something is held and at least two queues ask."""
        held: Bools = self.held.sum(axis=0) > 0
        both: Bools = held & ((self.demanded > 0).sum(axis=0) >= 2)
        return both


def water_fill(demanded: Floats, weights: Floats, budget: Floats) -> Floats:
    """Weighted max-min: the division (q, k) of `budget` (k) in which queue i gets min(demanded, level x weight), with
    one level for all at each moment. Where all demands together are below the budget, each gets its demand."""
    ratio = demanded / weights[:, None]
    order = np.argsort(ratio, axis=0, kind="stable")
    sorted_demand = np.take_along_axis(demanded, order, axis=0)
    sorted_weight = weights[order]
    given_before = np.cumsum(sorted_demand, axis=0) - sorted_demand
    weight_left = np.cumsum(sorted_weight[::-1], axis=0)[::-1]
    # The level if the queues before i are satisfied and the others share the rest; the first that is at most its
    # own ratio is the level of the moment.
    levels = (budget - given_before) / weight_left
    fits = levels <= np.take_along_axis(ratio, order, axis=0)
    first = np.argmax(fits, axis=0)
    level = np.where(fits.any(axis=0), np.take_along_axis(levels, first[None], axis=0)[0], np.inf)
    return np.minimum(demanded, np.maximum(level, 0.0) * weights[:, None])


def queue_shares(outcome: Outcome, used: Usage, times: JobTimes, offered: Floats, moments: Moments) -> Shares:
    """`offered` (4, COUNT): what all pools offer at each moment."""
    trace, queues = outcome.trace, len(outcome.trace.queues)
    running_queue = trace.queue[outcome.runs.job]
    gone = np.where(times.finished_ms == NEVER, outcome.ended_ms, times.finished_ms)[times.counts]
    come, queue = trace.submitted_ms[times.counts], trace.queue[times.counts]
    asked = np.array([vector(shape.total) for shape in trace.shapes], dtype=np.int64)
    asked = asked.reshape(-1, DIMENSIONS)[trace.shape[times.counts]]
    held, demanded = np.zeros((queues, COUNT)), np.zeros((queues, COUNT))
    for i in NAMED.values():
        capacity = np.where(offered[i] > 0, offered[i], np.inf)
        runs = moments.covered_by_row(
            outcome.runs.started_ms, outcome.runs.ended_ms, used.need[:, i], running_queue, queues
        )
        jobs = moments.covered_by_row(come, gone, asked[:, i], queue, queues)
        held = np.maximum(held, runs / capacity)
        demanded = np.maximum(demanded, np.maximum(jobs, runs) / capacity)
    weights = np.array(outcome.weights, dtype=np.float64)
    return Shares(held, demanded, water_fill(demanded, weights, held.sum(axis=0)))


def jain_index(shares: Shares) -> Floats:
    """At each contested moment (sum x)^2 / (n sum x^2) over the n queues that ask, with x = held / fair: 1 when
    all are served alike, 1/n when one has everything. Source: Jain, Chiu, Hawe, DEC-TR-301, 1984."""
    asks = shares.demanded[:, shares.contested] > 0
    fair = np.where(asks, shares.fair[:, shares.contested], 1.0)
    x = np.where(asks, shares.held[:, shares.contested] / fair, 0.0)
    return np.asarray(x.sum(axis=0) ** 2 / (asks.sum(axis=0) * (x**2).sum(axis=0)))


def share_deviation(shares: Shares) -> Floats:
    """At each moment half the sum of |held - fair| over the queues, as a part of all that is held: how much of what
    runs would have to change hands (0: none, towards 1: all). 0 where nothing is held."""
    total = shares.held.sum(axis=0)
    wrong = np.abs(shares.held - shares.fair).sum(axis=0) / 2
    part: Floats = np.divide(wrong, total, out=np.zeros(COUNT), where=total > 0)
    return part


def fairness_measures(shares: Shares) -> dict[str, float]:
    """Means over the contested moments; empty where there is none."""
    contested = shares.contested
    if not contested.any():
        return {}
    return {
        "jain": float(jain_index(shares).mean()),
        "share_deviation": float(share_deviation(shares)[contested].mean()),
    }

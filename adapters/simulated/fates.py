"""What will become of a simulated run: decided once, when it is launched, by the profile, the seed and the run id.

A fate is all that must be kept of a run: after a restart the pool goes on from the fates alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist
from typing import NamedTuple

from adapters.contract import Launch, task_load
from inventory.model.units import Resources
from inventory.model.workload import RunState

_STANDARD_NORMAL = NormalDist()
_SCALE = 2.0**64


@dataclass(frozen=True, slots=True)
class Profile:
    """How a simulated pool behaves. Durations are simulated; `speed` of them pass in one real millisecond.

    `launch_latency_ms`: from the launch to the start. `typical_runtime_ms`: the median running time of runs
    without an estimate, log-normal with standard deviation `runtime_spread` of the logarithm; an estimate is
    taken exactly. `failure_probability`: how likely a run ends early, with exit code 1.
    """

    launch_latency_ms: int = 1000
    typical_runtime_ms: int = 60_000
    runtime_spread: float = 0.5
    failure_probability: float = 0.0
    speed: float = 1.0


class Fate(NamedTuple):
    """The whole course of one run. It starts at `starts_ms` unless it ends before; it ends at `ends_ms`.

    A tuple, because it is made for every launch: a frozen dataclass takes four times as long to make.
    `load` is the need of one task on its node; `disk_bytes` that of all tasks, from the shared storage. Without
    nodes it is a tombstone: a run that was stopped before it was launched.
    """

    run_id: str
    nodes: tuple[str, ...]
    load: Resources
    disk_bytes: int
    starts_ms: int
    ends_ms: int
    outcome: RunState
    exit_code: int | None = None
    message: str = ""

    @property
    def is_tombstone(self) -> bool:
        return not self.nodes

    @property
    def ever_starts(self) -> bool:
        return self.starts_ms <= self.ends_ms and not self.is_tombstone


def draw_fate(launch: Launch, profile: Profile, seed: int, now_ms: int) -> Fate:
    """The fate of a run that is launched at `now_ms`. Same profile, seed and launch: same fate."""
    if launch.estimated_ms and not profile.failure_probability:
        failing, runtime = 1.0, float(launch.estimated_ms)  # nothing is left to chance
    else:
        failing, how_long = _draws(seed, launch.run_id)
        runtime = float(launch.estimated_ms) or _drawn_runtime(profile, how_long)
    outcome, exit_code, message = RunState.SUCCEEDED, 0, ""
    if failing < profile.failure_probability:
        # The same draw, stretched to 0..1, says how far the run comes: a third independent draw is not needed.
        runtime *= failing / profile.failure_probability
        outcome, exit_code, message = RunState.FAILED, 1, "模拟故障 / simulated failure"
    if 0 < launch.max_runtime_ms < runtime:
        runtime = float(launch.max_runtime_ms)
        outcome, exit_code = RunState.FAILED, 143
        message = (
            f"运行超过 max_runtime {launch.max_runtime_ms} ms，已停止 / "
            f"ran longer than max_runtime, {launch.max_runtime_ms} ms, and was stopped"
        )
    need = launch.requirements.per_task
    starts_ms = now_ms + math.ceil(profile.launch_latency_ms / profile.speed)
    return Fate(
        launch.run_id,
        launch.nodes,
        task_load(launch) if need.disk_bytes else need,
        need.disk_bytes * launch.requirements.tasks,
        starts_ms,
        starts_ms + math.ceil(runtime / profile.speed),
        outcome,
        exit_code,
        message,
    )


def tombstone(run_id: str, now_ms: int) -> Fate:
    """A run that was stopped before it was launched: a launch that comes late is refused."""
    return Fate(
        run_id=run_id,
        nodes=(),
        load=Resources(),
        disk_bytes=0,
        starts_ms=now_ms,
        ends_ms=now_ms,
        outcome=RunState.STOPPED,
        message="启动前已停止 / stopped before it was launched",
    )


def _drawn_runtime(profile: Profile, draw: float) -> float:
    deviations = _STANDARD_NORMAL.inv_cdf(min(max(draw, 1e-9), 1 - 1e-9))
    return profile.typical_runtime_ms * math.exp(profile.runtime_spread * deviations)


def _draws(seed: int, run_id: str) -> tuple[float, float]:
    """Two independent numbers in [0, 1), fixed by seed and run id: order and restarts do not change them."""
    digest = blake2b(f"{seed}/{run_id}".encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big") / _SCALE, int.from_bytes(digest[8:], "big") / _SCALE

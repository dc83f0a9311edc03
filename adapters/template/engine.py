"""The system that is adapted. REPLACE `ToyEngine` by calls to yours; everything around it stays as it is.

Your system needs four things: to start a job under a name that we choose, to end it by that name, to tell all jobs
with their states, and to tell its nodes. Kubernetes, Slurm, Ray and clouds all have them.

The toy keeps its jobs in a file, as a cluster keeps them in its own database: it goes on when the adapter dies.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapters.contract import Launch
from inventory.model.pool import Node, Pool
from inventory.model.units import Resources
from inventory.model.workload import RunState


class EngineFull(Exception):
    """There is no room for this job on its node: the scheduler places it anew."""


class NoSuchNode(Exception):
    """The job names a node that is not there: the scheduler lists the nodes anew."""


class EngineUnavailable(Exception):
    """The system cannot be asked now: the scheduler repeats. Raise it for every error of your client library."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job as the system tells it. Times are UTC milliseconds; `message` says why it failed."""

    state: RunState
    started_ms: int | None = None
    ended_ms: int | None = None
    exit_code: int | None = None
    message: str = ""


class Engine(Protocol):
    """What the backend asks of a system. Every method may raise EngineUnavailable."""

    async def submit(self, launch: Launch) -> None:
        """Starts a job named `launch.run_id`. Where a job of this name is there already, nothing happens.

        Raises EngineFull and NoSuchNode.
        """

    async def cancel(self, run_id: str, grace_ms: int) -> None:
        """Ends a job, by force after `grace_ms`. One that has ended, or is not there, is no error."""

    async def jobs(self) -> Mapping[str, Job]:
        """Every job of ours that the system knows, by run id."""

    async def nodes(self) -> list[Node]:
        """Every node that runs may be put on, in a stable order."""


class ToyEngine:
    """A cluster that only pretends: each job takes its estimate and succeeds."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self._path = folder / "toy-cluster.json"
        self._nodes = {
            f"{group.group}-{number + 1}": Node(
                f"{group.group}-{number + 1}", group.arch, group.capacity, group.accelerator
            )
            for group in pool.node_groups
            for number in range(group.nodes)
        }
        self._jobs: dict[str, dict[str, object]] = {}
        if self._path.exists():
            self._jobs = json.loads(self._path.read_text(encoding="utf-8"))

    async def submit(self, launch: Launch) -> None:
        if launch.run_id in self._jobs:
            return
        need = launch.requirements.per_task
        for node_id in set(launch.nodes):
            if node_id not in self._nodes:
                raise NoSuchNode(node_id)
            if not (need * launch.nodes.count(node_id)).fits_in(self._free(node_id)):
                raise EngineFull(node_id)
        now_ms = _now_ms()
        lasts_ms = launch.estimated_ms or 60_000
        limited = 0 < launch.max_runtime_ms < lasts_ms
        self._jobs[launch.run_id] = {
            "nodes": list(launch.nodes),
            "need": [need.cpu_milli, need.memory_bytes, 0, need.accelerator_milli],
            "starts": now_ms + 20,
            "ends": now_ms + 20 + (launch.max_runtime_ms if limited else lasts_ms),
            "ending": "failed" if limited else "succeeded",
        }
        self._save()

    async def cancel(self, run_id: str, grace_ms: int) -> None:
        job = self._jobs.get(run_id)
        if job is not None and self._tell(job).ended_ms is None:
            job["ends"], job["ending"] = _now_ms(), "stopped"
            self._save()

    async def jobs(self) -> Mapping[str, Job]:
        return {run_id: self._tell(job) for run_id, job in self._jobs.items()}

    async def nodes(self) -> list[Node]:
        return list(self._nodes.values())

    def _free(self, node_id: str) -> Resources:
        free = self._nodes[node_id].allocatable
        for job in self._jobs.values():
            nodes = job["nodes"]
            need = job["need"]
            if isinstance(nodes, list) and isinstance(need, list) and self._tell(job).ended_ms is None:
                free = free - Resources(*need) * nodes.count(node_id)
        return free

    def _tell(self, job: Mapping[str, object]) -> Job:
        now_ms, starts_ms, ends_ms = _now_ms(), int(str(job["starts"])), int(str(job["ends"]))
        if now_ms < min(starts_ms, ends_ms):
            return Job(RunState.STARTING)
        if now_ms < ends_ms:
            return Job(RunState.RUNNING, starts_ms)
        state = RunState(str(job["ending"]))
        message = {"failed": "超过 max_runtime / exceeded max_runtime", "stopped": "按要求停止 / stopped as asked"}
        code = {"succeeded": 0, "failed": 143}.get(state.value)
        started_ms = starts_ms if starts_ms <= ends_ms else None
        return Job(state, started_ms, ends_ms, code, message.get(state.value, ""))

    def _save(self) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(self._jobs), encoding="utf-8")
        draft.replace(self._path)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

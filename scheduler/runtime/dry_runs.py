"""What a submission would become if it were accepted: the workloads of a dry run, under ids that no real one has.

`scheduler.runtime.outlooks` asks the planner about them and answers with what is counted here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice

from inventory.model.placement import Placement
from inventory.model.pool import Pool
from inventory.model.workload import Submission, Workload, WorkloadState
from scheduler.core.arrays import elements
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.scores.energy import added_milliwatts
from scheduler.services.ports import ArrayPlacement


@dataclass(frozen=True, slots=True)
class Asked:
    """One submission of a dry run. `in_turn` are the workloads that would ask for a place at once: itself, or of a job
    array the elements whose turn it is."""

    workload: Workload
    in_turn: tuple[Workload, ...]

    @property
    def count(self) -> int:
        """How many there are in all, those that wait for their turn too."""
        return 1 if self.workload.array is None else self.workload.array.count

    def placed(self, placements: Mapping[str, Placement]) -> tuple[Placement, ...]:
        return tuple(placements[one.workload_id] for one in self.in_turn if one.workload_id in placements)

    def first_waiting(self, placements: Mapping[str, Placement]) -> Workload | None:
        """The first whose turn it is and for which there is no room."""
        return next((one for one in self.in_turn if one.workload_id not in placements), None)

    def elements(self, placed: Sequence[Placement]) -> ArrayPlacement | None:
        """Where the elements of an array would go; None for one workload."""
        if self.workload.array is None:
            return None
        pools = Counter(placement.pool_id for placement in placed)
        waiting = len(self.in_turn) - len(placed)
        return ArrayPlacement(tuple(pools.items()), waiting, self.count - len(self.in_turn))

    def in_pools(self, placed: Sequence[Placement], otherwise: str) -> Mapping[str, int]:
        """How many would run in each pool, those that find no place now in the pool `otherwise`."""
        pools = Counter(placement.pool_id for placement in placed)
        pools[otherwise] += self.count - len(placed)
        return +pools


def asked_for(submission: Submission, number: int, now_ms: int) -> Asked:
    workload = as_workload(submission, number, now_ms)
    if workload.array is None:
        return Asked(workload, (workload,))
    ids = (f"{workload.workload_id}[{index}]" for index in count())
    parallel = workload.array.max_parallel or workload.array.count
    return Asked(workload, tuple(islice(elements(workload, ids.__next__), parallel)))


def as_workload(submission: Submission, number: int, now_ms: int) -> Workload:
    """The workload that a submission would become, under an id that no real one has."""
    fields = {name: getattr(submission, name) for name in Submission.__dataclass_fields__}
    return Workload(**fields, workload_id=f"dry-run-{number}", submitted_ms=now_ms, state=WorkloadState.QUEUED)


def cost_cny(pool: Pool, submission: Submission) -> float:
    """Price of the estimated running time at list prices; 0 without an estimate."""
    need, hours = submission.requirements.total, submission.estimated_ms / 3_600_000
    cards = need.accelerator_milli / 1000 * (pool.card_hour_cny or 0.0)
    return hours * (need.cpu_milli / 1000 * pool.vcpu_hour_cny + cards)


def carbon_g(view: PoolView, workload: Workload) -> float | None:
    """Grams of CO2 of the estimated running time: the power that it adds, by the grid of the pool, green power aside."""
    milliwatts, grid = added_milliwatts(Shape.of(workload), view), view.pool.carbon_g_kwh
    if milliwatts is None or grid is None or not workload.estimated_ms:
        return None
    kwh = milliwatts / 1e6 * workload.estimated_ms / 3_600_000
    return kwh * grid * (1 - view.pool.green_share)

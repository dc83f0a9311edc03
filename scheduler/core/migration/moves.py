"""What a wave moves, group by group, and how far each move is. Pure values.

`scheduler.services.migration_desk` takes them from the plan and the ledger, `scheduler.runbooks.wave_orders` makes
orders of them, the event that opens a run keeps them (`plan_document`), and `scheduler.store.wave_runs` reads them
back: so a plan knows its runs, and no table repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from inventory.model.calendar import Window
from inventory.model.system import Architecture, Disposition
from inventory.model.units import Resources


@dataclass(frozen=True, slots=True)
class Move:
    """One system of a wave. `plan_key` names it in the plan, `system_key` in the ledger; `merged_into` is the ledger's
    key of the system that it is consolidated into (empty: none). `need` is what all of it needs in `pool_id`."""

    plan_key: str
    system_key: str
    disposition: Disposition | None
    merged_into: str
    pool_id: str
    architecture: Architecture
    need: Resources


@dataclass(frozen=True, slots=True)
class WaveMoves:
    """The systems of one wave that no run moves yet, by move group. `run_ids` are the wave's runs so far. `overrun_pct`
    is by group the chance that its window is overrun (missing: nothing is known of durations), and `overrun_limit_pct`
    what the plan's options allow (None: they say nothing)."""

    plan_id: str
    number: int
    window: Window
    groups: Mapping[str, tuple[Move, ...]]
    run_ids: tuple[str, ...] = ()
    overrun_pct: Mapping[str, int] = field(default_factory=dict)
    overrun_limit_pct: float | None = None

    def overrun_of(self, members: Sequence[Move]) -> dict[str, Any] | None:
        """The evidence for the go/no-go sheet of the run that moves these members; None where nothing is known."""
        for group, moves in self.groups.items():
            if group in self.overrun_pct and any(move in moves for move in members):
                return {"value": self.overrun_pct[group], "at_most": self.overrun_limit_pct}
        return None


class MoveState(StrEnum):
    """How far the run of a system is: until its commit point, past it, or undone."""

    MOVING = "moving"
    MOVED = "moved"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class RecordedMove:
    """A system that a run was opened for, under a plan."""

    plan_id: str
    wave: int
    run_id: str
    plan_key: str
    pool_id: str
    architecture: Architecture
    need: Resources
    state: MoveState


def plan_document(moves: WaveMoves, members: Sequence[Move]) -> dict[str, Any]:
    """What the event that opens a run says of the plan behind it."""
    return {
        "plan_id": moves.plan_id,
        "wave": moves.number,
        "moves": [
            {
                "plan_key": move.plan_key,
                "pool_id": move.pool_id,
                "architecture": move.architecture.value,
                "cpu_milli": move.need.cpu_milli,
                "memory_bytes": move.need.memory_bytes,
                "disk_bytes": move.need.disk_bytes,
                "accelerator_milli": move.need.accelerator_milli,
            }
            for move in members
        ],
    }


def recorded_moves(run_id: str, plan: Mapping[str, Any], state: MoveState) -> tuple[RecordedMove, ...]:
    """The moves of `plan_document`, read back."""
    return tuple(
        RecordedMove(
            plan_id=plan["plan_id"],
            wave=plan["wave"],
            run_id=run_id,
            plan_key=one["plan_key"],
            pool_id=one["pool_id"],
            architecture=Architecture(one["architecture"]),
            need=Resources(
                cpu_milli=one["cpu_milli"],
                memory_bytes=one["memory_bytes"],
                disk_bytes=one["disk_bytes"],
                accelerator_milli=one["accelerator_milli"],
            ),
            state=state,
        )
        for one in plan["moves"]
    )

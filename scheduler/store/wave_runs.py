"""Which runs move which systems under which wave plan, read from the chain.

The migration desk asks this: what is under way, what was moved, and what it takes in its pool. Only the few events
that begin and end a run are read, not its steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inventory.store.event_store import PAGE, Store
from scheduler.core.migration.moves import MoveState, RecordedMove, recorded_moves
from scheduler.core.migration.run import ChangeKind

_KINDS = tuple(kind.value for kind in (ChangeKind.OPENED, ChangeKind.COMMITTED, ChangeKind.ROLLED_BACK))


def wave_runs(store: Store) -> tuple[RecordedMove, ...]:
    """Every move under any plan, oldest run first."""
    plans: dict[str, Mapping[str, Any]] = {}
    states: dict[str, MoveState] = {}
    seq = 0
    while events := store.read(seq, PAGE, kinds=_KINDS):
        for event in events:
            match ChangeKind(event.kind):
                case ChangeKind.OPENED if "plan" in event.payload:
                    plans[event.subject] = event.payload["plan"]
                    states[event.subject] = MoveState.MOVING
                case ChangeKind.COMMITTED:
                    states[event.subject] = MoveState.MOVED
                case ChangeKind.ROLLED_BACK:
                    states[event.subject] = MoveState.ROLLED_BACK
        seq = events[-1].seq
    return tuple(move for run_id, plan in plans.items() for move in recorded_moves(run_id, plan, states[run_id]))


def newest_moves(store: Store, plan_id: str) -> Mapping[str, RecordedMove]:
    """The newest move of each system under one plan, by the key that the plan uses."""
    return {move.plan_key: move for move in wave_runs(store) if move.plan_id == plan_id}

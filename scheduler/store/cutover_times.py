"""How long cutovers really took, read from the chain: what the planner learns durations from.

The migration desk asks this. A cutover lasts from the first step of the cutover phase that does something until the last
step of verification has ended, waiting at gates excluded from its start; only runs past their commit point count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inventory.store.event_store import PAGE, Store
from scheduler.core.migration.phases import Phase
from scheduler.core.migration.run import ChangeKind

_KINDS = (ChangeKind.OPENED, ChangeKind.STEP_STARTED, ChangeKind.STEP_ENDED, ChangeKind.COMMITTED)
_IN_WINDOW = frozenset({Phase.CUTOVER.value, Phase.VERIFICATION.value})
_GATES = frozenset({"window", "approval", "go_no_go"})


@dataclass(frozen=True, slots=True)
class CutoverTime:
    """A committed run: the plan behind it (empty: none), its systems by the plan's keys (or the run's own), minutes."""

    run_id: str
    plan_id: str
    systems: tuple[str, ...]
    minutes: float


def cutover_times(store: Store) -> tuple[CutoverTime, ...]:
    """Oldest run first. A run that committed without a timed step in its window tells nothing, and is left out."""
    openings: dict[str, Mapping[str, Any]] = {}
    steps: dict[str, frozenset[str]] = {}
    spans: dict[str, tuple[int, int]] = {}
    committed: list[str] = []
    seq = 0
    while events := store.read(seq, PAGE, kinds=tuple(kind.value for kind in _KINDS)):
        for event in events:
            run_id, said = event.subject, event.payload
            if event.kind == ChangeKind.OPENED:
                openings[run_id], steps[run_id] = said, _timed(said)
            elif event.kind == ChangeKind.COMMITTED:
                committed.append(run_id)
            elif str(said["step"]) in steps.get(run_id, frozenset()) and run_id not in committed:
                first, last = spans.get(run_id, (event.recorded_ms, event.recorded_ms))
                spans[run_id] = (min(first, event.recorded_ms), max(last, event.recorded_ms))
        seq = events[-1].seq
    return tuple(
        CutoverTime(run_id, *_planned(openings[run_id]), (spans[run_id][1] - spans[run_id][0]) / 60_000)
        for run_id in committed
        if run_id in spans and spans[run_id][0] < spans[run_id][1]
    )


def _timed(opening: Mapping[str, Any]) -> frozenset[str]:
    """The steps of the window that take time of their own."""
    return frozenset(
        str(step["id"])
        for step in opening["steps"]
        if step["phase"] in _IN_WINDOW and step["kind"] not in _GATES and not step["rehearses"]
    )


def _planned(opening: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    plan = opening.get("plan")
    if plan is None:
        return "", tuple(str(one["key"]) for one in opening["systems"])
    return str(plan["plan_id"]), tuple(str(one["plan_key"]) for one in plan["moves"])

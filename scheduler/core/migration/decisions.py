"""What a migration run does next. Pure: the run as recorded and the time go in, one decision comes out.

`scheduler.runbooks.driver` asks again after everything that it has done, on every start and at every moment that a
`Wait` names; so a decision may be taken twice, and what is recorded, never what is remembered, says what was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.core.migration.phases import WINDOW_PHASES, Phase, required_on_entry
from scheduler.core.migration.run import ChangeKind, MigrationRun, OverrunPolicy, Step
from scheduler.core.migration.transitions import MigrationState, StepState

_BEGUN = frozenset(StepState) - {StepState.PENDING}
_PASSED = frozenset({StepState.DONE, StepState.SKIPPED, StepState.COMPENSATED})
# Steps that decide whether the service is touched: while they run it is not.
_GATES = frozenset({"window", "approval", "go_no_go"})


@dataclass(frozen=True, slots=True)
class Execute:
    """Run this attempt of the step; `deadline_ms` (UTC) is when it must be given up, None: its own timeout only."""

    step_id: str
    attempt: int
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Compensate:
    """Undo the step."""

    step_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Record:
    """Nothing is to be done but to record a change; then ask again."""

    kind: ChangeKind
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing before `until_ms` (None: until somebody does something)."""

    until_ms: int | None


Decision = Execute | Compensate | Record | Wait


def decide(run: MigrationRun, now_ms: int) -> Decision:
    """What to do now. A run that is final waits for ever."""
    if run.state.is_final:
        return Wait(None)
    if run.state is MigrationState.ROLLBACK_HELD:
        return Wait(None)
    if run.state is MigrationState.ROLLING_BACK:
        return _undo(run, _to_undo(run)) or Record(ChangeKind.ROLLED_BACK, {})
    overrun = _overrun(run, now_ms)
    if isinstance(overrun, Record):
        return overrun
    if run.state in (MigrationState.PAUSED, MigrationState.HELD):
        return overrun
    return _forward(run, now_ms, overrun)


def in_window(run: MigrationRun) -> bool:
    """True from the first step that touches the service until the last step inside the window has passed."""
    inside = [run.of(step).state for step in run.steps if step.phase in WINDOW_PHASES]
    has_begun = any(
        run.of(step).state in _BEGUN
        for step in run.steps
        if step.phase in WINDOW_PHASES and step.kind not in _GATES
    )
    return has_begun and not all(state in _PASSED for state in inside)


def last_moment_ms(run: MigrationRun) -> int:
    """When a rollback must begin to end within the window."""
    rehearsed = run.evidence.get("rehearsed_rollback_ms", {}).get("value", 0)
    return run.window.ends_ms - max(run.policy.reserve_ms, int(rehearsed) * 3 // 2)


def due_warning(run: MigrationRun, now_ms: int) -> bool:
    """True when people must be told now that the window is about to be overrun. Asked while a step runs, too."""
    warn_ms = last_moment_ms(run) - run.policy.warn_before_ms
    return in_window(run) and not run.is_warned and not run.state.is_final and now_ms >= warn_ms


def _overrun(run: MigrationRun, now_ms: int) -> Record | Wait:
    """A warning or a rollback that is due, else until when neither is."""
    if not in_window(run) or run.is_committed:
        return Wait(None)
    last_ms = last_moment_ms(run)
    if due_warning(run, now_ms):
        return Record(ChangeKind.WARNED, {"last_moment_ms": last_ms, "now_ms": now_ms})
    if run.policy.on_overrun is OverrunPolicy.CONTINUE:
        return Wait(None if run.is_warned else last_ms - run.policy.warn_before_ms)
    if now_ms >= last_ms:
        reason = "割接窗口即将超时，按策略回退 / the window is about to be overrun: rolled back by policy"
        return Record(ChangeKind.ROLLBACK_BEGUN, {"reason": reason})
    return Wait(last_ms if run.is_warned else last_ms - run.policy.warn_before_ms)


def _forward(run: MigrationRun, now_ms: int, overrun: Wait) -> Decision:
    for phase in run.phases:
        steps = [step for step in run.steps if step.phase is phase]
        for step in steps:
            if run.of(step).state not in _PASSED:
                missing = [name for name in required_on_entry(phase, run.phases) if name not in run.evidence]
                if missing and run.of(step).state is StepState.PENDING:
                    return _hold(
                        f"{phase.rule.title}: 缺少进入条件 / entry evidence is missing: {', '.join(missing)}"
                    )
                return _begin(run, step, now_ms, overrun)
        if phase is Phase.REHEARSAL and not run.is_rehearsed:
            return _end_rehearsal(run, steps)
        missing = [name for name in phase.rule.exit if name not in run.evidence]
        if missing:
            return _hold(f"{phase.rule.title}: 缺少完成佐证 / exit evidence is missing: {', '.join(missing)}")
        if phase is run.policy.commit_point and not run.is_committed:
            return Record(ChangeKind.COMMITTED, {"phase": phase.value})
    return Record(ChangeKind.COMPLETED, {})


def _begin(run: MigrationRun, step: Step, now_ms: int, overrun: Wait) -> Decision:
    progress = run.of(step)
    if step.kind == "approval":
        return _wait_for(run, step, overrun.until_ms)
    if step.kind == "window" and now_ms < run.window.starts_ms:
        return _wait_for(run, step, run.window.starts_ms)
    is_bound = step.phase in WINDOW_PHASES and run.policy.on_overrun is OverrunPolicy.ROLL_BACK
    deadline = last_moment_ms(run) if is_bound and step.kind not in _GATES else None
    match progress.state:
        case StepState.PENDING:
            return Execute(step.step_id, progress.attempt + 1, deadline)
        case StepState.RUNNING:
            return Execute(step.step_id, progress.attempt, deadline)
        case StepState.FAILED if progress.tries < step.attempts:
            return Execute(step.step_id, progress.attempt + 1, deadline)
        case StepState.COMPENSATING | StepState.COMPENSATION_FAILED:
            return _undo(run, [step]) or _hold(progress.message)
        case _:
            return _failed(run, step, deadline)


def _failed(run: MigrationRun, step: Step, deadline_ms: int | None) -> Decision:
    progress = run.of(step)
    if progress.tries == 0:  # a person has asked for another attempt
        return Execute(step.step_id, progress.attempt + 1, deadline_ms)
    reason = f"{step.step_id}: {progress.message}"
    if in_window(run) and run.policy.roll_back_on_failure and not run.is_committed:
        return Record(ChangeKind.ROLLBACK_BEGUN, {"reason": reason})
    return _hold(reason)


def _wait_for(run: MigrationRun, step: Step, until_ms: int | None) -> Decision:
    if run.state is MigrationState.WAITING and run.waiting_for == step.step_id:
        return Wait(until_ms)
    return Record(ChangeKind.WAITING, {"for": step.step_id})


def _end_rehearsal(run: MigrationRun, steps: list[Step]) -> Decision:
    """The rehearsal ends with its rollback, and both are measured."""
    rehearsed = [step for step in steps if step.rehearses]
    undo = _undo(run, [step for step in reversed(rehearsed) if _may_undo(run, step)])
    if undo is not None:
        return undo
    times = [run.of(step) for step in rehearsed]
    forward_ms = sum(time.ended_ms - time.started_ms for time in times)
    back_ms = sum(time.compensation_ended_ms - time.compensation_started_ms for time in times)
    found = {"rehearsal_ms": {"value": forward_ms}, "rehearsed_rollback_ms": {"value": back_ms}}
    return Record(ChangeKind.REHEARSED, {"evidence": found})


def _to_undo(run: MigrationRun) -> list[Step]:
    return [step for step in reversed(run.steps) if _may_undo(run, step)]


def _may_undo(run: MigrationRun, step: Step) -> bool:
    """True for a step that may have left something behind and has not been undone."""
    progress = run.of(step)
    begun = progress.state not in (StepState.PENDING, StepState.COMPENSATED) and progress.attempt > 0
    return begun and step.compensation is not None


def _undo(run: MigrationRun, steps: list[Step]) -> Decision | None:
    """The next compensation of these steps, a hold where one has failed, None when all is undone."""
    for step in steps:
        progress = run.of(step)
        if progress.state is StepState.COMPENSATING:
            return Compensate(step.step_id, progress.compensation_attempt)
        if progress.state is StepState.COMPENSATION_FAILED and 0 < progress.tries >= step.attempts:
            return _hold(f"{step.step_id}: 回退失败 / its compensation failed: {progress.message}")
        return Compensate(step.step_id, progress.compensation_attempt + 1)
    return None


def _hold(reason: str) -> Record:
    return Record(ChangeKind.HELD, {"reason": reason})

"""One migration run (割接任务) as its recorded changes make it: the fold from events to the state of today.

A run is opened with its whole plan (the expanded steps of a runbook for one dependency group), and from then on
it is nothing but the sum of its changes: `fold` reads them in order and refuses what the transition tables do not
allow. `decisions` says what comes next; `scheduler.runbooks` does it and records the next change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from scheduler.core.migration.phases import Phase, Role
from scheduler.core.migration.transitions import (
    IllegalChange,
    MigrationState,
    StepState,
    advance_run,
    advance_step,
)


class ChangeKind(StrEnum):
    """What can happen to a run. The value is the kind of its event in the chain."""

    OPENED = "runbook.opened"
    STEP_STARTED = "runbook.step_started"
    STEP_ENDED = "runbook.step_ended"
    WAITING = "runbook.waiting"
    APPROVED = "runbook.approved"
    REFUSED = "runbook.refused"
    PAUSED = "runbook.paused"
    RESUMED = "runbook.resumed"
    SKIPPED = "runbook.skipped"
    RETRIED = "runbook.retried"
    HELD = "runbook.held"
    WARNED = "runbook.warned"
    REHEARSED = "runbook.rehearsed"
    ROLLBACK_BEGUN = "runbook.rollback_begun"
    COMPENSATION_STARTED = "runbook.compensation_started"
    COMPENSATION_ENDED = "runbook.compensation_ended"
    COMMITTED = "runbook.committed"
    ROLLED_BACK = "runbook.rolled_back"
    COMPLETED = "runbook.completed"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a run, or is about to be recorded. `at_ms` is UTC milliseconds since 1970."""

    kind: ChangeKind
    payload: Mapping[str, Any]
    actor: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an opened run. `action` and `compensation` are what the executor of `kind` understands.

    `compensation` None: nothing is to be undone, for the reason that the template gives. `provides` names the
    evidence that the step's success gives. `timeout_ms` bounds one attempt, `attempts` how many are made before a
    person is asked. `rehearses` marks the steps of the rehearsal, which are undone when it ends.
    """

    step_id: str
    phase: Phase
    kind: str
    title: str
    action: Mapping[str, Any]
    compensation: Mapping[str, Any] | None
    provides: str = ""
    role: Role | None = None
    attempts: int = 1
    timeout_ms: int = 0
    rehearses: bool = False


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far a step is. `message` says why it is not done; the times are of the last attempt, in ms."""

    state: StepState = StepState.PENDING
    attempt: int = 0
    tries: int = 0  # attempts since a person last asked for one
    message: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    compensation_attempt: int = 0
    compensation_started_ms: int = 0
    compensation_ended_ms: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """The run's cutover window in UTC milliseconds."""

    starts_ms: int
    ends_ms: int


class OverrunPolicy(StrEnum):
    """What happens when the window can no longer hold a rollback."""

    ROLL_BACK = "roll_back"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Policy:
    """`reserve_ms` is kept free at the window's end for a rollback (or half as much again as the rehearsed one
    took, where that is more); `warn_before_ms` before that moment people are warned. `on_failure` is what a failed
    step inside the window leads to. `commit_point`: at the end of this phase there is no way back."""

    commit_point: Phase = Phase.ACCEPTANCE
    on_overrun: OverrunPolicy = OverrunPolicy.ROLL_BACK
    roll_back_on_failure: bool = True
    reserve_ms: int = 0
    warn_before_ms: int = 0


@dataclass(frozen=True, slots=True)
class MigratingSystem:
    """A system of the run's dependency group. `outcome` is migrated, merged or closed; `into` where it merged."""

    system_key: str
    outcome: str
    into: str = ""


@dataclass(frozen=True, slots=True)
class MigrationRun:
    """The state of one run. `evidence` maps each piece that is known to what it says. `executors` are the people
    who started, retried, skipped or resumed: none of them may accept."""

    run_id: str
    title: str
    phases: tuple[Phase, ...]
    steps: tuple[Step, ...]
    systems: tuple[MigratingSystem, ...]
    window: Window
    policy: Policy
    people: Mapping[Role, frozenset[str]]
    state: MigrationState = MigrationState.RUNNING
    progress: Mapping[str, StepProgress] = field(default_factory=dict)
    evidence: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    executors: frozenset[str] = frozenset()
    is_committed: bool = False
    is_warned: bool = False
    is_rehearsed: bool = False
    waiting_for: str = ""
    reason: str = ""
    changed_ms: int = 0

    def of(self, step: Step) -> StepProgress:
        return self.progress.get(step.step_id, StepProgress())

    def step(self, step_id: str) -> Step:
        """Raises LookupError that lists the steps."""
        for step in self.steps:
            if step.step_id == step_id:
                return step
        names = ", ".join(step.step_id for step in self.steps)
        raise LookupError(f"{self.run_id} 没有步骤 {step_id} / has no step {step_id}; its steps: {names}")


NEVER_OPENED: Final = "a run's first change must be that it was opened"


def fold(run_id: str, changes: Iterable[Change], before: MigrationRun | None = None) -> MigrationRun | None:
    """The run that these changes make of `before`; None when there is nothing. Raises IllegalChange for an impossible
    history."""
    run = before
    for change in changes:
        if change.kind is ChangeKind.OPENED:
            if run is not None:
                raise IllegalChange(f"{run_id} was opened twice")
            run = _opened(run_id, change)
        elif run is None:
            raise IllegalChange(NEVER_OPENED)
        else:
            run = replace(apply(run, change), changed_ms=change.at_ms)
    return run


def apply(run: MigrationRun, change: Change) -> MigrationRun:
    """The run after one more change. Raises IllegalChange."""
    said = change.payload
    match change.kind:
        case ChangeKind.STEP_STARTED:
            return _step_started(run, change)
        case ChangeKind.STEP_ENDED:
            return _step_ended(run, change)
        case ChangeKind.WAITING:
            return replace(_to(run, MigrationState.WAITING), waiting_for=str(said["for"]))
        case ChangeKind.APPROVED:
            return _approved(run, change)
        case ChangeKind.REFUSED:
            refused = _set(run, str(said["step"]), StepState.FAILED, message=str(said["reason"]))
            return replace(_to(refused, MigrationState.HELD), reason=str(said["reason"]))
        case ChangeKind.PAUSED:
            return replace(_to(run, MigrationState.PAUSED), reason=str(said["reason"]))
        case ChangeKind.RESUMED:
            return _executed(replace(_to(run, MigrationState.RUNNING), reason=""), change)
        case ChangeKind.SKIPPED:
            skipped = _set(run, str(said["step"]), StepState.SKIPPED, message=str(said["reason"]))
            provides = run.step(str(said["step"])).provides
            if provides:  # what the step would have shown is now a person's word, and says so
                word = {"skipped_by": change.actor, "reason": said["reason"], "number": said["number"]}
                skipped = _with_evidence(skipped, {provides: word})
            return _executed(replace(_running(skipped), reason=""), change)
        case ChangeKind.RETRIED:
            return _retried(run, change)
        case ChangeKind.HELD:
            target = MigrationState.HELD
            if run.state is MigrationState.ROLLING_BACK:
                target = MigrationState.ROLLBACK_HELD
            return replace(_to(run, target), reason=str(said["reason"]))
        case ChangeKind.WARNED:
            return replace(run, is_warned=True)
        case ChangeKind.REHEARSED:
            return replace(_with_evidence(run, said["evidence"]), is_rehearsed=True)
        case ChangeKind.ROLLBACK_BEGUN:
            if run.is_committed:
                raise IllegalChange(f"{run.run_id} is past its commit point: there is no rollback")
            return replace(_to(run, MigrationState.ROLLING_BACK), reason=str(said["reason"]))
        case ChangeKind.COMPENSATION_STARTED:
            return _compensation_started(run, change)
        case ChangeKind.COMPENSATION_ENDED:
            return _compensation_ended(run, change)
        case ChangeKind.COMMITTED:
            return replace(run, is_committed=True)
        case ChangeKind.ROLLED_BACK:
            return _to(run, MigrationState.ROLLED_BACK)
        case ChangeKind.COMPLETED:
            return _to(run, MigrationState.COMPLETED)
        case _:
            raise IllegalChange(f"{change.kind} cannot happen to a run that is open")


def _opened(run_id: str, change: Change) -> MigrationRun:
    said = change.payload
    policy = said["policy"]
    return MigrationRun(
        run_id=run_id,
        title=said["title"],
        phases=tuple(Phase(name) for name in said["phases"]),
        steps=tuple(_step(document) for document in said["steps"]),
        systems=tuple(
            MigratingSystem(one["key"], one["outcome"], one.get("into") or "") for one in said["systems"]
        ),
        window=Window(said["window"]["starts_ms"], said["window"]["ends_ms"]),
        policy=Policy(
            commit_point=Phase(policy["commit_point"]),
            on_overrun=OverrunPolicy(policy["on_overrun"]),
            roll_back_on_failure=policy["roll_back_on_failure"],
            reserve_ms=policy["reserve_ms"],
            warn_before_ms=policy["warn_before_ms"],
        ),
        people={Role(role): frozenset(names) for role, names in said["people"].items()},
        evidence=dict(said["evidence"]),
        executors=frozenset({change.actor}),
        changed_ms=change.at_ms,
    )


def _step(document: Mapping[str, Any]) -> Step:
    return Step(
        step_id=document["id"],
        phase=Phase(document["phase"]),
        kind=document["kind"],
        title=document["title"],
        action=document["action"],
        compensation=document["compensation"],
        provides=document["provides"],
        role=Role(document["role"]) if document["role"] else None,
        attempts=document["attempts"],
        timeout_ms=document["timeout_ms"],
        rehearses=document["rehearses"],
    )


def step_document(step: Step) -> dict[str, Any]:
    """The JSON form of a step in the event that opens a run; `fold` reads it back."""
    return {
        "id": step.step_id,
        "phase": step.phase.value,
        "kind": step.kind,
        "title": step.title,
        "action": dict(step.action),
        "compensation": None if step.compensation is None else dict(step.compensation),
        "provides": step.provides,
        "role": step.role.value if step.role else None,
        "attempts": step.attempts,
        "timeout_ms": step.timeout_ms,
        "rehearses": step.rehearses,
    }


def _step_started(run: MigrationRun, change: Change) -> MigrationRun:
    step = run.step(str(change.payload["step"]))
    before = run.of(step)
    attempt = int(change.payload["attempt"])
    if attempt != before.attempt + 1:
        raise IllegalChange(f"{step.step_id}: attempt {attempt} cannot follow attempt {before.attempt}")
    after = StepProgress(
        state=advance_step(before.state, StepState.RUNNING),
        attempt=attempt,
        tries=before.tries + 1,
        started_ms=change.at_ms,
    )
    return _running(_put(run, step, after))


def _step_ended(run: MigrationRun, change: Change) -> MigrationRun:
    said = change.payload
    step = run.step(str(said["step"]))
    before = run.of(step)
    if int(said["attempt"]) != before.attempt:
        raise IllegalChange(f"{step.step_id}: attempt {said['attempt']} is not the one that runs")
    state = advance_step(before.state, StepState(said["state"]))
    after = replace(before, state=state, message=str(said["message"]), ended_ms=change.at_ms)
    run = _put(run, step, after)
    if state is StepState.DONE and step.provides and not step.rehearses:
        run = _with_evidence(run, {step.provides: {"step": step.step_id, **said["evidence"]}})
    return run


def _approved(run: MigrationRun, change: Change) -> MigrationRun:
    said = change.payload
    step = run.step(str(said["step"]))
    before = run.of(step)
    started = advance_step(before.state, StepState.RUNNING)
    after = replace(
        before,
        state=advance_step(started, StepState.DONE),
        attempt=before.attempt + 1,
        started_ms=change.at_ms,
        ended_ms=change.at_ms,
    )
    run = _running(_put(run, step, after))
    paper = {"by": change.actor, "number": said["number"], "sha256": said["sha256"]}
    return _with_evidence(run, {step.provides: paper}) if step.provides else run


def _retried(run: MigrationRun, change: Change) -> MigrationRun:
    step = run.step(str(change.payload["step"]))
    run = _executed(_put(run, step, replace(run.of(step), tries=0)), change)
    if run.state is MigrationState.ROLLBACK_HELD:
        return replace(_to(run, MigrationState.ROLLING_BACK), reason="")
    return replace(_to(run, MigrationState.RUNNING), reason="")


def _compensation_started(run: MigrationRun, change: Change) -> MigrationRun:
    step = run.step(str(change.payload["step"]))
    before = run.of(step)
    if before.state is StepState.RUNNING:  # rolled back while nobody can tell how the attempt ended
        before = replace(before, state=advance_step(before.state, StepState.UNKNOWN))
    after = replace(
        before,
        state=advance_step(before.state, StepState.COMPENSATING),
        compensation_attempt=before.compensation_attempt + 1,
        tries=before.tries + 1 if before.state is StepState.COMPENSATION_FAILED else 1,
        compensation_started_ms=change.at_ms,
    )
    return _put(run, step, after)


def _compensation_ended(run: MigrationRun, change: Change) -> MigrationRun:
    said = change.payload
    step = run.step(str(said["step"]))
    before = run.of(step)
    state = StepState.COMPENSATED if said["ok"] else StepState.COMPENSATION_FAILED
    after = replace(
        before,
        state=advance_step(before.state, state),
        message=str(said["message"]),
        compensation_ended_ms=change.at_ms,
    )
    return _put(run, step, after)


def _set(run: MigrationRun, step_id: str, state: StepState, *, message: str) -> MigrationRun:
    step = run.step(step_id)
    before = run.of(step)
    if state is StepState.FAILED and before.state is StepState.PENDING:  # an approval that was refused
        before = replace(before, state=advance_step(before.state, StepState.RUNNING), attempt=before.attempt + 1)
    return _put(run, step, replace(before, state=advance_step(before.state, state), message=message))


def _put(run: MigrationRun, step: Step, progress: StepProgress) -> MigrationRun:
    return replace(run, progress={**run.progress, step.step_id: progress})


def _to(run: MigrationRun, state: MigrationState) -> MigrationRun:
    return replace(run, state=advance_run(run.state, state), waiting_for="")


def _running(run: MigrationRun) -> MigrationRun:
    return run if run.state is MigrationState.RUNNING else _to(run, MigrationState.RUNNING)


def _executed(run: MigrationRun, change: Change) -> MigrationRun:
    return replace(run, executors=run.executors | {change.actor})


def _with_evidence(run: MigrationRun, found: Mapping[str, Any]) -> MigrationRun:
    return replace(run, evidence={**run.evidence, **found})

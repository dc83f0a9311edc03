"""Whatever steps do and people decide, a run keeps its rules: a simulation without a driver, by Hypothesis."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.migration.decisions import Compensate, Execute, Record, Wait, decide
from scheduler.core.migration.run import Change, ChangeKind, MigrationRun, Step, apply, fold
from scheduler.core.migration.transitions import (
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    IllegalChange,
    MigrationState,
    StepState,
)
from scheduler.runbooks.expansion import opening
from scheduler.runbooks.order import read_order
from scheduler.runbooks.template import read_template
from tests.runbooks.runbooks import MINUTE, OPENS_MS, T0, a_template, an_order, as_yaml

PEOPLE = ("retry", "skip", "roll_back", "pause", "wait")
MOST_TURNS = 400


@cache
def a_run() -> MigrationRun:
    template = read_template(as_yaml(a_template(Path("unused"))), "t")
    order = read_order(as_yaml(an_order(systems=[{"key": "甲"}, {"key": "乙"}])), "o")
    run = fold("R1", [Change(ChangeKind.OPENED, opening(template, order), "王五", T0)])
    assert run is not None
    return run


class World:
    """Steps that end as they are told, people who act as they are told, and a clock that goes on."""

    def __init__(self, outcomes: list[str], acts: list[str]) -> None:
        self.run = a_run()
        self.now_ms = T0
        self.outcomes, self.acts = outcomes, acts
        self.forward: list[str] = []
        self.undone: list[str] = []

    def record(self, kind: ChangeKind, **payload: object) -> None:
        self.run = apply(self.run, Change(kind, payload, "host", self.now_ms))

    def live(self) -> None:
        for _ in range(MOST_TURNS):
            if self.run.state.is_final:
                return
            decision = decide(self.run, self.now_ms)
            assert decide(self.run, self.now_ms) == decision
            match decision:
                case Record(kind, payload):
                    self.record(kind, **payload)
                case Execute(step_id, attempt):
                    self.execute(self.run.step(step_id), attempt)
                case Compensate(step_id, attempt):
                    self.compensate(step_id, attempt)
                case Wait(until_ms):
                    self.wait(until_ms)
        raise AssertionError(f"no end: {self.run.state} {self.run.reason}")

    def execute(self, step: Step, attempt: int) -> None:
        assert self.run.state in (MigrationState.RUNNING, MigrationState.WAITING)
        if self.run.of(step).state is not StepState.RUNNING:
            self.record(ChangeKind.STEP_STARTED, step=step.step_id, attempt=attempt)
        self.now_ms += MINUTE
        state = self.outcomes.pop(0) if self.outcomes else "done"
        self.record(
            ChangeKind.STEP_ENDED,
            step=step.step_id,
            attempt=attempt,
            state=state,
            message="",
            evidence={"value": 1},
        )
        self.forward.append(step.step_id)

    def compensate(self, step_id: str, attempt: int) -> None:
        assert not self.run.is_committed
        self.record(ChangeKind.COMPENSATION_STARTED, step=step_id, attempt=attempt)
        self.now_ms += MINUTE
        ok = (self.outcomes.pop(0) if self.outcomes else "done") == "done"
        self.record(ChangeKind.COMPENSATION_ENDED, step=step_id, attempt=attempt, ok=ok, message="")
        if ok:
            self.undone.append(step_id)

    def wait(self, until_ms: int | None) -> None:
        run = self.run
        act = self.acts.pop(0) if self.acts else "wait"
        if run.state is MigrationState.WAITING and run.step(run.waiting_for).role is not None:
            self.record(ChangeKind.APPROVED, step=run.waiting_for, number="1", sha256="")
        elif (
            act == "roll_back"
            and MigrationState.ROLLING_BACK in RUN_TRANSITIONS[run.state]
            and not run.is_committed
        ):
            self.record(ChangeKind.ROLLBACK_BEGUN, reason="a person")
        elif run.state is MigrationState.PAUSED:
            self.record(ChangeKind.RESUMED)
        elif act == "pause" and run.state is MigrationState.WAITING:
            self.record(ChangeKind.PAUSED, reason="a person")
        elif run.state in (MigrationState.HELD, MigrationState.ROLLBACK_HELD):
            self.repair(act)
        elif until_ms is not None:
            assert until_ms > self.now_ms, "a moment that has come is no reason to wait"
            self.now_ms = until_ms

    def repair(self, act: str) -> None:
        broken = next(
            step
            for step in self.run.steps
            if self.run.of(step).state in (StepState.FAILED, StepState.UNKNOWN, StepState.COMPENSATION_FAILED)
        )
        can_skip = self.run.of(broken).state in (StepState.FAILED, StepState.UNKNOWN) and broken.kind == "command"
        if act == "skip" and can_skip:
            self.record(ChangeKind.SKIPPED, step=broken.step_id, reason="a person", number="")
        else:
            self.record(ChangeKind.RETRIED, step=broken.step_id)


outcomes = st.lists(st.sampled_from(["done", "done", "done", "failed", "unknown"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(outcomes, st.lists(st.sampled_from(PEOPLE), max_size=20))
def test_every_run_comes_to_an_end_that_leaves_nothing_half_done(outcome: list[str], acts: list[str]) -> None:
    world = World(outcome, acts)
    world.live()
    run = world.run
    left = [step for step in run.steps if run.of(step).state not in (StepState.PENDING, StepState.COMPENSATED)]
    if run.state is MigrationState.ROLLED_BACK:
        assert not run.is_committed
        assert [step.step_id for step in left if step.compensation is not None and run.of(step).attempt] == []
    else:
        assert run.is_committed
        assert all(run.of(step).state in (StepState.DONE, StepState.SKIPPED) for step in left)
        assert {"approval", "go_no_go", "acceptance", "rehearsed_rollback_ms"} <= run.evidence.keys()


@settings(max_examples=40, deadline=None)
@given(outcomes, st.lists(st.sampled_from(PEOPLE), max_size=20))
def test_steps_begin_in_the_order_of_the_runbook_and_are_undone_in_the_reverse(
    outcome: list[str], acts: list[str]
) -> None:
    world = World(outcome, acts)
    world.live()
    order = [step.step_id for step in world.run.steps]
    first = list(dict.fromkeys(world.forward))
    assert first == sorted(first, key=order.index)
    real = [step_id for step_id in world.undone if not step_id.startswith("rehearsal.")]
    assert real == sorted(real, key=order.index, reverse=True)
    assert len(set(world.undone)) == len(world.undone), "nothing is undone twice"


def test_what_could_not_have_happened_is_refused() -> None:
    run = a_run()
    with pytest.raises(IllegalChange, match="attempt 2"):
        apply(run, Change(ChangeKind.STEP_STARTED, {"step": "build", "attempt": 2}, "host", T0))
    with pytest.raises(IllegalChange, match="pending"):
        said = {"step": "build", "attempt": 0, "state": "done", "message": "", "evidence": {}}
        apply(run, Change(ChangeKind.STEP_ENDED, said, "host", T0))
    with pytest.raises(IllegalChange, match="commit point"):
        apply(replace(run, is_committed=True), Change(ChangeKind.ROLLBACK_BEGUN, {"reason": ""}, "host", T0))
    with pytest.raises(IllegalChange, match="opened"):
        fold("R1", [Change(ChangeKind.PAUSED, {"reason": ""}, "host", T0)])


def test_every_state_can_be_reached_and_final_ones_are_left_by_nothing() -> None:
    for table, first in ((RUN_TRANSITIONS, MigrationState.RUNNING), (STEP_TRANSITIONS, StepState.PENDING)):
        reached, new = {first}, {first}
        while new:
            new = {after for state in new for after in table[state]} - reached  # type: ignore[index] - one table at a time
            reached |= new
        assert reached == set(table)
    assert all(not RUN_TRANSITIONS[state] for state in MigrationState if state.is_final)


def test_outside_its_window_a_run_waits_for_it() -> None:
    world = World([], [])
    world.live()
    assert world.run.state is MigrationState.COMPLETED
    assert world.run.of(world.run.step("wait")).started_ms >= OPENS_MS

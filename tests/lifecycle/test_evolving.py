"""A changed copy is the one that `dataclasses.replace` makes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.model.evolving import evolve
from inventory.model.workload import Run, RunState, Submission, Workload, WorkloadState
from scheduler.core.placement.protocol import Shape
from tests.adapters.wire_strategies import submissions


@given(submissions, st.sampled_from(WorkloadState), st.text(max_size=5))
def test_a_workload_in_another_state(one: Submission, state: WorkloadState, message: str) -> None:
    body = {field.name: getattr(one, field.name) for field in fields(Submission)}
    workload = Workload(**body, workload_id="w-ab-1", submitted_ms=5)
    changed = evolve(workload, state=state, message=message)
    assert changed == replace(workload, state=state, message=message)
    assert type(changed) is Workload
    assert workload == Workload(**body, workload_id="w-ab-1", submitted_ms=5)


def test_a_run_without_changes_is_an_equal_one() -> None:
    run = Run("w-ab-1.1", "w-ab-1", 1, "p", ("n",), RunState.PLACED)
    assert evolve(run) == run
    assert evolve(run) is not run


@dataclass(frozen=True)
class Plain:
    name: str


@pytest.mark.parametrize("value", [Plain("a"), Shape.__new__(Shape)], ids=["no slots", "computes a field"])
def test_a_class_whose_copies_would_differ_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"dataclasses\.replace"):
        evolve(value)


def test_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError, match="stat"):
        evolve(Run("w-ab-1.1", "w-ab-1", 1, "p", ("n",), RunState.PLACED), stat="running")

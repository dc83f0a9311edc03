"""What actors tell each other by the thousand comes out of pickle as it went in."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray import cloudpickle

from adapters.contract import Launch, RunReport
from inventory.model.pickling import pickled_by_values
from inventory.model.retry import FailureCategory
from inventory.model.workload import Program, RunState
from tests.lifecycle.bookkeeping import ONE_CORE

reports = st.builds(
    RunReport,
    run_id=st.text(),
    state=st.sampled_from(RunState),
    nodes=st.lists(st.text()).map(tuple),
    exit_code=st.none() | st.integers(),
    message=st.text(),
    started_ms=st.none() | st.integers(),
    ended_ms=st.none() | st.integers(),
    suspended=st.booleans(),
    failure=st.none() | st.sampled_from(FailureCategory),
)


@given(reports)
def test_reports_come_out_as_they_went_in(report: RunReport) -> None:
    assert pickle.loads(pickle.dumps(report)) == report
    assert pickle.loads(cloudpickle.dumps([report, report])) == [report, report]
    assert copy.deepcopy(report) == report
    assert replace(report, message="x") == replace(copy.copy(report), message="x")


def test_launches_that_share_their_program_share_it_afterwards() -> None:
    program = Program(("true",))
    first, second = (Launch(f"w-{n}.1", f"w-{n}", "w", ONE_CORE, program, ("n1",)) for n in (1, 2))
    one, other = pickle.loads(cloudpickle.dumps([first, second]))
    assert (one, other) == (first, second)
    assert one.program is other.program


@dataclass(frozen=True, slots=True)
class Computed:
    given: int
    made: int = field(init=False, default=0)


@dataclass(frozen=True, slots=True)
class Single:
    only: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    one: int
    two: int


@pytest.mark.parametrize("kind", [Computed, Single, Named])
def test_a_class_whose_init_does_not_take_all_its_fields_in_order_is_refused(kind: type) -> None:
    with pytest.raises(TypeError, match=kind.__name__):
        pickled_by_values(kind)

"""A trace is in order, numbered by first use, unchangeable, and hashed by its content alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.traces.shape_json import shape_from_json, shape_to_json
from simulations.traces.trace import Trace, TraceColumns, strings
from tests.traces.small_traces import FOUR_CPUS_TWICE, ONE_CPU, a_trace


def test_jobs_stand_by_arrival_and_equals_in_the_order_of_their_source() -> None:
    trace = a_trace([5, 1, 5, 1])
    assert trace.job_ids.tolist() == ["job-1", "job-3", "job-0", "job-2"]
    assert trace.queues == ("科研", "政务", "企业")  # job-1, then job-3 (again the first), then job-2


def test_tasks_and_amounts_are_those_of_the_whole_job() -> None:
    trace = a_trace([0, 1])
    assert trace.tasks.tolist() == [1, 2]
    assert trace.cpu_milli.tolist() == [1000, 8000]
    assert trace.span_ms == 1000


def test_columns_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        a_trace([0]).runtime_ms[0] = 1


def test_equal_content_has_one_digest_whatever_name_numbering_and_notes() -> None:
    trace = a_trace([3, 1, 2])
    columns = trace.columns()
    renumbered = TraceColumns(
        **{
            **vars(columns),
            "queue": columns.queue + 1,
            "queues": ("unused", *columns.queues),
        }
    )
    other = Trace.of("another name", renumbered, origin_ms=trace.origin_ms, notes=["a remark"])
    assert other.digest == trace.digest
    assert other.queues == trace.queues


@pytest.mark.parametrize("changed", ["submitted_ms", "runtime_ms", "estimate_ms", "deadline_ms", "priority"])
def test_every_column_is_in_the_digest(changed: str) -> None:
    trace = a_trace([1, 2, 3])
    columns = vars(trace.columns())
    later = Trace.of(
        "small", TraceColumns(**{**columns, changed: columns[changed] + 1}), origin_ms=trace.origin_ms
    )
    assert later.digest != trace.digest


def test_the_digest_of_a_known_trace_never_changes() -> None:
    """Stored results name it. Another value needs another schema version."""
    assert a_trace([3, 1, 2]).digest == "4c581c730299e76119366a5622934bb287f64744a224f2a5aa48c20a04f19ae9"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("runtime_ms", -1, "runtime_ms runs from -1"),
        ("submitted_ms", 2**60, "2\\^53"),
        ("shape", 2, "shape points outside"),
        ("outcome", 9, "an outcome is one of"),
    ],
)
def test_columns_that_make_no_trace_are_refused(column: str, value: int, said: str) -> None:
    columns = vars(a_trace([1, 2]).columns())
    wrong = columns[column].copy()
    wrong[0] = value
    with pytest.raises(ValueError, match=said):
        Trace.of("wrong", TraceColumns(**{**columns, column: wrong}))


def test_a_job_id_that_comes_twice_is_refused() -> None:
    columns = vars(a_trace([1, 2]).columns())
    with pytest.raises(ValueError, match="comes twice"):
        Trace.of("wrong", TraceColumns(**{**columns, "job_ids": strings(["a", "a"])}))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.randoms())
def test_selecting_all_in_any_order_of_distinct_times_gives_the_same_trace(
    times: list[int], random: object
) -> None:
    trace = a_trace(sorted(set(times)))
    shuffled = np.arange(len(trace))
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert trace.select(shuffled).digest == trace.digest


@pytest.mark.parametrize("shape", [ONE_CPU, FOUR_CPUS_TWICE])
def test_a_shape_survives_its_json(shape: object) -> None:
    assert shape_from_json(shape_to_json(shape)) == shape  # type: ignore[arg-type]


def test_json_of_a_shape_says_only_what_is_asked_in_a_fixed_order() -> None:
    assert shape_to_json(FOUR_CPUS_TWICE) == '{"per_task":{"cpu_milli":4000},"pools":["a","b"],"tasks":2}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "JSON object"),
        ("{", "is not JSON"),
        ("{}", "per_task"),
        ('{"per_task":{"cpu_milli":-1}}', "negative"),
        ('{"per_task":{"cpus":1}}', "unknown field per_task.cpus"),
        ('{"per_task":{"cpu_milli":1},"tasks":0}', "at least 1"),
        ('{"per_task":{"cpu_milli":1},"runtime":"vm"}', "process or container"),
    ],
)
def test_a_text_that_is_no_shape_is_refused_with_the_rule(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        shape_from_json(text)

"""A batch is read as its specs are one by one, however often the reader has seen their like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.wire.inspection import Inspection, InvalidMessage
from adapters.wire.submissions import SubmissionReader
from adapters.wire.workloads import submission_from_wire, submission_to_wire
from inventory.model.submission_batch import SubmissionBatch
from inventory.model.units import GIB
from inventory.model.workload import Submission
from tests.adapters.wire_strategies import submissions, words
from xisuan.common.v1 import common_pb2
from xisuan.workload.v1.workload_pb2 import Program, Requirements, WorkloadSpec

READER = SubmissionReader()
keys = words | st.sampled_from(["", "w-ab12-7[3]", "k" * 257, "line\nbreak"])


def a_spec(key: str, **fields: object) -> WorkloadSpec:
    return WorkloadSpec(
        queue="yubei/health",
        client_key=key,
        requirements=Requirements(per_task=common_pb2.Resources(cpu_milli=500, memory_bytes=GIB)),
        program=Program(command=["true"]),
        **fields,
    )


@given(
    st.lists(submissions, min_size=1, max_size=3), st.lists(st.tuples(st.integers(0, 2), keys, keys), max_size=8)
)
def test_reading_many_is_reading_each(likes: list[Submission], rows: list[tuple[int, str, str]]) -> None:
    specs = []
    for like, key, name in rows:
        spec = submission_to_wire(likes[like % len(likes)])
        spec.client_key, spec.name = key, name
        specs.append(spec)
    batch, errors = READER.read(specs, "workloads")
    found = iter(batch)
    for position, spec in enumerate(specs):
        try:
            one = submission_from_wire(spec, f"workloads[{position}]")
        except InvalidMessage as invalid:
            assert errors.pop(position).violations == invalid.violations
        else:
            assert next(found) == one
    assert not errors
    assert next(found, None) is None


def test_what_is_alike_is_held_once() -> None:
    batch, errors = SubmissionReader().read([a_spec(f"k{n}") for n in range(100)], "workloads")
    assert (len(batch), len(batch.templates), errors) == (100, 1, {})
    assert [one.name for one in batch[:2]] == ["k0", "k1"]  # without a name of its own it has its key's


def test_a_rule_of_the_reader_is_kept_whether_or_not_its_like_was_seen() -> None:
    def no_labels(submission: Submission, check: Inspection, path: str) -> None:
        if submission.labels:
            check.refuse(f"{path}.labels", "a", "不要标签", "no labels")

    reader = SubmissionReader(no_labels)
    for _ in range(2):
        with pytest.raises(InvalidMessage, match="no labels"):
            reader.read_one(a_spec("k", labels={"a": "b"}), "workload")
    assert reader.read_one(a_spec("k"), "workload")[0].client_key == "k"


@given(st.lists(submissions, max_size=5), st.data())
def test_a_batch_is_the_sequence_of_its_submissions(items: list[Submission], data: st.DataObject) -> None:
    batch = SubmissionBatch.of(items)
    assert list(batch) == items
    chosen = data.draw(st.lists(st.integers(0, len(items) - 1), max_size=5) if items else st.just([]))
    assert list(batch.take(chosen)) == [items[position] for position in chosen]
    assert SubmissionBatch.of(batch) is batch

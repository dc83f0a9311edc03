"""What a workload says of partitions arrives everywhere: on the wire, from job files, in the store, at the adapter."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.wire.inspection import InvalidMessage
from adapters.wire.workloads import submission_from_wire, submission_to_wire
from console.jobfile import read_jobs
from inventory.model.partition import NEVER_LOST, OnDisconnect, OnReconnect, PartitionPolicy
from scheduler.store.documents import submission_document, workload_of
from tests.lifecycle.bookkeeping import submission

policies = st.builds(
    PartitionPolicy, st.integers(1_000, 10**9), st.sampled_from(OnDisconnect), st.sampled_from(OnReconnect)
) | st.just(NEVER_LOST)


@given(policies)
def test_a_policy_is_the_same_behind_the_wire_and_behind_the_store(policy: PartitionPolicy) -> None:
    asked = submission("a", partition=policy)
    assert submission_from_wire(submission_to_wire(asked)) == asked
    body = json.loads(json.dumps(submission_document(asked)))
    row = {"workload_id": "w-1", "submitted_ms": 1, "state": "queued", "message": "", "body": body}
    assert workload_of(row).partition == policy


def test_a_workload_without_a_policy_has_the_document_that_it_had_before_there_were_any() -> None:
    assert "partition" not in submission_document(submission("a"))


def test_words_without_a_duration_mean_nothing_and_a_duration_below_a_second_is_refused() -> None:
    words = PartitionPolicy(0, OnDisconnect.STOP, OnReconnect.KEEP_REPLACEMENT)
    wire = submission_to_wire(submission("a", partition=words))
    assert submission_from_wire(wire).partition == NEVER_LOST
    wire.partition.lost_after.FromMilliseconds(999)
    with pytest.raises(InvalidMessage, match=r"partition\.lost_after"):
        submission_from_wire(wire)


def test_a_job_file_states_it() -> None:
    text = "name: a\nqueue: q\ncommand: [sleep, '1']\ncpu: 1\n"
    words = "partition: {lost_after: 5m, on_disconnect: stop, on_reconnect: keep_replacement}\n"
    (asked,), (plain,) = read_jobs(text + words, "job.yaml"), read_jobs(text, "job.yaml")
    assert asked.partition == PartitionPolicy(300_000, OnDisconnect.STOP, OnReconnect.KEEP_REPLACEMENT)
    assert plain == replace(asked, partition=NEVER_LOST)

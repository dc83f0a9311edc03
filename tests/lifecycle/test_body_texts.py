"""The text of a body is that of its document, whatever was written before."""

from __future__ import annotations

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from inventory.model.partition import NEVER_LOST, OnDisconnect, OnReconnect, PartitionPolicy
from inventory.model.retry import AT_ONCE, FailureCategory, RetryPolicy, RetryRule
from inventory.model.workload import JobArray, Submission, Workload
from inventory.store.chain import Draft, canonical_json, payload_text
from scheduler.store.body_texts import BodyTexts
from scheduler.store.documents import submission_document
from scheduler.store.retry_documents import element_document
from tests.adapters.wire_strategies import submissions

BODIES = BodyTexts()
retries = st.sampled_from([AT_ONCE, RetryPolicy((RetryRule(FailureCategory.PROGRAM, 3, frozenset({1})),), 5, 50)])
partitions = st.sampled_from([NEVER_LOST, PartitionPolicy(5_000, OnDisconnect.STOP, next(iter(OnReconnect)))])
shares = st.builds(
    lambda one, retry, partition, array, due: replace(
        one, retry=retry, partition=partition, array=array, finish_by_ms=due
    ),
    submissions,
    retries,
    partitions,
    st.none() | st.just(JobArray(3, 1)),
    st.sampled_from([0, 1_800_000_000_000]),
)
texts = st.text(max_size=8).filter(lambda text: text.isprintable())


def stored(one: Submission, key: str, name: str, element_of: str = "") -> Workload:
    body = {field.name: getattr(one, field.name) for field in fields(Submission)}
    own = {"client_key": key, "name": name, "workload_id": "w-ab-1", "array_id": element_of}
    return Workload(**(body | own))


@given(shares, st.lists(st.tuples(texts, texts, st.sampled_from(["", "w-ab-9"])), min_size=1, max_size=4))
def test_a_body_has_the_text_of_its_document(one: Submission, rows: list[tuple[str, str, str]]) -> None:
    for key, name, element_of in rows:
        workload = stored(one, key, name, element_of)
        document = submission_document(workload) | element_document(workload)
        assert BODIES.of(workload).text == canonical_json(document)


@given(shares)
def test_a_payload_with_a_ready_text_is_that_of_the_whole(one: Submission) -> None:
    workload = stored(one, "k", "n")
    plain = {"state": "queued", "body": submission_document(workload), "submitted_ms": 5, "a": [1, "二"]}
    ready = Draft("workload.submitted", "w-ab-1", plain | {"body": BODIES.of(workload)})
    assert payload_text(ready.payload) == canonical_json(plain)

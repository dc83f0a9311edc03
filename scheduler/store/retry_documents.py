"""JSON forms of retry policies, arrays and deadlines: parts of the body of a submission.

What is not stated is not written, so bodies of earlier releases have the same text and the same hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inventory.model.retry import AT_ONCE, FailureCategory, RetryPolicy, RetryRule
from inventory.model.workload import JobArray, Submission, Workload

Document = dict[str, Any]


def life_document(submission: Submission) -> Document:
    """Retry policy, array and deadline, as far as they are stated."""
    found: Document = {}
    if submission.retry != AT_ONCE:
        policy = submission.retry
        found["retry"] = {
            "rules": [[rule.failure.value, rule.max_attempts, sorted(rule.exit_codes)] for rule in policy.rules],
            "backoff_ms": policy.backoff_ms,
            "max_backoff_ms": policy.max_backoff_ms,
        }
    if submission.array is not None:
        found["array"] = [submission.array.count, submission.array.max_parallel]
    if submission.finish_by_ms:
        found["finish_by_ms"] = submission.finish_by_ms
    return found


def life_of(body: Mapping[str, Any]) -> Document:
    """The fields of a `Submission` that `life_document` wrote."""
    array = body.get("array")
    return {
        "retry": _retry_of(body["retry"]) if "retry" in body else AT_ONCE,
        "array": JobArray(*array) if array else None,
        "finish_by_ms": body.get("finish_by_ms", 0),
    }


def element_document(workload: Workload) -> Document:
    """Which array a workload is an element of."""
    return {"element": [workload.array_id, workload.array_index]} if workload.array_id else {}


def element_of(body: Mapping[str, Any]) -> Document:
    array_id, index = body.get("element", ("", 0))
    return {"array_id": array_id, "array_index": index}


def _retry_of(document: Mapping[str, Any]) -> RetryPolicy:
    rules = tuple(
        RetryRule(FailureCategory(failure), attempts, frozenset(codes))
        for failure, attempts, codes in document["rules"]
    )
    return RetryPolicy(rules, document["backoff_ms"], document["max_backoff_ms"])

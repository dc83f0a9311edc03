"""Secrets by reference: Kubernetes reads them from its own store, a pool that declares no store refuses them."""

from __future__ import annotations

import pytest

from adapters.contract import Capabilities, Launch
from adapters.kubernetes.manifests import PodSettings, Target, job
from adapters.kubernetes.reports import job_report
from adapters.sdk.eligibility import is_covered, require_declared
from adapters.wire.inspection import InvalidMessage
from inventory.model.retry import FailureCategory
from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements

LAUNCH = Launch(
    "w-1.1",
    "w-1",
    "a test",
    Requirements(Resources(1000, GIB)),
    Program(("run",), "image:1", {"PLAIN": "yes"}, {"PASSWORD": "db-login/password"}),
    ("n1",),
    runtime="container",
)


def test_a_reference_becomes_a_secret_key_reference_and_no_value() -> None:
    made = job(LAUNCH, Target("p", None, PodSettings()))
    settings = made["spec"]["template"]["spec"]["containers"][0]["env"]
    reference = {"name": "db-login", "key": "password"}
    assert {"name": "PASSWORD", "valueFrom": {"secretKeyRef": reference}} in settings
    assert {"name": "PLAIN", "value": "yes"} in settings


@pytest.mark.parametrize("declared", [True, False])
def test_only_a_pool_that_declares_a_store_takes_it(declared: bool) -> None:
    can = Capabilities("p", "test", ("container",), secrets=declared)
    assert not is_covered(LAUNCH, can)
    if declared:
        require_declared(LAUNCH, can, "item")
        return
    with pytest.raises(InvalidMessage) as refused:
        require_declared(LAUNCH, can, "item")
    assert [one.field for one in refused.value.violations] == ["item.program.secrets"]


@pytest.mark.parametrize(
    ("condition", "container", "expected"),
    [
        ("DeadlineExceeded", "", FailureCategory.TIMEOUT),
        ("BackoffLimitExceeded", "OOMKilled", FailureCategory.OUT_OF_MEMORY),
        ("BackoffLimitExceeded", "ContainerCannotRun", FailureCategory.INPUT_MISSING),
        ("BackoffLimitExceeded", "Error", None),
    ],
)
def test_a_failed_job_says_what_the_cluster_knows(
    condition: str, container: str, expected: FailureCategory | None
) -> None:
    terminated = {"exitCode": 137, "reason": container}
    failed = {
        "type": "Failed",
        "status": "True",
        "reason": condition,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    pod = {
        "metadata": {"name": "p-0"},
        "spec": {"nodeName": "n1"},
        "status": {"containerStatuses": [{"state": {"terminated": terminated}}]},
    }
    report = job_report({"metadata": {}, "spec": {"completions": 1}, "status": {"conditions": [failed]}}, [pod])
    assert report.failure is expected

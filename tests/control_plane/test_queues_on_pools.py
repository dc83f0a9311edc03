"""Queues in force on a running control plane: quotas, what others borrowed and give back, reservations."""

from __future__ import annotations

from typing import Any

import pytest

from inventory.model.placement import ReasonCode
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState, WorkloadState
from scheduler.services.ports import RequestError
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import submission

QUEUED, ACTIVE = WorkloadState.QUEUED, WorkloadState.ACTIVE
WHOLE_NODE = Requirements(Resources(4_000, GIB))
GUARANTEE: dict[str, Any] = {"queues": [{"path": "first", "guaranteed": {"cpu": 4, "memory": "1Gi"}}]}


@story
async def test_a_queue_that_is_full_waits_with_the_quota_as_its_reason(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=3, course=UNTIL_TOLD))
        await site.plane.define_queues({"queues": [{"path": "small", "maximum": {"cpu": 4}}]})
        one, two = await site.submit(
            submission("one", queue="small", requirements=WHOLE_NODE),
            submission("two", queue="small", requirements=WHOLE_NODE),
        )
        await site.until_run(one, RunState.RUNNING)
        await eventually(lambda: _is_told(site, two, ReasonCode.QUOTA), "the second is told its quota")
        pool.finish(f"{one}.1")
        await site.until_run(two, RunState.RUNNING)


@story
async def test_what_was_borrowed_is_given_back_and_runs_again_later(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        await site.plane.define_queues(GUARANTEE)
        (borrower,) = await site.submit(submission("b", queue="other", requirements=WHOLE_NODE))
        await site.until_run(borrower, RunState.RUNNING)
        (owner,) = await site.submit(submission("a", queue="first", requirements=WHOLE_NODE))
        await site.until_run(owner, RunState.RUNNING)
        assert await site.runs(borrower) == [RunState.PREEMPTED] and await site.state(borrower) is QUEUED
        assert f"preempted for {owner}" in (await site.plane.get(borrower)).runs[0].message
        pool.finish(f"{owner}.1")
        await site.until_run(borrower, RunState.PREEMPTED, RunState.RUNNING)


@story
async def test_queues_are_in_force_after_a_restart(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        await site.plane.define_queues(GUARANTEE)
        (borrower,) = await site.submit(submission("b", queue="other", requirements=WHOLE_NODE))
        await site.until_run(borrower, RunState.RUNNING)
        await site.restart()
        (owner,) = await site.submit(submission("a", queue="first", requirements=WHOLE_NODE))
        await site.until_run(owner, RunState.RUNNING)


@story
async def test_a_pool_is_reserved_until_the_document_no_longer_says_so(site: Site) -> None:
    async with running(site):
        await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        reserved = {
            "id": "r",
            "pool": "p",
            "holder": "迁移",
            "amount": {"cpu": 4},
            "starts": "2020-01-01T00:00:00Z",
        }
        await site.plane.define_queues({"reservations": [reserved]})
        (waits,) = await site.submit(submission("w", requirements=WHOLE_NODE))
        await eventually(lambda: _is_told(site, waits, ReasonCode.RESERVATION), "it is told the reservation")
        await site.plane.define_queues({})
        await site.until_run(waits, RunState.RUNNING)


@story
async def test_a_document_with_faults_changes_nothing(site: Site) -> None:
    async with running(site):
        with pytest.raises(RequestError, match="weight"):
            await site.plane.define_queues({"queues": [{"path": "a", "weight": 0}]})


async def _is_told(site: Site, workload_id: str, code: ReasonCode) -> bool:
    verdicts = site.plane._planner.verdicts(workload_id)
    return any(reason.code is code for opinion in verdicts for reason in opinion.reasons)

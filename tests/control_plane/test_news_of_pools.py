"""What a pool's host tells the control plane of a pool's stream: everything new, and nothing that was the answer to a launch."""

from __future__ import annotations

import asyncio

import pytest

from adapters.contract import Launch, RunReport
from inventory.model.pool import PoolHealth
from inventory.model.workload import Program, RunState
from scheduler.runtime.pool_link import LinkStart, PoolLink, PoolReport
from tests.control_plane.fake_pool import Course, FakeAdapter, FakePool
from tests.control_plane.site import eventually, story
from tests.cycle.fakes import a_pool
from tests.lifecycle.bookkeeping import ONE_CORE

STARTING, RUNNING, SUCCEEDED, FAILED = RunState.STARTING, RunState.RUNNING, RunState.SUCCEEDED, RunState.FAILED
RUN = "w-1.1"


@pytest.mark.parametrize(
    ("course", "later", "told"),
    [
        pytest.param((STARTING,), SUCCEEDED, [SUCCEEDED], id="what was answered is not said again"),
        pytest.param((STARTING, RUNNING), SUCCEEDED, [STARTING, SUCCEEDED], id="only the same state is left out"),
        pytest.param((STARTING, RUNNING, FAILED), None, [STARTING, RUNNING, FAILED], id="an end is always said"),
    ],
)
@story
async def test_a_stream_is_told_without_what_the_answer_to_the_launch_has_said(
    course: Course, later: RunState | None, told: list[RunState]
) -> None:
    pool, heard = FakePool("p", course=course), list[PoolReport]()

    async def hear(report: PoolReport) -> None:
        heard.append(report)

    def states() -> list[RunState]:
        return [run.state for report in heard for run in report.runs]

    link = PoolLink(a_pool("p"), FakeAdapter(pool), LinkStart(1), hear)
    link.start()
    await eventually(lambda: any(one.health is PoolHealth.READY for one in heard), "the pool is ready")
    (answer,) = await link.launch(1, [Launch(RUN, "w-1", "w", ONE_CORE, Program(("true",)), ("n000",))])
    assert isinstance(answer, RunReport)
    assert answer.state is course[-1]
    if later is not None:
        pool.finish(RUN, later)
    await eventually(lambda: len(states()) >= len(told), "the stream is told")
    await asyncio.sleep(0.05)  # whatever else would come
    assert states() == told
    await link.close()

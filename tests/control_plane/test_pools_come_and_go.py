"""Pools that go away, come back, forget, move, or report nonsense: what happens to their workloads and the rest."""

from __future__ import annotations

import pytest

from adapters.port import AdapterUnavailable
from inventory.model.pool import PoolHealth
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState, WorkloadState
from tests.control_plane.fake_pool import AT_ONCE, UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.cycle.fakes import a_pool
from tests.lifecycle.bookkeeping import ONE_CORE, submission

QUEUED, ACTIVE, SUCCEEDED = WorkloadState.QUEUED, WorkloadState.ACTIVE, WorkloadState.SUCCEEDED
WHOLE_NODE = Requirements(Resources(4_000, GIB))


@story
async def test_a_pool_that_goes_away_is_noticed_the_rest_goes_on_and_it_continues_when_it_returns(
    site: Site,
) -> None:
    async with running(site):
        away = await site.add_pool("away", FakePool("away", course=UNTIL_TOLD))
        only_away = Requirements(ONE_CORE, pools=frozenset({"away"}))
        runs_on, waits = await site.submit(submission("runs"), submission("waits", requirements=only_away))
        await eventually(lambda: len(away.live()) == 2, "both run")
        away.go_down()
        status = await site.until_health("away", "unreachable")
        assert "down" in status.health_message
        await site.add_pool("stays")
        others = await site.submit(*(submission(f"k{i}") for i in range(5)))
        await site.until(SUCCEEDED, others)
        assert await site.state(runs_on) is ACTIVE
        (cancelled,) = await site.submit(submission("late", requirements=only_away))
        away.come_back()
        await site.until_health("away", "ready")
        await site.until_run(cancelled, RunState.RUNNING)
        for run_id in away.live():
            away.finish(run_id)
        await site.until(SUCCEEDED, [runs_on, waits, cancelled])
        assert set(away.starts.values()) == {1}


@story
async def test_a_pool_that_comes_back_without_memory_has_lost_its_runs_which_are_placed_anew(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
        (a,) = await site.submit(submission("a", requirements=WHOLE_NODE))
        await site.until_run(a, RunState.RUNNING)
        pool.go_down()
        await site.until_health("p", "unreachable")
        pool.course = AT_ONCE
        pool.come_back(with_memory=False)
        # The whole node was held by the lost run: the new one fits only if the host has let it go.
        await site.until_run(a, RunState.LOST, RunState.SUCCEEDED)
        assert (await site.pool("p")).free == (await site.pool("p")).allocatable


@story
async def test_a_launch_whose_answer_is_lost_is_repeated_and_starts_once(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        answers = 0

        def lose(what: str) -> None:
            nonlocal answers
            answers += 1
            if answers == 1:
                raise AdapterUnavailable("the answer was lost")

        pool.before_answer = lose
        (a,) = await site.submit(submission("a"))
        await site.until_run(a, RunState.RUNNING)
        assert pool.starts == {f"{a}.1": 1}


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("answers as another pool", "imposter"),
        ("reports a negative node", "negative"),
        ("names a node twice", "twice"),
        ("reports negative storage", "-1"),
    ],
)
@story
async def test_a_pool_that_reports_nonsense_is_quarantined_with_the_reason_until_it_makes_sense(
    site: Site, fault: str, told: str
) -> None:
    async with running(site):
        pool = FakePool("p", nodes=1)
        sane = list(pool.nodes)
        match fault:
            case "answers as another pool":
                pool.pool_id = "imposter"
            case "reports a negative node":
                pool.nodes = [*sane, pool.node("bad", cpu_milli=-1)]
            case "names a node twice":
                pool.nodes = sane * 2
            case _:
                pool.shared_disk = -1
        site.pools["p"] = pool
        await site.plane.register_pool(a_pool("p"), "p")
        (a,) = await site.submit(submission("a"))
        status = await site.until_health("p", PoolHealth.QUARANTINED)
        assert told in status.health_message
        assert await site.state(a) is QUEUED
        assert pool.starts.total() == 0
        pool.pool_id, pool.nodes, pool.shared_disk = "p", sane, 0
        await site.until(SUCCEEDED, [a])


@story
async def test_a_pool_that_begins_to_report_nonsense_keeps_its_runs_and_gets_no_new_ones(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        sane = list(pool.nodes)
        (a,) = await site.submit(submission("a"))
        await site.until_run(a, RunState.RUNNING)
        pool.change_nodes(sane * 2)
        await site.until_health("p", PoolHealth.QUARANTINED)
        (b,) = await site.submit(submission("b"))
        assert await site.runs(a) == [RunState.RUNNING]
        pool.change_nodes(sane)
        await site.until_run(b, RunState.RUNNING)


@story
async def test_a_pool_that_is_registered_anew_with_another_endpoint_is_reached_there(site: Site) -> None:
    async with running(site):
        old = await site.add_pool("p", FakePool("p", course=UNTIL_TOLD))
        (a,) = await site.submit(submission("a"))
        await site.until_run(a, RunState.RUNNING)
        moved = site.pools["elsewhere"] = FakePool("p")
        moved.come_back()
        moved.runs = dict(old.runs)
        await site.plane.register_pool(a_pool("p"), "elsewhere")
        (b,) = await site.submit(submission("b"))
        await site.until(SUCCEEDED, [b])
        assert moved.starts == {f"{b}.1": 1}
        moved.finish(f"{a}.1")
        await site.until(SUCCEEDED, [a])

"""Moves on a running control plane: a run is stopped, begins again where a place was kept for it, and another finds room."""

from __future__ import annotations

from dataclasses import replace

from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState, Submission
from scheduler.cycle import BackfillRules, CycleSettings, MovingRules
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import submission

MOVING = CycleSettings(
    backfill=BackfillRules(hold_after_ms=0), moving=MovingRules(share=0.05, price_ms=0, after_ms=0)
)


def cores(key: str, count: int) -> Submission:
    return submission(key, requirements=Requirements(Resources(count * 1_000, GIB)))


async def in_pieces(site: Site) -> tuple[FakePool, str]:
    """Seven nodes of four cores. Twenty runs fill five of them; on n005 three cores are taken, one by the run that is named
    second here, and on n006 three by one run: two cores are free, and on no node."""
    site.settings = replace(site.settings, cycle=MOVING)
    await site.plane.close()
    site.start()
    pool = await site.add_pool("p", FakePool("p", nodes=7, course=UNTIL_TOLD))
    ids = await site.submit(
        *(cores(f"filler-{i}", 1) for i in range(20)), cores("two", 2), cores("one", 1), cores("three", 3)
    )
    for workload_id in ids:
        await site.until_run(workload_id, RunState.RUNNING)
    assert [await node(site, one) for one in ids[20:]] == ["n005", "n005", "n006"]
    return pool, ids[21]


async def half_way(site: Site) -> tuple[FakePool, str, str]:
    """As `in_pieces`, and one of two cores waits, for which the second run named there is asked to stop and has not yet. The
    one that waits is named third."""
    pool, moved = await in_pieces(site)
    pool.ends_when_asked = False
    (waits,) = await site.submit(cores("waits", 2))
    await eventually(lambda: f"{moved}.1" in pool.stopped, f"{moved} is asked to stop")
    return pool, moved, waits


async def node(site: Site, workload_id: str) -> str:
    return (await site.plane.get(workload_id)).runs[-1].nodes[0]


@story
async def test_a_run_moves_and_the_one_that_waited_takes_the_whole_node(site: Site) -> None:
    async with running(site):
        pool, moved = await in_pieces(site)
        (waits,) = await site.submit(cores("waits", 2))
        await site.until_run(waits, RunState.RUNNING)
        await site.until_run(moved, RunState.PREEMPTED, RunState.RUNNING)
        assert (await node(site, waits), await node(site, moved)) == ("n005", "n006")
        assert f"make room for {waits}" in (await site.plane.get(moved)).runs[0].message
        assert pool.starts[f"{moved}.2"] == 1


@story
async def test_what_was_kept_for_a_run_that_ends_by_itself_is_free_again(site: Site) -> None:
    async with running(site):
        pool, moved, waits = await half_way(site)
        (late,) = await site.submit(cores("late", 1))
        pool.finish(f"{moved}.1")
        await site.until_run(waits, RunState.RUNNING)
        await site.until_run(late, RunState.RUNNING)
        assert (await node(site, waits), await node(site, late)) == ("n005", "n006")
        assert await site.runs(moved) == [RunState.SUCCEEDED]


@story
async def test_what_is_kept_is_nobody_else_s_while_the_old_run_ends(site: Site) -> None:
    async with running(site):
        await half_way(site)
        assert "p" in {one.move.pool_id for one in site.plane._planner._moves._under_way.values()}
        (late,) = await site.submit(cores("late", 1))
        await eventually(lambda: bool(site.plane._planner.verdicts(late)), "the late one is told why it waits")
        assert await site.runs(late) == []


@story
async def test_a_crash_on_the_way_loses_the_move_and_nothing_else(site: Site) -> None:
    async with running(site):
        pool, moved, waits = await half_way(site)
        await site.restart()
        pool.ends_when_asked = True  # from now on; the move is decided afresh
        await site.until_run(waits, RunState.RUNNING)
        await site.until_run(moved, RunState.PREEMPTED, RunState.RUNNING)
        assert (await node(site, waits), await node(site, moved)) == ("n005", "n006")
        assert max(pool.starts.values()) == 1


@story
async def test_nobody_moves_unless_it_is_asked_for(site: Site) -> None:
    async with running(site):
        pool, moved = await in_pieces(site)
        site.plane.reconfigure(CycleSettings())
        (waits,) = await site.submit(cores("waits", 2))
        await eventually(lambda: bool(site.plane._planner.verdicts(waits)), "it is told why it waits")
        assert await site.runs(moved) == [RunState.RUNNING]
        assert not pool.stopped

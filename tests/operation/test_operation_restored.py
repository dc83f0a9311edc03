"""A service on a restored store: it leads above the other, finds its runs again, and starts nothing by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements, RunState, WorkloadState
from inventory.store.backup import back_up, restore_files
from inventory.store.verify import verify
from scheduler.store.opening import open_store
from scheduler.store.restoring import record_restoration
from tests.control_plane.fake_pool import UNTIL_TOLD, FakePool
from tests.control_plane.site import Site, eventually, story
from tests.lifecycle.bookkeeping import submission

WHOLE_NODE = Requirements(Resources(4_000, GIB))


@story
async def test_what_ran_goes_on_what_was_started_since_is_not_started_again_until_a_person_says_so(
    tmp_path: Path,
) -> None:
    (tmp_path / "first").mkdir()
    first = Site(tmp_path / "first")
    first.start()
    pool = await first.add_pool("p", FakePool("p", nodes=1, course=UNTIL_TOLD))
    a, b = await first.submit(*(submission(key, requirements=WHOLE_NODE) for key in "ab"))
    await first.until_run(a, RunState.RUNNING)
    manifest = await asyncio.to_thread(
        back_up, first.store.store.engine, tmp_path / "backup", first.clock.now_ms()
    )
    pool.finish(f"{a}.1")
    await first.until_run(b, RunState.RUNNING)  # after the backup, in which it waits
    before = pool.epoch
    await first.crash()

    second = Site(tmp_path / "second")
    second.pools = first.pools
    restore_files(tmp_path / "backup", second.url)
    store = open_store(second.url)
    assert verify(store, anchor=manifest.head).holds
    restoration = record_restoration(store, manifest.head, manifest.made_ms, manifest.made_ms + 60_000)
    store.close()
    assert (restoration.waiting, restoration.cordoned) == (1, ("p",))

    second.start()
    await second.until_health("p", "ready")
    await eventually(lambda: _is(second, a, WorkloadState.SUCCEEDED), "the run that ended meanwhile is found")
    await second.plane._planner._look_on(anew=True)
    assert pool.starts == {f"{a}.1": 1, f"{b}.1": 1}
    assert await second.state(b) is WorkloadState.QUEUED
    assert second.plane.epoch > max(before, restoration.epoch)

    await second.plane.cancel(b, "它在备份之后已运行 / it ran after the backup")
    await second.plane.cordon_pool("p", False, "已核对 / judged")
    (c,) = await second.submit(submission("c", requirements=WHOLE_NODE))
    await second.until_run(c, RunState.RUNNING)
    assert c.rpartition("-")[0] != a.rpartition("-")[0]
    assert pool.starts == {f"{a}.1": 1, f"{b}.1": 1, f"{c}.1": 1}
    await second.close()


async def _is(site: Site, workload_id: str, state: WorkloadState) -> bool:
    return await site.state(workload_id) is state

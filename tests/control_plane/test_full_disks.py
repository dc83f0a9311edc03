"""A disk that takes no more: nothing is acknowledged that is not stored, callers hear why, and it goes on by itself."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from inventory.model.workload import WorkloadState
from inventory.store.errors import Unreachable
from scheduler.services.answering import answering
from tests.control_plane.site import Site, eventually, running, story
from tests.lifecycle.bookkeeping import submission

SUCCEEDED = WorkloadState.SUCCEEDED


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """No file of this process grows beyond what the database's files have: a write fails as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (min(path.stat().st_size for path in folder.glob("xisuan.db*")), hard)
    )
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.faults
@story
async def test_a_full_disk_refuses_by_name_and_what_was_refused_is_stored_when_there_is_room(
    site: Site, tmp_path: Path
) -> None:
    async with running(site):
        await site.add_pool("p")
        ids = await site.submit(submission("before"))
        await site.until(SUCCEEDED, ids)
        with full(tmp_path):
            for _ in range(3):
                with pytest.raises(Unreachable) as caught:
                    await site.plane.submit([submission("while it is full")])
                assert "cannot be written" in caught.value.english
                assert "free space" in caught.value.english
            assert (await site.counts()).total() == 1
        ids = await site.submit(submission("while it is full"), submission("after"))
        await site.until(SUCCEEDED, ids)
        assert site.deposed == 0


@pytest.mark.faults
@story
async def test_what_pools_report_while_the_disk_is_full_is_known_when_there_is_room(
    site: Site, tmp_path: Path
) -> None:
    async with running(site):
        pool = await site.add_pool("p")
        pool.answer_delay_s = 0.2
        ids = await site.submit(*(submission(f"k{i}") for i in range(4)))
        await eventually(lambda: "launch" in pool.asked, "the launch is under way")
        with full(tmp_path):
            await eventually(lambda: pool.starts.total() == 4, "the pool starts them")
            await asyncio.sleep(0.1)
        await site.until(SUCCEEDED, ids)
        assert set(pool.starts.values()) == {1}


class Call:
    """What a servicer sees of a call: here, how it ended."""

    code: grpc.StatusCode | None = None

    async def abort_with_status(self, status: grpc.Status) -> None:
        self.code = status.code
        raise grpc.aio.AbortError


@story
async def test_a_database_that_cannot_be_written_now_is_an_answer_that_clients_repeat() -> None:
    call = Call()
    with pytest.raises(grpc.aio.AbortError):
        async with answering(call):  # type: ignore[arg-type]  # what answering needs of a context
            raise Unreachable("满了", "full")
    assert call.code is grpc.StatusCode.UNAVAILABLE

"""The dry run of a start: once a pool is ready, with nothing changed; without one, given up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from adapters.port import AdapterUnavailable
from inventory.model.pool import PoolHealth
from inventory.model.workload import Submission
from scheduler.runtime.rehearsal import LOOKS, REHEARSAL, rehearse
from scheduler.services.ports import DryRunPlacement, PoolStatus
from tests.control_plane.fake_pool import FakePool
from tests.control_plane.site import Site, running, story
from tests.cycle.fakes import a_pool


@dataclass
class Plane:
    """`ready_at`: the look at which its pool is ready (0: never)."""

    ready_at: int = 1
    fails: Exception | None = None
    looks: int = 0
    ran: list[Submission] = field(default_factory=list)

    async def pools(self) -> tuple[PoolStatus, ...]:
        self.looks += 1
        health = PoolHealth.READY if self.looks == self.ready_at else PoolHealth.UNKNOWN
        return (PoolStatus(a_pool("p"), "127.0.0.1:1", health),)

    async def dry_run(self, submissions: Sequence[Submission]) -> list[DryRunPlacement]:
        if self.fails is not None:
            raise self.fails
        self.ran += submissions
        return []


@pytest.mark.parametrize("ready_at", [1, 3, LOOKS])
def test_it_is_run_once_when_a_pool_is_ready(ready_at: int) -> None:
    plane = Plane(ready_at)
    assert asyncio.run(rehearse(plane, look_s=0))
    assert (plane.looks, plane.ran) == (ready_at, [REHEARSAL])


def test_without_a_pool_it_is_given_up() -> None:
    plane = Plane(ready_at=0)
    assert not asyncio.run(rehearse(plane, look_s=0))
    assert (plane.looks, plane.ran) == (LOOKS, [])


def test_a_pool_that_goes_away_meanwhile_harms_nobody() -> None:
    assert not asyncio.run(rehearse(Plane(fails=AdapterUnavailable("gone")), look_s=0))


@story
async def test_on_a_control_plane_it_stores_nothing_and_places_nothing(site: Site) -> None:
    async with running(site):
        pool = await site.add_pool("p", FakePool("p"))
        head = site.store.store.head()
        assert await rehearse(site.plane)
        assert site.store.store.head() == head and not pool.starts

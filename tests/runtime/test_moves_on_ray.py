"""Moves of runs through real actors: what the control plane asks of a pool's host crosses Ray, and the run begins again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.runtime.service import Service, until, workload
from xisuan.client import Client, RunState, WorkloadSpec

pytestmark = pytest.mark.ray

CARDS = "demo-gov-xc"  # eight nodes of eight cards
MOVING = """\
version: 1
backfill: {hold_after_s: 0, drain_after_s: 0}
moving: {share: 0.05, price_s: 0, after_s: 0}
"""
RUNNING, PREEMPTED = RunState.RUN_STATE_RUNNING, RunState.RUN_STATE_PREEMPTED


@pytest.fixture(scope="module")
def moving(service: Service) -> Iterator[Service]:
    """The shared service while moves are allowed in it."""
    file = service.home / "settings.yaml"
    file.write_text(MOVING, encoding="utf-8")
    assert service.run_command("settings", "reload").returncode == 0
    yield service
    file.write_text("version: 1\n", encoding="utf-8")
    assert service.run_command("settings", "reload").returncode == 0


def cards(key: str, count: int) -> WorkloadSpec:
    """A run of ten simulated hours on so many cards of one node."""
    spec = workload(key, pool=CARDS, seconds=36_000)
    spec.requirements.per_task.accelerator_milli = count * 1_000
    spec.requirements.accelerator = "Ascend910B"
    return spec


def running(client: Client, workload_id: str) -> str:
    """Waits until it runs; the node."""

    def node() -> str | None:
        runs = client.get(workload_id).runs
        return runs[-1].nodes[0] if runs and runs[-1].state == RUNNING else None

    return until(node, f"{workload_id} runs")


def started(client: Client, specs: Sequence[WorkloadSpec]) -> list[tuple[str, str]]:
    """One after the other: (workload id, node)."""
    ids = [client.submit(spec)[0].workload_id for spec in specs]
    return [(one, running(client, one)) for one in ids]


@pytest.fixture
def in_pieces(moving: Service, request: pytest.FixtureRequest) -> Iterator[tuple[Client, str, str, str]]:
    """Six nodes are full; on the seventh one card is free beside six and one, on the eighth one beside seven. The client,
    the run of one card, its node and the eighth."""
    name = str(request.node.name)
    with moving.client() as client:
        fillers = started(client, [cards(f"{name}-filler-{number}", 2) for number in range(24)])
        six, one, seven = started(client, [cards(f"{name}-{count}", count) for count in (6, 1, 7)])
        assert six[1] == one[1] != seven[1]
        yield client, one[0], one[1], seven[1]
        for workload_id, _ in [*fillers, six, one, seven]:
            client.cancel(workload_id)


def test_a_run_moves_and_the_one_that_waited_takes_its_place(in_pieces: tuple[Client, str, str, str]) -> None:
    client, moved, from_node, to_node = in_pieces
    waits = client.submit(cards("moved-for", 2))[0].workload_id
    try:
        assert running(client, waits) == from_node
        assert running(client, moved) == to_node
        runs = client.get(moved).runs
        assert [run.state for run in runs] == [PREEMPTED, RUNNING]
        assert f"make room for {waits}" in runs[0].message
        assert len(client.get(waits).runs) == 1
    finally:
        client.cancel(waits)


def test_a_host_that_dies_on_the_way_costs_time_and_nothing_else(
    moving: Service, in_pieces: tuple[Client, str, str, str]
) -> None:
    client, moved, from_node, to_node = in_pieces
    waits = client.submit(cards("moved-for-later", 2))[0].workload_id
    try:
        until(lambda: client.get(moved).runs[0].state == PREEMPTED, "the move has begun")
        moving.part("PoolHostShell").kill()
        assert {running(client, waits), running(client, moved)} == {from_node, to_node}
        assert all(run.state == PREEMPTED for run in client.get(moved).runs[:-1])
        assert len(client.get(waits).runs) == 1
    finally:
        client.cancel(waits)

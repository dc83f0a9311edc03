"""What the operator of a real cloud meets: machines that cannot be built, full hypervisors and dead ones, a tenant
whom no host can take, and an adapter that was replaced while it was away."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import grpc
import pytest

from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, RunState
from tests.adapters.adapter_process import eventually, new_run_id, running
from tests.openstack_adapter.conftest import (
    CLOUD_PATIENCE_S,
    Administrator,
    OpenStackAdapter,
    new_adapter,
    options,
)
from tests.openstack_adapter.test_openstack_runs import MIB, needing, node
from tests.servers.openstack_cloud import start_compute

HYPERVISOR_CPUS, HYPERVISOR_MIB = 1000, 800_000


def pretending(fault: str) -> Program:
    """A machine for which the pretended hypervisors of the tests have a fault (`servers/openstack/compute.py`)."""
    return Program(image="busybox", environment={"pretend": fault})


def test_a_machine_that_cannot_be_built_is_a_failed_run_with_novas_reason(
    cloud: OpenStackAdapter, administrator: Administrator
) -> None:
    run_id = new_run_id("unbuildable")
    cloud.launch(cloud.machine(run_id, program=pretending("bad-image")))
    assert "in error" in cloud.wait_for(run_id, RunState.FAILED).message
    (machine,) = administrator.machines(run_id)
    assert machine["status"] == "ERROR", "it stays for an hour, for whoever asks why"
    administrator.delete(machine["id"])


def test_a_machine_that_one_host_cannot_build_runs_on_another(cloud: OpenStackAdapter) -> None:
    run_id = new_run_id("rebuilt")
    cloud.launch(cloud.anywhere(run_id, program=pretending("bad-host c1")))
    assert list(cloud.wait_for(run_id, RunState.RUNNING).nodes) == ["c2"]


@pytest.mark.long
def test_a_machine_that_its_own_host_cannot_build_goes_nowhere_else(
    cloud: OpenStackAdapter, administrator: Administrator
) -> None:
    run_id = new_run_id("bound")
    cloud.launch(cloud.machine(run_id, node="c1", program=pretending("bad-host c1")))
    status = cloud.wait_for(run_id, RunState.FAILED)
    assert "in error" in status.message
    administrator.delete(administrator.machines(run_id)[0]["id"])


def test_a_full_hypervisor_refuses_at_once_and_takes_what_was_freed(cloud: OpenStackAdapter) -> None:
    """Two in one batch: the second is counted beside the first."""
    first, second, third = new_run_id("full"), new_run_id("full"), new_run_id("full")
    most = needing(1, HYPERVISOR_MIB * MIB * 7 // 8)  # the rest is for what other tests have there
    accepted, refused = cloud.launch(
        cloud.machine(first, node="c1", requirements=most), cloud.machine(second, node="c1", requirements=most)
    )
    assert accepted.HasField("accepted"), accepted
    assert (refused.error.code, refused.error.retryable) == (8, True)
    assert "c1" in refused.error.message
    cloud.wait_for(first, RunState.RUNNING)
    cloud.halt(first, grace_ms=0)
    cloud.wait_for(first, RunState.STOPPED)
    (accepted,) = cloud.launch(cloud.machine(third, node="c1", requirements=most))
    assert accepted.HasField("accepted"), accepted
    cloud.halt(third, grace_ms=0)


@pytest.mark.long
def test_an_order_that_no_host_can_take_is_a_failed_run_for_a_tenant(
    clouds: Path, administrator: Administrator, tmp_path: Path
) -> None:
    """Who may not see hypervisors learns it as Nova tells everybody: after the order."""
    administrator.limit_machines("tenant", 10)
    administrator.make_flavor("huge", HYPERVISOR_CPUS * 2, 64, 1)
    adapter = new_adapter(tmp_path, "tenant-without-room", *options("--aggregate-only", cloud="tenant"))
    with running(adapter):
        run_id = new_run_id("huge")
        huge = Requirements(Resources(HYPERVISOR_CPUS * 2000, 64 * MIB))
        (result,) = adapter.launch(adapter.anywhere(run_id, requirements=huge))
        assert result.HasField("accepted"), result
        assert "No valid host" in adapter.wait_for(run_id, RunState.FAILED).message


@pytest.mark.long
@pytest.mark.faults
def test_an_adapter_that_was_away_finds_its_machines_and_obeys_the_newest_epoch_only(
    clouds: Path, administrator: Administrator, tmp_path: Path
) -> None:
    """Killed while a machine is built and another one is deleted by hand; the scheduler has changed meanwhile."""
    adapter = new_adapter(tmp_path, "away", *options())
    with running(adapter):
        adapter.epoch = 7
        kept, gone, building = new_run_id("kept"), new_run_id("gone"), new_run_id("building")
        adapter.launch(adapter.machine(kept), adapter.machine(gone))
        adapter.wait_for(gone, RunState.RUNNING)
        adapter.launch(adapter.machine(building))
        adapter.kill()
        administrator.delete(administrator.machines(gone, "away")[0]["id"])
        adapter.start()
        adapter.wait_for(kept, RunState.RUNNING)
        adapter.wait_for(building, RunState.RUNNING)
        assert "deleted in the cloud" in adapter.wait_for(gone, RunState.STOPPED).message
        adapter.epoch = 6
        with pytest.raises(grpc.RpcError) as refused:
            adapter.halt(kept)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert [one["status"] for one in administrator.machines(kept, "away")] == ["ACTIVE"]


@pytest.mark.long
@pytest.mark.faults
def test_a_dead_hypervisor_is_cordoned_its_machines_can_be_stopped_and_it_comes_back(
    clouds: Path, cloud: OpenStackAdapter, administrator: Administrator
) -> None:
    run_id = new_run_id("dead-host")
    cloud.launch(cloud.machine(run_id, node="c2"))
    cloud.wait_for(run_id, RunState.RUNNING)
    pid, _born = (clouds.parent / "nova-c2.pid").read_text(encoding="ascii").split()
    os.kill(int(pid), signal.SIGKILL)
    try:
        eventually(
            lambda: node(cloud, "c2").cordoned,
            "Nova misses the service, and the node takes no new runs",
            CLOUD_PATIENCE_S,
        )
        (result,) = cloud.launch(cloud.machine(new_run_id("dead-host"), node="c2"))
        assert (result.error.code, result.error.retryable) == (8, True)
        assert cloud.state(run_id) is RunState.RUNNING, "nobody knows better"
        cloud.halt(run_id, grace_ms=0)
        cloud.wait_for(run_id, RunState.STOPPED)
        assert administrator.machines(run_id) == []
    finally:
        start_compute(clouds.parent, "c2")
    eventually(lambda: not node(cloud, "c2").cordoned, "the node is back", CLOUD_PATIENCE_S)
    again = new_run_id("dead-host")
    cloud.launch(cloud.machine(again, node="c2"))
    cloud.wait_for(again, RunState.RUNNING)

"""Machines in a real Nova: placed where they were put, ended as they ended, and never made twice.

Those marked long wait for adapters that start anew, and for what is looked at every ten seconds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.openstack import naming
from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements, RunState
from tests.adapters.adapter_process import eventually, new_run_id, running
from tests.openstack_adapter.conftest import (
    CLOUD_PATIENCE_S,
    POOL_ID,
    Administrator,
    OpenStackAdapter,
    new_adapter,
    options,
)
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

MIB = GIB // 1024


def needing(cpus: int, memory_bytes: int = 64 * MIB, disk_bytes: int = 0) -> Requirements:
    return Requirements(Resources(cpus * 1000, memory_bytes, disk_bytes))


def node(adapter: OpenStackAdapter, name: str) -> pb.Node:
    nodes = adapter.stub.ListNodes(pb.ListNodesRequest(), timeout=CLOUD_PATIENCE_S).nodes
    return next(one for one in nodes if one.node_id == name)


def test_a_run_is_one_machine_on_its_hypervisor_until_it_is_stopped(
    cloud: OpenStackAdapter, administrator: Administrator
) -> None:
    run_id = new_run_id("vm")
    cloud.launch(cloud.machine(run_id, node="c2", program=Program(image="busybox", environment={"WORD": "西算"})))
    status = cloud.wait_for(run_id, RunState.RUNNING)
    (machine,) = administrator.machines(run_id)
    assert (list(status.nodes), machine["hypervisor_hostname"]) == (["c2"], "c2")
    assert (machine["metadata"]["WORD"], machine["metadata"][naming.RUN]) == ("西算", run_id)
    assert b"FAKE CONSOLE OUTPUT" in cloud.output(run_id)
    cloud.halt(run_id)
    assert "stopped as asked" in cloud.wait_for(run_id, RunState.STOPPED).message
    assert administrator.machines(run_id) == []


@pytest.mark.parametrize(
    ("requirements", "flavor"),
    [
        (needing(1), "small"),
        (needing(1, 65 * MIB), "medium"),
        (needing(1, 64 * MIB, 2 * GIB), "medium"),
        (needing(3, GIB), "large"),
        (needing(9, GIB, 2 * GIB), "xs-9c-1024m-2g"),
    ],
)
def test_the_smallest_flavor_that_fits_is_taken_and_a_missing_one_is_made(
    cloud: OpenStackAdapter, administrator: Administrator, requirements: Requirements, flavor: str
) -> None:
    run_id = new_run_id("flavor")
    (result,) = cloud.launch(cloud.machine(run_id, requirements=requirements))
    assert result.HasField("accepted"), result
    (machine,) = administrator.machines(run_id)
    assert machine["flavor"]["original_name"] == flavor


def test_a_machine_that_somebody_deletes_in_the_cloud_is_stopped(
    cloud: OpenStackAdapter, administrator: Administrator
) -> None:
    run_id = new_run_id("deleted")
    cloud.launch(cloud.machine(run_id))
    cloud.wait_for(run_id, RunState.RUNNING)
    administrator.delete(administrator.machines(run_id)[0]["id"])
    assert "deleted in the cloud" in cloud.wait_for(run_id, RunState.STOPPED).message


def test_a_machine_that_nova_gives_up_is_a_failed_run_with_its_reason(
    cloud: OpenStackAdapter, administrator: Administrator
) -> None:
    run_id = new_run_id("error")
    cloud.launch(cloud.machine(run_id))
    cloud.wait_for(run_id, RunState.RUNNING)
    machine_id = administrator.machines(run_id)[0]["id"]
    administrator.act(machine_id, {"os-resetState": {"state": "error"}})
    assert "in error" in cloud.wait_for(run_id, RunState.FAILED).message
    administrator.delete(machine_id)


def test_a_machine_that_somebody_switches_off_is_suspended_and_is_resumed(
    cloud: OpenStackAdapter, administrator: Administrator
) -> None:
    run_id = new_run_id("off")
    cloud.launch(cloud.machine(run_id))
    cloud.wait_for(run_id, RunState.RUNNING)
    administrator.act(administrator.machines(run_id)[0]["id"], {"os-stop": None})
    eventually(lambda: cloud.status(run_id).suspended, "switched off is suspended", CLOUD_PATIENCE_S)
    request = pb.ResumeRequest(epoch=cloud.epoch, run_ids=[run_id])
    (result,) = cloud.stub.Resume(request, timeout=CLOUD_PATIENCE_S).results
    assert not result.status.suspended
    assert administrator.machines(run_id)[0]["status"] == "ACTIVE"


@pytest.mark.long
def test_a_launch_repeated_after_the_adapter_lost_its_disk_is_one_machine(
    clouds: Path, administrator: Administrator, tmp_path: Path
) -> None:
    adapter = new_adapter(tmp_path, "forgetful", *options())
    with running(adapter):
        run_id = new_run_id("once")
        item = adapter.machine(run_id)
        adapter.launch(item)
        adapter.kill()
        (tmp_path / "state" / "runs.db").unlink()  # the adapter dies with its disk: Nova alone remembers
        adapter.start()
        adapter.launch(item)
        assert len(administrator.machines(run_id, "forgetful")) == 1
        adapter.wait_for(run_id, RunState.RUNNING)


@pytest.mark.long
def test_a_second_machine_of_one_run_is_deleted(
    cloud: OpenStackAdapter, administrator: Administrator, clouds: Path
) -> None:
    """As an order leaves one whose answer was lost, and which Nova carried out after it was repeated."""
    run_id = new_run_id("double")
    cloud.launch(cloud.machine(run_id))
    cloud.wait_for(run_id, RunState.RUNNING)
    first = administrator.machines(run_id)[0]["id"]
    administrator.order(
        {
            "name": naming.machine_name(POOL_ID, run_id),
            "imageRef": administrator.id_of("image", "busybox"),
            "flavorRef": administrator.id_of("flavor", "small"),
            "networks": "none",
            "metadata": {naming.RUN: run_id},
        }
    )
    cloud.restart()  # it surveys
    eventually(
        lambda: [one["id"] for one in administrator.machines(run_id)] == [first],
        "the first alone is left",
        CLOUD_PATIENCE_S,
    )
    assert cloud.state(run_id) is RunState.RUNNING


@pytest.mark.long
def test_machines_of_others_are_taken_off_what_nodes_offer(
    cloud: OpenStackAdapter, administrator: Administrator
) -> None:
    eventually(
        lambda: node(cloud, "c2").allocatable.cpu_milli == 1_000_000, "nobody else is there", CLOUD_PATIENCE_S
    )
    other = administrator.order(
        {
            "name": "of-somebody-else",
            "imageRef": administrator.id_of("image", "busybox"),
            "flavorRef": administrator.id_of("flavor", "large"),
            "networks": "none",
            "hypervisor_hostname": "c2",
        }
    )
    eventually(
        lambda: node(cloud, "c2").allocatable.cpu_milli == 992_000, "8 CPUs are taken off", CLOUD_PATIENCE_S
    )
    administrator.delete(other)
    eventually(
        lambda: node(cloud, "c2").allocatable.cpu_milli == 1_000_000, "they are offered again", CLOUD_PATIENCE_S
    )


@pytest.mark.long
def test_a_hypervisor_that_is_closed_is_cordoned_and_refuses(
    cloud: OpenStackAdapter, administrator: Administrator
) -> None:
    administrator.set_open("c2", False)
    try:
        eventually(lambda: node(cloud, "c2").cordoned, "the node takes no new runs", CLOUD_PATIENCE_S)
        (result,) = cloud.launch(cloud.machine(new_run_id("closed"), node="c2"))
        assert (result.error.code, result.error.retryable) == (8, True)
    finally:
        administrator.set_open("c2", True)
    eventually(lambda: not node(cloud, "c2").cordoned, "the node is back", CLOUD_PATIENCE_S)


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"node": "c99"}, 5, "c99"),
        ({"program": Program(image="no-such-image")}, 3, "no-such-image"),
        ({"program": Program(image="11111111-2222-3333-4444-555555555555")}, 3, "Glance"),
        ({"program": Program(image="busybox", environment={"A": "x" * 256})}, 3, "255"),
        ({"requirements": Requirements(Resources(1000, GIB, 0, 1000))}, 3, "accelerator"),
        ({"requirements": needing(1001)}, 8, "no valid host"),
        ({"requirements": needing(1001), "nodes": ()}, 8, "no valid host"),
    ],
)
def test_what_the_cloud_cannot_run_is_refused_with_the_rule(
    cloud: OpenStackAdapter, changes: dict[str, object], code: int, said: str
) -> None:
    (result,) = cloud.launch(cloud.machine(new_run_id("refused"), **changes))
    assert result.error.code == code, result
    assert said in result.error.message


def test_a_tenant_discloses_no_nodes_and_is_held_to_his_quota(
    clouds: Path, administrator: Administrator, tmp_path: Path
) -> None:
    """The credentials see no hypervisors: Nova chooses, and tells an opaque name of the host."""
    administrator.limit_machines("tenant", 1)
    adapter = new_adapter(tmp_path, "tenant-pool", *options("--aggregate-only", cloud="tenant"))
    with running(adapter):
        assert adapter.nodes == []
        run_id = new_run_id("tenant")
        adapter.launch(adapter.anywhere(run_id))
        (place,) = adapter.wait_for(run_id, RunState.RUNNING).nodes
        assert place.startswith("host-")
        (second,) = adapter.launch(adapter.anywhere(new_run_id("tenant")))
        assert (second.error.code, second.error.retryable) == (8, True)
        assert "quota" in second.error.message
        (huge,) = adapter.launch(adapter.anywhere(new_run_id("tenant"), requirements=needing(99)))
        assert huge.error.code == 3
        assert "flavor" in huge.error.message


def test_a_tenant_who_asks_for_nodes_is_told_what_to_do(clouds: Path, tmp_path: Path) -> None:
    adapter = new_adapter(tmp_path, "curious", *options(cloud="tenant"))
    said = adapter.refusal_to_start()
    assert "--aggregate-only" in said


def test_a_cloud_that_is_not_configured_is_refused_at_the_start(clouds: Path, tmp_path: Path) -> None:
    said = new_adapter(tmp_path, "nowhere", *options(cloud="nowhere")).refusal_to_start()
    assert "nowhere" in said
    assert "clouds.yaml" in said

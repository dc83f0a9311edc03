"""An OpenStack adapter over a real Keystone, Placement, Glance and Nova, whose machines only pretend to run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import openstack
import pytest
import yaml

from adapters.openstack import naming
from inventory.model.pool import Pool
from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements
from tests.adapters.adapter_process import AdapterProcess, declared_pool, running
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

POOL_ID = "openstack-pool"
CLOUD_PATIENCE_S = 90.0  # a dozen services answer each other on a small machine; a dead one is missed after 15 s


def cloud_pool(pool_id: str = POOL_ID) -> Pool:
    return replace(declared_pool("openstack"), pool_id=pool_id)


def options(*more: str, cloud: str = "tests") -> list[str]:
    return ["--cloud", cloud, "--network", "none", *more]


class Administrator:
    """What a person at the cloud's own command line would see and do."""

    def __init__(self, clouds: Path, cloud: str = "tests") -> None:
        entry = yaml.safe_load(clouds.read_text(encoding="utf-8"))["clouds"][cloud]
        self._connection: Any = openstack.connect(load_yaml_config=False, load_envvars=False, **entry)

    def machines(self, run_id: str, pool_id: str = POOL_ID) -> list[Any]:
        name = f"^{naming.machine_name(pool_id, run_id)}$"
        return [one.to_dict() for one in self._connection.compute.servers(name=name)]

    def act(self, machine_id: str, action: Mapping[str, object]) -> None:
        answer = self._connection.compute.post(
            f"/servers/{machine_id}/action", json=dict(action), microversion="2.79"
        )
        openstack.exceptions.raise_from_response(answer)

    def delete(self, machine_id: str) -> None:
        self._connection.compute.delete_server(machine_id)

    def order(self, body: Mapping[str, object]) -> str:
        answer = self._connection.compute.post("/servers", json={"server": body}, microversion="2.79")
        openstack.exceptions.raise_from_response(answer)
        return str(answer.json()["server"]["id"])

    def id_of(self, kind: str, name: str) -> str:
        if kind == "flavor":
            return str(self._connection.compute.find_flavor(name, ignore_missing=False).id)
        return str(self._connection.image.find_image(name, ignore_missing=False).id)

    def set_open(self, host: str, is_open: bool) -> None:
        """Lets new machines onto a hypervisor, or none any more."""
        service = next(one for one in self._connection.compute.services(binary="nova-compute") if one.host == host)
        if is_open:
            self._connection.compute.enable_service(service)
        else:
            self._connection.compute.disable_service(service, disabled_reason="test")

    def make_flavor(self, name: str, cpus: int, memory_mib: int, disk_gib: int) -> None:
        """One that everybody may use."""
        self._connection.compute.create_flavor(name=name, vcpus=cpus, ram=memory_mib, disk=disk_gib)

    def limit_machines(self, project: str, count: int) -> None:
        found = self._connection.identity.find_project(project, ignore_missing=False)
        self._connection.compute.update_quota_set(found, instances=count)


class OpenStackAdapter(AdapterProcess):
    """The adapter, with launches that are machines."""

    patience_s = CLOUD_PATIENCE_S

    def machine(self, run_id: str, **changes: object) -> pb.LaunchItem:
        fields = {
            "program": Program(image="busybox"),
            "runtime": "virtual-machine",
            "requirements": Requirements(Resources(1000, 64 * GIB // 1024)),
            **changes,
        }
        return self.launching(run_id, **fields)  # type: ignore[arg-type]  # as in `launching`

    def refusal_to_start(self) -> str:
        """What it says, once, when it does not start."""
        done = subprocess.run(self.command(), input="", capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in (1, 2), done
        return done.stderr

    def anywhere(self, run_id: str, **changes: object) -> pb.LaunchItem:
        return self.machine(run_id, nodes=(), **changes)


def new_adapter(folder: Path, pool_id: str, *words: str) -> OpenStackAdapter:
    return OpenStackAdapter("openstack", folder, pool=cloud_pool(pool_id), options=list(words))


@pytest.fixture(scope="session")
def clouds(openstack_cloud: Path) -> Iterator[Path]:
    """Adapters find the cloud as they do everywhere: by the environment."""
    patch = pytest.MonkeyPatch()
    patch.setenv("OS_CLIENT_CONFIG_FILE", str(openstack_cloud))
    yield openstack_cloud
    patch.undo()


@pytest.fixture(scope="session")
def administrator(clouds: Path) -> Administrator:
    return Administrator(clouds)


@pytest.fixture(scope="session")
def cloud(clouds: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStackAdapter]:
    folder = tmp_path_factory.mktemp("openstack")
    adapter = new_adapter(folder, POOL_ID, *options("--create-flavors"))
    with running(adapter):
        yield adapter

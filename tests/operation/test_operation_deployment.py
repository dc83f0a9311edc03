"""The deployment files name what exists: options, variables, ports, volumes, versions, settings that can be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from console.app import make_app
from console.home import find_home
from console.service_settings import read_service_settings
from scheduler.operation.logs import FOLDER_VARIABLE
from scheduler.runtime.cluster import GATEWAY_RESOURCE
from tests.shared_inputs import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "kuberay"


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    read = yaml.safe_load_all((FOLDER / "xisuan.yaml").read_text(encoding="utf-8"))
    return {document["kind"]: document for document in read}


def pods(documents: dict[str, Any]) -> list[dict[str, Any]]:
    spec = documents["RayCluster"]["spec"]
    return [group["template"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


def containers(documents: dict[str, Any]) -> list[dict[str, Any]]:
    return [container for pod in pods(documents) for container in pod["spec"]["containers"]]


def driver(documents: dict[str, Any]) -> dict[str, Any]:
    (found,) = [one for one in containers(documents) if one["name"] == "xisuan"]
    return found


def test_the_driver_is_started_with_options_that_up_has(documents: dict[str, Any]) -> None:
    command = get_command(make_app("up")).commands["up"]  # type: ignore[attr-defined]  # a group, as make_app says
    known = {name for parameter in command.params for name in parameter.opts}
    assert driver(documents)["command"] == ["xisuan", "up"]
    assert {argument.partition("=")[0] for argument in driver(documents)["args"]} <= known


def test_every_variable_is_one_that_is_read_and_the_store_is_a_secret(documents: dict[str, Any]) -> None:
    named = {entry["name"]: entry for container in containers(documents) for entry in container["env"]}
    home = find_home({"XISUAN_HOME": "/elsewhere", "XISUAN_STORE": "postgresql://x"})
    assert (str(home.folder), home.store_url) == ("/elsewhere", "postgresql://x")
    known = {"XISUAN_HOME", "XISUAN_STORE", FOLDER_VARIABLE}
    assert {name for name in named if name.startswith("XISUAN_")} == known
    assert "value" not in named["XISUAN_STORE"] and "secretKeyRef" in named["XISUAN_STORE"]["valueFrom"]


def test_ports_selectors_and_volumes_fit_together(documents: dict[str, Any]) -> None:
    (port,) = documents["Service"]["spec"]["ports"]
    assert f"--port={port['targetPort']}" in driver(documents)["args"]
    assert driver(documents)["readinessProbe"]["tcpSocket"]["port"] == port["targetPort"]
    selector = documents["Service"]["spec"]["selector"].items()
    chosen = [pod for pod in pods(documents) if selector <= pod["metadata"]["labels"].items()]
    assert chosen == [documents["RayCluster"]["spec"]["headGroupSpec"]["template"]]
    assert GATEWAY_RESOURCE in documents["RayCluster"]["spec"]["headGroupSpec"]["rayStartParams"]["resources"]
    for pod in pods(documents):
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        for container in pod["spec"]["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_its_settings_can_be_read(documents: dict[str, Any], tmp_path: Path) -> None:
    (name, content), = documents["ConfigMap"]["data"].items()  # fmt: skip
    (tmp_path / name).write_text(content, encoding="utf-8")
    stated = read_service_settings(tmp_path / name)
    assert (stated.operation.metrics_port, stated.operation.archive_after_days) == (9464, 180)
    service = documents["Service"]["metadata"]
    assert f"{service['name']}.{service['namespace']}.svc" in stated.access.names
    assert any(argument.endswith(name) for argument in driver(documents)["args"])


def test_ray_is_the_pinned_one_and_one_image_is_used(documents: dict[str, Any]) -> None:
    pinned = re.search(r"^ray==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert documents["RayCluster"]["spec"]["rayVersion"] == pinned[1]
    assert len({container["image"] for container in containers(documents)}) == 1


def test_the_image_holds_every_package_of_the_product() -> None:
    copied = set(re.findall(r"^COPY (\w+) ", (FOLDER / "Dockerfile").read_text(), re.MULTILINE))
    assert copied >= {"adapters", "console", "inventory", "scheduler", "simulations", "xisuan", "examples"}

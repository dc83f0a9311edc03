"""A client in another language, made from the contracts alone: `examples/clients/node` submits, watches and reads output."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.node_packages import with_packages
from tests.runtime.service import Service
from tests.shared_inputs import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "clients" / "node"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_packages(EXAMPLE, tmp_path_factory.mktemp("node-client"), "the client in Node")


def started(installed: Path, home: Path, *options: str) -> subprocess.Popen[str]:
    words = ["node", "submit.mjs", "--proto-dir", str(REPOSITORY / "proto"), "--home", str(home), *options]
    return subprocess.Popen(words, cwd=installed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(client: subprocess.Popen[str]) -> dict[str, Any]:
    out, faults = client.communicate(timeout=120)
    assert client.returncode == 0, faults
    said: dict[str, Any] = json.loads(out)
    return said


def test_it_submits_once_however_often_it_is_started_and_sees_every_end(installed: Path, service: Service) -> None:
    first = told(started(installed, service.home, "--batch", "nightly", "--jobs", "20"))
    assert len(set(first["accepted"])) == 20
    assert set(first["ends"]) == set(first["accepted"])
    again = told(started(installed, service.home, "--batch", "nightly", "--jobs", "20"))
    assert again["accepted"] == first["accepted"]
    assert again["runs"] == 1


def test_it_goes_on_when_control_plane_and_gateway_are_killed(installed: Path, service: Service) -> None:
    client = started(installed, service.home, "--batch", "killed", "--queue", "demo/killed", "--jobs", "40")
    with service.client() as ours:
        while not list(ours.list(queue="demo/killed")):
            assert client.poll() is None, client.communicate()
    for part in ("ControlPlaneShell", "GatewayShell"):
        service.part(part).kill()
    said = told(client)
    assert set(said["ends"]) == set(said["accepted"])
    with service.client() as ours:
        assert {len(ours.get(one).runs) for one in said["accepted"]} == {1}


def test_a_field_that_is_wrong_is_named_to_it(installed: Path, service: Service) -> None:
    client = started(installed, service.home, "--queue", "no//queue", "--jobs", "1")
    _, faults = client.communicate(timeout=60)
    assert client.returncode == 1
    assert "workloads[0].queue" in faults


def test_the_example_names_exact_versions_and_vendors_nothing() -> None:
    package = (EXAMPLE / "package.json").read_text(encoding="utf-8")
    assert "^" not in package and "~" not in package and "://" not in package
    assert {path.name for path in EXAMPLE.iterdir()} == {
        "calls.mjs",
        "connection.mjs",
        "package.json",
        "submit.mjs",
    }

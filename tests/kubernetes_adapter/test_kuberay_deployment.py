"""The deployment files for KubeRay on a real API server with the operator's own definitions, and under the operator itself.

Nodes are pretended, so no program of ours runs in the pods: what is tried is that the operator takes the files, makes the
pods from them, and that the Service finds the gateway, also after the head was lost.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import subprocess
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from scheduler.runtime.cluster import GATEWAY_RESOURCE
from tests.kubernetes_adapter.conftest import ClusterClient
from tests.servers.required import NOT_INSTALLED, absent
from tests.shared_inputs import REPOSITORY

pytestmark = pytest.mark.long

BUILD = REPOSITORY / "tests" / "servers" / "kubernetes" / "kuberay.sh"
FILES = REPOSITORY / "deploy" / "kuberay" / "xisuan.yaml"
CORE = "/api/v1/namespaces/xisuan"
RAY = "/apis/ray.io/v1/namespaces/xisuan/rayclusters"
PATHS = {
    "ConfigMap": f"{CORE}/configmaps",
    "PersistentVolumeClaim": f"{CORE}/persistentvolumeclaims",
    "Service": f"{CORE}/services",
    "RayCluster": RAY,
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/xisuan/networkpolicies",
}
Document = dict[str, Any]


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)


def documents() -> list[Document]:
    return list(yaml.safe_load_all(FILES.read_text(encoding="utf-8")))


def exists(cluster: ClusterClient, path: str) -> bool:
    try:
        cluster.ask("GET", path)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise
    return True


@pytest.fixture(scope="module")
def kuberay() -> Path:
    """The folder with the operator and its definitions."""
    done = subprocess.run([BUILD], capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode == NOT_INSTALLED:
        absent("kuberay", done.stderr.strip())
    if done.returncode != 0:
        absent("kuberay", f"the operator could not be built: {done.stderr.strip()[-300:]}")
    return Path(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def defined(cluster: ClusterClient, kuberay: Path) -> Iterator[ClusterClient]:
    """The cluster knows the operator's kinds and has our namespace."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    names = []
    for file in sorted((kuberay / "crds").glob("*.yaml")):
        definition = yaml.safe_load(file.read_text(encoding="utf-8"))
        cluster.ask("POST", path, definition)
        names.append(definition["metadata"]["name"])
    cluster.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "xisuan"}})
    until(lambda: exists(cluster, RAY), "the API server serves ray.io/v1")
    yield cluster
    cluster.ask("DELETE", "/api/v1/namespaces/xisuan")
    for name in names:
        cluster.ask("DELETE", f"{path}/{name}")


@pytest.fixture(scope="module")
def operator(defined: ClusterClient, kuberay: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs as long as the tests of this file; its log."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    options = ["--metrics-addr=0", "--health-probe-bind-address=0", "--enable-leader-election=false"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(kuberay / "ray-operator"), *options],
            env=os.environ | {"KUBECONFIG": str(defined.kubeconfig)},
            stdout=output,
            stderr=output,
        )
    yield log
    process.terminate()
    process.wait(30)


def test_the_api_server_knows_every_field_of_the_files(defined: ClusterClient) -> None:
    for document in documents():
        defined.ask("POST", f"{PATHS[document['kind']]}?dryRun=All&fieldValidation=Strict", document)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda spec: spec.update(rayVersio="2.60.0"), "rayVersio"),
        (lambda spec: spec["workerGroupSpecs"][0].update(minReplicas="two"), "minReplicas"),
        (lambda spec: spec["headGroupSpec"]["template"]["spec"]["containers"][0].pop("name"), "name"),
    ],
    ids=["a field that is not there", "a word where a number belongs", "a container without a name"],
)
def test_it_would_refuse(defined: ClusterClient, change: Callable[[Document], object], named: str) -> None:
    (given,) = [one for one in documents() if one["kind"] == "RayCluster"]
    wrong = copy.deepcopy(given)
    change(wrong["spec"])
    with pytest.raises(urllib.error.HTTPError) as refused:
        defined.ask("POST", f"{RAY}?dryRun=All&fieldValidation=Strict", wrong)
    assert named in refused.value.read().decode()


@pytest.fixture(scope="module")
def applied(defined: ClusterClient, operator: Path) -> Iterator[ClusterClient]:
    """The files applied as they are, with the volume that they ask for, until all pods run."""
    claim = next(one for one in documents() if one["kind"] == "PersistentVolumeClaim")["spec"]
    volume = {
        "metadata": {"name": "xisuan-home"},
        "spec": {
            "capacity": claim["resources"]["requests"],
            "accessModes": claim["accessModes"],
            "hostPath": {"path": "/nowhere"},
        },
    }
    defined.ask("POST", "/api/v1/persistentvolumes", volume)
    for document in documents():
        defined.ask("POST", PATHS[document["kind"]], document)
    until(lambda: ready(defined), f"the RayCluster is ready ({operator}: {operator.read_text()[-1500:]})", 120)
    yield defined
    defined.ask("DELETE", f"{RAY}/xisuan")
    until(lambda: not pods(defined), "the operator's pods are gone")
    defined.ask("DELETE", "/api/v1/persistentvolumes/xisuan-home")


def ready(cluster: ClusterClient) -> bool:
    """The operator says so, and every pod that the files ask for runs and has its address."""
    said = cast(Document, cluster.ask("GET", f"{RAY}/xisuan")).get("status", {})
    give_addresses(cluster)
    made = pods(cluster)
    return said.get("state") == "ready" and len(made) == 3 and all("podIP" in pod["status"] for pod in made)


def give_addresses(cluster: ClusterClient) -> None:
    """What a node's network would do: pretended nodes run pods without an address."""
    for number, pod in enumerate(pods(cluster)):
        if pod["status"].get("phase") == "Running" and "podIP" not in pod["status"]:
            ip = f"10.244.{number}.{int(pod['metadata']['uid'][:2], 16) or 1}"
            given = {"status": {"podIP": ip, "podIPs": [{"ip": ip}]}}
            cluster.ask("PATCH", f"{CORE}/pods/{pod['metadata']['name']}/status", given)


def pods(cluster: ClusterClient, kind: str = "") -> list[Document]:
    found = cast(list[Document], cluster.items(f"{CORE}/pods"))
    return [pod for pod in found if not kind or pod["metadata"]["labels"].get("ray.io/node-type") == kind]


def addresses(cluster: ClusterClient) -> set[tuple[str, int]]:
    """Where the Service of the files leads: (address, port)."""
    slices = cast(list[Document], cluster.items("/apis/discovery.k8s.io/v1/namespaces/xisuan/endpointslices"))
    return {
        (address, port["port"])
        for one in slices
        if one["metadata"]["labels"].get("kubernetes.io/service-name") == "xisuan"
        for endpoint in one.get("endpoints") or ()
        if endpoint["conditions"].get("ready")
        for address in endpoint["addresses"]
        for port in one["ports"]
    }


def head_addresses(cluster: ClusterClient) -> set[tuple[str, int]]:
    """What the Service should lead to: heads that run."""
    return {(ip, 7700) for pod in pods(cluster, "head") if (ip := pod["status"].get("podIP"))}


def words_of(container: Document) -> list[str]:
    """The command line that the operator made, as a shell would split it."""
    return shlex.split(" ".join([*container.get("command", ()), *container.get("args", ())]))


def test_the_operator_makes_a_head_and_two_workers_of_them(applied: ClusterClient) -> None:
    (head,) = pods(applied, "head")
    assert [one["name"] for one in head["spec"]["containers"]][:2] == ["ray-head", "xisuan"]
    assert len(pods(applied, "worker")) == 2
    for pod in pods(applied):
        assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "xisuan", "the network policy chooses by it"
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True


def test_the_head_offers_the_resource_that_gateways_ask_for(applied: ClusterClient) -> None:
    """Through the operator's quoting and the shell's, what Ray gets is JSON."""
    (head,) = pods(applied, "head")
    line = " ".join(words_of(head["spec"]["containers"][0]))
    assert "ray start" in line
    offered = re.search(r"--resources=(\{[^}]*\})", line)
    assert offered is not None, line
    assert json.loads(offered[1]) == {GATEWAY_RESOURCE: 1}


def test_the_driver_is_left_as_it_is_written(applied: ClusterClient) -> None:
    (head,) = pods(applied, "head")
    (given,) = [one for one in documents() if one["kind"] == "RayCluster"]
    asked = given["spec"]["headGroupSpec"]["template"]["spec"]["containers"][1]
    driver = head["spec"]["containers"][1]
    assert (driver["command"], driver["args"]) == (asked["command"], asked["args"])
    assert {one["name"] for one in asked["env"]} <= {one["name"] for one in driver["env"]}


def test_the_service_leads_to_the_head_also_when_it_was_lost(applied: ClusterClient) -> None:
    until(lambda: addresses(applied) == head_addresses(applied) != set(), "the Service leads to the head")
    (head,) = pods(applied, "head")
    applied.ask("DELETE", f"{CORE}/pods/{head['metadata']['name']}")

    def is_replaced() -> bool:
        found = [pod["metadata"]["uid"] for pod in pods(applied, "head")]
        return len(found) == 1 and found != [head["metadata"]["uid"]] and ready(applied)

    until(is_replaced, "the operator makes another head", 120)
    until(lambda: addresses(applied) == head_addresses(applied) != set(), "the Service leads to it")

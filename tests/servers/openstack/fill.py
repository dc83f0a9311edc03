"""Fills an empty test cloud: `python fill.py catalogue|content`, with the administrator's clouds.yaml. `up.sh` calls it.

"catalogue" is what Keystone knows of services (port1 for the first port after its own: `up.sh` puts the number there)
and people: a project with a member who is no administrator. "content" waits for the hypervisors and then makes what a
cloud has for its users: flavors and an image.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import openstack
from keystoneauth1.exceptions import ClientException

FLAVORS = (("small", 1, 64, 1), ("medium", 2, 4096, 10), ("large", 8, 16384, 40))  # CPUs, MiB, GiB
SERVICES = (
    ("identity", 0, "/v3"),
    ("placement", 1, ""),
    ("image", 2, ""),
    ("compute", 3, "/v2.1"),
    ("network", 4, ""),
)
HYPERVISORS = 2
PATIENCE_S = 120


def fill_catalogue() -> None:
    cloud: Any = openstack.connect(cloud="tests")
    for kind, offset, path in SERVICES:
        service = cloud.identity.create_service(name=kind, type=kind)
        for interface in ("public", "internal", "admin"):
            url = f"http://127.0.0.1:port{offset}{path}"
            cloud.identity.create_endpoint(service_id=service.id, interface=interface, url=url, region_id="tests")
    tenant = cloud.identity.create_project(name="tenant", domain_id="default")
    user = cloud.identity.create_user(name="tenant", password="tenant", domain_id="default")
    member = cloud.identity.find_role("member")
    cloud.identity.assign_project_role_to_user(tenant, user, member)


def fill_content() -> None:
    cloud: Any = openstack.connect(cloud="tests")
    end = time.monotonic() + PATIENCE_S
    while not _is_up(cloud):
        if time.monotonic() > end:
            sys.exit(f"no {HYPERVISORS} hypervisors within {PATIENCE_S} s")
        time.sleep(0.2)
    for name, cpus, memory, disk in FLAVORS:
        cloud.compute.create_flavor(name=name, vcpus=cpus, ram=memory, disk=disk)
    cloud.image.create_image(
        name="busybox",
        disk_format="raw",
        container_format="bare",
        visibility="public",
        data=b"x" * 1024,
        wait=True,
    )


def _is_up(cloud: Any) -> bool:
    try:
        up = [one for one in cloud.compute.hypervisors() if one.state == "up"]
        known = [one for one in cloud.placement.resource_providers() if _has_cpus(cloud, one.id)]
    except (openstack.exceptions.SDKException, ClientException):
        return False  # Nova is still starting
    return len(up) == HYPERVISORS == len(known)


def _has_cpus(cloud: Any, provider_id: str) -> bool:
    answer = cloud.placement.get(f"/resource_providers/{provider_id}/inventories")
    return "VCPU" in answer.json().get("inventories", {})


if __name__ == "__main__":
    fill_catalogue() if sys.argv[1] == "catalogue" else fill_content()

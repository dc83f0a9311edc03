"""A Nova in memory, for faults that a real one does not make on demand: lost answers, late orders, deaf cells.

It stands in for `adapters.openstack.cloud.Cloud`. Machines become active when they are next listed; a host has room
for what its inventory says; what is deleted is listed as deleted, and holds its room until `settle`.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from adapters.openstack.cloud import CloudRefused, Json
from adapters.sdk.engine import EngineUnavailable

IMAGE = "11111111-2222-3333-4444-555555555555"
SMALL = {"id": "small", "name": "small", "vcpus": 1, "ram": 64, "disk": 1}


class PretendedNova:
    """Two hypervisors, c1 and c2, of `cpus` CPUs; a flavor, and those that are made; one image ("busybox")."""

    def __init__(self, cpus: int = 4) -> None:
        self.servers: dict[str, Json] = {}
        self.held: dict[str, str] = {}  # machine to host, as Placement counts
        self.cpus = cpus
        self.flavors: list[Json] = [dict(SMALL)]
        self.deleted_at_once = True
        self.builds_nothing = False  # machines find no host: one that is deleted leaves no record
        self.lost_answers = 0  # of so many orders to come, the answer is lost
        self.late_orders = 0  # so many orders to come are carried out at the next `arrive`, their answers lost
        self.is_locked = False  # nobody but an administrator may delete a machine
        self.down: set[str] = set()  # hypervisors whose service is not heard of
        self.is_deaf = False  # no answer at all
        self.quota_is_used_up = False
        self._late: list[Json] = []
        self._numbers = itertools.count(1)

    # -- what a person at the cloud does ------------------------------------------------------------------------

    def change(self, machine_id: str, **fields: object) -> None:
        self.servers[machine_id] |= {"updated": _now(), **fields}

    def arrive(self) -> None:
        """Orders that were on their way are carried out."""
        for body in self._late:
            self._make(body)
        self._late = []

    def settle(self) -> None:
        """Placement frees what deleted machines held."""
        self.held = {one: host for one, host in self.held.items() if self.servers[one]["status"] != "DELETED"}

    def alive(self) -> list[str]:
        return [machine_id for machine_id, one in self.servers.items() if one["status"] != "DELETED"]

    # -- Cloud --------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Nothing was opened."""

    async def project_id(self) -> str:
        return "project"

    async def pages(self, path: str, key: str, query: Mapping[str, str]) -> list[Json]:
        self._listen()
        if path == "/flavors/detail":
            return [dict(one) for one in self.flavors]
        if path == "/os-hypervisors/detail":
            return [self._hypervisor(name) for name in ("c1", "c2")]
        name = re.compile(query["name"])
        found = [
            dict(one)
            for one in self.servers.values()
            if name.search(one["name"]) and (one["status"] != "DELETED" or "changes-since" in query)
        ]
        for one in self.servers.values():
            if one["status"] == "BUILD" and not self.builds_nothing:
                one |= {"status": "ACTIVE", "updated": _now(), "OS-SRV-USG:launched_at": _now()}
        return found

    async def get(self, service: str, path: str, query: Mapping[str, str] | None = None) -> Json:
        self._listen()
        if path == "/images":
            return {"images": [{"id": IMAGE}] if query and query["name"] == "busybox" else []}
        if path.endswith("/inventories"):
            free = {"reserved": 0, "allocation_ratio": 1.0}
            return {
                "inventories": {
                    "VCPU": {"total": self.cpus, **free},
                    "MEMORY_MB": {"total": 64 * self.cpus, **free},
                }
            }
        if path.startswith("/os-hypervisors/"):
            return {"hypervisor": self._hypervisor(path.rpartition("/u-")[2])}
        if path.startswith("/allocations/"):
            return {"allocations": {"u": {}} if path.rpartition("/")[2] in self.held else {}}
        if path.endswith("/allocations"):
            host = path.split("/")[2].removeprefix("u-")
            return {"allocations": {one: self._amount(one) for one, where in self.held.items() if where == host}}
        if path == "/allocation_candidates":
            return {"allocation_requests": [{}][: 2 * self.cpus - len(self.held)]}
        machine = self.servers.get(path.removeprefix("/servers/"))
        if machine is None or machine["status"] == "DELETED":
            raise CloudRefused(404, f"{path}: not found")
        return {"server": dict(machine)}

    async def post(self, service: str, path: str, body: Json) -> Json:
        self._listen()
        if path == "/flavors":
            made = {"id": body["flavor"]["name"], **body["flavor"]}
            self.flavors.append(made)
            return {"flavor": made}
        if path.startswith("/flavors/"):
            return {}
        if path != "/servers":
            return self._act(path.split("/")[2], next(iter(body)))
        if self.quota_is_used_up:
            raise CloudRefused(403, "Quota exceeded for instances")
        if self.late_orders:
            self.late_orders -= 1
            self._late.append(body["server"])
            raise EngineUnavailable("no answer")
        machine_id = self._make(body["server"])
        if self.lost_answers:
            self.lost_answers -= 1
            raise EngineUnavailable("no answer")
        return {"server": {"id": machine_id}}

    async def delete(self, service: str, path: str) -> None:
        self._listen()
        machine_id = path.removeprefix("/servers/")
        if self.is_locked:
            raise CloudRefused(409, "Instance is locked")
        if self.builds_nothing and self.servers.get(machine_id, {}).get("status") == "BUILD":
            del self.servers[machine_id], self.held[machine_id]
        elif machine_id in self.servers:
            self.change(machine_id, status="DELETED", metadata={}, **{"OS-SRV-USG:terminated_at": _now()})
            if self.deleted_at_once:
                self.settle()

    def _listen(self) -> None:
        if self.is_deaf:
            raise EngineUnavailable("no answer")

    def _make(self, body: Json) -> str:
        machine_id = f"m-{next(self._numbers)}"
        host = body.get("hypervisor_hostname", "c1")
        self.servers[machine_id] = {
            "id": machine_id,
            "name": body["name"],
            "metadata": body["metadata"],
            "status": "BUILD",
            "flavor": next(dict(one) for one in self.flavors if one["id"] == body["flavorRef"]),
            "created": _now(),
            "updated": _now(),
            "OS-EXT-SRV-ATTR:hypervisor_hostname": host,
        }
        self.held[machine_id] = host
        return machine_id

    def _hypervisor(self, name: str) -> Json:
        state = "down" if name in self.down else "up"
        return {"id": f"u-{name}", "hypervisor_hostname": name, "state": state, "status": "enabled"}

    def _amount(self, machine_id: str) -> Json:
        flavor = self.servers[machine_id]["flavor"]
        return {"resources": {"VCPU": flavor["vcpus"], "MEMORY_MB": flavor["ram"]}}

    def _act(self, machine_id: str, action: str) -> Json:
        status = {"suspend": "SUSPENDED", "resume": "ACTIVE", "os-stop": "SHUTOFF", "os-start": "ACTIVE"}
        if action in status:
            self.change(machine_id, status=status[action])
        return {"output": "console\n"} if action == "os-getConsoleOutput" else {}


def _now() -> str:
    return datetime.fromtimestamp(time.time_ns() / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")

"""Machines as Nova lists them, read into reports: states, places, times, and why they ended.

`engine.py` lists the machines of its pool. Pure. A machine that is switched off or paused keeps its place on the
hypervisor: it is a running run that is suspended. It ends when it is deleted, or when Nova gives it up (ERROR).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from adapters.contract import RunReport
from adapters.openstack import naming
from adapters.openstack.cloud import Json
from inventory.model.workload import RunState

GONE = frozenset({"DELETED", "SOFT_DELETED"})
HALTED = frozenset({"SUSPENDED", "PAUSED", "SHUTOFF", "SHELVED", "SHELVED_OFFLOADED"})
UNKNOWN = "UNKNOWN"  # its cell does not answer: nothing is known but that it exists
_GONE_TEXT = "虚拟机已在云平台中被删除 / the machine was deleted in the cloud"


@dataclass(frozen=True, slots=True)
class Amount:
    """What a machine takes of a hypervisor, and what a hypervisor has."""

    cpus: int = 0
    memory_mib: int = 0
    disk_gib: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.cpus + other.cpus, self.memory_mib + other.memory_mib, self.disk_gib + other.disk_gib)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.cpus - other.cpus, self.memory_mib - other.memory_mib, self.disk_gib - other.disk_gib)

    def fits(self, room: Amount) -> bool:
        return self.cpus <= room.cpus and self.memory_mib <= room.memory_mib and self.disk_gib <= room.disk_gib


@dataclass(frozen=True, slots=True)
class Machine:
    """One server of Nova. `node` is its hypervisor where Nova tells it, else the one that was asked for, else Nova's
    own opaque name of the host; "" while there is none. Times are UTC milliseconds; Nova counts whole seconds."""

    machine_id: str
    name: str
    run_id: str
    status: str
    task: str
    node: str
    amount: Amount
    created_ms: int
    updated_ms: int
    launched_ms: int | None = None
    ended_ms: int | None = None
    limit_ms: int = 0
    fault: str = ""

    @property
    def is_alive(self) -> bool:
        return self.status not in GONE and self.status != "ERROR"

    @property
    def is_halted(self) -> bool:
        """True while its processors stand still, or are told to."""
        if self.task in ("suspending", "pausing"):
            return True
        return self.status in HALTED and self.task not in ("resuming", "unpausing", "powering-on")


def machine_of(server: Json) -> Machine:
    """One entry of `GET /servers/detail`. A deleted one may lack its metadata: then `run_id` is ""."""
    metadata = server.get("metadata") or {}
    flavor = server.get("flavor") or {}
    opaque = server.get("hostId") or ""
    node = server.get("OS-EXT-SRV-ATTR:hypervisor_hostname") or metadata.get(naming.NODE) or ""
    limit = str(metadata.get(naming.LIMIT, ""))
    return Machine(
        machine_id=str(server["id"]),
        name=str(server.get("name", "")),
        run_id=str(metadata.get(naming.RUN, "")),
        status=str(server.get("status", UNKNOWN)),
        task=str(server.get("OS-EXT-STS:task_state") or ""),
        node=str(node or (f"host-{opaque[:12]}" if opaque else "")),
        amount=flavor_amount(flavor),
        created_ms=milliseconds(server.get("created")) or 0,
        updated_ms=milliseconds(server.get("updated")) or 0,
        launched_ms=milliseconds(server.get("OS-SRV-USG:launched_at")),
        ended_ms=milliseconds(server.get("OS-SRV-USG:terminated_at")),
        limit_ms=int(limit) if limit.isdigit() else 0,
        fault=str((server.get("fault") or {}).get("message", "")),
    )


def flavor_amount(flavor: Json) -> Amount:
    """What Placement is asked for: root and ephemeral disks, and swap, which is in MiB."""
    swap = -(-int(flavor.get("swap") or 0) // 1024)
    ephemeral = flavor.get("OS-FLV-EXT-DATA:ephemeral") or flavor.get("ephemeral") or 0
    disk = int(flavor.get("disk") or 0) + int(ephemeral)
    return Amount(int(flavor.get("vcpus", 0)), int(flavor.get("ram", 0)), disk + swap)


def report_of(machine: Machine, *, is_ending: bool = False) -> RunReport:
    """The run of a machine. `is_ending`: it was asked to end, so that switched off is on its way, and not suspended."""
    nodes = (machine.node,) if machine.node else ()
    if machine.status in GONE:
        return RunReport(
            machine.run_id,
            RunState.STOPPED,
            nodes,
            None,
            _GONE_TEXT,
            machine.launched_ms,
            machine.ended_ms or machine.updated_ms,
        )
    if machine.status == "ERROR":
        text = f"虚拟机出错 / the machine is in error: {machine.fault or 'no reason given'}"
        return RunReport(
            machine.run_id, RunState.FAILED, nodes, None, text, machine.launched_ms, machine.updated_ms
        )
    if machine.launched_ms is None or machine.status == "BUILD":
        return RunReport(machine.run_id, RunState.STARTING, nodes)
    return RunReport(
        machine.run_id,
        RunState.RUNNING,
        nodes,
        started_ms=machine.launched_ms,
        suspended=machine.is_halted and not is_ending,
    )


def deleted_report(run_id: str, ended_ms: int) -> RunReport:
    """Of a machine that Nova held, and holds no more."""
    return RunReport(run_id, RunState.STOPPED, message=_GONE_TEXT, ended_ms=ended_ms)


def milliseconds(text: object) -> int | None:
    """A time of Nova's ("2026-11-22T14:00:00Z", "2026-11-22T14:00:00.000000"), which is UTC."""
    if not isinstance(text, str) or not text:
        return None
    return round(datetime.fromisoformat(text.rstrip("Z")).replace(tzinfo=UTC).timestamp() * 1000)

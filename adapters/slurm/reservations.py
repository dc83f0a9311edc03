"""Slurm's advance reservations: found by a name derived from our id, held in cores, or as whole nodes for cards.

`backend.py` hands the contract's Reserve and Unreserve to it. Slurm itself gives a repeated name no answer that tells
whether it was kept ("overlaps with another reservation"), so what exists is listed before anything is created.
"""

from __future__ import annotations

import os
import pwd
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hostlist import expand_hostlist

from adapters.contract import Refusal, RefusalCode, Reservation
from adapters.slurm import naming

_ONE = re.compile(
    r"ReservationName=(?P<name>\S+) StartTime=(?P<begins>\d+) EndTime=(?P<ends>\d+) .*?\bNodes=(?P<nodes>\S+)"
)
_GONE = ("does not exist", "not found", "Requested reservation is invalid")
_TIMES = ("Invalid start time", "Invalid end time", "Start time is in the past", "Invalid time")


@dataclass(frozen=True, slots=True)
class Held:
    """One reservation as Slurm lists it; `nodes` each once. Times are UTC milliseconds since 1970."""

    nodes: tuple[str, ...]
    begins_ms: int
    ends_ms: int


def parse_reservations(text: str) -> dict[str, Held]:
    """By name, from `scontrol show reservation --oneliner` with times in seconds since 1970 (SLURM_TIME_FORMAT=%s)."""
    found = {}
    for line in text.splitlines():
        match = _ONE.search(line)
        if match:
            nodes = () if match["nodes"] == "(null)" else tuple(expand_hostlist(match["nodes"]))
            found[match["name"]] = Held(nodes, int(match["begins"]) * 1000, int(match["ends"]) * 1000)
    return found


def creation(one: Reservation, partition: str, threads: Mapping[str, int], now_ms: int) -> list[str]:
    """The words for `scontrol create reservation`. `threads` are hardware threads a core, by node.

    A reservation by cores leaves the other cores of its nodes to others, and Slurm finds room for it beside jobs that
    have no end. Cards cannot be reserved by number (Slurm 22.05): with cards the nodes are held whole.
    """
    need = one.requirements.per_task
    cpus = max(1, -(-need.cpu_milli // 1000))
    result = [
        f"ReservationName={naming.reservation_name(one.reservation_id)}",
        "StartTime=now" if one.begins_ms <= now_ms else f"StartTime=uts{one.begins_ms // 1000}",
        f"EndTime=uts{-(-one.ends_ms // 1000)}",
        f"Users={pwd.getpwuid(os.geteuid()).pw_name}",
    ]
    if partition:
        result.append(f"PartitionName={partition}")
    if one.nodes:
        tasks = dict(sorted(Counter(one.nodes).items()))
        result.append(f"Nodes={','.join(tasks)}")
        cores = [-(-count * cpus // threads.get(node, 1)) for node, count in tasks.items()]
    else:
        result.append(f"NodeCnt={one.requirements.tasks}")
        cores = [one.requirements.tasks * -(-cpus // min(threads.values(), default=1))]
    if not need.accelerator_milli:
        result.append(f"CoreCnt={','.join(str(count) for count in cores)}")
    return result


def answer(one: Reservation, held: Held) -> Reservation:
    """What the scheduler is told: the nodes that it named, or those that Slurm chose, one a task."""
    return replace(one, nodes=one.nodes or held.nodes, begins_ms=held.begins_ms, ends_ms=held.ends_ms)


def refusal(reservation_id: str, said: str) -> Refusal:
    """Slurm's no as the contract's: times that cannot be, or no room in that time."""
    if any(sign in said for sign in _TIMES):
        return Refusal(reservation_id, RefusalCode.INVALID_ARGUMENT, f"{reservation_id}: {said}")
    text = f"{reservation_id}: 该时段没有空余 / there is no room in that time: {said}"
    return Refusal(reservation_id, RefusalCode.RESOURCE_EXHAUSTED, text)


def is_gone(said: str) -> bool:
    """True where Slurm says that there is no such reservation."""
    return any(sign in said for sign in _GONE)

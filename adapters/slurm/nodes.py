"""Nodes as sinfo lists them, in the model's words, less what jobs of others hold on them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapters.slurm.jobs import Job
from inventory.model.pool import Node, Pool
from inventory.model.units import GIB, Resources

FORMAT = "%N|%c|%m|%G|%T|%f|%Z"
_OPEN = ("idle", "mixed", "allocated", "completing", "reserved")
_GPU = re.compile(r"gpu(?::(?P<type>[A-Za-z][^:(,]*))?:(?P<count>[0-9]+)")


@dataclass(frozen=True, slots=True)
class NodeLine:
    """One node of `sinfo --Node --noheader --format=FORMAT`; memory in MiB."""

    name: str
    cpus: int
    memory_mib: int
    card: str | None
    cards: int
    state: str
    features: tuple[str, ...]
    threads_per_core: int


def parse_nodes(text: str) -> list[NodeLine]:
    """Each node once, by name: a node of several partitions is listed once for each."""
    found: dict[str, NodeLine] = {}
    for line in text.splitlines():
        name, cpus, memory, gres, state, features, threads = line.split("|")
        match = _GPU.search(gres)
        found[name] = NodeLine(
            name,
            int(cpus),
            int(memory),
            (match["type"] or "gpu") if match else None,
            int(match["count"]) if match else 0,
            state,
            tuple(one for one in features.split(",") if one and one != "(null)"),
            max(1, int(threads)),
        )
    return [found[name] for name in sorted(found)]


def nodes_of(pool: Pool, lines: Iterable[NodeLine], foreign: Mapping[str, Resources]) -> list[Node]:
    """Slurm does not tell instruction sets: the pool's own declaration does, and its card model where it has one."""
    arch = min(pool.architectures)
    result = []
    for line in lines:
        whole = Resources(line.cpus * 1000, line.memory_mib * (GIB // 1024), 0, line.cards * 1000)
        left = whole - foreign.get(line.name, Resources())
        free = Resources(max(0, left.cpu_milli), max(0, left.memory_bytes), 0, max(0, left.accelerator_milli))
        result.append(
            Node(
                node_id=line.name,
                arch=arch,
                allocatable=free,
                accelerator=(pool.accelerator or line.card) if line.cards else None,
                cordoned=line.state.rstrip("*~#!%$@^-+") not in _OPEN,
                labels=frozenset((feature, "true") for feature in line.features),
            )
        )
    return result


def held_by_others(jobs: Iterable[Job], prefix: str) -> dict[str, Resources]:
    """What running jobs that are not ours hold on each node. Slurm lists a job's sum: it is divided evenly."""
    held: dict[str, Resources] = defaultdict(Resources)
    for job in jobs:
        if job.is_active and not job.name.startswith(prefix) and job.nodes:
            count = len(job.nodes)
            share = Resources(
                -(-job.allocated.cpu_milli // count),
                -(-job.allocated.memory_bytes // count),
                0,
                -(-job.allocated.accelerator_milli // count),
            )
            for node in job.nodes:
                held[node] = held[node] + share
    return held

"""The machines of one pool as Nova lists them: all of them now and then, and what changed since, in between.

`engine.py` owns one. Nova has no stream of events for its users; `changes-since` gives what was touched after a moment,
deleted machines included. The moment is Nova's own (the newest `updated` seen), less what its hosts' clocks may differ.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from adapters.openstack import naming
from adapters.openstack.cloud import Cloud, CloudRefused
from adapters.openstack.machines import GONE, UNKNOWN, Machine, machine_of
from adapters.sdk.engine import EngineUnavailable

_OVERLAP_MS = 10_000
_MEMORY_MS = 600_000


class Fleet:
    """Machines by id, as last heard of; deleted ones leave it."""

    def __init__(self, cloud: Cloud, pool_id: str) -> None:
        self._cloud = cloud
        self._pool_id = pool_id
        self._prefix = naming.machine_prefix(pool_id)
        self._machines: dict[str, Machine] = {}
        self._newest_ms = 0

    def get(self, machine_id: str) -> Machine | None:
        return self._machines.get(machine_id)

    def all(self) -> list[Machine]:
        return list(self._machines.values())

    def named(self, run_id: str) -> list[Machine]:
        """Machines of this run: one, unless a call whose answer never came was carried out nevertheless."""
        name = naming.machine_name(self._pool_id, run_id)
        return [one for one in self._machines.values() if one.name == name]

    def add(self, machine: Machine) -> None:
        """One that was just ordered, before a listing shows it."""
        self._machines.setdefault(machine.machine_id, machine)

    async def list_all(self) -> list[Machine]:
        """Every machine of the pool. Raises EngineUnavailable, also where a part of the cloud does not answer."""
        found = await self._list({})
        listed = {one.machine_id: one for one in found}
        # Those that were ordered while it was listed are not in it.
        ordered = [one for one in self._machines.values() if one.created_ms == 0 and one.machine_id not in listed]
        self._machines = {**listed, **{one.machine_id: one for one in ordered}}
        # Where there is none, what was deleted long ago need not be told.
        newest_ms = max((one.updated_ms for one in found), default=0)
        self._newest_ms = max(self._newest_ms, newest_ms) or time.time_ns() // 1_000_000 - _MEMORY_MS
        for one in ordered:
            now = await self.look_up(one.machine_id)
            if now is None:
                del self._machines[one.machine_id]
            else:
                self._machines[one.machine_id] = now
        return list(self._machines.values())

    async def find(self, run_ids: Sequence[str]) -> dict[str, Machine]:
        """Machines of these runs, by run id, asked of Nova now and by name. Raises EngineUnavailable."""
        names = {naming.machine_name(self._pool_id, run_id): run_id for run_id in run_ids}
        if not names:
            return {}
        try:
            listed = await self._cloud.pages("/servers", "servers", {"name": f"^({'|'.join(names)})$"})
        except CloudRefused as refused:
            raise EngineUnavailable(f"GET /servers: {refused}") from refused
        found: dict[str, Machine] = {}
        for one in listed:
            machine_id = str(one["id"])
            machine = self._machines.get(machine_id) or await self.look_up(machine_id)
            if machine is not None and machine.status not in GONE and machine.name in names:
                # As one that was just ordered: what it is by now is told when a listing shows it.
                self._machines.setdefault(machine_id, replace(machine, created_ms=0, updated_ms=0))
                found.setdefault(names[machine.name], machine)
        return found

    async def list_changes(self) -> list[Machine]:
        """Machines that were touched since, deleted ones with the run that they were. Raises EngineUnavailable."""
        since = datetime.fromtimestamp(max(0, self._newest_ms - _OVERLAP_MS) / 1000, UTC)
        changed = []
        for one in await self._list({"changes-since": since.strftime("%Y-%m-%dT%H:%M:%SZ")}):
            before = self._machines.get(one.machine_id)
            self._newest_ms = max(self._newest_ms, one.updated_ms)
            if one.status != "DELETED":
                self._machines[one.machine_id] = one
                if one != before:
                    changed.append(one)
            elif before is not None:  # else it was told already, or was never ours
                del self._machines[one.machine_id]
                changed.append(_as_it_was(one, before))
        return changed

    async def look_up(self, machine_id: str) -> Machine | None:
        """One machine, now; None where Nova has none of that id. Raises EngineUnavailable."""
        try:
            answer = await self._cloud.get("compute", f"/servers/{machine_id}")
        except CloudRefused as refused:
            if refused.status == 404:
                return None
            raise EngineUnavailable(f"GET /servers/{machine_id}: {refused}") from refused
        return _known([machine_of(answer["server"])])[0]

    async def _list(self, query: dict[str, str]) -> list[Machine]:
        try:
            listed = await self._cloud.pages("/servers/detail", "servers", {"name": f"^{self._prefix}", **query})
        except CloudRefused as refused:
            raise EngineUnavailable(f"GET /servers/detail: {refused}") from refused
        return _known([machine_of(one) for one in listed])


def doubles(machines: Iterable[Machine], taken: dict[str, str]) -> list[Machine]:
    """Of machines with one name, those that are too many. The one stays whose id was told (`taken`, by run id), else
    the oldest."""
    by_name: dict[str, list[Machine]] = defaultdict(list)
    for one in machines:
        if one.is_alive:
            by_name[one.name].append(one)
    result = []
    for alike in by_name.values():
        alike.sort(key=lambda one: (one.machine_id != taken.get(one.run_id), one.created_ms, one.machine_id))
        result += alike[1:]
    return result


def _known(machines: Sequence[Machine]) -> list[Machine]:
    """Raises EngineUnavailable where Nova itself could not ask: such a listing says nothing about what is missing."""
    if any(one.status == UNKNOWN for one in machines):
        raise EngineUnavailable(
            "Nova 的部分单元暂不可达，请稍后重试 / a cell of Nova does not answer: its machines are not known now"
        )
    return list(machines)


def _as_it_was(deleted: Machine, before: Machine) -> Machine:
    """A deleted machine, with what its listing leaves out."""
    return replace(
        before, status=deleted.status, task="", updated_ms=deleted.updated_ms, ended_ms=deleted.ended_ms, fault=""
    )

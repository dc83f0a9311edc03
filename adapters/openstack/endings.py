"""Ending machines: switched off politely, deleted when that is done or the grace is over.

`engine.py` asks; the end itself is observed in Nova's listings. A restart of the adapter forgets these tasks: the
survey then asks again for every stop that is owed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from adapters.openstack.cloud import Cloud, CloudRefused
from adapters.openstack.fleet import Fleet
from adapters.openstack.machines import Machine
from adapters.sdk.engine import Cancel, EngineUnavailable, Observer

_REMEMBERED_S = 60.0
_LOOK_S = 0.25
_ASK_S, _ASK_LONGEST_S = 2.0, 32.0


class Endings:
    """The machines that are on their way out, and those that have just left."""

    def __init__(self, cloud: Cloud, fleet: Fleet) -> None:
        self._cloud = cloud
        self._fleet = fleet
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ends_at: dict[str, float] = {}  # run id to when force comes
        self._leaving: dict[str, float] = {}  # machine id to when its end was asked for

    def open(self, observer: Observer) -> None:
        self._observer = observer

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ask(self, cancels: Sequence[Cancel]) -> None:
        """Ends these runs. Asked again, the earlier end counts."""
        for cancel in cancels:
            ends_at = time.monotonic() + cancel.grace_ms / 1000
            earlier = self._tasks.get(cancel.run_id)
            if earlier is not None and self._ends_at[cancel.run_id] <= ends_at:
                continue
            if earlier is not None:
                earlier.cancel()
            self._ends_at[cancel.run_id] = ends_at
            self._start(cancel.run_id, self._end(cancel.run_id, cancel.handle, ends_at))

    def delete(self, machines: Iterable[Machine], after_s: float = 0.0) -> None:
        """Deletes these in the background, where that was not asked for lately."""
        for one in machines:
            if not self.is_leaving(one.machine_id):
                self._leaving[one.machine_id] = time.monotonic()
                self._start(one.machine_id, self._delete_later(one.machine_id, after_s))

    def is_ending(self, run_id: str) -> bool:
        return run_id in self._tasks

    def is_leaving(self, machine_id: str) -> bool:
        """True for a machine whose end was asked for lately: what it held is free, or about to be."""
        asked = self._leaving.get(machine_id)
        return asked is not None and time.monotonic() - asked < _REMEMBERED_S

    def _start(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks[key] = task

        def over(done: asyncio.Task[None]) -> None:
            if self._tasks.get(key) is done:
                del self._tasks[key]

        task.add_done_callback(over)

    async def _end(self, run_id: str, handle: str, ends_at: float) -> None:
        ids = {one.machine_id for one in self._fleet.named(run_id)} | ({handle} if handle else set())
        try:
            for machine_id in ids:
                if ends_at > time.monotonic():
                    await self._switch_off(machine_id, ends_at)
                await self._delete(machine_id)
            await self._see_off(ids)
        except EngineUnavailable:
            self._observer.gap()  # the survey asks again for every stop that is owed

    async def _see_off(self, ids: Iterable[str]) -> None:
        """Until they are gone: they are still ending, and what is switched off meanwhile is not suspended.

        A machine that was deleted before it had a host leaves no record, and no listing of changes tells of it; one
        that was locked is still there. Both are asked for now and then.
        """
        pause_s = _ASK_S
        asked_at = time.monotonic()
        while staying := [machine_id for machine_id in ids if self._fleet.get(machine_id) is not None]:
            await asyncio.sleep(_LOOK_S)
            if time.monotonic() - asked_at < pause_s:
                continue
            for machine_id in staying:
                machine = await self._fleet.look_up(machine_id)
                if machine is None:
                    self._observer.gap()
                elif not machine.task:
                    await self._delete(machine_id)
            asked_at = time.monotonic()
            pause_s = min(2 * pause_s, _ASK_LONGEST_S)

    async def _delete_later(self, machine_id: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        try:
            await self._delete(machine_id)
        except EngineUnavailable:
            self._observer.gap()  # the survey finds it again

    async def _switch_off(self, machine_id: str, ends_at: float) -> None:
        """As a press on the power button, which the system inside may obey, until it is off or the grace is over."""
        machine = self._fleet.get(machine_id)
        if machine is None or machine.status != "ACTIVE" or machine.task:
            return
        with contextlib.suppress(CloudRefused):  # it has changed meanwhile
            await self._cloud.post("compute", f"/servers/{machine_id}/action", {"os-stop": None})
            while time.monotonic() < ends_at and _is_on(self._fleet.get(machine_id)):
                await asyncio.sleep(_LOOK_S)

    async def _delete(self, machine_id: str) -> None:
        """Nova deletes in any state; what it refuses (a locked machine) is asked again."""
        self._leaving = {key: at for key, at in self._leaving.items() if time.monotonic() - at < _REMEMBERED_S}
        self._leaving[machine_id] = time.monotonic()
        with contextlib.suppress(CloudRefused):
            await self._cloud.delete("compute", f"/servers/{machine_id}")


def _is_on(machine: Machine | None) -> bool:
    return machine is not None and machine.status == "ACTIVE"

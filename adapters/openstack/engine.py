"""A project of an OpenStack cloud as an engine: one machine a run, found again by its name, asked for every second.

`backend.py` gives it to the sdk. What is accepted is a `POST /servers` that Nova has answered; what becomes of it is
read from `changes-since`, and from a full listing after a gap. Machines end by being deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from adapters.contract import Capabilities, Launch, Refusal, RefusalCode, RunReport
from adapters.openstack.allotment import Allotment
from adapters.openstack.cloud import Cloud, CloudRefused, Json
from adapters.openstack.endings import Endings
from adapters.openstack.flavors import Flavors, NoFlavor, amount_of
from adapters.openstack.fleet import Fleet, doubles
from adapters.openstack.images import Images, NoImage
from adapters.openstack.machines import Machine, deleted_report, report_of
from adapters.openstack.order import MachineSettings, Order, body_of, no_such_node, ordered, refusal, why_not
from adapters.sdk.engine import Cancel, EngineUnavailable, Observer, Seen, Taken
from adapters.sdk.pacing import Pacing
from inventory.model.pool import Node, Pool
from inventory.model.workload import RunState

_LOOK_EVERY_S = 1.0
_LOOK_AGAIN_S = 0.3  # for a while after something was asked of Nova: it is about to change
_RESTLESS_S = 6.0
_NODES_EVERY_S = 10.0
_MAX_BATCH = 20
_LIMIT_SLACK_MS = 1000  # Nova counts whole seconds: a limit is never enforced early
_SETTLE_S = 8.0
_KEEP_FAILED_MS = 3_600_000
_UNDO = {"PAUSED": "unpause", "SHUTOFF": "os-start", "SHELVED": "unshelve", "SHELVED_OFFLOADED": "unshelve"}


class OpenStackEngine:
    """An `Engine` over one project. `allotment` is what it knows of hypervisors, where it may see them."""

    def __init__(
        self, pool: Pool, cloud: Cloud, settings: MachineSettings, *, sees_hosts: bool, makes_flavors: bool
    ):
        self._pool = pool
        self._cloud = cloud
        self._settings = settings
        self._fleet = Fleet(cloud, pool.pool_id)
        self._endings = Endings(cloud, self._fleet)
        self._flavors = Flavors(cloud, may_create=makes_flavors)
        self._images = Images(cloud)
        self._allotment = Allotment(pool, cloud, self._fleet, self._endings) if sees_hosts else None
        self._taken: dict[str, str] = {}  # machine ids by run id, of this life
        self._over: set[str] = set()  # machines whose time is up, and that were told
        self._changes = 0  # of suspension: a listing that was asked for before one of them is out of date
        self._pace = Pacing(every_s=_LOOK_EVERY_S, again_s=_LOOK_AGAIN_S, restless_s=_RESTLESS_S)
        self._tasks: list[asyncio.Task[None]] = []
        self.shared_disk_bytes = pool.disk_bytes
        self.capabilities = Capabilities(
            pool_id=pool.pool_id,
            technology="openstack",
            runtimes=("virtual-machine",),
            gangs=False,  # a rehosted system is one machine; Nova starts no group of different ones together
            max_batch=_MAX_BATCH,
            enforces=("cpu", "memory", "disk"),  # a machine is as large as its flavor, and no larger
            chooses_nodes=True,
            suspend=True,
            refuses_when_full=sees_hosts,
        )

    # -- Engine -------------------------------------------------------------------------------------------------

    async def open(self, observer: Observer) -> None:
        self._observer = observer
        self._endings.open(observer)
        try:
            await self._flavors.refresh()
            await self._fleet.list_all()  # before the hypervisors: what is ours there is told by it
            if self._allotment is not None:
                await self._allotment.refresh()
        except CloudRefused as refused:
            raise EngineUnavailable(
                f"凭据权限不足（HTTP {refused.status} {refused}）；租户请加 --aggregate-only / not allowed with these "
                "credentials: a tenant who may not see hypervisors starts the adapter with --aggregate-only"
            ) from refused
        self._tasks.append(asyncio.create_task(self._look_out()))
        if self._allotment is not None:
            self._tasks.append(asyncio.create_task(self._look_at_nodes(self._allotment)))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._endings.close()
        await self._cloud.close()

    async def submit(self, launches: Sequence[Launch]) -> Sequence[Taken | Refusal]:
        """What the project has already is taken again: Nova itself would make a second machine of the same name."""
        there = await self._fleet.find([launch.run_id for launch in launches])
        answers: dict[str, Taken | Refusal] = {}
        orders: list[Order] = []
        for launch in launches:
            if launch.run_id in there:
                machine = there[launch.run_id]
                answers[launch.run_id] = self._take(launch, machine.machine_id, machine.node)
                continue
            order = await self._order(launch)
            if isinstance(order, Refusal):
                answers[launch.run_id] = order
            else:
                orders.append(order)
        if self._allotment is not None:
            refused = await self._allotment.admit([(one.launch, one.flavor.amount) for one in orders])
            answers |= {no.run_id: no for no in refused if no is not None}
        made = await asyncio.gather(*(self._create(one) for one in orders if one.launch.run_id not in answers))
        answers |= {one.run_id: one for one in made}
        self._pace.expect_changes()
        return [answers[launch.run_id] for launch in launches]

    async def cancel(self, cancels: Sequence[Cancel]) -> None:
        self._endings.ask(cancels)
        self._pace.expect_changes()

    async def survey(self) -> Sequence[Seen]:
        found = await self._fleet.list_all()
        surplus = doubles(found, self._taken)
        self._endings.delete(surplus)
        extra = {one.machine_id for one in surplus}
        return [self._seen(one) for one in found if one.run_id and one.machine_id not in extra]

    async def recall(self, missing: Mapping[str, str]) -> Sequence[Seen]:
        """Nova forgets no machine but by deletion: one that it held and has no more was deleted."""
        there, gone = [], []
        for run_id, handle in missing.items():
            machine = await self._fleet.look_up(handle)
            if machine is None:
                gone.append(Seen(deleted_report(run_id, _now_ms()), handle))
            else:
                there.append(self._seen(replace(machine, run_id=run_id)))
        told = await self._depart(gone)
        # Of one that has not left its place yet, there is nothing new to tell.
        staying = set(missing) - {one.report.run_id for one in (*there, *told)}
        return [*there, *told, *(Seen(RunReport(one, RunState.STARTING), missing[one]) for one in staying)]

    async def nodes(self) -> Sequence[Node]:
        """Nothing where the credentials see no hypervisors: the pool file's shapes stand for them then."""
        return self._allotment.nodes if self._allotment is not None else ()

    async def logs(self, handle: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        """The machine's console, as far back as its hypervisor keeps it; nothing once it is deleted."""
        while True:
            machine = self._fleet.get(handle)
            whole = await self._console(handle)
            if len(whole) > offset:
                yield whole[offset:]
                offset = len(whole)
            if not follow or machine is None or not machine.is_alive:
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    # -- for optional calls -------------------------------------------------------------------------------------

    async def set_suspended(self, handle: str, *, suspended: bool) -> None:
        """Halts a running machine or lets it go on, and waits a while for it. Raises CloudRefused, EngineUnavailable."""
        end = time.monotonic() + _SETTLE_S
        has_asked = False
        while (machine := await self._fleet.look_up(handle)) is not None:
            if not machine.task:
                if machine.is_halted == suspended:
                    break
                if not has_asked:
                    await self._cloud.post("compute", f"/servers/{handle}/action", _change(machine, suspended))
                    has_asked = True
            if time.monotonic() > end:
                if not has_asked:
                    raise EngineUnavailable(
                        f"{machine.task}: 虚拟机正忙，请稍后重试 / the machine is busy: try again"
                    )
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
        self._changes += 1
        self._pace.expect_changes()

    # -- one run ------------------------------------------------------------------------------------------------

    async def _order(self, launch: Launch) -> Order | Refusal:
        """What this launch means in this cloud. Raises EngineUnavailable."""
        why = why_not(launch)
        if why:
            return Refusal(launch.run_id, RefusalCode.INVALID_ARGUMENT, why)
        if launch.nodes and self._allotment is None:
            return no_such_node(launch)
        try:
            image_id = await self._images.find(launch.program.image or "")
            flavor = await self._flavors.choose(amount_of(launch.requirements.per_task))
        except (NoImage, NoFlavor) as error:
            return Refusal(launch.run_id, RefusalCode.INVALID_ARGUMENT, f"{launch.run_id}: {error}")
        except CloudRefused as refused:
            return refusal(launch, refused)
        return Order(launch, image_id, flavor)

    async def _create(self, order: Order) -> Taken | Refusal:
        launch = order.launch
        try:
            made = await self._cloud.post(
                "compute", "/servers", body_of(order, self._pool.pool_id, self._settings)
            )
        except CloudRefused as refused:
            return refusal(launch, refused)
        except EngineUnavailable as error:
            return Refusal(launch.run_id, RefusalCode.UNAVAILABLE, str(error))
        machine_id = str(made["server"]["id"])
        node = launch.nodes[0] if launch.nodes else ""
        self._fleet.add(ordered(machine_id, launch, self._pool.pool_id, order.flavor.amount))
        return self._take(launch, machine_id, node)

    def _take(self, launch: Launch, machine_id: str, node: str) -> Taken:
        self._taken[launch.run_id] = machine_id
        return Taken(launch.run_id, machine_id, launch.nodes or ((node,) if node else ()))

    async def _console(self, machine_id: str) -> bytes:
        try:
            answer = await self._cloud.post(
                "compute", f"/servers/{machine_id}/action", {"os-getConsoleOutput": {}}
            )
        except CloudRefused:
            return b""  # it has no console yet, or none any more
        return str(answer.get("output") or "").encode("utf-8")

    # -- looking ------------------------------------------------------------------------------------------------

    async def _look_out(self) -> None:
        """One question a second for everything; troubles are waited out, and then everything is surveyed."""
        was_away = False
        while True:
            await self._pace.pause()
            asked_at = self._changes
            try:
                changed = await self._fleet.list_changes()
            except EngineUnavailable:
                was_away = True
                continue
            if was_away or asked_at != self._changes:
                was_away = False
                self._observer.gap()
            elif told := await self._changed(changed):
                self._observer.observed(told)
            self._look_at_times()

    async def _changed(self, machines: Sequence[Machine]) -> list[Seen]:
        """What is to be told of these now, and of those before them that have left their place meanwhile."""
        ours = [one for one in machines if one.run_id]
        freed = await self._depart([self._seen(one) for one in ours if one.status == "DELETED"])
        return [self._seen(one) for one in ours if one.status != "DELETED"] + freed

    async def _depart(self, ends: Sequence[Seen]) -> list[Seen]:
        """The ends to be told now. A tenant may not ask who holds what: he is told at once."""
        if self._allotment is None:
            return list(ends)
        for one in ends:
            self._allotment.departures.add(one)
        return await self._allotment.departures.take_freed()

    async def _look_at_nodes(self, allotment: Allotment) -> None:
        while True:
            await asyncio.sleep(_NODES_EVERY_S)
            with contextlib.suppress(CloudRefused, EngineUnavailable):  # asked again soon, and by every launch
                if await allotment.refresh():
                    self._observer.nodes_changed()

    def _seen(self, machine: Machine) -> Seen:
        is_ending = self._endings.is_ending(machine.run_id)
        report = report_of(machine, is_ending=is_ending)
        if report.state is RunState.RUNNING and not is_ending and _is_over(machine):
            text = "超过最长运行时间 / it ran longer than its max_runtime"
            report = replace(report, state=RunState.FAILED, suspended=False, message=text, ended_ms=_now_ms())
        return Seen(report, machine.machine_id)

    def _look_at_times(self) -> None:
        """Machines whose time is up are told, and deleted once that is on disk; failed orders go after an hour."""
        over = [one for one in self._fleet.all() if one.is_alive and _is_over(one)]
        fresh = [one for one in over if one.machine_id not in self._over]
        self._over = {one.machine_id for one in over}
        if fresh:
            self._observer.observed([self._seen(one) for one in fresh])
            self._endings.delete(fresh, after_s=_LOOK_EVERY_S)
        self._endings.delete(one for one in self._fleet.all() if _is_stale(one))


def _is_over(machine: Machine) -> bool:
    if not machine.limit_ms or machine.launched_ms is None:
        return False
    return _now_ms() >= machine.launched_ms + machine.limit_ms + _LIMIT_SLACK_MS


def _is_stale(machine: Machine) -> bool:
    """An order that failed before its machine ever ran, after an hour in which somebody could look at it."""
    failed = machine.status == "ERROR" and machine.launched_ms is None
    return failed and _now_ms() > machine.updated_ms + _KEEP_FAILED_MS


def _change(machine: Machine, suspended: bool) -> Json:
    """What Nova is asked for: to halt a machine, or to undo whatever halted it."""
    if suspended:
        return {"suspend": None}
    return {_UNDO.get(machine.status, "resume"): None}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

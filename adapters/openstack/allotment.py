"""What the hypervisors have left: asked before a machine is ordered, and told as the pool's nodes.

`engine.py` has one where its credentials may see hypervisors. Nova itself answers "no valid host" only after it has
accepted an order; the contract wants a full node to refuse at once, so room is looked up in Placement first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from adapters.contract import Launch, Refusal
from adapters.openstack.cloud import Cloud, CloudRefused
from adapters.openstack.departures import Departures
from adapters.openstack.endings import Endings
from adapters.openstack.fleet import Fleet
from adapters.openstack.hypervisors import (
    Allocations,
    Hypervisor,
    allocations_on,
    has_room_somewhere,
    is_open,
    list_hypervisors,
    node_of,
    room_on,
)
from adapters.openstack.machines import Amount
from adapters.openstack.order import closed, no_room, no_such_node
from adapters.sdk.engine import EngineUnavailable
from inventory.model.pool import Node, Pool

_WAIT_S = 8.0
_AGAIN_S = 0.3

Want = tuple[Launch, Amount]


class Allotment:
    """The hypervisors as last seen; `nodes` are what the pool tells of them, `departures` who still holds room there."""

    def __init__(self, pool: Pool, cloud: Cloud, fleet: Fleet, endings: Endings) -> None:
        self._pool = pool
        self._cloud = cloud
        self._fleet = fleet
        self._endings = endings
        self.departures = Departures(cloud)
        self._hypervisors: dict[str, Hypervisor] = {}
        self.nodes: list[Node] = []

    async def refresh(self) -> bool:
        """Looks again; True where the nodes differ. Raises CloudRefused and EngineUnavailable."""
        found = await list_hypervisors(self._cloud)
        held = await asyncio.gather(*(allocations_on(self._cloud, one.provider_id) for one in found))
        # A machine in error is no run any more, and holds its place until somebody deletes it.
        ours = {one.machine_id for one in self._fleet.all() if one.is_alive}
        nodes = [
            node_of(self._pool, one, allocations, ours | self._leaving(allocations))
            for one, allocations in zip(found, held, strict=True)
        ]
        self._hypervisors = {one.name: one for one in found}
        is_other, self.nodes = nodes != self.nodes, nodes
        return is_other

    async def admit(self, wants: Sequence[Want]) -> list[Refusal | None]:
        """For each, in order, the refusal where it has no room beside those before it. Raises EngineUnavailable.

        Where a machine that is on its way out stands in the way, it is waited for.
        """
        end = time.monotonic() + _WAIT_S
        named = {launch.nodes[0] for launch, _ in wants if launch.nodes} & set(self._hypervisors)
        while True:
            try:
                await self._look_at_closed(named)
                answers, is_freeing = await self._admit(wants, named)
            except CloudRefused as refused:
                raise EngineUnavailable(f"Placement: {refused}") from refused
            if all(answer is None for answer in answers) or not is_freeing or time.monotonic() > end:
                return answers
            await asyncio.sleep(_AGAIN_S)

    async def _look_at_closed(self, named: Collection[str]) -> None:
        """A busy service is missed now and then, for seconds: nobody is turned away for what was so a while ago."""
        for one in [self._hypervisors[name] for name in named]:
            if not one.is_open and await is_open(self._cloud, one.provider_id):
                self._hypervisors[one.name] = replace(one, is_open=True)

    async def _admit(self, wants: Sequence[Want], named: Collection[str]) -> tuple[list[Refusal | None], bool]:
        held = {name: await allocations_on(self._cloud, self._hypervisors[name].provider_id) for name in named}
        # One whose deletion was asked for holds what Placement says, and no more once that is nothing.
        staying = [one for one in self._fleet.all() if not self._endings.is_leaving(one.machine_id)]
        room = {name: room_on(self._hypervisors[name], allocations, staying) for name, allocations in held.items()}
        answers: list[Refusal | None] = []
        for launch, need in wants:
            if not launch.nodes:
                has_room = await has_room_somewhere(self._cloud, need)
                answers.append(None if has_room else no_room(launch))
                continue
            name = launch.nodes[0]
            if name not in room:
                answers.append(no_such_node(launch))
            elif not self._hypervisors[name].is_open:
                answers.append(closed(launch))
            elif not need.fits(room[name]):
                answers.append(no_room(launch, room[name]))
            else:
                room[name] = room[name] - need
                answers.append(None)
        is_freeing = any(self._leaving(allocations) for allocations in held.values())
        return answers, is_freeing or any(self._endings.is_ending(one.run_id) for one in staying)

    def _leaving(self, allocations: Allocations) -> set[str]:
        return {one for one in allocations if one in self.departures or self._endings.is_leaving(one)}

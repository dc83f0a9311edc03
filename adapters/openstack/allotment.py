"""What the hypervisors have left: asked before a machine is ordered, and told as the pool's nodes.

`engine.py` has one where its credentials may see hypervisors. Nova itself answers "no valid host" only after it has
accepted an order; the contract wants a full node to refuse at once, so room is looked up in Placement first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from adapters.contract import Launch, Refusal
from adapters.openstack.cloud import Cloud, CloudRefused
from adapters.openstack.endings import Endings
from adapters.openstack.fleet import Fleet
from adapters.openstack.hypervisors import (
    Allocations,
    Hypervisor,
    allocations_on,
    has_room_somewhere,
    list_hypervisors,
    node_of,
    room_on,
)
from adapters.openstack.machines import Amount
from adapters.openstack.order import no_room, no_such_node
from adapters.sdk.engine import EngineUnavailable
from inventory.model.pool import Node, Pool

_WAIT_S = 8.0
_AGAIN_S = 0.3

Want = tuple[Launch, Amount]


class Allotment:
    """The hypervisors as last seen; `nodes` are what the pool tells of them."""

    def __init__(self, pool: Pool, cloud: Cloud, fleet: Fleet, endings: Endings) -> None:
        self._pool = pool
        self._cloud = cloud
        self._fleet = fleet
        self._endings = endings
        self._hypervisors: dict[str, Hypervisor] = {}
        self.nodes: list[Node] = []

    async def refresh(self) -> bool:
        """Looks again; True where the nodes differ. Raises CloudRefused and EngineUnavailable."""
        found = await list_hypervisors(self._cloud)
        held = await asyncio.gather(*(allocations_on(self._cloud, one.provider_id) for one in found))
        ours = {one.machine_id for one in self._fleet.all()}
        nodes = [
            node_of(self._pool, one, allocations, ours | self._leaving(allocations))
            for one, allocations in zip(found, held, strict=True)
        ]
        self._hypervisors = {one.name: one for one in found}
        is_other, self.nodes = nodes != self.nodes, nodes
        return is_other

    async def admit(self, wants: Sequence[Want]) -> list[Refusal | None]:
        """For each, in order, the refusal where it has no room beside those before it. Raises EngineUnavailable.

        Placement frees what a deleted machine held a moment after Nova says that it is gone: where such a machine
        stands in the way, it is waited for.
        """
        end = time.monotonic() + _WAIT_S
        while True:
            try:
                answers, is_freeing = await self._admit(wants)
            except CloudRefused as refused:
                raise EngineUnavailable(f"Placement: {refused}") from refused
            if all(answer is None for answer in answers) or not is_freeing or time.monotonic() > end:
                return answers
            await asyncio.sleep(_AGAIN_S)

    async def _admit(self, wants: Sequence[Want]) -> tuple[list[Refusal | None], bool]:
        names = {launch.nodes[0] for launch, _ in wants if launch.nodes} & set(self._hypervisors)
        held = {name: await allocations_on(self._cloud, self._hypervisors[name].provider_id) for name in names}
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
            elif not self._hypervisors[name].is_open or not need.fits(room[name]):
                answers.append(no_room(launch))
            else:
                room[name] = room[name] - need
                answers.append(None)
        is_freeing = any(self._leaving(allocations) for allocations in held.values())
        return answers, is_freeing or any(self._endings.is_ending(one.run_id) for one in staying)

    def _leaving(self, allocations: Allocations) -> set[str]:
        return {consumer for consumer in allocations if self._endings.is_leaving(consumer)}

"""The pools of a simulation: real `PoolState`s in memory, their nodes going and coming back, their prices changing.

`simulations.engine.simulation` tells them what happens; `simulations.engine.ports` shows them to the cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inventory.model.pool import Node, Pool, PoolHealth
from inventory.model.units import Resources
from scheduler.core.placement.policies.registry import PolicyStack
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import CONTAINER, PROCESS, PoolView
from simulations.failures import Outage
from simulations.metrics.power import PoolPower
from simulations.series import StepSeries

BOTH_RUNTIMES = frozenset({PROCESS, CONTAINER})


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """A pool as a scenario gives it: with its nodes, and what they draw and cost over time."""

    pool: Pool
    nodes: tuple[Node, ...]
    power: PoolPower

    @classmethod
    def plain(cls, pool: Pool, nodes: Sequence[Node] = ()) -> PoolPlan:
        """The nodes that the pool declares, unless others are given; its declared PUE and price for ever."""
        price = StepSeries.constant(pool.kwh_cny)
        return cls(pool, tuple(nodes) or nodes_of(pool), PoolPower(pool.pue, 0.0, 0.0, 0.0, price_kwh=price))


def nodes_of(pool: Pool) -> tuple[Node, ...]:
    """The nodes that a pool's groups declare: general-0, general-1, ..."""
    return tuple(
        Node(f"{group.group}-{i}", group.arch, group.capacity, group.accelerator)
        for group in pool.node_groups
        for i in range(group.nodes)
    )


class SimulatedPool:
    """One pool. Outages may overlap: a node is up when no outage of it and none of the pool lasts."""

    def __init__(self, plan: PoolPlan, policy: PolicyStack | None, seed: int) -> None:
        self.plan = plan
        self.pool = plan.pool
        disk = plan.pool.disk_bytes
        policy = policy or (PolicyStack.parse(plan.pool.node_policy) if plan.pool.node_policy else None)
        # Nobody reads in a simulation why a pool refused, only whether waiting helps.
        self.state = PoolState(disk, plan.nodes, policy, seed, explains=False)
        self._away: dict[int | None, int] = {}  # by node number, None the pool: how many outages last
        self._noticed: dict[int | None, int] = {}  # ... and how many have been announced or last

    @property
    def is_up(self) -> bool:
        return not self._away.get(None)

    def view(self) -> PoolView:
        health = PoolHealth.READY if self.is_up else PoolHealth.UNREACHABLE
        return self.state.view(self.pool, health, bool(self._noticed.get(None)), BOTH_RUNTIMES)

    def announce(self, outage: Outage) -> None:
        """From now on nothing new starts there."""
        self._noticed[outage.node] = self._noticed.get(outage.node, 0) + 1
        self._show(outage.node)

    def leave(self, outage: Outage) -> None:
        """The node or the pool is away. Who runs there was released before."""
        self._away[outage.node] = self._away.get(outage.node, 0) + 1
        self._show(outage.node)

    def come_back(self, outage: Outage) -> None:
        self._away[outage.node] -= 1
        self._noticed[outage.node] -= 1
        self._show(outage.node)

    def tariff_at(self, now_ms: int) -> int | None:
        """The view shows the price and the carbon of this moment to scores. Returns when either changes next."""
        power = self.plan.power
        carbon = self.pool.carbon_g_kwh if power.carbon.is_constant else power.carbon.at(now_ms)
        self.pool = replace(self.pool, kwh_cny=power.price_kwh.at(now_ms), carbon_g_kwh=carbon)
        changes = (power.price_kwh.next_change_ms(now_ms), power.carbon.next_change_ms(now_ms))
        return min((change for change in changes if change is not None), default=None)

    def offered(self) -> tuple[int, Resources]:
        """How many nodes are up, and what they and the shared disk offer; nothing while the pool is away."""
        if not self.is_up:
            return 0, Resources()
        up = [node for number, node in enumerate(self.plan.nodes) if not self._away.get(number)]
        cpu = sum(node.allocatable.cpu_milli for node in up)
        memory = sum(node.allocatable.memory_bytes for node in up)
        cards = sum(node.allocatable.accelerator_milli for node in up)
        return len(up), Resources(cpu, memory, self.pool.disk_bytes, cards)

    def _show(self, number: int | None) -> None:
        """Brings one node of the state in step with the outages."""
        if number is None:
            return
        node = self.plan.nodes[number]
        if self._away.get(number):
            self.state.change_nodes((), (node.node_id,))
        else:
            noticed = bool(self._noticed.get(number))
            self.state.change_nodes((replace(node, cordoned=node.cordoned or noticed),))


def build_site(plans: Sequence[PoolPlan], policy: PolicyStack | None, seed: int) -> list[SimulatedPool]:
    """Fresh pools, empty, whose nodes are chosen by `policy` (None: as pools do by default).

    Raises ValueError for a pool id that comes twice.
    """
    ids = [plan.pool.pool_id for plan in plans]
    twice = sorted({pool_id for pool_id in ids if ids.count(pool_id) > 1})
    if twice:
        raise ValueError(
            f"算力池 {'、'.join(twice)} 重复，pool_id 须唯一 / pool {', '.join(twice)} is given twice; ids are unique"
        )
    return [SimulatedPool(plan, policy, seed) for plan in plans]

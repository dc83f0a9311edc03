"""Nodes as Ray's State API lists them, in the model's words: CPUs, memory, GPUs, NPUs and resources of one's own.

`engine.py` reports them. Pure. Ray's CPUs and memory are what its operator gave each node, and counted, not enforced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.rayjobs.api import Json
from inventory.model.pool import Node, Pool
from inventory.model.units import Resources

CARD_RESOURCES: Mapping[str, str] = {"GPU": "NVIDIA", "NPU": "Ascend", "HPU": "Gaudi", "neuron_cores": "Neuron"}
"""Ray's resources that are cards ("Accelerator support"), and the model where the node does not say it better."""

_TYPE_LABEL = "ray.io/accelerator-type"
_TYPE_RESOURCE = "accelerator_type:"


@dataclass(frozen=True, slots=True)
class Cards:
    """Which resources are cards here: the operator's `named` (resource to model) before the table above."""

    named: Mapping[str, str] = field(default_factory=dict)

    def on(self, node: Json) -> tuple[str, str] | None:
        """(resource, model) of the cards of a node; None for a node without any. The operator's come first."""
        total: Mapping[str, float] = node["resources_total"]
        for resource, model in {
            **self.named,
            **{k: v for k, v in CARD_RESOURCES.items() if k not in self.named},
        }.items():
            if total.get(resource, 0) > 0:
                return resource, model if resource in self.named else _labelled(node) or model
        return None


@dataclass(frozen=True, slots=True)
class RayNode:
    """A live node: Ray's own id of it, the resource that its cards are ("" without), and what the scheduler is told."""

    ray_id: str
    cards: str
    node: Node


def live_nodes(pool: Pool, listed: Sequence[Json], cards: Cards) -> list[RayNode]:
    """By name. A node is called what Ray calls it, its address unless its operator named it; where two share a name,
    the beginning of Ray's id is added. Ray does not tell instruction sets: the pool's declaration does."""
    alive = [one for one in listed if one["state"] == "ALIVE"]
    shared = Counter(one["node_name"] for one in alive)
    found = [_node(pool, one, cards, is_shared=shared[one["node_name"]] > 1) for one in alive]
    return sorted(found, key=lambda one: one.node.node_id)


def _node(pool: Pool, one: Json, cards: Cards, *, is_shared: bool) -> RayNode:
    total: Mapping[str, float] = one["resources_total"]
    has = cards.on(one)
    name = f"{one['node_name']}-{one['node_id'][:8]}" if is_shared else one["node_name"]
    amount = Resources(
        round(total.get("CPU", 0) * 1000),
        int(total.get("memory", 0)),
        0,
        round(total.get(has[0], 0) * 1000) if has else 0,
    )
    node = Node(
        node_id=name,
        arch=min(pool.architectures),
        allocatable=amount,
        accelerator=(pool.accelerator or has[1]) if has else None,
        labels=frozenset((key, str(value)) for key, value in (one.get("labels") or {}).items()),
    )
    return RayNode(one["node_id"], has[0] if has else "", node)


def _labelled(node: Json) -> str:
    """The model that Ray found by itself ("A100"): as a label, or, before Ray 2.50, within the name of a resource."""
    label = (node.get("labels") or {}).get(_TYPE_LABEL, "")
    kinds = [
        name.removeprefix(_TYPE_RESOURCE) for name in node["resources_total"] if name.startswith(_TYPE_RESOURCE)
    ]
    return str(label) or (kinds[0] if kinds else "")

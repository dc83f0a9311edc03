"""Nodes and amounts as Kubernetes writes them, in the model's words: quantities, cards, architectures, taints.

`engine.py` reports nodes with it, `manifests.py` writes amounts. Card resources are those that the makers' device
plugins register; a cluster with another one names it with --accelerator-resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kubernetes.utils.quantity import parse_quantity

from adapters.kubernetes.api import Json
from inventory.model.constraints import Taint
from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.units import Resources

CARD_RESOURCES: Mapping[str, str] = {
    "nvidia.com/gpu": "NVIDIA",
    "huawei.com/Ascend910": "Ascend910",
    "huawei.com/Ascend310P": "Ascend310P",
    "huawei.com/Ascend310": "Ascend310",
    "cambricon.com/mlu": "MLU",
    "cambricon.com/mlu370": "MLU370",
    "cambricon.com/mlu590": "MLU590",
    "hygon.com/dcu": "DCU",
    "kunlunxin.com/xpu": "Kunlun",
    "metax-tech.com/gpu": "MetaX",
    "iluvatar.com/gpu": "Iluvatar",
    "mthreads.com/gpu": "MTT",
    "enflame.com/gcu": "Enflame",
    "amd.com/gpu": "AMD",
}
"""Extended resources of the makers' device plugins, and the card model where the node does not say it better."""

MODEL_LABELS = ("nvidia.com/gpu.product", "cambricon.com/mlu.product", "hygon.com/dcu.product")
_ARCHITECTURES = {"amd64": Architecture.X86_64, "arm64": Architecture.ARM64}
_HYGON = ("feature.node.kubernetes.io/cpu-model.vendor_id", "Hygon")
_NOT_A_TAINT = "node.kubernetes.io/"  # conditions of the node, told by `cordoned`
_DEFAULT_PODS = "110"


@dataclass(frozen=True, slots=True)
class Cards:
    """Which extended resources are cards here: the operator's `named` (resource to model) before the table above.

    A node's own label says the model better than the table, and the operator better than the label.
    """

    named: Mapping[str, str] = field(default_factory=dict)
    rack_label: str = "topology.kubernetes.io/rack"

    def on(self, node: Json) -> tuple[str, str] | None:
        """(resource, model) of the cards of a node; None for a node without any. The first listed counts."""
        allocatable = node.get("status", {}).get("allocatable", {})
        labels = node["metadata"].get("labels", {})
        for resource, model in {**CARD_RESOURCES, **self.named}.items():
            if resource in allocatable and parse_quantity(allocatable[resource]) > 0:
                labelled = next((labels[label] for label in MODEL_LABELS if label in labels), model)
                return resource, model if resource in self.named else labelled
        return None


def node_of(node: Json, foreign: Resources, cards: Cards) -> Node:
    """The node for the scheduler: what pods of others request there is taken off what is allocatable."""
    metadata, spec, status = node["metadata"], node.get("spec", {}), node.get("status", {})
    allocatable = status.get("allocatable", {})
    found = cards.on(node)
    amount = Resources(
        cpu_milli=milli(allocatable.get("cpu", "0")),
        memory_bytes=whole(allocatable.get("memory", "0")),
        accelerator_milli=whole(allocatable.get(found[0], "0")) * 1000 if found else 0,
    )
    left = amount - foreign
    labels = metadata.get("labels", {})
    taints = [taint for taint in spec.get("taints", ()) if taint.get("effect") in ("NoSchedule", "NoExecute")]
    return Node(
        node_id=metadata["name"],
        arch=_architecture(status, labels),
        allocatable=Resources(
            max(0, left.cpu_milli), max(0, left.memory_bytes), 0, max(0, left.accelerator_milli)
        ),
        accelerator=found[1] if found else None,
        cordoned=bool(spec.get("unschedulable")) or not _is_ready(status),
        labels=frozenset(labels.items()),
        taints=frozenset(
            Taint(taint["key"], taint.get("value", ""))
            for taint in taints
            if not taint["key"].startswith(_NOT_A_TAINT)
        ),
        rack=labels.get(cards.rack_label, ""),
    )


def what_is_told(node: Json) -> tuple[object, ...]:
    """All that `node_of` reads of a node, unread: where it is alike, so is the node."""
    status = node.get("status", {})
    described = (status.get("allocatable"), status.get("nodeInfo"), _is_ready(status))
    return node["metadata"].get("labels"), node.get("spec"), *described


def requested(pod: Json, card_resource: str | None) -> Resources:
    """What a pod requests of its node (Kubernetes, "Pod scheduling": the larger of init and main containers)."""
    spec = pod["spec"]
    main = _sum(spec.get("containers", ()), card_resource)
    first = [_sum([container], card_resource) for container in spec.get("initContainers", ())]
    overhead = spec.get("overhead", {})
    return Resources(
        max([main.cpu_milli, *(one.cpu_milli for one in first)]) + milli(overhead.get("cpu", "0")),
        max([main.memory_bytes, *(one.memory_bytes for one in first)]) + whole(overhead.get("memory", "0")),
        0,
        max([main.accelerator_milli, *(one.accelerator_milli for one in first)]),
    )


def milli(quantity: str) -> int:
    """Thousandths, rounded up as Kubernetes does."""
    return -int(-parse_quantity(quantity) * 1000 // 1)


def whole(quantity: str) -> int:
    return -int(-parse_quantity(quantity) // 1)


def _sum(containers: Iterable[Json], card_resource: str | None) -> Resources:
    amount = Resources()
    for container in containers:
        resources = container.get("resources", {})
        asked = {**resources.get("limits", {}), **resources.get("requests", {})}
        amount = amount + Resources(
            milli(asked.get("cpu", "0")),
            whole(asked.get("memory", "0")),
            0,
            whole(asked.get(card_resource, "0")) * 1000 if card_resource else 0,
        )
    return amount


def _architecture(status: Json, labels: Mapping[str, str]) -> Architecture:
    if labels.get(_HYGON[0]) == _HYGON[1]:
        return Architecture.C86
    named = status.get("nodeInfo", {}).get("architecture") or labels.get("kubernetes.io/arch", "amd64")
    return _ARCHITECTURES.get(named, Architecture.X86_64)


def _is_ready(status: Json) -> bool:
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions", ()))

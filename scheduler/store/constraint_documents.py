"""JSON forms of what workloads ask of nodes beyond amounts, for `scheduler.store.documents`.

Only what is asked is written: a workload without such wishes has the same document, and so the same hash, as before
there were any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inventory.model.constraints import (
    AcceleratorKind,
    Affinity,
    InputPlace,
    NodeSelector,
    SelectorOperator,
    Spread,
    Toleration,
)
from inventory.model.partition import NEVER_LOST, OnDisconnect, OnReconnect, PartitionPolicy
from inventory.model.workload import Requirements

Document = dict[str, Any]


def constraints_document(needs: Requirements) -> Document:
    """The keys of a requirements document that are not always there."""
    written: Document = {
        "accelerator_kind": needs.accelerator_kind,
        "node_selectors": sorted(
            [one.key, one.operator.value, sorted(one.values)] for one in needs.node_selectors
        ),
        "tolerations": sorted([one.key, one.value] for one in needs.tolerations),
        "placement_labels": sorted(list(pair) for pair in needs.placement_labels),
        "affinities": sorted(
            [sorted(list(pair) for pair in one.labels), one.topology, one.anti] for one in needs.affinities
        ),
        "spreads": sorted([one.topology, one.max_skew] for one in needs.spreads),
        "gang_topology": needs.gang_topology,
        "tasks_per_node": needs.tasks_per_node,
    }
    return {key: value for key, value in written.items() if value}


def constraints_of(needs: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `Requirements` from a requirements document."""
    kind = needs.get("accelerator_kind")
    return {
        "accelerator_kind": AcceleratorKind(kind) if kind else None,
        "node_selectors": frozenset(
            NodeSelector(key, SelectorOperator(operator), frozenset(values))
            for key, operator, values in needs.get("node_selectors", ())
        ),
        "tolerations": frozenset(Toleration(key, value) for key, value in needs.get("tolerations", ())),
        "placement_labels": frozenset((key, value) for key, value in needs.get("placement_labels", ())),
        "affinities": frozenset(
            Affinity(frozenset((key, value) for key, value in labels), topology, anti)
            for labels, topology, anti in needs.get("affinities", ())
        ),
        "spreads": frozenset(Spread(topology, skew) for topology, skew in needs.get("spreads", ())),
        "gang_topology": needs.get("gang_topology"),
        "tasks_per_node": needs.get("tasks_per_node", 0),
    }


def inputs_document(inputs: tuple[InputPlace, ...]) -> Document:
    return {"inputs": [[one.place, one.size_bytes] for one in inputs]} if inputs else {}


def inputs_of(body: Mapping[str, Any]) -> tuple[InputPlace, ...]:
    return tuple(InputPlace(place, size) for place, size in body.get("inputs", ()))


def partition_document(policy: PartitionPolicy) -> Document:
    if policy == NEVER_LOST:
        return {}
    words = [policy.on_disconnect.value, policy.on_reconnect.value]
    return {"partition": [policy.lost_after_ms, *words]}


def partition_of(body: Mapping[str, Any]) -> PartitionPolicy:
    if "partition" not in body:
        return NEVER_LOST
    lost_after_ms, on_disconnect, on_reconnect = body["partition"]
    return PartitionPolicy(lost_after_ms, OnDisconnect(on_disconnect), OnReconnect(on_reconnect))

"""Pools, node groups and nodes between the model and protobuf, and the pool file an adapter is started with."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from google.protobuf import json_format

from adapters.wire.constraints import labels_from_wire, taints_from_wire, taints_to_wire
from adapters.wire.inspection import Inspection
from adapters.wire.scalars import (
    ARCHITECTURES,
    MAX_ACCELERATOR_MILLI,
    MAX_DISK_BYTES,
    ZONES,
    architecture_from_wire,
    resources_from_wire,
    resources_to_wire,
    zone_from_wire,
)
from adapters.wire.words import ACCELERATOR, GROUP, NODE_ID, POOL_ID, WordRule
from inventory.model.pool import Node, NodeGroup, Pool
from scheduler.core.placement.policies.registry import PolicyError, PolicyStack
from xisuan.pool.v1 import pool_adapter_service_pb2, pool_pb2

MAX_NODES = 1_000_000
MAX_NODE_LABELS = 256
_TEXT = WordRule(256, may_be_empty=True)
_ADAPTER = WordRule(63)


def pool_to_wire(pool: Pool) -> pool_pb2.PoolSpec:
    """Sets become sorted lists, so that equal pools are equal bytes."""
    return pool_pb2.PoolSpec(
        pool_id=pool.pool_id,
        name=pool.name,
        hub=pool.hub,
        adapter=pool.adapter,
        zones=[ZONES[zone] for zone in sorted(pool.zones)],
        protection_level=pool.protection_level,
        architectures=[ARCHITECTURES[arch] for arch in sorted(pool.architectures)],
        accelerator=pool.accelerator or "",
        cards=pool.cards,
        disk_bytes=pool.disk_bytes,
        one_way_ms=pool.one_way_ms,
        egress_gbps=pool.egress_gbps,
        pue=pool.pue,
        green_share=pool.green_share,
        kwh_cny=pool.kwh_cny,
        card_hour_cny=pool.card_hour_cny,
        vcpu_hour_cny=pool.vcpu_hour_cny,
        classes=sorted(pool.classes),
        node_groups=[_node_group_to_wire(group) for group in pool.node_groups],
        region=pool.region,
        idle_watts=pool.idle_watts,
        loaded_watts=pool.loaded_watts,
        carbon_g_kwh=pool.carbon_g_kwh,
        node_policy=pool.node_policy,
    )


def _node_group_to_wire(group: NodeGroup) -> pool_pb2.NodeGroup:
    return pool_pb2.NodeGroup(
        group=group.group,
        nodes=group.nodes,
        architecture=ARCHITECTURES[group.arch],
        capacity=resources_to_wire(group.capacity),
        accelerator=group.accelerator or "",
    )


def pool_from_wire(spec: pool_pb2.PoolSpec, path: str = "spec") -> Pool:
    """The validated pool. Raises InvalidMessage with every violation; paths begin with `path`."""
    check = Inspection()
    zones = [zone_from_wire(number, check, f"{path}.zones[{i}]") for i, number in enumerate(spec.zones)]
    if not spec.zones:
        check.refuse(f"{path}.zones", "", "至少一个网络区域", "name at least one zone")
    if spec.accelerator:
        ACCELERATOR.inspect(spec.accelerator, check, f"{path}.accelerator")
    pool = Pool(
        pool_id=POOL_ID.inspect(spec.pool_id, check, f"{path}.pool_id"),
        name=_TEXT.inspect(spec.name, check, f"{path}.name") or spec.pool_id,
        hub=_TEXT.inspect(spec.hub, check, f"{path}.hub"),
        adapter=_ADAPTER.inspect(spec.adapter, check, f"{path}.adapter"),
        zones=frozenset(zone for zone in zones if zone is not None),
        protection_level=check.whole_number(f"{path}.protection_level", spec.protection_level, 0, 4),
        architectures=frozenset(
            architecture_from_wire(number, check, f"{path}.architectures[{i}]")
            for i, number in enumerate(spec.architectures)
        ),
        accelerator=spec.accelerator or None,
        cards=check.whole_number(f"{path}.cards", spec.cards, 0, MAX_ACCELERATOR_MILLI // 1000),
        disk_bytes=check.whole_number(f"{path}.disk_bytes", spec.disk_bytes, 0, MAX_DISK_BYTES),
        one_way_ms=_measure(f"{path}.one_way_ms", spec.one_way_ms, check),
        egress_gbps=_measure(f"{path}.egress_gbps", spec.egress_gbps, check),
        pue=_measure(f"{path}.pue", spec.pue, check, low=1.0),
        green_share=_measure(f"{path}.green_share", spec.green_share, check, high=1.0),
        kwh_cny=_measure(f"{path}.kwh_cny", spec.kwh_cny, check),
        card_hour_cny=_measure(f"{path}.card_hour_cny", spec.card_hour_cny, check)
        if spec.HasField("card_hour_cny")
        else None,
        vcpu_hour_cny=_measure(f"{path}.vcpu_hour_cny", spec.vcpu_hour_cny, check),
        classes=frozenset(spec.classes),
        node_groups=_node_groups(spec, check, path),
        region=_TEXT.inspect(spec.region, check, f"{path}.region"),
        idle_watts=_optional(spec, "idle_watts", check, path),
        loaded_watts=_optional(spec, "loaded_watts", check, path),
        carbon_g_kwh=_optional(spec, "carbon_g_kwh", check, path),
        node_policy=_node_policy(spec.node_policy, check, f"{path}.node_policy"),
    )
    check.close()
    return pool


def _node_groups(spec: pool_pb2.PoolSpec, check: Inspection, path: str) -> tuple[NodeGroup, ...]:
    names = [group.group for group in spec.node_groups]
    for name in sorted({name for name in names if names.count(name) > 1}):
        check.refuse(
            f"{path}.node_groups", name, "节点组名重复，请改名", "two node groups have this name: rename one"
        )
    return tuple(
        _node_group_from_wire(group, check, f"{path}.node_groups[{i}]") for i, group in enumerate(spec.node_groups)
    )


def _node_group_from_wire(message: pool_pb2.NodeGroup, check: Inspection, path: str) -> NodeGroup:
    if message.accelerator:
        ACCELERATOR.inspect(message.accelerator, check, f"{path}.accelerator")
    return NodeGroup(
        group=GROUP.inspect(message.group, check, f"{path}.group"),
        nodes=check.whole_number(f"{path}.nodes", message.nodes, 0, MAX_NODES),
        arch=architecture_from_wire(message.architecture, check, f"{path}.architecture"),
        capacity=resources_from_wire(message.capacity, check, f"{path}.capacity"),
        accelerator=message.accelerator or None,
    )


def _optional(
    spec: pool_pb2.PoolSpec,
    field: Literal["idle_watts", "loaded_watts", "carbon_g_kwh"],
    check: Inspection,
    path: str,
) -> float | None:
    """A measure that need not be known."""
    return _measure(f"{path}.{field}", getattr(spec, field), check) if spec.HasField(field) else None


def _node_policy(text: str, check: Inspection, path: str) -> str:
    if text:
        try:
            PolicyStack.parse(text)
        except PolicyError as error:
            chinese, _, english = str(error).partition(" / ")
            check.refuse(path, text, chinese, english or chinese)
    return text


def _measure(path: str, value: float, check: Inspection, *, low: float = 0.0, high: float = 1e9) -> float:
    """A finite number between `low` and `high`; NaN and infinity are violations."""
    if math.isfinite(value) and low <= value <= high:
        return value
    check.refuse(path, value, f"须在 {low:g} 与 {high:g} 之间", f"must be {low:g} to {high:g}")
    return low


def node_to_wire(node: Node) -> pool_adapter_service_pb2.Node:
    return pool_adapter_service_pb2.Node(
        node_id=node.node_id,
        architecture=ARCHITECTURES[node.arch],
        allocatable=resources_to_wire(node.allocatable),
        accelerator=node.accelerator or "",
        cordoned=node.cordoned,
        labels=dict(node.labels),
        taints=taints_to_wire(node.taints),
        rack=node.rack,
    )


def node_from_wire(message: pool_adapter_service_pb2.Node, path: str = "node") -> Node:
    """A node as an adapter reports it. Raises InvalidMessage: the caller quarantines the pool for nonsense."""
    check = Inspection()
    node = Node(
        node_id=NODE_ID.inspect(message.node_id, check, f"{path}.node_id"),
        arch=architecture_from_wire(message.architecture, check, f"{path}.architecture"),
        allocatable=resources_from_wire(message.allocatable, check, f"{path}.allocatable"),
        accelerator=message.accelerator or None,
        cordoned=message.cordoned,
        labels=labels_from_wire(message.labels, check, f"{path}.labels", MAX_NODE_LABELS),
        taints=taints_from_wire(message.taints),
        rack=message.rack,
    )
    check.close()
    return node


def write_pool_file(path: Path, pool: Pool) -> None:
    """Writes the pool as JSON (the protobuf JSON form of xisuan.pool.v1.PoolSpec): what `--pool-spec` names."""
    text = json_format.MessageToJson(pool_to_wire(pool), preserving_proto_field_name=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_pool_file(path: Path) -> Pool:
    """The pool that `write_pool_file` wrote, or that somebody typed.

    Raises OSError when it cannot be read, ValueError when it is not the JSON of a PoolSpec, InvalidMessage (a
    ValueError) when fields break rules.
    """
    try:
        spec = json_format.Parse(path.read_text(encoding="utf-8"), pool_pb2.PoolSpec())
    except (json_format.ParseError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise ValueError(f"{path}: 不是算力池 JSON：{line} / not the JSON of a pool: {line}") from error
    return pool_from_wire(spec, "pool")

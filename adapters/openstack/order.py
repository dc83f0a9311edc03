"""What Nova is told to make of a launch: the body of `POST /servers`, and the refusal where it says no."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.contract import Launch, Refusal, RefusalCode
from adapters.openstack import naming
from adapters.openstack.cloud import CloudRefused, Json
from adapters.openstack.flavors import Flavor
from adapters.openstack.machines import Amount, Machine

_SETTINGS_LIMIT = 100  # Nova's own limit is 128 items of metadata, ours included
_USER_DATA_LIMIT = 65_535  # bytes, after base64
_DESCRIPTION_LIMIT = 255
_NETWORK_WORDS = ("auto", "none")


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """What the operator of the adapter chooses for every machine; see `--help` of `python -m adapters.openstack`."""

    networks: tuple[str, ...] = ("auto",)
    availability_zone: str = ""
    key_name: str = ""
    security_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """A launch, and what it means in this cloud."""

    launch: Launch
    image_id: str
    flavor: Flavor


def why_not(launch: Launch) -> str:
    """Why this can never be a machine here; "" where it can."""
    program = launch.program
    if not program.image:
        return "program.image: 虚拟机须指定镜像 / a machine needs an image: name one of Glance, or its id"
    if len(program.command) > 1:
        return (
            "program.command: 虚拟机只接受用户数据 / a machine takes its user data as command[0], and nothing else"
        )
    if launch.requirements.per_task.accelerator_milli:
        return "accelerator: 本池不提供加速卡 / this pool has no cards: choose another pool"
    if len(program.environment) > _SETTINGS_LIMIT:
        return (
            f"program.environment: 最多 {_SETTINGS_LIMIT} 项 / at most {_SETTINGS_LIMIT} settings become metadata"
        )
    for name, value in program.environment.items():
        if name.startswith(naming.RESERVED) or max(len(name), len(value)) > naming.VALUE_LIMIT:
            return (
                f"program.environment[{name[:40]!r}]: 元数据键值最长 {naming.VALUE_LIMIT} 字符 / settings become metadata "
                f"of the machine, whose names and values have at most {naming.VALUE_LIMIT} characters"
            )
    if len(_user_data(launch)) > _USER_DATA_LIMIT:
        return f"program.command[0]: 用户数据过大 / user data has at most {_USER_DATA_LIMIT} bytes as base64"
    return ""


def body_of(order: Order, pool_id: str, settings: MachineSettings) -> Json:
    """The body of `POST /servers` (microversion 2.79)."""
    launch = order.launch
    metadata = {
        **launch.program.environment,
        naming.RUN: launch.run_id,
        naming.WORKLOAD: launch.workload_id[: naming.VALUE_LIMIT],
        naming.POOL: pool_id[: naming.VALUE_LIMIT],
    }
    server: Json = {
        "name": naming.machine_name(pool_id, launch.run_id),
        "description": f"{launch.name} ({launch.workload_id})"[:_DESCRIPTION_LIMIT],
        "imageRef": order.image_id,
        "flavorRef": order.flavor.flavor_id,
        "networks": _networks(settings.networks),
        "metadata": metadata,
    }
    if launch.nodes:
        server["hypervisor_hostname"] = launch.nodes[0]
        metadata[naming.NODE] = launch.nodes[0]
    if launch.max_runtime_ms:
        metadata[naming.LIMIT] = str(launch.max_runtime_ms)
    if launch.program.command:
        server["user_data"] = _user_data(launch)
    if settings.availability_zone:
        server["availability_zone"] = settings.availability_zone
    if settings.key_name:
        server["key_name"] = settings.key_name
    if settings.security_groups:
        server["security_groups"] = [{"name": name} for name in settings.security_groups]
    return {"server": server}


def ordered(machine_id: str, launch: Launch, pool_id: str, amount: Amount) -> Machine:
    """The machine as it is once Nova has answered, before any listing shows it (`created_ms` 0 says so)."""
    return Machine(
        machine_id=machine_id,
        name=naming.machine_name(pool_id, launch.run_id),
        run_id=launch.run_id,
        status="BUILD",
        task="scheduling",
        node=launch.nodes[0] if launch.nodes else "",
        amount=amount,
        created_ms=0,
        updated_ms=0,
        limit_ms=launch.max_runtime_ms,
    )


def refusal(launch: Launch, refused: CloudRefused) -> Refusal:
    """Nova's, Glance's or Placement's no, as the contract's codes."""
    said = str(refused)
    if refused.status == 403 and "quota" in said.lower():
        text = f"{launch.run_id}: 项目配额不足 / the project's quota is used up: {said}"
        return Refusal(launch.run_id, RefusalCode.RESOURCE_EXHAUSTED, text)
    if launch.nodes and refused.status in (400, 404) and f"host {launch.nodes[0]} could not be found" in said:
        return no_such_node(launch)
    if refused.status == 409:
        text = f"{launch.run_id}: 云平台暂时冲突，请重试 / a conflict in the cloud, try again: {said}"
        return Refusal(launch.run_id, RefusalCode.UNAVAILABLE, text)
    text = f"{launch.run_id}: OpenStack 拒绝了此运行 / OpenStack refused it (HTTP {refused.status}): {said}"
    return Refusal(launch.run_id, RefusalCode.INVALID_ARGUMENT, text)


def no_such_node(launch: Launch) -> Refusal:
    text = (
        f"{launch.nodes[0]}: 云平台中没有此节点，请重新列出节点 / no such node: list the nodes and place it anew"
    )
    return Refusal(launch.run_id, RefusalCode.NOT_FOUND, text)


def no_room(launch: Launch, free: Amount | None = None) -> Refusal:
    """`free`: what the node has left, where it is known; less than nothing while something is being moved there."""
    where = launch.nodes[0] if launch.nodes else launch.run_id
    left = "" if free is None else f" ({free.cpus} CPU, {free.memory_mib} MiB free)"
    text = f"{where}: 没有足够的空闲资源，请重新选择 / no valid host, there is no room for it{left}: place it anew"
    return Refusal(launch.run_id, RefusalCode.RESOURCE_EXHAUSTED, text)


def closed(launch: Launch) -> Refusal:
    text = (
        f"{launch.nodes[0]}: 计算节点已停用或失联，请重新选择 / this hypervisor is disabled or down and takes no new "
        "machines: place it anew"
    )
    return Refusal(launch.run_id, RefusalCode.RESOURCE_EXHAUSTED, text)


def _networks(networks: Sequence[str]) -> str | list[Json]:
    if len(networks) == 1 and networks[0] in _NETWORK_WORDS:
        return networks[0]
    return [{"uuid": network} for network in networks]


def _user_data(launch: Launch) -> str:
    text = launch.program.command[0] if launch.program.command else ""
    return base64.b64encode(text.encode("utf-8")).decode("ascii")

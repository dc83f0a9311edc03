"""Runtime: a container image needs a pool that runs containers, a bare command one that runs processes, and a program
that names secrets one that keeps them."""

from __future__ import annotations

from inventory.model.placement import Reason, ReasonCode
from scheduler.core.placement.protocol import CONTAINER, SECRETS, PoolView, Shape


def refuse(shape: Shape, pool: PoolView) -> Reason | None:
    if not pool.is_described:
        return None
    if shape.secrets and SECRETS not in pool.runtimes:
        return Reason(
            ReasonCode.RUNTIME,
            needed=SECRETS,
            offered="|".join(sorted(pool.runtimes)) or "无/none",
            remedy_zh="改用有密钥库的算力池，或不引用密钥",
            remedy_en="use a pool with a secret store, or name no secrets",
        )
    if shape.runtime in pool.runtimes:
        return None
    if shape.runtime == CONTAINER:
        remedy_zh, remedy_en = "不用镜像，直接提交命令", "submit a command without an image"
    else:
        remedy_zh, remedy_en = "提供容器镜像", "give a container image"
    return Reason(
        ReasonCode.RUNTIME,
        needed=shape.runtime,
        offered="|".join(sorted(pool.runtimes)) or "无/none",
        remedy_zh=remedy_zh,
        remedy_en=remedy_en,
    )

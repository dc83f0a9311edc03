"""加速卡: whoever asks for cards needs a pool that has some; whoever names a model needs that model."""

from __future__ import annotations

from inventory.model.constraints import AcceleratorKind
from inventory.model.placement import Reason, ReasonCode
from scheduler.core.placement.protocol import PoolView, Shape


def refuse(shape: Shape, pool: PoolView) -> Reason | None:
    model, kind = shape.requirements.accelerator, shape.requirements.accelerator_kind
    if model is None and kind is None and shape.requirements.per_task.accelerator_milli == 0:
        return None
    models = {group.accelerator for group in pool.pool.node_groups} | {pool.pool.accelerator}
    offered = sorted(name for name in models if name is not None)
    suited = [name for name in offered if model in (None, name) and kind in (None, AcceleratorKind.of_model(name))]
    if suited:
        return None
    if not offered:
        remedy_zh, remedy_en = "该池没有加速卡：不要求加速卡，或换池", "ask for no cards: this pool has none"
    else:
        remedy_zh = f"移植到 {' 或 '.join(offered)}"
        remedy_en = f"port the program to {' or '.join(offered)}"
    return Reason(
        ReasonCode.ACCELERATOR,
        model or kind or "加速卡/cards",
        "|".join(offered) or "无/none",
        remedy_zh,
        remedy_en,
    )

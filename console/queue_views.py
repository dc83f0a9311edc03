"""How queues and reservations are shown, as tables for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapters.wire.scalars import timestamp_from_wire, total_from_wire
from console import printing
from inventory.model.units import Resources, format_resources
from scheduler.core.queueing.wording import moment
from scheduler.store.documents import resources_document
from xisuan.queues import ApplyQueuesResponse, Limit, Queue, ReservationRecord, ReservationState

_QUEUE_COLUMNS = (
    "队列/queue",
    "权重/weight",
    "保障/guaranteed",
    "上限/maximum",
    "占用/held",
    "份额/share",
    "应得/fair",
    "预算余额/budget left",
    "运行/runs",
    "等待/waiting",
)
_RESERVATION_COLUMNS = (
    "预留/reservation",
    "状态/state",
    "算力池/pool",
    "队列/queue",
    "数量/amount",
    "开始/starts",
    "结束/ends",
    "经办/by",
    "原因/reason",
)
_STATES: Mapping[int, tuple[str, str]] = {
    ReservationState.RESERVATION_STATE_PLANNED: ("待开始", "planned"),
    ReservationState.RESERVATION_STATE_ACTIVE: ("生效", "active"),
    ReservationState.RESERVATION_STATE_ENDED: ("已结束", "ended"),
}
_LIMITS = ("cpu_milli", "memory_bytes", "disk_bytes", "accelerator_milli")


def show_difference(found: ApplyQueuesResponse, *, is_trial: bool) -> None:
    for word, names in (
        ("新增/added", found.added),
        ("改变/changed", found.changed),
        ("删除/removed", found.removed),
    ):
        for name in names:
            printing.say(f"{word}\t{name}")
    for pool_id in found.unknown_pools:
        printing.warn(
            f"文档在算力池 {pool_id} 中有预留，但它尚未登记 / the document reserves in pool {pool_id}, which is not "
            "registered"
        )
    for note in found.notes:
        printing.warn(note)
    if not (found.added or found.changed or found.removed):
        printing.say("没有变化 / nothing changes")
    elif is_trial:
        printing.say("仅检查，未改变 / checked only, nothing was changed")
    else:
        printing.say("已生效 / in force", "bold green")


def show_queues(queues: Sequence[Queue]) -> None:
    printing.table(f"队列 / queues: {len(queues)}", _QUEUE_COLUMNS, [_queue_row(queue) for queue in queues])


def show_queue(queue: Queue, below: Sequence[Queue], records: Sequence[ReservationRecord]) -> None:
    since = moment(timestamp_from_wire(queue.oldest_waiting_at)) if queue.HasField("oldest_waiting_at") else "-"
    lines = [
        f"权重 / weight: {queue.weight}",
        f"保障 / guaranteed: {_amount(queue.guaranteed)}，可借出 / lendable: {_amount(queue.lendable)}",
        f"上限 / maximum: {_limit(queue.maximum) or '不限/unlimited'}",
        f"占用 / held: {_amount(queue.held)}",
        f"份额 / share: {queue.share:.1%}，应得 / fair: {queue.fair_share:.1%}",
        f"预算 / budget: {_budget(queue) or '无/none'}",
        f"运行 / running: {queue.running}，等待 / waiting: {queue.waiting}，最早提交 / oldest: {since}",
        f"可被抢占 / preemptible: {'是/yes' if queue.preemptible else '否/no'}",
    ]
    if not queue.defined:
        lines.append("未在文档中定义 / not named in the document")
    printing.panel(queue.path, lines)
    if below:
        show_queues(below)
    if records:
        show_reservations(records)


def show_reservations(records: Sequence[ReservationRecord]) -> None:
    title = f"预留 / reservations: {len(records)}"
    printing.table(title, _RESERVATION_COLUMNS, [_reservation_row(record) for record in records])


def queue_json(queue: Queue) -> dict[str, Any]:
    return {
        "path": queue.path,
        "defined": queue.defined,
        "weight": queue.weight,
        "guaranteed": resources_document(total_from_wire(queue.guaranteed)),
        "lendable": resources_document(total_from_wire(queue.lendable)),
        "maximum": {name: getattr(queue.maximum, name) for name in _given(queue.maximum)},
        "preemptible": queue.preemptible,
        "held": resources_document(total_from_wire(queue.held)),
        "share": queue.share,
        "fair_share": queue.fair_share,
        "budget": _budget_json(queue),
        "running": queue.running,
        "waiting": queue.waiting,
        "oldest_waiting_at": _iso(queue, "oldest_waiting_at"),
    }


def reservation_json(record: ReservationRecord) -> dict[str, Any]:
    kept = record.reservation
    return {
        "reservation_id": kept.reservation_id,
        "state": _STATES[record.state][1],
        "pool_id": kept.pool_id,
        "queue": kept.queue,
        "amount": resources_document(total_from_wire(kept.amount)),
        "starts_at": _iso(kept, "starts_at"),
        "ends_at": _iso(kept, "ends_at"),
        "reason": kept.reason,
        "from_document": record.from_document,
        "created_by": record.created_by,
        "created_at": _iso(record, "created_at"),
        "ended_by": record.ended_by,
        "end_reason": record.end_reason,
        "ended_at": _iso(record, "ended_at"),
    }


def _queue_row(queue: Queue) -> tuple[object, ...]:
    return (
        queue.path if queue.defined else f"{queue.path} *",
        queue.weight,
        _amount(queue.guaranteed),
        _limit(queue.maximum),
        _amount(queue.held),
        f"{queue.share:.1%}",
        f"{queue.fair_share:.1%}",
        _budget(queue),
        queue.running,
        queue.waiting,
    )


def _reservation_row(record: ReservationRecord) -> tuple[object, ...]:
    kept, (zh, en) = record.reservation, _STATES[record.state]
    ends = moment(timestamp_from_wire(kept.ends_at)) if kept.HasField("ends_at") else "直至结束/until ended"
    by = record.created_by + (f" → {record.ended_by}" if record.HasField("ended_at") else "")
    why = "; ".join(said for said in (kept.reason, record.end_reason) if said)
    return (
        kept.reservation_id,
        f"{zh} {en}",
        kept.pool_id,
        kept.queue,
        _amount(kept.amount),
        moment(timestamp_from_wire(kept.starts_at)),
        moment(timestamp_from_wire(record.ended_at)) if record.HasField("ended_at") else ends,
        by,
        why or None,
    )


def _amount(wire: Any) -> str:
    return format_resources(total_from_wire(wire))


def _given(limit: Limit) -> Iterable[str]:
    return (name for name in _LIMITS if limit.HasField(name))  # type: ignore[arg-type]  # names of its fields


def _limit(limit: Limit) -> str | None:
    """None: unlimited. A dimension that may have nothing at all is told, too."""
    given = list(_given(limit))
    if not given:
        return None
    shown = format_resources(Resources(*(getattr(limit, name) for name in _LIMITS)))
    nothing = [name for name in given if not getattr(limit, name)]
    return "; ".join((shown, *(f"{name} 0" for name in nothing)))


def _budget(queue: Queue) -> str | None:
    if not queue.HasField("budget"):
        return None
    left, whole = queue.budget.left_card_hours, queue.budget.card_hours
    renewed = moment(timestamp_from_wire(queue.budget.renewed_at))
    return f"{left:g}/{whole:g} 卡时/card-hours（→ {renewed}）"


def _budget_json(queue: Queue) -> dict[str, Any] | None:
    if not queue.HasField("budget"):
        return None
    return {
        "card_hours": queue.budget.card_hours,
        "left_card_hours": queue.budget.left_card_hours,
        "renewed_at": _iso(queue.budget, "renewed_at"),
    }


def _iso(message: Any, field: str) -> str | None:
    return str(getattr(message, field).ToJsonString()) if message.HasField(field) else None

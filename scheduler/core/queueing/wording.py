"""How reasons of queues, budgets, reservations and backfill are written, in Chinese and in English.

Moments are given in the time of Beijing, as people there read them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from inventory.model.placement import Reason, ReasonCode
from inventory.model.units import Resources, format_resources
from scheduler.core.queueing.queues import UNLIMITED

if TYPE_CHECKING:
    from scheduler.core.queueing.reservations import Reservation

_BEIJING = timezone(timedelta(hours=8))
_MS_PER_HOUR = 3_600_000


def moment(time_ms: int) -> str:
    """07-01 21:40, in the time of Beijing; with the year where it is not the present century's."""
    try:
        at = datetime.fromtimestamp(time_ms // 1000, UTC).astimezone(_BEIJING)
    except (OverflowError, ValueError):
        return "?"
    return f"{at:%Y-%m-%d %H:%M}"


def kept_for_head(workload_id: str, start_ms: int | None) -> Reason:
    """The pool keeps room for a workload that waits before this one."""
    held = f"为 {workload_id} 预留/held for {workload_id}"
    if start_ms is None:
        return Reason(
            ReasonCode.BACKFILL,
            needed="未预留的空闲/unreserved room",
            offered=held,
            remedy_zh=f"等待 {workload_id} 放置",
            remedy_en=f"wait until {workload_id} is placed",
        )
    at = moment(start_ms)
    return Reason(
        ReasonCode.BACKFILL,
        needed="不推迟在前者/no delay of who waits before",
        offered=f"{held} ({at})",
        remedy_zh=f"等待 {workload_id} 放置（预计 {at}），或给出在此之前结束的预计时长",
        remedy_en=f"wait until {workload_id} is placed (expected {at}), or estimate a run that ends before",
    )


def kept_by_calendar(reservation: Reservation, now_ms: int) -> Reason:
    """The calendar keeps room in the pool for a queue."""
    since, until = moment(reservation.start_ms), reservation.end_ms
    zh = f"等待预留 {reservation.reservation_id} 结束" + (f"（{moment(until)}）" if until is not None else "")
    en = f"wait until reservation {reservation.reservation_id} ends" + (
        f" ({moment(until)})" if until is not None else ""
    )
    if reservation.start_ms > now_ms:
        zh, en = f"给出在 {since} 前结束的预计时长，或{zh}", f"estimate a run that ends before {since}, or {en}"
    return Reason(
        ReasonCode.RESERVATION,
        needed="未预留的空闲/unreserved room",
        offered=f"{format_resources(reservation.amount)} 为 {reservation.holder} 预留/reserved for {reservation.holder}",
        remedy_zh=zh,
        remedy_en=en,
    )


def over_maximum(queue: str, need: Resources, held: Resources, maximum: Resources) -> Reason:
    """The queue's quota is used up, or (too large, for which waiting is no help) can never hold this workload."""
    needed = format_resources(_where_limited(need, maximum))
    limit = f"队列 {queue} 最大/queue {queue} maximum {format_resources(_where_limited(maximum, maximum))}"
    if not need.fits_in(maximum):
        return Reason(
            ReasonCode.TOO_LARGE,
            needed=needed,
            offered=limit,
            remedy_zh=f"减小需求，或提高队列 {queue} 的最大配额",
            remedy_en=f"ask for less, or raise the maximum of queue {queue}",
        )
    return Reason(
        ReasonCode.QUOTA,
        needed=needed,
        offered=f"{limit}, 已用/held {format_resources(_where_limited(held, maximum))}",
        remedy_zh=f"等待队列 {queue} 的作业结束，或提高其最大配额",
        remedy_en=f"wait until runs of queue {queue} end, or raise its maximum",
    )


def lent_out(queue: str, need: Resources) -> Reason:
    return Reason(
        ReasonCode.QUOTA,
        needed=format_resources(need),
        offered=f"相邻队列不出借/not lent by the queues beside {queue}",
        remedy_zh=f"等待释放，或提高队列 {queue} 的保障配额",
        remedy_en=f"wait until room is free, or raise what queue {queue} is guaranteed",
    )


def over_budget(queue: str, cost: int, left: int, renewed_ms: int) -> Reason:
    """What is left of the period is less than the workload is expected to use. Card-time in thousandths of a normal card
    times milliseconds; a cost of 0 is unknown, and waits until anything is left."""
    needed = f"约/about {_card_hours(cost)}" if cost else "预算内的卡时/card-hours within the budget"
    return Reason(
        ReasonCode.BUDGET,
        needed=needed,
        offered=f"队列 {queue} 剩余/queue {queue} has left {_card_hours(max(0, left))}",
        remedy_zh=f"等待下一周期（{moment(renewed_ms)}），或追加预算",
        remedy_en=f"wait for the next period ({moment(renewed_ms)}), or raise the budget",
    )


def over_whole_budget(queue: str, cost: int, whole: int) -> Reason:
    """More than a whole period has: waiting is no help."""
    return Reason(
        ReasonCode.TOO_LARGE,
        needed=f"约/about {_card_hours(cost)}",
        offered=f"队列 {queue} 每周期预算/queue {queue} has in each period {_card_hours(whole)}",
        remedy_zh=f"减少卡数或预计时长，或提高队列 {queue} 的预算",
        remedy_en=f"ask for fewer cards or less time, or raise the budget of queue {queue}",
    )


def _card_hours(card_milli_ms: int) -> str:
    return f"{card_milli_ms / 1000 / _MS_PER_HOUR:.4g} 卡时/card-hours"


def _where_limited(amount: Resources, maximum: Resources) -> Resources:
    return Resources(
        *(
            value if limit < UNLIMITED else 0
            for value, limit in (
                (amount.cpu_milli, maximum.cpu_milli),
                (amount.memory_bytes, maximum.memory_bytes),
                (amount.disk_bytes, maximum.disk_bytes),
                (amount.accelerator_milli, maximum.accelerator_milli),
            )
        )
    )

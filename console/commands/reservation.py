"""`xisuan reservation`: keep an amount of a pool free for a queue, see what is kept, end it. Needs the service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, TypeVar

import typer

from adapters.wire.scalars import timestamp_to_wire
from console import printing, queue_views
from console.commands.options import AsJson, By
from console.connection import queues
from console.faults import Fault
from console.home import find_home
from console.people import actor
from inventory.model.units import parse_bytes, parse_cpu
from xisuan.queues import Reservation, Resources

app = typer.Typer(no_args_is_help=True, help="预留：建立、列出、结束 / reservations of capacity")

ReservationId = Annotated[str, typer.Argument(metavar="ID", help="预留编号 / id of the reservation")]
_BEIJING = timezone(timedelta(hours=8))
Value = TypeVar("Value")


@app.command()
def create(
    reservation_id: ReservationId,
    pool: Annotated[str, typer.Option("--pool", help="算力池 / pool")],
    queue: Annotated[str, typer.Option("--queue", help="为谁预留：队列及其下级 / for this queue and those below")],
    cpu: Annotated[str, typer.Option("--cpu", metavar="64|500m", help="核数 / cores")] = "0",
    memory: Annotated[str, typer.Option("--memory", metavar="256Gi", help="内存 / memory")] = "0",
    disk: Annotated[str, typer.Option("--disk", metavar="1Ti", help="共享存储 / shared disk")] = "0",
    cards: Annotated[float, typer.Option("--cards", min=0, help="加速卡 / accelerator cards")] = 0.0,
    starts: Annotated[
        str, typer.Option("--starts", metavar="TIME", help="开始，缺省现在，未写时区为北京时间 / default: now")
    ] = "",
    ends: Annotated[
        str, typer.Option("--ends", metavar="TIME", help="结束，缺省直至 reservation end / default: until ended")
    ] = "",
    reason: Annotated[str, typer.Option("--reason", help="原因，记入台账 / kept in the record")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """预留算力（可重复执行）；时刻如 2026-12-05T20:00 / reserve capacity; same again changes nothing."""
    reservation = Reservation(
        reservation_id=reservation_id,
        pool_id=pool,
        queue=queue,
        amount=Resources(
            cpu_milli=_read(parse_cpu, cpu, "--cpu", "64、0.5 或 500m", "64, 0.5 or 500m"),
            memory_bytes=_read(parse_bytes, memory, "--memory", "512Mi 或 64Gi", "512Mi or 64Gi"),
            disk_bytes=_read(parse_bytes, disk, "--disk", "512Gi 或 2Ti", "512Gi or 2Ti"),
            accelerator_milli=round(cards * 1000),
        ),
        starts_at=timestamp_to_wire(_moment(starts, "--starts")),
        ends_at=timestamp_to_wire(_moment(ends, "--ends")),
        reason=reason,
    )
    with queues(find_home()) as service:
        record = service.create_reservation(reservation, actor(by))
    if as_json:
        printing.write_json(queue_views.reservation_json(record))
    else:
        queue_views.show_reservations([record])


@app.command("ls")
def ls(
    pool: Annotated[str, typer.Option("--pool", help="只看此算力池 / only of this pool")] = "",
    everything: Annotated[bool, typer.Option("--all", help="含已结束的 / also those that have ended")] = False,
    as_json: AsJson = False,
) -> None:
    """预留日历：已计划、生效中、（--all）已结束 / the calendar of reservations."""
    with queues(find_home()) as service:
        records = service.reservations(pool, include_ended=everything)
    if as_json:
        printing.write_json([queue_views.reservation_json(record) for record in records])
    else:
        queue_views.show_reservations(records)


@app.command()
def end(
    reservation_id: ReservationId,
    reason: Annotated[str, typer.Option("--reason", help="原因，记入台账 / kept in the record")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """结束预留，其算力立即可用（可重复执行）/ end a reservation; its capacity is free at once."""
    with queues(find_home()) as service:
        record = service.end_reservation(reservation_id, actor(by), reason)
    if as_json:
        printing.write_json(queue_views.reservation_json(record))
    else:
        queue_views.show_reservations([record])


def _read(parse: Callable[[str], Value], text: str, option: str, zh: str, en: str) -> Value:
    try:
        return parse(text)
    except ValueError:
        raise Fault(f"{option} {text!r} 无效；请写成 {zh} / {option} {text!r} is no amount; write {en}") from None


def _moment(text: str, option: str) -> int | None:
    """UTC milliseconds since 1970; None for an empty text."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Fault(
            f"{option} {text!r} 不是时刻；请写成 2026-12-05T20:00（未写时区为北京时间）"
            f" / {option} {text!r} is no moment; write 2026-12-05T20:00 (without a zone: Beijing time)"
        ) from None
    at = at.replace(tzinfo=_BEIJING) if at.tzinfo is None else at
    return round(at.astimezone(UTC).timestamp() * 1000)

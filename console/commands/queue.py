"""`xisuan queue`: apply a document of queues, and see what every queue may have and has. Needs the running service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console import printing, queue_views
from console.commands.options import AsJson, By
from console.connection import queues
from console.faults import Fault
from console.home import find_home
from console.people import actor
from console.queue_document import read_queue_file
from xisuan.queues import ApplyQueuesRequest

app = typer.Typer(no_args_is_help=True, help="队列：应用、列出、查看 / queues, quotas and budgets")


@app.command()
def apply(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.yaml", help="队列文档 / document of queues (docs/queues.md)")
    ],
    check: Annotated[bool, typer.Option("--check", help="只检查并比较，不改变 / compare only")] = False,
    reason: Annotated[str, typer.Option("--reason", help="原因，记入台账 / kept in the record")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """应用队列文档：队列、配额、预算和其中的预留，立即生效 / put a document of queues in force at once."""
    document = read_queue_file(file)
    request = ApplyQueuesRequest(
        document_json=document.model_dump_json(), actor=actor(by), reason=reason, validate_only=check
    )
    with queues(find_home()) as service:
        found = service.apply(request)
    if as_json:
        printing.write_json(
            {
                "added": list(found.added),
                "changed": list(found.changed),
                "removed": list(found.removed),
                "unknown_pools": list(found.unknown_pools),
                "notes": list(found.notes),
            }
        )
    else:
        queue_views.show_difference(found, is_trial=check)


@app.command("ls")
def ls(
    path: Annotated[str, typer.Argument(metavar="[QUEUE]", help="只看此队列及其下级 / only this and below")] = "",
    as_json: AsJson = False,
) -> None:
    """各队列的保障、上限、占用、份额、预算和等待 / what every queue may have, has and waits for."""
    with queues(find_home()) as service:
        found = service.queues(path).queues
    if path and not found:
        raise _no_queue(path)
    if as_json:
        printing.write_json([queue_views.queue_json(queue) for queue in found])
    else:
        queue_views.show_queues(found)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="QUEUE", help="队列路径，如 市/区/单位 / path of the queue")],
    as_json: AsJson = False,
) -> None:
    """一个队列的详情，含下级和预留 / one queue, with those below it and its reservations."""
    with queues(find_home()) as service:
        found = service.queues(name).queues
        records = [one for one in service.reservations() if _concerns(one.reservation.queue, name)]
    if not found or found[0].path != name:
        raise _no_queue(name)
    if as_json:
        below = [queue_views.queue_json(queue) for queue in found[1:]]
        reservations = [queue_views.reservation_json(record) for record in records]
        printing.write_json({**queue_views.queue_json(found[0]), "below": below, "reservations": reservations})
    else:
        queue_views.show_queue(found[0], found[1:], records)


def _concerns(holder: str, name: str) -> bool:
    """The queue holds the reservation itself, or shares it with the queue that does."""
    return name == holder or name.startswith(f"{holder}/")


def _no_queue(name: str) -> Fault:
    return Fault(
        f"没有队列 {name}；用 xisuan queue ls 查看，用 xisuan queue apply 定义"
        f" / no queue {name}; see xisuan queue ls, define it with xisuan queue apply"
    )

"""Queues, budgets and reservations as one document (`examples/queues/queues.yaml`): checked, stored as an event, and
made into the tree that the cycle reads.

Who calls this: whoever applies a document (`ControlPlane.define_queues`), the book when it is loaded, and scenarios of
the simulator. The form is closed: an unknown field is an error, and every fault is told with its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from inventory.model.form_faults import form_faults
from inventory.model.units import Resources, parse_bytes, parse_cpu
from scheduler.core.queueing.queues import UNLIMITED, Budget, QueueSpec, QueueTree
from scheduler.core.queueing.reservations import Reservation
from scheduler.core.queueing.tables import QueueTables

_MS_PER_HOUR = 3_600_000
_MS_PER_DAY = 24 * _MS_PER_HOUR


class QueuesUnreadable(ValueError):
    """The document does not keep the form, or contradicts itself: one line for each fault."""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# Written with its unit, so that what is stored reads as what was given.
Milli = Annotated[int, BeforeValidator(parse_cpu), PlainSerializer(lambda milli: f"{milli}m")]
Bytes = Annotated[int, BeforeValidator(parse_bytes)]


class AmountForm(_Form):
    """Cores (4, 500m), bytes (64Gi), whole cards (8 or 0.5). What is not named is none, in a maximum unlimited."""

    cpu: Milli | None = None
    memory: Bytes | None = None
    disk: Bytes | None = None
    cards: Annotated[float, Field(ge=0)] | None = None

    def amount(self, missing: int = 0) -> Resources:
        cards = None if self.cards is None else round(self.cards * 1000)
        given = (self.cpu, self.memory, self.disk, cards)
        return Resources(*(missing if value is None else value for value in given))


class BudgetForm(_Form):
    """`card_hours` of a normal card in each period of `days`, the first from `starts` on."""

    card_hours: Annotated[float, Field(ge=0)]
    days: Annotated[int, Field(ge=1)]
    starts: AwareDatetime

    def budget(self) -> Budget:
        return Budget(
            round(self.card_hours * 1000 * _MS_PER_HOUR), self.days * _MS_PER_DAY, milliseconds(self.starts)
        )


class QueueForm(_Form):
    path: str
    weight: Annotated[int, Field(ge=1)] = 1
    guaranteed: AmountForm = AmountForm()
    lendable: AmountForm | None = None
    maximum: AmountForm | None = None
    budget: BudgetForm | None = None
    preemptible: bool = True

    def spec(self) -> QueueSpec:
        return QueueSpec(
            path=self.path,
            weight=self.weight,
            guaranteed=self.guaranteed.amount(),
            lendable=None if self.lendable is None else self.lendable.amount(),
            maximum=(self.maximum or AmountForm()).amount(missing=UNLIMITED),
            budget=None if self.budget is None else self.budget.budget(),
            preemptible=self.preemptible,
        )


class ReservationForm(_Form):
    """Without `ends` it is kept until the document no longer names it: from approval to acceptance."""

    id: str
    pool: str
    holder: str
    amount: AmountForm
    starts: AwareDatetime
    ends: AwareDatetime | None = None
    reason: str = ""

    def reservation(self) -> Reservation:
        ends = None if self.ends is None else milliseconds(self.ends)
        starts = milliseconds(self.starts)
        return Reservation(self.id, self.pool, self.holder, self.amount.amount(), starts, ends, self.reason)


class QueueDocument(_Form):
    """The whole. `half_life_hours`: how long ago use counts half in fair shares (0: only present use). `card_factors`:
    what one card of a model counts in budgets, in normal cards."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    half_life_hours: Annotated[float, Field(ge=0)] = 0
    card_factors: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    queues: tuple[QueueForm, ...] = ()
    reservations: tuple[ReservationForm, ...] = ()

    def tables(self) -> QueueTables:
        """Empty tables over these queues."""
        tree = QueueTree((queue.spec() for queue in self.queues), round(self.half_life_hours * _MS_PER_HOUR))
        return QueueTables(tree, {model: round(factor * 1000) for model, factor in self.card_factors.items()})

    def calendar(self) -> tuple[Reservation, ...]:
        return tuple(form.reservation() for form in self.reservations)


def read_queues(content: Mapping[str, Any]) -> QueueDocument:
    """The document of parsed YAML or JSON. Raises QueuesUnreadable with every fault: place, value, rule."""
    try:
        document = QueueDocument.model_validate(content)
    except ValidationError as error:
        faults = ((".".join(map(str, fault.place)), fault) for fault in form_faults(error))
        lines = [f"{place or '整份/document'} = {fault.value}: {fault.rule}" for place, fault in faults]
        raise QueuesUnreadable("\n".join(lines)) from error
    try:
        document.tables()
    except ValueError as error:
        raise QueuesUnreadable(str(error)) from error
    ids = [form.id for form in document.reservations]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise QueuesUnreadable(f"预留 {twice[0]} 定义了两次 / reservation {twice[0]} is defined twice; keep one")
    for form in document.reservations:
        if form.ends is not None and form.ends <= form.starts:
            raise QueuesUnreadable(
                f"预留 {form.id} 的结束不晚于开始 / reservation {form.id} ends before it starts; give a later end"
            )
    return document


def notes_on(document: QueueDocument) -> Iterator[str]:
    """What is allowed and rarely meant, a line each.

    A workload is within a guarantee in all that it asks, and nearly every one asks for CPU and for memory. So it must
    be: who is guaranteed CPU alone must not take the cards or the memory of others in its name.
    """
    for form in document.queues:
        given = form.guaranteed.amount()
        if given == Resources():
            continue
        missing = [
            name for name, amount in (("cpu", given.cpu_milli), ("memory", given.memory_bytes)) if not amount
        ]
        for name in missing:
            yield (
                f"队列 {form.path} 的保障没有 {name}：凡要求 {name} 的作业都不在保障之内；请补上 {name} / queue {form.path} is "
                f"guaranteed no {name}: no workload that asks for {name} is within its guarantee; add {name}"
            )


def milliseconds(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)

"""The policy part of a scenario: which pools are preferred, who may overtake whom, and how queues share.

A policy is only names and numbers; what the names mean stands in `scheduler.core` and is what production runs.
"""

from __future__ import annotations

from pydantic import Field, field_validator

from inventory.model.units import Resources
from scheduler.core.placement.policies.registry import PolicyStack
from scheduler.core.placement.stack import DEFAULT_WEIGHTS, build_stack
from scheduler.core.queueing.moving import MOST_SHARE
from scheduler.core.queueing.queues import QueueSpec
from scheduler.core.queueing.reservations import Reservation
from scheduler.cycle import Backfill, BackfillRules, CycleSettings, MovingRules, PreemptionRules
from simulations.scenarios.fields import Bytes, Duration, Form, MilliCpu


class PolicyForm(Form):
    """`nodes` chooses the nodes within a pool: a policy of `scheduler.core.placement.policies`, or a weighted stack
    such as "fgd:3+bestfit:1" (left out: what pools do by default). `scores` weighs what makes a pool preferred (names
    of `scheduler.core.placement.stack.SCORES`).

    `backfill`: what may go before a job that waits for room: "none" nothing, "easy" what does not delay the first one
    that waits, "conservative" what delays none that waits. `window`: how many jobs of each queue and priority a cycle
    looks at. `hold_after`: how long a job waits before room is kept for it (0: at once, as in the textbook);
    `drain_after`: how much longer before a pool that has room in sum, but on no nodes, is left to drain for it.
    `reclaims`: a queue within its guarantee stops runs of those who borrow; `preempts`: a higher priority stops lower
    ones. A run that is stopped begins again later, from its last checkpoint. `moves`: the part of a pool's running tasks
    (0.05 at most) that may restart on another node so that the first that waits finds room (0: none); `move_price`: what
    each move counts for, beside the work that it loses.
    """

    nodes: str | None = None
    reclaims: bool = True
    preempts: bool = False
    scores: dict[str, int] = Field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    backfill: Backfill = Backfill.EASY
    window: int = Field(default=100, ge=1, le=1_000_000)
    hold_after: Duration = 0
    drain_after: Duration = 600_000
    moves: float = Field(default=0.0, ge=0, le=MOST_SHARE)
    move_price: Duration = 600_000

    @field_validator("nodes")
    @classmethod
    def _is_policy(cls, text: str | None) -> str | None:
        return None if text is None else str(PolicyStack.parse(text))

    @field_validator("scores")
    @classmethod
    def _known(cls, scores: dict[str, int]) -> dict[str, int]:
        build_stack(weights=scores)
        return scores

    @property
    def node_policy(self) -> PolicyStack | None:
        return None if self.nodes is None else PolicyStack.parse(self.nodes)

    def settings(self, seed: int) -> CycleSettings:
        return CycleSettings(
            stack=build_stack(weights=self.scores),
            seed=seed,
            waiting_limit=self.window,
            backfill=BackfillRules(self.backfill, self.window, self.hold_after, self.drain_after),
            preemption=PreemptionRules(reclaims=self.reclaims, by_priority=self.preempts),
            moving=MovingRules(self.moves, self.move_price, self.hold_after),
        )


_UNLIMITED = QueueSpec("x").maximum


class QuotaForm(Form):
    """An amount for a queue; what is left out: 0 of a guarantee, no limit of a maximum."""

    cpu: MilliCpu | None = None
    memory: Bytes | None = None
    disk: Bytes | None = None
    cards: float | None = Field(default=None, ge=0, le=1e7)

    def resources(self, otherwise: Resources) -> Resources:
        return Resources(
            otherwise.cpu_milli if self.cpu is None else self.cpu,
            otherwise.memory_bytes if self.memory is None else self.memory,
            otherwise.disk_bytes if self.disk is None else self.disk,
            otherwise.accelerator_milli if self.cards is None else round(self.cards * 1000),
        )


class QueueForm(Form):
    """A queue by its path (city/district/department) with its share, what it is guaranteed and what it may never
    exceed. Queues that a trace names and the scenario does not have weight 1 and no quota of their own."""

    path: str = Field(min_length=1, max_length=200)
    weight: int = Field(default=1, ge=1, le=1_000_000)
    guaranteed: QuotaForm = QuotaForm()
    maximum: QuotaForm = QuotaForm()
    preemptible: bool = True

    def spec(self) -> QueueSpec:
        return QueueSpec(
            self.path,
            self.weight,
            guaranteed=self.guaranteed.resources(Resources()),
            maximum=self.maximum.resources(_UNLIMITED),
            preemptible=self.preemptible,
        )


class ReservationForm(Form):
    """Capacity of a pool that is kept for a queue from `from` to `until` (left out: for ever)."""

    id: str = Field(min_length=1, max_length=200)
    pool: str
    queue: str = Field(min_length=1, max_length=200)
    amount: QuotaForm
    from_: Duration = Field(alias="from")
    until: Duration | None = None

    def reservation(self) -> Reservation:
        return Reservation(
            self.id, self.pool, self.queue, self.amount.resources(Resources()), self.from_, self.until
        )

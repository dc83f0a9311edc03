"""The scenario form: variants of traces, capacities, policies and failures, and what holds for all of them.

One scenario is a portfolio: `xisuan sim run` takes one variant of each, `xisuan sim portfolio` all combinations.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from simulations.scenarios.capacity import CapacityForm
from simulations.scenarios.fields import Duration, Form, Name, Seeds
from simulations.scenarios.outages import FailuresForm
from simulations.scenarios.policy import PolicyForm, QueueForm, ReservationForm
from simulations.scenarios.workload import TraceForm


class Scenario(Form):
    """What is simulated.

    `cycle`: at most one scheduling cycle in this time; 0: one whenever something happens. `until` ends every
    simulation (left out: when the last job has ended). `checkpoint`: an interrupted job keeps its work up to the
    last whole multiple of this (0: it begins again). `half_life`: how long ago use counts half as much in the fair
    shares (0: only present use counts). All times since the trace's origin.
    """

    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    traces: dict[Name, TraceForm] = Field(min_length=1)
    capacities: dict[Name, CapacityForm] = Field(min_length=1)
    policies: dict[Name, PolicyForm] = Field(default_factory=lambda: {"default": PolicyForm()}, min_length=1)
    failures: dict[Name, FailuresForm] = Field(default_factory=lambda: {"none": FailuresForm()}, min_length=1)
    seeds: Seeds = (0,)
    queues: tuple[QueueForm, ...] = ()
    half_life: Duration = 0
    reservations: tuple[ReservationForm, ...] = ()
    cycle: Duration = 0
    until: Duration | None = None
    checkpoint: Duration = 0

    @model_validator(mode="after")
    def _queues_differ(self) -> Scenario:
        names = [queue.path for queue in self.queues]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"queues {', '.join(twice)} 重复，请只留一个 / given twice; keep one")
        return self

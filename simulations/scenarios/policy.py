"""The policy part of a scenario: which pools are preferred, who may overtake whom, and how queues share.

A policy is only names and numbers; what the names mean stands in `scheduler.core` and is what production runs.
"""

from __future__ import annotations

from pydantic import Field, field_validator

from scheduler.core.placement.stack import DEFAULT_WEIGHTS, build_stack
from scheduler.cycle import CycleSettings
from simulations.scenarios.fields import Duration, Form


class PolicyForm(Form):
    """`scores` weighs what makes a pool preferred (names of `scheduler.core.placement.stack.SCORES`). `window` is how
    many waiting jobs a cycle looks at. A job that has waited longer than `hold_after` keeps a pool for itself."""

    scores: dict[str, int] = Field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    window: int = Field(default=100, ge=1, le=1_000_000)
    hold_after: Duration = 600_000

    @field_validator("scores")
    @classmethod
    def _known(cls, scores: dict[str, int]) -> dict[str, int]:
        build_stack(weights=scores)
        return scores

    def settings(self, seed: int) -> CycleSettings:
        return CycleSettings(
            stack=build_stack(weights=self.scores),
            seed=seed,
            waiting_limit=self.window,
            hold_after_ms=self.hold_after,
        )


class QueueForm(Form):
    """A queue with its share; queues that a trace names and the scenario does not have weight 1."""

    name: str = Field(min_length=1, max_length=200)
    weight: int = Field(default=1, ge=1, le=1_000_000)

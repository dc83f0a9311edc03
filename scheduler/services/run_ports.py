"""What the migration servicer needs to open migration runs and to act on them; the values that pass between.

`scheduler.runtime.run_calls` implements it over the desk of `scheduler.runbooks`. A run is a JSON object in the form
of docs/runbooks.md. Errors that the caller has to act on are `RequestError`s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

RunDocument = Mapping[str, Any]


class Act(StrEnum):
    """What a person does with a run."""

    APPROVE = "approve"
    REFUSE = "refuse"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    SKIP = "skip"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class RunAction:
    """One act. `step_id` empty: the step that the run waits for. `number` and `sha256` are of the document behind
    an approval. `duties`: approval roles that access control has granted to the actor; None: the order names who has
    them."""

    act: Act
    run_id: str
    actor: str
    step_id: str = ""
    reason: str = ""
    number: str = ""
    sha256: str = ""
    duties: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class RunOpening:
    """The texts of a runbook and an order; `wave` (0: none) names the wave whose window counts."""

    runbook: str
    order: str
    actor: str
    wave: int = 0


@dataclass(frozen=True, slots=True)
class WaveStarting:
    """A wave that is to start: the text of the site file, and the texts of the runbooks that it names."""

    number: int
    actor: str
    site: str = ""
    runbooks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StartedWave:
    """Every run of the wave, also of earlier calls; `waiting` are systems (ledger keys) that wait until what they are
    merged into was moved: start the wave again then."""

    run_ids: tuple[str, ...]
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldCapacity:
    """What a run holds of a pool, for its own queue, from approval to acceptance."""

    run_id: str
    pool_id: str
    cpu_milli: int
    memory_bytes: int


class Runs(Protocol):
    async def open(self, opening: RunOpening) -> str:
        """The id of the new run. INVALID_ARGUMENT names every fault of the files, a line each."""

    async def start_wave(self, starting: WaveStarting) -> StartedWave:
        """Opens a run for each move group of the wave that has none. INVALID_ARGUMENT names everything that is
        missing, a line each, and nothing starts."""

    async def act(self, action: RunAction) -> RunDocument:
        """The run afterwards. FAILED_PRECONDITION when it cannot be done by him, or not now."""

    async def run(self, run_id: str) -> RunDocument: ...

    async def history(self, run_id: str) -> tuple[RunDocument, ...]: ...

    async def runs(self) -> tuple[RunDocument, ...]: ...

    async def hold(self, held: HeldCapacity) -> None:
        """Durable when it returns. Idempotent on the run."""

    async def release(self, run_id: str, as_allocation: bool) -> None:
        """Idempotent. `as_allocation`: what was held until acceptance is the systems' steady load from then on."""

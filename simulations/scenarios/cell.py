"""One cell of a portfolio: one trace, capacity, policy, failure model and seed; it runs and gives a `Result`.

`simulations.portfolio` fans cells out; the questions make cells of their own by changing parts of a scenario.
A cell is plain values, so that it travels to other processes and its hash says all that the result depends on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TypeVar

from scheduler.core.queueing.queues import QueueTree
from simulations.engine.outcome import Outcome
from simulations.engine.simulation import EngineSettings, Progress, SimulationInput, simulate
from simulations.engine.site import PoolPlan
from simulations.metrics.measure import measure
from simulations.metrics.result import Label, Provenance, Result
from simulations.scenarios.capacity import require_pools
from simulations.scenarios.fields import DAY
from simulations.scenarios.form import Scenario
from simulations.scenarios.reading import ScenarioError
from simulations.scenarios.workload import TraceForm
from simulations.traces.bad_rows import TraceError
from simulations.traces.trace import Trace


@dataclass(frozen=True, slots=True)
class Cell:
    """`scenario` with exactly one variant of each kind and one seed; `folder` is where its files are found.

    `skip_bad` leaves rows that cannot be used out of traces, and jobs that fit into no pool; both are counted in
    the result's notes. Without it they are errors. `counts_unplaceable` counts the jobs, and leaves bad rows errors:
    for questions that ask how many find no room.
    """

    scenario: Scenario
    folder: str
    code_version: str
    skip_bad: bool = False
    counts_unplaceable: bool = False

    @property
    def label(self) -> Label:
        chosen = self.scenario
        return Label(
            trace=_only(chosen.traces),
            capacity=_only(chosen.capacities),
            failures=_only(chosen.failures),
            policy=_only(chosen.policies),
            seed=chosen.seeds[0],
        )

    @property
    def digest(self) -> str:
        """SHA-256 of everything that the scenario says for this cell (not of the files that it names: the trace has
        a hash of its own)."""
        return digest_of(self.scenario)

    def trace(self) -> Trace:
        """Kept by the process: the cells of a portfolio share few traces. Raises ValueError or TraceError."""
        (name, form), seed = next(iter(self.scenario.traces.items())), self.scenario.seeds[0]
        return _trace(name, form, self.folder, seed if form.is_drawn else 0, self.skip_bad)

    def plans(self) -> tuple[PoolPlan, ...]:
        return _one(self.scenario.capacities).plans(Path(self.folder))

    def prepare(self) -> PreparedCell:
        """Reads every file and draws every failure. Raises ScenarioError or TraceError for what cannot be used."""
        try:
            return self._prepared()
        except ValueError as error:
            raise ScenarioError([f"{self.scenario.name}: {line}" for line in str(error).splitlines()]) from error

    def _prepared(self) -> PreparedCell:
        chosen, trace, plans = self.scenario, self.trace(), self.plans()
        seed = chosen.seeds[0]
        # Runs may go on long after the last arrival; failures are drawn for four times the span, a week more at least.
        end = int(trace.submitted_ms[-1]) if len(trace) else 0
        span = (0, chosen.until or max(4 * end, end + 7 * DAY))
        require_pools((one.pool for one in chosen.reservations), [p.pool.pool_id for p in plans], "reservations")
        QueueTree(
            queue.spec() for queue in chosen.queues
        )  # says what is wrong with the quotas before anything runs
        return PreparedCell(
            label=self.label,
            provenance=Provenance(chosen.name, self.digest, trace.digest, self.code_version),
            given=SimulationInput(
                pools=plans,
                outages=_one(chosen.failures).drawn(plans, span, seed, Path(self.folder)),
                queues=tuple(queue.spec() for queue in chosen.queues),
                half_life_ms=chosen.half_life,
                reservations=tuple(one.reservation() for one in chosen.reservations),
            ),
            settings=EngineSettings(
                cycle=_one(chosen.policies).settings(seed),
                granularity_ms=chosen.cycle,
                until_ms=chosen.until,
                checkpoint_ms=chosen.checkpoint,
                nodes=_one(chosen.policies).node_policy,
            ),
            counts_unplaceable=self.skip_bad or self.counts_unplaceable,
        )


@dataclass(frozen=True, slots=True)
class PreparedCell:
    """A cell with all that its files said, besides the trace: it can run in a process that has no files."""

    label: Label
    provenance: Provenance
    given: SimulationInput
    settings: EngineSettings
    counts_unplaceable: bool

    def simulate(self, trace: Trace, progress: Progress | None = None) -> Outcome:
        """Raises TraceError for jobs that fit nowhere, unless they are counted."""
        outcome = simulate(trace, self.given, self.settings, progress)
        if len(outcome.unplaceable) and not self.counts_unplaceable:
            raise TraceError(_fits_nowhere(trace, outcome))
        return outcome

    def result(self, trace: Trace, progress: Progress | None = None) -> Result:
        return self.measured(self.simulate(trace, progress))

    def measured(self, outcome: Outcome) -> Result:
        trace = outcome.trace
        notes = list(trace.notes)
        if len(outcome.unplaceable):
            notes.append(_left_out(trace, outcome))
        measures = measure(outcome, [plan.power for plan in self.given.pools])
        return Result(self.label, self.provenance, measures, tuple(notes))


def cells(
    scenario: Scenario,
    folder: str,
    code_version: str,
    skip_bad: bool = False,
    counts_unplaceable: bool = False,
) -> Iterator[Cell]:
    """The product of all variants and seeds, in the order of the file."""
    for trace, capacity, failures, policy, seed in product(
        scenario.traces, scenario.capacities, scenario.failures, scenario.policies, scenario.seeds
    ):
        chosen = scenario.model_copy(
            update={
                "traces": {trace: scenario.traces[trace]},
                "capacities": {capacity: scenario.capacities[capacity]},
                "failures": {failures: scenario.failures[failures]},
                "policies": {policy: scenario.policies[policy]},
                "seeds": (seed,),
            }
        )
        yield Cell(chosen, folder, code_version, skip_bad, counts_unplaceable)


Variant = TypeVar("Variant")


def _only(variants: Mapping[str, object]) -> str:
    (name,) = variants
    return name


def _one(variants: Mapping[str, Variant]) -> Variant:
    (variant,) = variants.values()
    return variant


def digest_of(scenario: Scenario) -> str:
    """The same for the same scenario in every process."""
    document = scenario.model_dump(mode="python", by_alias=True)
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_ordered)
    return hashlib.sha256(text.encode()).hexdigest()


def _ordered(value: object) -> list[str]:
    """Sets have another order in every process."""
    if not isinstance(value, Set):
        raise TypeError(f"a scenario holds a {type(value).__name__}, which has no JSON form")
    return sorted(str(each) for each in value)


@lru_cache(maxsize=4)
def _trace(name: str, form: TraceForm, folder: str, seed: int, skip_bad: bool) -> Trace:
    return form.trace(name, Path(folder), seed, skip_bad)


def _fits_nowhere(trace: Trace, outcome: Outcome) -> str:
    first = int(outcome.unplaceable[0])
    return (
        f"{trace.name}: {len(outcome.unplaceable)} 个作业在任何池（即使为空）都放不下，首个是 {trace.job_ids[first]}"
        f"（第 {first + 1} 个到达）；请增加容量，或用 --skip-bad 跳过"
        f" / {len(outcome.unplaceable)} jobs fit into no pool, not even an empty one, first {trace.job_ids[first]}"
        f" (arrival {first + 1}); add capacity, or pass --skip-bad"
    )


def _left_out(trace: Trace, outcome: Outcome) -> str:
    shown = ", ".join(trace.job_ids[outcome.unplaceable[:5]].tolist())
    return (
        f"{trace.name}: 跳过 {len(outcome.unplaceable)} 个放不下的作业"
        f" / {len(outcome.unplaceable)} jobs fit into no pool and were left out: {shown}"
    )

"""A runbook template (割接方案模板) as its YAML file says it. `template_rules` holds what must be true of it.

Who calls this: `desk` reads the file of an order, the tests read every example. docs/runbooks.md describes the form.
Numbers are literal; any text may name a parameter as `${name}`, and in a step with `per_system: true` the system as
`${system.key}` or `${system.PARAMETER}`. Secrets are named, never written: `secrets` maps an environment variable of
a command to the name of a secret, and the order says in which variable or file its value is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scheduler.core.migration.phases import Outcome, Phase, Role
from scheduler.core.migration.run import OverrunPolicy
from scheduler.runbooks.faults import RunbookRefused, lines_of

LARGEST_FILE = 1024 * 1024
_NAME = r"^[a-z][a-z0-9_-]{0,63}$"
Name = Annotated[str, Field(pattern=_NAME)]
Seconds = Annotated[int, Field(ge=1, le=7 * 24 * 3600)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Command(_Strict):
    """A program on this machine, without a shell. Exit code 0 is success; with `value: true` the last line of its
    output, a whole number, is the value of the evidence, and with `at_most` a larger one has failed. `idempotent:
    false`: it is never begun twice unless a person says so."""

    kind: Literal["command"]
    argv: tuple[str, ...] = Field(min_length=1)
    environment: Mapping[str, str] = Field(default_factory=dict)
    secrets: Mapping[str, Name] = Field(default_factory=dict)
    idempotent: bool
    value: bool = False
    at_most: int | None = None

    @model_validator(mode="after")
    def _compares_a_value(self) -> Command:
        if self.at_most is not None and not self.value:
            raise ValueError("at_most 须与 value: true 同写 / at_most compares the value: write value: true")
        return self


class RunWorkload(_Strict):
    """A workload on a pool. `until: succeeded`: done when it has ended well; `running`: done when it runs, and it
    goes on (a service). Idempotent: its key is the run and the step."""

    kind: Literal["workload"]
    pool: str
    command: tuple[str, ...] = Field(min_length=1)
    environment: Mapping[str, str] = Field(default_factory=dict)
    cpu_milli: int = Field(ge=1)
    memory_mib: int = Field(ge=1)
    until: Literal["succeeded", "running"] = "succeeded"
    estimated_minutes: int = Field(default=0, ge=0, le=7 * 24 * 60)  # 0: nobody knows


class CancelWorkload(_Strict):
    """Only as a compensation: ends the workload of the step."""

    kind: Literal["cancel_workload"]


class HttpCheck(_Strict):
    """A GET that must answer `status`, with `contains` in its body, within the step's timeout. An answer that points
    elsewhere (3xx) is not followed."""

    kind: Literal["http_check"]
    url: str
    status: int = Field(default=200, ge=100, le=599)
    contains: str = ""


class ComparedTable(_Strict):
    """`key` is the column that orders and names the rows. `count`: as many rows; `checksum`: the same rows;
    `sample`: `rows` rows, chosen by the hash of their key, are the same."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,127}$")]
    key: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")] = "id"
    mode: Literal["count", "checksum", "sample"] = "checksum"
    rows: int = Field(default=100, ge=1, le=100_000)


class SqlCompare(_Strict):
    """Two PostgreSQL databases hold the same rows. `source` and `target` are secrets that hold connection URLs;
    `database` names another database of both servers than the URLs do."""

    kind: Literal["sql_compare"]
    source: Name
    target: Name
    database: str = ""
    tables: tuple[ComparedTable, ...] = Field(min_length=1)


class SqlCheck(_Strict):
    """A query that gives one whole number, at most `at_most` within the step's timeout."""

    kind: Literal["sql_check"]
    database: Name
    query: str
    at_most: int


class Switch(_Strict):
    """Points the users at `to`; undone by pointing them at `back`. The hook is a URL that takes a PUT of
    {"target": ...} (a gateway), or a program that gets the target as its last argument (DNS)."""

    kind: Literal["switch"]
    url: str = ""
    argv: tuple[str, ...] = ()
    to: str
    back: str


class Approval(_Strict):
    """A person of `role` says yes, with the number and the hash of a document."""

    kind: Literal["approval"]
    role: Role


class WaitForWindow(_Strict):
    """Waits until the cutover window of the run begins."""

    kind: Literal["window"]


class Notify(_Strict):
    """POSTs {"text", "run_id", "step"} to a webhook, whose URL is a secret. Delivered at least once; the same
    attempt has the same Idempotency-Key."""

    kind: Literal["notify"]
    webhook: Name
    text: str


class CriterionModel(_Strict):
    evidence: Name
    at_most: int | None = None


class GoNoGo(_Strict):
    """Computes go or no-go from evidence; no-go holds the run."""

    kind: Literal["go_no_go"]
    criteria: tuple[CriterionModel, ...] = ()


class ReserveCapacity(_Strict):
    """Holds capacity of a pool until it is released; undone by releasing it. Without numbers: what the order says that
    its systems need, which a wave takes from its plan."""

    kind: Literal["reserve"]
    pool: str
    cpu_milli: int | None = Field(default=None, ge=1)
    memory_mib: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _both_or_none(self) -> ReserveCapacity:
        if (self.cpu_milli is None) != (self.memory_mib is None):
            raise ValueError(
                "cpu_milli 与 memory_mib 须同时写，或都不写 / give both cpu_milli and memory_mib, or neither"
            )
        return self


class ReleaseCapacity(_Strict):
    """Ends what the run holds. `keeps: allocation`: it stays in the pool as the steady load of its systems, for whatever
    was built without a workload; `nothing`: a workload that runs on stands in its place, or nothing does."""

    kind: Literal["release"]
    keeps: Literal["nothing", "allocation"] = "nothing"


Action = Annotated[
    Command
    | RunWorkload
    | CancelWorkload
    | HttpCheck
    | SqlCompare
    | SqlCheck
    | Switch
    | Approval
    | WaitForWindow
    | Notify
    | GoNoGo
    | ReserveCapacity
    | ReleaseCapacity,
    Field(discriminator="kind"),
]


class NothingToUndo(_Strict):
    """Says in words why a step needs no compensation."""

    none: str = Field(min_length=4)


class StepModel(_Strict):
    """One step. `after` names steps of the same phase that come first (default: the one above)."""

    id: Name
    title: str = ""
    after: tuple[Name, ...] | None = None
    per_system: bool = False
    do: Action
    compensation: Action | NothingToUndo | None = None
    provides: str = ""
    attempts: int = Field(default=1, ge=1, le=20)
    timeout_s: Seconds = 600


class PhaseModel(_Strict):
    """`rehearses` and `with`: the rehearsal runs the steps of those phases with other parameters, then undoes
    them."""

    steps: tuple[StepModel, ...] = ()
    rehearses: tuple[Phase, ...] = ()
    overrides: Mapping[Name, str] = Field(default_factory=dict, alias="with")


class PolicyModel(_Strict):
    commit_point: Phase = Phase.ACCEPTANCE
    on_overrun: OverrunPolicy = OverrunPolicy.ROLL_BACK
    on_failure: Literal["roll_back", "hold"] = "roll_back"
    rollback_reserve_minutes: int = Field(default=30, ge=0, le=1440)
    warn_before_minutes: int = Field(default=30, ge=0, le=1440)


class Template(_Strict):
    """A runbook. `parameters`, `system_parameters` and `secrets` name what the order must give."""

    version: Literal[1]
    name: Name
    title: str
    outcome: Outcome
    parameters: tuple[Name, ...] = ()
    system_parameters: tuple[Name, ...] = ()
    secrets: tuple[Name, ...] = ()
    policy: PolicyModel = PolicyModel()
    phases: Mapping[Phase, PhaseModel]


def phases_of(template: Template) -> tuple[Phase, ...]:
    """Its phases in the order of a migration."""
    return tuple(phase for phase in Phase if phase in template.phases)


def steps_of(template: Template) -> Iterator[tuple[Phase, StepModel]]:
    for phase in phases_of(template):
        for step in template.phases[phase].steps:
            yield phase, step


def in_order(steps: Sequence[StepModel]) -> list[StepModel]:
    """The steps of one phase so that each comes after those it names. Raises CycleError, KeyError."""
    by_id = {step.id: step for step in steps}
    names: dict[str, tuple[str, ...]] = {}
    for position, step in enumerate(steps):
        above = (steps[position - 1].id,) if position else ()
        names[step.id] = step.after if step.after is not None else above
    return [by_id[name] for name in TopologicalSorter(names).static_order()]


class _UniqueKeys(yaml.SafeLoader):
    """YAML whose mappings name each key once: the second of two equal keys would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(str(key))
        return super().construct_mapping(node, deep)


def read_yaml(text: str, name: str) -> Any:
    """One YAML document. Raises RunbookRefused with the line that cannot be read."""
    if len(text) > LARGEST_FILE:
        raise RunbookRefused([f"{name}: 超过 1 MiB；请拆分 / is larger than 1 MiB; split it"])
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise RunbookRefused([f"{name}: 不接受 YAML 别名 (*) / aliases (*) are refused: write it out"])
        return yaml.load(text, _UniqueKeys)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise RunbookRefused([f"{name}: 不是可读的 YAML / cannot be read as YAML: {said}"]) from None


def read_template(text: str, name: str) -> Template:
    """The template in `text`; `name` stands in messages. Raises RunbookRefused with every fault of its form."""
    try:
        return Template.model_validate(read_yaml(text, name))
    except ValidationError as error:
        raise RunbookRefused(lines_of(name, error)) from None

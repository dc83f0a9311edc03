"""Job files: workloads as YAML, the form that docs/workloads.md documents, checked whole before anything is sent.

`xisuan workload submit` and `dry-run` read them. A file holds one job, a list of jobs, or several documents of
either. Every fault is reported at once, each as one line with file, job, line, field, value, rule and remedy.
"""

from __future__ import annotations

import difflib
import graphlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from adapters.wire.inspection import InvalidMessage
from adapters.wire.workloads import MAX_ATTEMPTS, MAX_PRIORITY, MAX_TASKS, submission_from_wire, submission_to_wire
from console import job_fields
from console.faults import Fault
from console.yaml_documents import YamlDocument, read_documents
from inventory.model.constraints import AcceleratorKind, Affinity, InputPlace, NodeSelector, Spread, Toleration
from inventory.model.partition import NEVER_LOST, PartitionPolicy
from inventory.model.retry import AT_ONCE, RetryPolicy
from inventory.model.system import Architecture, Zone
from inventory.model.units import Resources
from inventory.model.workload import JobArray, Program, Requirements, Submission

MAX_FILE_BYTES = 16 * 1024 * 1024

Text = Annotated[str, BeforeValidator(job_fields.text)]
Texts = Annotated[tuple[str, ...], BeforeValidator(job_fields.texts)]
Settings = Annotated[dict[str, str], BeforeValidator(job_fields.settings)]
Duration = Annotated[int, BeforeValidator(job_fields.duration_ms)]


class JobForm(BaseModel):
    """One job. `name` or `key` is required, and a queue (here or with --queue); so is a command or an image."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Text = ""
    key: Text = ""
    queue: Text = ""
    command: Annotated[tuple[str, ...], BeforeValidator(job_fields.command)] = ()
    image: Text = ""
    env: Settings = Field(default_factory=dict)
    cpu: Annotated[int, BeforeValidator(job_fields.cpu_milli)] = 0
    memory: Annotated[int, BeforeValidator(job_fields.memory_bytes)] = 0
    disk: Annotated[int, BeforeValidator(job_fields.disk_bytes)] = 0
    cards: Annotated[int, BeforeValidator(job_fields.card_milli)] = 0
    accelerator: Text = ""
    tasks: int = Field(default=1, ge=1, le=MAX_TASKS)
    zone: Annotated[Zone | None, BeforeValidator(job_fields.zone)] = None
    level: int = Field(default=0, ge=0, le=4)
    arch: Annotated[tuple[Architecture, ...], BeforeValidator(job_fields.architectures)] = ()
    pools: Texts = ()
    priority: int = Field(default=0, ge=0, le=MAX_PRIORITY)
    attempts: int = Field(default=1, ge=1, le=MAX_ATTEMPTS)
    after: Texts = ()
    estimated: Duration = 0
    max_runtime: Duration = 0
    labels: Settings = Field(default_factory=dict)
    accelerator_kind: Annotated[AcceleratorKind | None, BeforeValidator(job_fields.accelerator_kind)] = None
    node_labels: Annotated[frozenset[NodeSelector], BeforeValidator(job_fields.node_selectors)] = frozenset()
    tolerations: Annotated[frozenset[Toleration], BeforeValidator(job_fields.tolerations)] = frozenset()
    placement_labels: Settings = Field(default_factory=dict)
    near: Annotated[frozenset[Affinity], BeforeValidator(job_fields.affinities)] = frozenset()
    apart: Annotated[frozenset[Affinity], BeforeValidator(job_fields.affinities)] = frozenset()
    spread: Annotated[frozenset[Spread], BeforeValidator(job_fields.spreads)] = frozenset()
    together: Text = ""
    tasks_per_node: int = Field(default=0, ge=0, le=MAX_TASKS)
    inputs: Annotated[tuple[InputPlace, ...], BeforeValidator(job_fields.inputs)] = ()
    partition: Annotated[PartitionPolicy, BeforeValidator(job_fields.partition)] = NEVER_LOST
    retry: Annotated[RetryPolicy, BeforeValidator(job_fields.retry)] = AT_ONCE
    array: Annotated[JobArray | None, BeforeValidator(job_fields.job_array)] = None
    finish_by: Annotated[int, BeforeValidator(job_fields.moment_ms)] = 0
    secrets: Settings = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a job stands: its file, its number in the file (from 1), its document and the path in that."""

    file: str
    number: int
    document: YamlDocument
    root: tuple[str | int, ...]

    def fault(self, name: str, field: str, value: object, rule: str) -> str:
        line = self.document.line((*self.root, *([field.split(".")[0].split("[")[0]] if field else [])))
        job = f"{self.number}“{name}”" if name else str(self.number)
        shown = "" if value is _ABSENT else f" = {_short(value)}"
        return f"{self.file}:{line} 作业/job {job} {field}{shown}: {rule}"


_ABSENT = object()
# Where a field of the wire's rules stands in the job file.
_FIELD_OF_WIRE: Mapping[str, str] = {
    "client_key": "key",
    "requirements.per_task.cpu_milli": "cpu",
    "requirements.per_task.memory_bytes": "memory",
    "requirements.per_task.disk_bytes": "disk",
    "requirements.per_task.accelerator_milli": "cards",
    "requirements.per_task": "cpu",
    "requirements.accelerator": "accelerator",
    "requirements.pools": "pools",
    "requirements.node_selectors": "node_labels",
    "requirements.affinities": "near",
    "requirements.spreads": "spread",
    "requirements.gang_topology": "together",
    "program.environment": "env",
    "program.command": "command",
    "program.image": "image",
    "program.secrets": "secrets",
    "program": "command",
}


def read_jobs(text: str, file: str, default_queue: str = "") -> list[Submission]:
    """The jobs of a file, in order. Raises Fault with a line for each fault; nothing is taken in part."""
    faults: list[str] = []
    jobs: list[tuple[_Place, Submission]] = []
    for place, value in _jobs(text, file):
        try:
            jobs.append((place, _submission(place, value, default_queue)))
        except Fault as fault:
            faults += fault.lines
    if not jobs and not faults:
        raise Fault(f"{file} 中没有作业；格式见 docs/workloads.md / holds no job; docs/workloads.md has the form")
    if not faults:
        faults += _repeated_keys(jobs)
    if not faults:
        jobs = _with_keys_of_names(jobs)
        faults += _circles(jobs)
    if faults:
        raise Fault(*faults)
    return [submission for _, submission in jobs]


def _jobs(text: str, file: str) -> Iterator[tuple[_Place, Any]]:
    number = 0
    for document in read_documents(text, file):
        is_list = isinstance(document.value, list)
        for index, value in enumerate(document.value if is_list else [document.value]):
            number += 1
            yield _Place(file, number, document, (index,) if is_list else ()), value


def _submission(place: _Place, value: Any, default_queue: str) -> Submission:
    if not isinstance(value, dict):
        rule = "作业须为“字段: 值” / a job is written as field: value"
        raise Fault(place.fault("", "", value, rule))
    name = str(value.get("name") or value.get("key") or "")
    try:
        form = JobForm.model_validate({str(field): entry for field, entry in value.items()})
    except ValidationError as error:
        raise Fault(*(_form_fault(place, name, one) for one in error.errors(include_url=False))) from None
    if not name:
        raise Fault(place.fault("", "name", _ABSENT, "缺少 name；请为作业命名 / is missing; give the job a name"))
    queue = form.queue or default_queue
    if not queue:
        rule = (
            "缺少 queue；请写明计费队列，或用 --queue / is missing; name the queue that is charged, or use --queue"
        )
        raise Fault(place.fault(name, "queue", _ABSENT, rule))
    submission = _of_form(form, queue)
    try:
        return submission_from_wire(submission_to_wire(submission), "")
    except InvalidMessage as error:
        raise Fault(*(_wire_fault(place, name, one.field, one.description) for one in error.violations)) from None


def _of_form(form: JobForm, queue: str) -> Submission:
    return Submission(
        queue=queue,
        client_key=form.key or form.name,
        name=form.name or form.key,
        requirements=Requirements(
            per_task=Resources(form.cpu, form.memory, form.disk, form.cards),
            tasks=form.tasks,
            zone=form.zone,
            protection_level=form.level,
            architectures=frozenset(form.arch),
            accelerator=form.accelerator or None,
            pools=frozenset(form.pools),
            accelerator_kind=form.accelerator_kind,
            node_selectors=form.node_labels,
            tolerations=form.tolerations,
            placement_labels=frozenset(form.placement_labels.items()),
            affinities=form.near | {replace(rule, anti=True) for rule in form.apart},
            spreads=form.spread,
            gang_topology=form.together or None,
            tasks_per_node=form.tasks_per_node,
        ),
        program=Program(
            command=form.command, image=form.image or None, environment=form.env, secrets=form.secrets
        ),
        priority=form.priority,
        max_attempts=form.attempts,
        after=form.after,
        estimated_ms=form.estimated,
        max_runtime_ms=form.max_runtime,
        labels=form.labels,
        inputs=form.inputs,
        partition=form.partition,
        retry=form.retry,
        array=form.array,
        finish_by_ms=form.finish_by,
    )


def _form_fault(place: _Place, name: str, error: Any) -> str:
    field = ".".join(str(part) for part in error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(field, JobForm.model_fields, n=1)
        if near:
            rule = f"没有这个字段，是否想写 {near[0]} / there is no such field; did you mean {near[0]}"
        else:
            known = ", ".join(JobForm.model_fields)
            rule = f"没有这个字段，可用：{known} / there is no such field; use one of {known}"
        return place.fault(name, field, _ABSENT, rule)
    if kind in ("greater_than_equal", "less_than_equal"):
        low, high = _bounds(field)
        rule = f"须在 {low} 与 {high} 之间 / must be {low} to {high}"
    elif kind == "int_type":
        rule = "须为整数 / must be a whole number"
    elif kind == "value_error":
        rule = str(context["error"])
    else:
        rule = f"无法识别（{error['msg']}）；请改正 / cannot be read; correct it"
    return place.fault(name, field, error["input"], rule)


def _bounds(field: str) -> tuple[Any, Any]:
    rules = JobForm.model_fields[field].metadata
    low = next(rule.ge for rule in rules if hasattr(rule, "ge"))
    high = next(rule.le for rule in rules if hasattr(rule, "le"))
    return low, high


def _wire_fault(place: _Place, name: str, path: str, description: str) -> str:
    path = path.lstrip(".")
    stem = path.split("[")[0]
    field = next((ours for theirs, ours in _FIELD_OF_WIRE.items() if stem == theirs), stem)
    return place.fault(name, field, _ABSENT, description)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"


def _repeated_keys(jobs: Sequence[tuple[_Place, Submission]]) -> Iterator[str]:
    seen: dict[tuple[str, str], int] = {}
    for place, job in jobs:
        first = seen.setdefault((job.queue, job.client_key), place.number)
        if first != place.number:
            rule = (
                f"与作业 {first} 重复；同一队列中每个作业的 key（缺省为 name）须不同"
                f" / is the key of job {first} too; keys (or names) of one queue must differ"
            )
            yield place.fault(job.name, "key", job.client_key, rule)


def _with_keys_of_names(jobs: Sequence[tuple[_Place, Submission]]) -> list[tuple[_Place, Submission]]:
    """`after` may name a job of the file by its name; what the service knows is its key."""
    keys = {(job.queue, job.name): job.client_key for _, job in jobs}
    keys |= {(job.queue, job.client_key): job.client_key for _, job in jobs}
    return [
        (place, replace(job, after=tuple(keys.get((job.queue, name), name) for name in job.after)))
        for place, job in jobs
    ]


def _circles(jobs: Sequence[tuple[_Place, Submission]]) -> Iterator[str]:
    """A line for a circle of jobs that wait for each other, where there is one."""
    by_key = {(job.queue, job.client_key): (place, job) for place, job in jobs}
    waits = {
        key: [(job.queue, name) for name in job.after if (job.queue, name) in by_key]
        for key, (_, job) in by_key.items()
    }
    try:
        graphlib.TopologicalSorter(waits).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1]
        place, job = by_key[circle[0]]
        names = " → ".join(by_key[key][1].name for key in reversed(circle))
        rule = f"{names} 互相等待；请去掉其中一个 / wait for each other in a circle; remove one of them"
        yield place.fault(job.name, "after", _ABSENT, rule)

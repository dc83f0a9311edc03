"""What must be true of a template before anything of it starts: compensations, loops, roles, evidence, phases.

`desk.open_run` and `xisuan migration check-runbook` call `require_sound`; every rule has its own small function that
yields lines "name: 规则 / rule".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError

from scheduler.core.migration.phases import COMMIT_POINTS, ORDER, REQUIRED, Phase
from scheduler.runbooks.cutover_rules import CUTOVER_RULES
from scheduler.runbooks.faults import RunbookRefused
from scheduler.runbooks.template import (
    Approval,
    CancelWorkload,
    Command,
    GoNoGo,
    NothingToUndo,
    Notify,
    ReserveCapacity,
    RunWorkload,
    SqlCheck,
    SqlCompare,
    StepModel,
    Switch,
    Template,
    in_order,
    phases_of,
    steps_of,
)

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
UNREHEARSED = frozenset({"approval", "window", "go_no_go", "notify", "reserve", "release"})
"""Kinds that a rehearsal leaves out: they wait for people or hold what is held already."""
UNSKIPPABLE = frozenset({"approval", "go_no_go", "window", "reserve", "release"})


def require_sound(template: Template) -> None:
    """Raises RunbookRefused with every fault."""
    faults = [
        f"{template.name}: {fault}"
        for rule in (
            _phases,
            _commit_point,
            _ids,
            _loops,
            _compensations,
            _gates,
            _evidence,
            _switches,
            _rehearsal,
            _references,
            _secrets,
            *CUTOVER_RULES,
        )
        for fault in rule(template)
    ]
    if faults:
        raise RunbookRefused(faults)


def provided_by(step: StepModel) -> str:
    """The evidence that a step gives; some kinds give theirs without being told."""
    if step.provides:
        return step.provides
    match step.do:
        case GoNoGo():
            return "go_no_go"
        case ReserveCapacity():
            return "capacity"
        case _:
            return ""


def _phases(template: Template) -> Iterator[str]:
    for phase in sorted(REQUIRED[template.outcome] - set(template.phases), key=ORDER.index):
        yield (
            f"缺少阶段 {phase}，{template.outcome} 的方案必须有 / the phase {phase} is missing; a runbook whose "
            f"outcome is {template.outcome} must have it"
        )
    for phase, step in steps_of(template):
        if not phase.rule.may_act:
            yield (
                f"步骤 {step.id}: 阶段 {phase} 只收文件，不执行步骤 / step {step.id}: the phase {phase} takes "
                "documents from the order and has no steps"
            )


def _commit_point(template: Template) -> Iterator[str]:
    point = template.policy.commit_point
    if point not in COMMIT_POINTS or point not in template.phases:
        yield (
            f"policy.commit_point {point} 须为方案中的 {', '.join(COMMIT_POINTS)} 之一 / must be one of these "
            "phases, and be in the runbook"
        )


def _ids(template: Template) -> Iterator[str]:
    seen: set[str] = set()
    for _, step in steps_of(template):
        if step.id in seen:
            yield f"步骤 {step.id} 出现两次；请改名 / the step {step.id} stands twice; rename one"
        seen.add(step.id)


def _loops(template: Template) -> Iterator[str]:
    for phase in phases_of(template):
        steps = template.phases[phase].steps
        known = {step.id for step in steps}
        unknown = [(step.id, name) for step in steps for name in step.after or () if name not in known]
        for step_id, name in unknown:
            yield (
                f"步骤 {step_id}: after 中的 {name} 不是阶段 {phase} 的步骤 / step {step_id}: {name} in `after` is no "
                f"step of the phase {phase}"
            )
        if not unknown:
            try:
                in_order(steps)
            except CycleError as error:
                loop = " → ".join(reversed(error.args[1]))
                yield f"步骤循环等待 / the steps wait for each other in a loop: {loop}"


def _compensations(template: Template) -> Iterator[str]:
    """Before the commit point every step that changes something says how it is undone, or why it need not be."""
    commit = template.policy.commit_point
    for phase, step in steps_of(template):
        changes = isinstance(step.do, Command | RunWorkload)
        if changes and step.compensation is None and phase.number <= commit.number:
            yield (
                f"步骤 {step.id} ({step.do.kind}): 提交点 {commit} 之前的动作必须有 compensation，或写明 none 的理由 / "
                f"step {step.id}: an action before the commit point {commit} needs a compensation, or "
                "`compensation: {none: why}`"
            )
        if isinstance(step.compensation, CancelWorkload) and not isinstance(step.do, RunWorkload):
            yield f"步骤 {step.id}: cancel_workload 只能回退 workload / cancel_workload undoes only a workload"
        if isinstance(step.do, CancelWorkload):
            yield f"步骤 {step.id}: cancel_workload 只能用作 compensation / is only a compensation"
        if step.compensation is not None and not changes and not isinstance(step.compensation, NothingToUndo):
            yield f"步骤 {step.id}: {step.do.kind} 不需要 compensation / has its own way back or changes nothing"


def _gates(template: Template) -> Iterator[str]:
    for phase in phases_of(template):
        rule = phase.rule
        steps = template.phases[phase].steps
        roles = [step.do.role for step in steps if isinstance(step.do, Approval)]
        if rule.is_gated and rule.approver not in roles:
            yield (
                f"阶段 {phase} 须有角色 {rule.approver} 的 approval 步骤 / the phase {phase} needs an approval by the "
                f"role {rule.approver} ({rule.approver.label})"
            )
        if phase is Phase.CUTOVER:
            kinds = [step.do.kind for step in steps]
            for kind in ("window", "go_no_go"):
                if kind not in kinds:
                    yield f"阶段 cutover 须有 {kind} 步骤 / the phase cutover needs a step {kind}"


def _evidence(template: Template) -> Iterator[str]:
    for phase in phases_of(template):
        if not phase.rule.may_act or phase is Phase.REHEARSAL:
            continue  # documents of the order; the rehearsal measures its own
        given = {provided_by(step) for step in template.phases[phase].steps}
        for name in phase.rule.exit:
            if name not in given:
                yield (
                    f"阶段 {phase} 没有步骤给出佐证 {name} / no step of the phase {phase} gives the evidence {name}; "
                    f"write `provides: {name}`"
                )


def _switches(template: Template) -> Iterator[str]:
    for _, step in steps_of(template):
        if isinstance(step.do, Switch) and bool(step.do.url) == bool(step.do.argv):
            yield f"步骤 {step.id}: switch 须有 url 或 argv 之一 / a switch has either a url or an argv"


def _rehearsal(template: Template) -> Iterator[str]:
    for phase in phases_of(template):
        model = template.phases[phase]
        if phase is not Phase.REHEARSAL and (model.rehearses or model.overrides):
            yield f"阶段 {phase}: rehearses、with 只属于 rehearsal / belong to the phase rehearsal alone"
        if phase is Phase.REHEARSAL and not model.rehearses:
            yield "阶段 rehearsal 须写明 rehearses: 演练哪些阶段 / the rehearsal must name the phases it rehearses"
        for name in model.overrides:
            if name not in template.parameters:
                yield f"rehearsal.with.{name}: 不是参数 / is no parameter of the runbook"


def _references(template: Template) -> Iterator[str]:
    plain = set(template.parameters)
    systems = {"system.key", *(f"system.{name}" for name in template.system_parameters)}
    for _, step in steps_of(template):
        for text in texts(step.model_dump(mode="json")):
            for name in _REFERENCE.findall(text):
                if name in plain or name == "target.key" or (step.per_system and name in systems):
                    continue
                hint = (
                    "须写 per_system: true / needs per_system: true"
                    if name in systems
                    else "不是参数 / no parameter"
                )
                yield f"步骤 {step.id}: ${{{name}}} {hint}"


def _secrets(template: Template) -> Iterator[str]:
    for _, step in steps_of(template):
        for name in secrets_of(step):
            if name not in template.secrets:
                yield f"步骤 {step.id}: 密钥 {name} 未在 secrets 中列出 / the secret {name} is not listed in `secrets`"


def secrets_of(step: StepModel) -> list[str]:
    """The names of the secrets that the step reads."""
    names: list[str] = []
    for action in (step.do, step.compensation):
        match action:
            case Command():
                names += action.secrets.values()
            case SqlCompare():
                names += (action.source, action.target)
            case SqlCheck():
                names.append(action.database)
            case Notify():
                names.append(action.webhook)
            case _:
                continue
    return names


def texts(value: object) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from texts(each)


def resolved(value: object, names: Mapping[str, str]) -> object:
    """The JSON value with every `${name}` replaced. Raises KeyError for a name that is not given."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: names[found.group(1)], value)
    if isinstance(value, Mapping):
        return {key: resolved(each, names) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [resolved(each, names) for each in value]
    return value

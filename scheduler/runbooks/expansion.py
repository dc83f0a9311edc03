"""A template and an order together: the steps of one run, as the event that opens it holds them. Pure.

Steps with `per_system` stand once for each system, step by step, so that a dependency group moves together; the
rehearsal repeats the steps of the phases it rehearses, with its own parameters. Everything that cannot fit together
is refused here, before anything starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from scheduler.core.migration.go_no_go import OVERRUN_EVIDENCE
from scheduler.core.migration.phases import Outcome, Phase, Role
from scheduler.core.migration.run import Step, step_document
from scheduler.runbooks.faults import RunbookRefused
from scheduler.runbooks.order import Order, OrderedCapacity, OrderedSystem, milliseconds
from scheduler.runbooks.template import (
    Approval,
    GoNoGo,
    NothingToUndo,
    ReserveCapacity,
    StepModel,
    Switch,
    Template,
    in_order,
    phases_of,
    steps_of,
)
from scheduler.runbooks.template_rules import (
    UNREHEARSED,
    provided_by,
    require_sound,
    resolved,
)

_MINUTE_MS = 60_000


def opening(template: Template, order: Order) -> dict[str, Any]:
    """The payload of the event that opens the run. Raises RunbookRefused with every fault."""
    require_sound(template)
    faults = [f"{order.title}: {fault}" for fault in _misfits(template, order)]
    if faults:
        raise RunbookRefused(faults)
    policy = template.policy
    return {
        "title": order.title,
        "template": template.name,
        "outcome": template.outcome.value,
        "phases": [phase.value for phase in phases_of(template)],
        "steps": [step_document(step) for step in _expanded(template, order)],
        "systems": [_system(template, order, system) for system in order.sources],
        "window": {"starts_ms": milliseconds(order.window.starts), "ends_ms": milliseconds(order.window.ends)},
        "policy": {
            "commit_point": policy.commit_point.value,
            "on_overrun": policy.on_overrun.value,
            "roll_back_on_failure": policy.on_failure == "roll_back",
            "reserve_ms": policy.rollback_reserve_minutes * _MINUTE_MS,
            "warn_before_ms": policy.warn_before_minutes * _MINUTE_MS,
        },
        "people": {role.value: sorted(set(names)) for role, names in order.people.items()},
        "secrets": {name: place.model_dump() for name, place in order.secrets.items()},
        "evidence": {
            name: {"number": document.number, "sha256": document.sha256}
            for name, document in order.documents.items()
        },
    }


def _system(template: Template, order: Order, system: OrderedSystem) -> dict[str, str]:
    target = next((one.key for one in order.systems if one.is_target), "")
    return {"key": system.key, "outcome": template.outcome.value, "into": target}


def _misfits(template: Template, order: Order) -> Iterator[str]:
    """What the template asks for and the order does not give."""
    for kind, wanted, given in (
        ("参数 / parameter", template.parameters, order.parameters),
        ("密钥 / secret", template.secrets, order.secrets),
    ):
        for name in wanted:
            if name not in given:
                yield f"{kind} {name} 没有给出，{template.name} 需要它 / is not given, and {template.name} needs it"
        for name in given:
            if name not in wanted:
                yield f"{kind} {name} 不是 {template.name} 的 / is none of {template.name}; remove it"
    for system in order.sources:
        for name in template.system_parameters:
            if name not in system.parameters:
                yield f"系统 {system.key}: 缺少参数 {name} / the parameter {name} of this system is missing"
        for name in system.parameters:
            if name not in template.system_parameters:
                yield (
                    f"系统 {system.key}: 参数 {name} 不是 {template.name} 的；请删去 / the parameter {name} is none of "
                    f"{template.name}; remove it"
                )
    unsized = [step.id for _, step in steps_of(template) if _is_unsized(step)]
    if unsized and order.capacity is None:
        yield (
            f"capacity: 没有给出，步骤 {unsized[0]} 按它预留；请写 cpu_milli 和 memory_mib / is not given, and the step "
            f"{unsized[0]} reserves as much; write cpu_milli and memory_mib"
        )
    yield from _unsettled(template, order)
    yield from _unknown_criteria(template, order)
    yield from _wrong_systems(template, order)
    for role in _roles(template):
        if not order.people.get(role):
            yield f"people.{role}: 没有人 ({role.label})，方案要其审批 / nobody has this role, whose approval is needed"
    for phase in phases_of(template):
        for name in phase.rule.exit:
            if not phase.rule.may_act and name not in order.documents:
                yield f"documents.{name}: 阶段 {phase} 须有此佐证 / the phase {phase} must be evidenced by it"


def _unsettled(template: Template, order: Order) -> Iterator[str]:
    """Parameters are values: one that names another could wait for itself, and would reach a command as it stands."""
    own = {f"{system.key}.{name}": text for system in order.systems for name, text in system.parameters.items()}
    for name, text in {**order.parameters, **own}.items():
        if "${" in text:
            yield (
                f"parameters.{name} = {text}: 须为值，不能再引用参数 / is a value and cannot name a parameter; write it out"
            )
    rehearsal = template.phases.get(Phase.REHEARSAL)
    for name, text in (rehearsal.overrides if rehearsal else {}).items():
        if name in order.parameters and resolved(text, order.parameters) == order.parameters[name]:
            yield (
                f"parameters.{name} = {order.parameters[name]}: 演练与割接用的是同一处；请分开 / the rehearsal would take place "
                "on what the cutover touches; give it another"
            )


def _unknown_criteria(template: Template, order: Order) -> Iterator[str]:
    """Every piece of evidence that go/no-go asks for is there by then: from a step before it, or from the order."""
    there = {*order.documents, OVERRUN_EVIDENCE}
    for phase in phases_of(template):
        there.update(phase.rule.exit if phase is Phase.REHEARSAL else ())
        for step in in_order(template.phases[phase].steps):
            for criterion in step.do.criteria if isinstance(step.do, GoNoGo) else ():
                if criterion.evidence not in there:
                    yield (
                        f"步骤 {step.id}: 之前没有步骤给出佐证 {criterion.evidence}，割接单也没有此文件 / step {step.id}: no "
                        f"step before it gives the evidence {criterion.evidence}, nor do the order's documents"
                    )
            there.add(provided_by(step))


def _wrong_systems(template: Template, order: Order) -> Iterator[str]:
    keys = [system.key for system in order.systems]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"系统 {key} 出现两次 / the system stands twice"
    targets = len(order.systems) - len(order.sources)
    wanted = 1 if template.outcome is Outcome.MERGED else 0
    if targets != wanted:
        yield (
            f"target: true 的系统有 {targets} 个，{template.outcome} 的方案须恰有 {wanted} 个 / {targets} systems are "
            f"marked target: true; a runbook whose outcome is {template.outcome} has exactly {wanted}"
        )
    if not order.sources:
        yield "没有要迁移的系统 / there is no system to move"


def _roles(template: Template) -> list[Role]:
    steps = (step for phase in phases_of(template) for step in template.phases[phase].steps)
    return list(dict.fromkeys(step.do.role for step in steps if isinstance(step.do, Approval)))


def _expanded(template: Template, order: Order) -> Iterator[Step]:
    for phase in phases_of(template):
        model = template.phases[phase]
        for step in in_order(model.steps):  # a rehearsal's own steps come first: they prepare it
            yield from _copies(step, phase, order, order.parameters)
        for rehearsed in model.rehearses:
            for step in in_order(template.phases[rehearsed].steps):
                if step.do.kind not in UNREHEARSED:
                    given = {name: str(resolved(text, order.parameters)) for name, text in model.overrides.items()}
                    yield from _copies(step, phase, order, {**order.parameters, **given})


def _copies(step: StepModel, phase: Phase, order: Order, parameters: Mapping[str, str]) -> Iterator[Step]:
    names = {**parameters, "target.key": next((one.key for one in order.systems if one.is_target), "")}
    rehearses = step.do.kind not in UNREHEARSED and phase is Phase.REHEARSAL
    prefix = "rehearsal." if rehearses else ""
    if not step.per_system:
        yield _bound(step, phase, f"{prefix}{step.id}", names, order.capacity)
        return
    for system in order.sources:
        own = {"system.key": system.key, **{f"system.{name}": text for name, text in system.parameters.items()}}
        yield _bound(step, phase, f"{prefix}{step.id}@{system.key}", {**names, **own}, order.capacity)


def _is_unsized(step: StepModel) -> bool:
    return isinstance(step.do, ReserveCapacity) and step.do.cpu_milli is None


def _bound(
    step: StepModel, phase: Phase, step_id: str, names: Mapping[str, str], capacity: OrderedCapacity | None
) -> Step:
    action = cast(dict[str, Any], resolved(step.do.model_dump(mode="json"), names))
    if _is_unsized(step) and capacity is not None:
        action |= capacity.model_dump()
    return Step(
        step_id=step_id,
        phase=phase,
        kind=step.do.kind,
        title=str(resolved(step.title or step.id, names)),
        action=action,
        compensation=_way_back(step, action, names),
        provides=provided_by(step),
        role=step.do.role if isinstance(step.do, Approval) else None,
        attempts=step.attempts,
        timeout_ms=step.timeout_s * 1000,
        rehearses=step_id.startswith("rehearsal."),
    )


def _way_back(step: StepModel, action: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any] | None:
    """The compensation; a switch and a reservation bring their own."""
    if isinstance(step.do, Switch):
        return {**action, "to": action["back"], "back": action["to"]}
    if step.do.kind == "reserve":
        return {"kind": "release"}
    if step.compensation is None or isinstance(step.compensation, NothingToUndo):
        return None
    return cast(dict[str, Any], resolved(step.compensation.model_dump(mode="json"), names))

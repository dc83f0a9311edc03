"""What a template may do when: nothing touches the users before window and go/no-go, everything can be taken back.

`template_rules.require_sound` asks these beside its own. A template that breaks one would not fail: it would do harm
at night, outside its window, or leave capacity held for ever. Each yields lines "中文 / English".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from graphlib import CycleError

from scheduler.core.migration.phases import WINDOW_PHASES, Phase
from scheduler.runbooks.template import (
    CancelWorkload,
    Command,
    NothingToUndo,
    ReleaseCapacity,
    ReserveCapacity,
    RunWorkload,
    StepModel,
    Switch,
    Template,
    in_order,
    phases_of,
    steps_of,
)

_ACTS = (Command, RunWorkload, Switch)
_WAYS_BACK = (Command, RunWorkload, CancelWorkload, Switch)
_AFTER_ACCEPTANCE = (Phase.ACCEPTANCE, Phase.DECOMMISSIONING)


def _gates_first(template: Template) -> Iterator[str]:
    """Inside the phase cutover nothing acts before the window is open and the sheet says go."""
    cutover = template.phases.get(Phase.CUTOVER)
    if cutover is None:
        return
    try:
        steps = in_order(cutover.steps)
    except (CycleError, KeyError):
        return  # named by its own rule
    places = {step.do.kind: place for place, step in enumerate(steps)}
    for kind in ("window", "go_no_go"):
        for step in steps[: places.get(kind, 0)]:
            if isinstance(step.do, _ACTS):
                yield (
                    f"步骤 {step.id} ({step.do.kind}) 在 {kind} 之前动作；请移到其后 / step {step.id} acts before the step "
                    f"{kind} of the cutover; put it after"
                )


def _users_move_in_the_window(template: Template) -> Iterator[str]:
    for phase, step in steps_of(template):
        if isinstance(step.do, Switch) and phase.number < Phase.CUTOVER.number:
            yield (
                f"步骤 {step.id}: switch 会改变用户去向，不能在割接窗口之前（{phase}）/ step {step.id}: a switch moves the "
                f"users; it cannot stand in {phase}, before the window"
            )


def _ways_back(template: Template) -> Iterator[str]:
    for _, step in steps_of(template):
        back = step.compensation
        if back is not None and not isinstance(back, (*_WAYS_BACK, NothingToUndo)):
            yield (
                f"步骤 {step.id}: {back.kind} 不能回退任何东西；compensation 须为 command、workload、cancel_workload 或 switch / "
                f"step {step.id}: {back.kind} undoes nothing; a compensation is a command, workload, cancel_workload "
                "or switch"
            )


def _repeats(template: Template) -> Iterator[str]:
    """`attempts` repeats by itself; what is not idempotent is repeated only when a person says so."""
    for _, step in steps_of(template):
        once = [one for one in (step.do, step.compensation) if isinstance(one, Command) and not one.idempotent]
        if once and step.attempts > 1:
            yield (
                f"步骤 {step.id}: attempts {step.attempts} 会自动重做，而其 command 不可重复（idempotent: false）；请改为 1 / "
                f"step {step.id}: attempts {step.attempts} repeats by itself what must not be repeated (idempotent: "
                "false); make it 1"
            )


def _capacity(template: Template) -> Iterator[str]:
    """What is reserved after approval is held until acceptance, and let go then."""
    reserved = [step.id for _, step in steps_of(template) if isinstance(step.do, ReserveCapacity)]
    released = [(phase, step.id) for phase, step in steps_of(template) if isinstance(step.do, ReleaseCapacity)]
    for phase, step_id in released:
        if phase not in _AFTER_ACCEPTANCE:
            yield (
                f"步骤 {step_id}: release 在验收之前（{phase}）放开容量；请移到 acceptance / step {step_id}: release lets the "
                f"capacity go in {phase}, before acceptance; move it to the phase acceptance"
            )
    if len(reserved) > 1:
        yield (
            f"步骤 {reserved[1]}: 一次任务只有一处预留，另有 {reserved[0]}；请合并 / step {reserved[1]}: a run holds "
            f"capacity once, and {reserved[0]} does; make one of them"
        )
    if reserved and not released:
        yield (
            f"步骤 {reserved[0]}: 预留的容量没有 release，会一直占用；请在 acceptance 加 release / step {reserved[0]}: nothing "
            "releases what it reserves; add a step release to the phase acceptance"
        )
    signing = template.phases.get(Phase.ACCEPTANCE)
    kinds = [step.do.kind for step in signing.steps] if signing else []
    if "release" in kinds and "approval" in kinds[kinds.index("release") :]:
        yield (
            "阶段 acceptance: release 在验收签字之前；请移到其后 / the release stands before the approval of the phase "
            "acceptance; put it after"
        )


def _rehearsal_apart(template: Template) -> Iterator[str]:
    """The rehearsal covers cutover and verification, on something else than what the cutover will touch."""
    rehearsal = template.phases.get(Phase.REHEARSAL)
    if rehearsal is None or not rehearsal.rehearses:
        return
    for phase in rehearsal.rehearses:
        if phase not in WINDOW_PHASES:
            yield f"rehearsal.rehearses: {phase} 不在割接窗口内，不能演练 / {phase} is not inside the window"
    for phase in phases_of(template):
        acting = [step for step in template.phases[phase].steps if isinstance(step.do, _ACTS)]
        if phase in WINDOW_PHASES and acting and phase not in rehearsal.rehearses:
            yield (
                f"rehearsal.rehearses: 缺少 {phase}，其步骤 {acting[0].id} 未经演练 / {phase} is missing: its step "
                f"{acting[0].id} would not be rehearsed"
            )
        if phase in rehearsal.rehearses:
            for step in acting:
                if _leaves_traces(step) and not any(_names(step, name) for name in rehearsal.overrides):
                    yield (
                        f"步骤 {step.id}: 演练会动到真实环境；请让它用到 rehearsal.with 中的参数 / step {step.id}: its rehearsal "
                        "would touch the real thing; have it use a parameter of rehearsal.with"
                    )


def _leaves_traces(step: StepModel) -> bool:
    """A workload of the rehearsal is another one than that of the cutover; a command or a switch is the same."""
    if isinstance(step.do, Command):
        return not isinstance(step.compensation, NothingToUndo)
    return isinstance(step.do, Switch)


def _names(step: StepModel, parameter: str) -> bool:
    return f"${{{parameter}}}" in step.do.model_dump_json()


def _overrides(template: Template) -> Iterator[str]:
    """What a parameter is in the rehearsal may name parameters, and nothing else."""
    rehearsal = template.phases.get(Phase.REHEARSAL)
    for name, text in (rehearsal.overrides if rehearsal else {}).items():
        rest = text
        for parameter in template.parameters:
            rest = rest.replace(f"${{{parameter}}}", "")
        if "${" in rest:
            yield f"rehearsal.with.{name}: {text}: 不是参数 / names what is no parameter of the runbook"


def _verdicts(template: Template) -> Iterator[str]:
    """After go/no-go nobody looks at a number any more: a count of rows that differ would be accepted, whatever it is."""
    verification = template.phases.get(Phase.VERIFICATION)
    for step in verification.steps if verification else ():
        if isinstance(step.do, Command) and step.do.value and step.do.at_most is None:
            yield (
                f"步骤 {step.id}: 验证中的数值无人比较；请写 at_most（如 0），或去掉 value / step {step.id}: nobody compares a "
                "value of the verification; write at_most (such as 0), or leave value out"
            )


CUTOVER_RULES: tuple[Callable[[Template], Iterator[str]], ...] = (
    _gates_first,
    _users_move_in_the_window,
    _ways_back,
    _repeats,
    _capacity,
    _rehearsal_apart,
    _overrides,
    _verdicts,
)

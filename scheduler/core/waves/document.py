"""A wave plan as JSON text, and back: the form that is stored, edited by hand, and given back for a check.

Who calls this: `xisuan migration plan --json`, `migration check PLAN.json`, the store and the migration service.
The form is versioned and closed: an unknown field is an error. Times are local, ISO 8601; texts for people are
`{"zh": ..., "en": ...}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NaiveDatetime, ValidationError

from inventory.model.calendar import Window
from inventory.model.form_faults import FormFault, form_faults
from inventory.model.migration import (
    Assignment,
    Declarations,
    FreezeOverride,
    Pair,
    PlanMeasure,
    SplitDependency,
    Unplaced,
    UnplacedRule,
    WavePlan,
    WaveSettings,
)


class PlanUnreadable(ValueError):
    """The text is no plan in this form: one line for each fault (place, value, rule)."""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TextForm(_Form):
    zh: str
    en: str

    @classmethod
    def of(cls, pair: Pair) -> TextForm:
        return cls(zh=pair[0], en=pair[1])

    @property
    def pair(self) -> Pair:
        return self.zh, self.en


class SettingsForm(_Form):
    """`WaveSettings`, in full: a plan does not change when a default does."""

    starts_on: date
    horizon_weeks: int
    systems_per_window: int
    pilot_windows: int
    pilot_systems: int
    pilot_max_risk: int
    nights: tuple[int, ...]
    night_starts_hour: int
    night_hours: int
    cutover_copy_pct: int
    link_share_pct: int
    not_targets: tuple[str, ...]


class OverrideForm(_Form):
    freeze: str
    approver: str
    document: str
    reason: str
    system_keys: tuple[str, ...] = ()


class DeclarationsForm(_Form):
    groups: tuple[tuple[str, ...], ...] = ()
    contract_ends: Mapping[str, date] = Field(default_factory=dict)
    freeze_overrides: tuple[OverrideForm, ...] = ()


class WindowForm(_Form):
    window_id: str
    starts: NaiveDatetime
    ends: NaiveDatetime
    provisional: bool = False


class AssignmentForm(_Form):
    system_key: str
    system_name: str
    wave: int = Field(ge=1)
    window_id: str
    pool_id: str
    group: str
    why_here: TextForm
    why_then: TextForm
    why_not_earlier: TextForm
    team_id: str | None = None


class UnplacedForm(_Form):
    system_key: str
    system_name: str
    rule: UnplacedRule
    reason: TextForm


class SplitForm(_Form):
    user: str
    used: str
    reason: TextForm


class MeasureForm(_Form):
    finish_days: int = Field(ge=0)
    bound_days: int = Field(ge=0)
    gap: float
    scores: Mapping[str, int]
    unplaced_at_least: int = Field(default=0, ge=0)


class PlanForm(_Form):
    """The whole document. `team_id`, `measure` (and its `unplaced_at_least`), `options` and `approved` came later and may be
    missing."""

    version: Literal[1]
    solver: str
    seed: int
    settings: SettingsForm
    declarations: DeclarationsForm = DeclarationsForm()
    windows: tuple[WindowForm, ...]
    assignments: tuple[AssignmentForm, ...]
    unplaced: tuple[UnplacedForm, ...] = ()
    left_out: tuple[UnplacedForm, ...] = ()
    splits: tuple[SplitForm, ...] = ()
    notes: tuple[TextForm, ...] = ()
    measure: MeasureForm | None = None
    options: str = ""
    approved: tuple[str, ...] = ()


def write_plan(plan: WavePlan) -> str:
    """JSON, indented for people. The same plan gives the same text."""
    return _form(plan).model_dump_json(indent=2)


def read_plan(text: str | bytes) -> WavePlan:
    """Raises PlanUnreadable. Says nothing of whether the plan keeps the rules: see `check.py`."""
    try:
        return _plan(PlanForm.model_validate_json(text))
    except ValidationError as refusal:
        raise PlanUnreadable("\n".join(_line(fault) for fault in form_faults(refusal))) from None
    except ValueError as fault:
        raise PlanUnreadable(f"计划文件 / plan file: {fault}") from None


def _line(fault: FormFault) -> str:
    place = ".".join(str(part) for part in fault.place) or "全文/whole text"
    remedy = "请改正，或重新编排 / correct it, or plan again"
    return f"计划文件 / plan file: {place} = {fault.value}: {fault.rule}；{remedy}"


def _form(plan: WavePlan) -> PlanForm:
    settings = plan.settings
    return PlanForm(
        version=1,
        solver=plan.solver,
        seed=plan.seed,
        settings=SettingsForm(
            **{name: getattr(settings, name) for name in SettingsForm.model_fields if name != "not_targets"},
            not_targets=tuple(sorted(settings.not_targets)),
        ),
        declarations=_declarations_form(plan.declarations),
        windows=tuple(
            WindowForm(window_id=each.window_id, starts=each.starts, ends=each.ends, provisional=each.provisional)
            for each in plan.windows
        ),
        assignments=tuple(_assignment_form(each) for each in plan.assignments),
        unplaced=tuple(_unplaced_form(each) for each in plan.unplaced),
        left_out=tuple(_unplaced_form(each) for each in plan.left_out),
        splits=tuple(
            SplitForm(user=each.user, used=each.used, reason=TextForm.of(each.reason)) for each in plan.splits
        ),
        notes=tuple(TextForm.of(note) for note in plan.notes),
        measure=_measure_form(plan.measure),
        options=plan.options,
        approved=plan.approved,
    )


def _measure_form(measure: PlanMeasure | None) -> MeasureForm | None:
    if measure is None:
        return None
    return MeasureForm(
        finish_days=measure.finish_days,
        bound_days=measure.bound_days,
        gap=round(measure.gap, 6),
        scores=dict(measure.scores),
        unplaced_at_least=measure.unplaced_at_least,
    )


def _assignment_form(each: Assignment) -> AssignmentForm:
    return AssignmentForm(
        system_key=each.system_key,
        system_name=each.system_name,
        wave=each.wave,
        window_id=each.window_id,
        pool_id=each.pool_id,
        group=each.group,
        why_here=TextForm.of(each.why_here),
        why_then=TextForm.of(each.why_then),
        why_not_earlier=TextForm.of(each.why_not_earlier),
        team_id=each.team_id,
    )


def _unplaced_form(each: Unplaced) -> UnplacedForm:
    return UnplacedForm(
        system_key=each.system_key, system_name=each.system_name, rule=each.rule, reason=TextForm.of(each.reason)
    )


def _declarations_form(declarations: Declarations) -> DeclarationsForm:
    return DeclarationsForm(
        groups=tuple(tuple(sorted(group)) for group in declarations.groups),
        contract_ends=dict(sorted(declarations.contract_ends.items())),
        freeze_overrides=tuple(
            OverrideForm(
                freeze=each.freeze,
                approver=each.approver,
                document=each.document,
                reason=each.reason,
                system_keys=tuple(sorted(each.system_keys)),
            )
            for each in declarations.freeze_overrides
        ),
    )


def _plan(form: PlanForm) -> WavePlan:
    chosen = form.settings.model_dump()
    return WavePlan(
        settings=WaveSettings(**{**chosen, "not_targets": frozenset(form.settings.not_targets)}),
        seed=form.seed,
        solver=form.solver,
        windows=tuple(Window(each.window_id, each.starts, each.ends, each.provisional) for each in form.windows),
        assignments=tuple(_assignment(each) for each in form.assignments),
        unplaced=tuple(_unplaced(each) for each in form.unplaced),
        left_out=tuple(_unplaced(each) for each in form.left_out),
        splits=tuple(SplitDependency(each.user, each.used, each.reason.pair) for each in form.splits),
        notes=tuple(note.pair for note in form.notes),
        declarations=_declarations(form.declarations),
        measure=None
        if form.measure is None
        else PlanMeasure(
            form.measure.finish_days,
            form.measure.bound_days,
            dict(form.measure.scores),
            form.measure.unplaced_at_least,
        ),
        options=form.options,
        approved=form.approved,
    )


def _assignment(form: AssignmentForm) -> Assignment:
    return Assignment(
        system_key=form.system_key,
        system_name=form.system_name,
        wave=form.wave,
        window_id=form.window_id,
        pool_id=form.pool_id,
        group=form.group,
        why_here=form.why_here.pair,
        why_then=form.why_then.pair,
        why_not_earlier=form.why_not_earlier.pair,
        team_id=form.team_id,
    )


def _unplaced(form: UnplacedForm) -> Unplaced:
    return Unplaced(form.system_key, form.system_name, form.rule, form.reason.pair)


def _declarations(form: DeclarationsForm) -> Declarations:
    return Declarations(
        groups=tuple(frozenset(group) for group in form.groups),
        contract_ends=dict(form.contract_ends),
        freeze_overrides=tuple(
            FreezeOverride(each.freeze, each.approver, each.document, each.reason, frozenset(each.system_keys))
            for each in form.freeze_overrides
        ),
    )

"""The phases (阶段) of a migration as data: who approves, what must be known on entry, what must be known at the end.

Who calls this: `scheduler.runbooks.template` refuses templates that do not fit these rules, `decisions` asks them
before each step. The order and the stages follow the practice that docs/runbooks.md names with its sources.

What a phase *does* (its idempotent actions and their compensations) is in the runbook template; what a phase *means*
is here, and no template can change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """Who may say yes. A run's order names the people of each role."""

    CLOUD_CHIEF = "cloud_chief"
    DATA_BUREAU = "data_bureau"
    EXPERT_PANEL = "expert_panel"
    COMPETENT_AUTHORITY = "competent_authority"
    CLOUD_OPERATOR = "cloud_operator"
    INTEGRATOR = "integrator"
    CUTOVER_COMMANDER = "cutover_commander"
    BUSINESS_OWNER = "business_owner"
    ASSET_OFFICE = "asset_office"

    @property
    def label(self) -> str:
        return _TITLES[self]


_TITLES: Final = {
    Role.CLOUD_CHIEF: "部门云长 / cloud chief of the department",
    Role.DATA_BUREAU: "大数据局 / data bureau",
    Role.EXPERT_PANEL: "评审专家 / expert panel",
    Role.COMPETENT_AUTHORITY: "主管部门 / competent authority",
    Role.CLOUD_OPERATOR: "云管 / cloud operator",
    Role.INTEGRATOR: "承建单位 / integrator",
    Role.CUTOVER_COMMANDER: "割接指挥 / cutover commander",
    Role.BUSINESS_OWNER: "业务处室 / business owner",
    Role.ASSET_OFFICE: "资产财务 / asset office",
}


class Phase(StrEnum):
    """In the order in which a migration goes through them."""

    SURVEY = "survey"
    ASSESSMENT = "assessment"
    DESIGN = "design"
    APPROVAL = "approval"
    PROVISIONING = "provisioning"
    REPLICATION = "replication"
    REHEARSAL = "rehearsal"
    CUTOVER = "cutover"
    VERIFICATION = "verification"
    TRIAL_RUN = "trial_run"
    ACCEPTANCE = "acceptance"
    DECOMMISSIONING = "decommissioning"

    @property
    def rule(self) -> PhaseRule:
        return RULES[self]

    @property
    def number(self) -> int:
        return ORDER.index(self)


ORDER: Final = tuple(Phase)

WINDOW_PHASES: Final = frozenset({Phase.CUTOVER, Phase.VERIFICATION})
"""Phases that must lie within the cutover window (割接窗口)."""

COMMIT_POINTS: Final = (Phase.VERIFICATION, Phase.TRIAL_RUN, Phase.ACCEPTANCE)
"""Phases at whose end a template may place its commit point: after it there is no rollback."""


@dataclass(frozen=True, slots=True)
class PhaseRule:
    """What holds of one phase in every migration.

    `entry` and `exit` name pieces of evidence: without all of `entry` the phase does not begin, without all of
    `exit` it does not end. `approver` says yes at its end; where `is_gated`, a run stops until he has.
    `may_act` is False for phases on paper, whose evidence an order brings along as documents.
    """

    title: str
    approver: Role
    entry: tuple[str, ...] = ()
    exit: tuple[str, ...] = ()
    is_gated: bool = False
    may_act: bool = True


RULES: Final = {
    Phase.SURVEY: PhaseRule("摸底调研 / survey", Role.CLOUD_CHIEF, (), ("ledger_row",), may_act=False),
    Phase.ASSESSMENT: PhaseRule(
        "评估 / assessment", Role.DATA_BUREAU, ("ledger_row",), ("disposition",), may_act=False
    ),
    Phase.DESIGN: PhaseRule(
        "迁移方案 / design", Role.EXPERT_PANEL, ("disposition",), ("plan", "rollback_plan"), may_act=False
    ),
    Phase.APPROVAL: PhaseRule(
        "审批 / approval", Role.COMPETENT_AUTHORITY, ("plan", "rollback_plan"), ("approval",), is_gated=True
    ),
    Phase.PROVISIONING: PhaseRule("资源开通 / provisioning", Role.CLOUD_OPERATOR, ("approval",), ("capacity",)),
    Phase.REPLICATION: PhaseRule("数据同步 / replication", Role.INTEGRATOR, ("capacity",), ("replication_lag",)),
    Phase.REHEARSAL: PhaseRule(
        "演练 / rehearsal", Role.INTEGRATOR, ("replication_lag",), ("rehearsal_ms", "rehearsed_rollback_ms")
    ),
    Phase.CUTOVER: PhaseRule("割接 / cutover", Role.CUTOVER_COMMANDER, ("rehearsed_rollback_ms",), ("go_no_go",)),
    Phase.VERIFICATION: PhaseRule("验证 / verification", Role.CUTOVER_COMMANDER, ("go_no_go",), ("verified",)),
    Phase.TRIAL_RUN: PhaseRule("试运行 / trial run", Role.BUSINESS_OWNER, ("verified",), ()),
    Phase.ACCEPTANCE: PhaseRule("验收 / acceptance", Role.COMPETENT_AUTHORITY, (), ("acceptance",), is_gated=True),
    Phase.DECOMMISSIONING: PhaseRule(
        "下线旧环境 / decommissioning", Role.ASSET_OFFICE, ("acceptance",), ("decommissioned",)
    ),
}


class Outcome(StrEnum):
    """What a finished run means for a system of the ledger."""

    MIGRATED = "migrated"
    MERGED = "merged"
    CLOSED = "closed"


_ON_PAPER: Final = (Phase.SURVEY, Phase.ASSESSMENT, Phase.DESIGN, Phase.APPROVAL)
REQUIRED: Final = {
    Outcome.MIGRATED: frozenset(Phase) - {Phase.TRIAL_RUN},
    Outcome.MERGED: frozenset(Phase) - {Phase.TRIAL_RUN},
    # Nothing moves: what is shut down can be started again until it is accepted.
    Outcome.CLOSED: frozenset(
        {*_ON_PAPER, Phase.CUTOVER, Phase.VERIFICATION, Phase.ACCEPTANCE, Phase.DECOMMISSIONING}
    ),
}
"""The phases that no template of that outcome may leave out."""


def required_on_entry(phase: Phase, present: tuple[Phase, ...]) -> tuple[str, ...]:
    """The evidence without which `phase` does not begin, in a run that has the phases `present`: what no present
    phase gives cannot be asked for."""
    given = {name for other in present for name in other.rule.exit}
    return tuple(name for name in phase.rule.entry if name in given)

"""Approval of a project: every gate judged against the department as the ledger has it, with waivers and lookalikes.

Who calls this: `Assessor.check_project`. Nothing is stored: the answer says what would be refused, and by which clause.
"""

from __future__ import annotations

from dataclasses import dataclass

from inventory.assessment.errors import AssessmentError, Refusal
from inventory.assessment.estate import Estate
from inventory.rules.evaluate import Judgement, Outcome, judge_gates
from inventory.rules.facts import channel_of
from inventory.rules.lookalikes import Description, Match
from inventory.rules.project import DepartmentStanding, Project, project_facts
from inventory.rules.rulebook import Rulebook, Severity
from inventory.rules.vocabulary import PROJECT_FACTS

_SHOWN = 5
_ALIKE_PCT = 40


@dataclass(frozen=True, slots=True)
class Approval:
    """The gates that do not simply pass, in order: those that refuse, are waived, or lack facts."""

    project: Project
    gates: tuple[Judgement, ...]
    lookalikes: tuple[Match, ...]

    @property
    def is_refused(self) -> bool:
        """A blocking gate refuses, or cannot be judged."""
        return any(
            one.outcome in (Outcome.HOLDS, Outcome.UNDECIDED) and one.rule.severity is Severity.BLOCKING
            for one in self.gates
        )


def check_project(estate: Estate, book: Rulebook, project: Project) -> Approval:
    """Raises AssessmentError when the ledger has no such department, or lacks a system that is to be replaced."""
    mine = {key: system for key, system in estate.systems.items() if system.department == project.department}
    if not mine and project.department not in estate.baseline:
        raise AssessmentError(
            Refusal.NOT_FOUND,
            "NO_SUCH_DEPARTMENT",
            f"台账中没有单位“{project.department}”；请写单位全称",
            f"the ledger has no department {project.department!r}; write its full name",
        )
    living = {key: system for key, system in mine.items() if estate.is_living(key)}
    names = {system.name for system in living.values()}
    for replaced in project.replaces:
        if replaced not in names:
            raise AssessmentError(
                Refusal.INVALID,
                "REPLACES_NOTHING",
                f"replaces 中的“{replaced}”不是 {project.department} 现有的系统；请写台账中的系统全称",
                f"{replaced!r} under replaces is no living system of {project.department}; write its full name",
            )
    wanted = Description("", project.name, project.department, project.function)
    alike = estate.index.nearest(wanted, _SHOWN, _ALIKE_PCT)
    standing = DepartmentStanding(
        baseline=estate.baseline.get(project.department, 0),
        living=tuple(
            (system.name, channel_of(system.name, system.function, book.channel_words), system.zone)
            for _, system in sorted(living.items())
            if system.classified is not True
        ),
        unmerged=tuple(sorted(system.name for system in living.values() if system.merged_into)),
        similar=tuple((match.name, match.likeness_pct) for match in alike),
    )
    facts = project_facts(project, standing, book.channel_words)
    gates = judge_gates(
        book, facts, PROJECT_FACTS, estate.setting, [project.department, f"{project.department}/{project.name}"]
    )
    return Approval(project, tuple(one for one in gates if one.outcome is not Outcome.FAILS), alike)

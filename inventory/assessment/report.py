"""The assessment of a ledger: every system judged, departments against their caps, cases and exceptions beside.

Who calls this: `Assessor.assess`. Pure: an estate and a rulebook in, a report out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from inventory.assessment.estate import Estate
from inventory.rules.condition import Facts
from inventory.rules.evaluate import (
    CapExcess,
    ExceptionGrant,
    SystemAssessment,
    assess_system,
    cap_excesses,
)
from inventory.rules.rulebook import Rulebook


@dataclass(frozen=True, slots=True)
class DepartmentCount:
    """只减不增: a department's living systems against its frozen baseline."""

    department: str
    baseline: int
    living: int

    @property
    def has_grown(self) -> bool:
        return self.living > self.baseline


@dataclass(frozen=True, slots=True)
class AssessmentReport:
    """`assessments` are in key order; `facts` are what they were judged by."""

    day: date
    rulebook: Rulebook
    illustrative: bool
    facts: Mapping[str, Facts]
    assessments: tuple[SystemAssessment, ...]
    excesses: tuple[CapExcess, ...]
    departments: tuple[DepartmentCount, ...]
    expired: tuple[ExceptionGrant, ...]


def report_of(estate: Estate, book: Rulebook) -> AssessmentReport:
    facts = estate.facts(book)
    setting = estate.setting
    living = {key: one for key, one in facts.items() if estate.is_living(key)}
    return AssessmentReport(
        day=estate.day,
        rulebook=book,
        illustrative=estate.illustrative,
        facts=facts,
        assessments=tuple(assess_system(book, key, one, setting) for key, one in facts.items()),
        excesses=cap_excesses(book, living, setting),
        departments=department_counts(estate),
        expired=tuple(one for one in estate.exceptions if one.expires_on < estate.day),
    )


def department_counts(estate: Estate) -> tuple[DepartmentCount, ...]:
    living: dict[str, int] = {}
    for key, system in estate.systems.items():
        if system.department and estate.is_living(key):
            living[system.department] = living.get(system.department, 0) + 1
    departments = sorted(living.keys() | estate.baseline.keys())
    return tuple(DepartmentCount(one, estate.baseline.get(one, 0), living.get(one, 0)) for one in departments)

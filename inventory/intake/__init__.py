"""Where parsed rows meet the stored ledger: import, diff, apply, conflicts, resolutions, and the ledger's answers.

Public names for the command line, the services and the planner; start at `Intake`.
"""

from inventory.intake.answers import StandingSystem
from inventory.intake.diff import Diff, FieldChange, RowChange
from inventory.intake.errors import IntakeError
from inventory.intake.imports import ImportResult, ImportStatus
from inventory.intake.intake import ConflictRecord, FindingRecord, ImportRecord, Intake
from inventory.intake.resolving import Resolution

__all__ = [
    "ConflictRecord",
    "Diff",
    "FieldChange",
    "FindingRecord",
    "ImportRecord",
    "ImportResult",
    "ImportStatus",
    "Intake",
    "IntakeError",
    "Resolution",
    "RowChange",
    "StandingSystem",
]

"""What the gRPC servicers need from the ledger desk and the migration desk, and the values that pass between.

`scheduler.services.ledger_desk` and `migration_desk` do the work, synchronously; the control plane makes their
methods awaitable (writing ones take turns with its writer, reading ones take a thread); tests implement these
ports in memory. A document is a JSON object in the form that docs/ledger.md or docs/waves.md defines. Errors that
the caller has to act on are `RequestError`s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

from inventory.model.migration import Pair, Wave, WavePlan
from inventory.reports.document import MonthlyReport
from scheduler.core.waves.check import Violation
from scheduler.core.waves.forecast import FinishForecast
from scheduler.services.report_ports import EvidenceRequest, ReportRequest

if TYPE_CHECKING:  # the workbook reader takes a second to load, and most callers read no workbook
    from inventory.ledger import LedgerReading

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Upload:
    """A workbook as it comes in. No `sender`: as the workbook says. No `mapping_yaml`: the remembered one."""

    file_name: str
    content: bytes
    sender: str = ""
    actor: str = ""
    mapping_yaml: str = ""


@dataclass(frozen=True, slots=True)
class ReadWorkbook:
    """A workbook that was read and not stored yet. `mapping_yaml` is the mapping that was used; `remember` says
    that it came with the file and is to be kept for the sender."""

    file_name: str
    sender: str
    actor: str
    reading: LedgerReading
    mapping_yaml: str = ""
    remember: bool = False


@dataclass(frozen=True, slots=True)
class ImportAnswer:
    """What became of a file. `status` is applied, unchanged or pending; `questions` are ids that wait for a
    person; `notes` are lines for people ("中文 / English")."""

    import_id: str
    status: str
    sender: str
    effective_on: date
    diff: Document
    questions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DiffAnswer:
    import_id: str
    status: str
    diff: Document


@dataclass(frozen=True, slots=True)
class SystemPage:
    """`next_token` is empty on the last page."""

    systems: tuple[Document, ...]
    next_token: str = ""


@dataclass(frozen=True, slots=True)
class RateLine:
    """numerator / denominator within a scope as of a day; `percent` is None when the denominator is 0. The rows
    are system keys, and empty when they were not asked for."""

    name_zh: str
    name_en: str
    numerator: int
    denominator: int
    percent: float | None
    scope: str
    as_of: str
    numerator_rows: tuple[str, ...] = ()
    denominator_rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RatesAnswer:
    rates: tuple[RateLine, ...]
    document: Document


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """0 means the default of `inventory.model.migration.WaveSettings`. `solver` is greedy (also empty) or cp-sat, which
    may spend `effort` (deterministic seconds; 0: 5). `options` is the YAML text of `waves.plan_options`."""

    starts_on: date
    seed: int = 0
    window_cap: int = 0
    horizon_weeks: int = 0
    solver: str = ""
    effort: float = 0.0
    options: str = ""


@dataclass(frozen=True, slots=True)
class PlanDraft:
    """A plan that was made and checked, and not stored yet. Only one without violations can be adopted."""

    plan: WavePlan
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class ReplanRequest:
    """`approved` are ids of windows whose waves stay, beside those that the plan in force has approved already.
    `plan_json` is a plan edited by hand to repair (empty: the one in force); `options` replaces its options (None: they
    stay). Windows before `not_before` are past (None: today). `effort` as in a PlanRequest."""

    approved: tuple[str, ...] = ()
    seed: int = 0
    effort: float = 0.0
    plan_json: str = ""
    options: str | None = None
    not_before: date | None = None


@dataclass(frozen=True, slots=True)
class RepairDraft(PlanDraft):
    """A repair that is proposed: which plan it repairs, the rules that one breaks now, what changes (system key, and
    window and pool before and after; None: nowhere), and what it adds by every aim (negative: saves)."""

    base_plan_id: str
    broken: tuple[Violation, ...]
    changes: tuple[tuple[str, tuple[str, str] | None, tuple[str, str] | None], ...]
    price: Mapping[str, int]
    sentence: Pair


@dataclass(frozen=True, slots=True)
class EditedPlan:
    """A plan as it is worth: broken rules, its value by every aim, the difference to the plan in force (empty: there is
    none), and how many systems lie elsewhere than there."""

    violations: tuple[Violation, ...]
    scores: Mapping[str, int]
    price: Mapping[str, int]
    changes: int


@dataclass(frozen=True, slots=True)
class PlanForecast:
    """When the plan in force will end; `factor` and `deviation` of actual against declared minutes, learned from
    `measured` cutovers."""

    finish: FinishForecast
    factor: float
    deviation: float
    measured: int


@dataclass(frozen=True, slots=True)
class PlannedWaves:
    plan_id: str
    waves: tuple[Wave, ...]


@dataclass(frozen=True, slots=True)
class WaveProgress:
    """Systems of one wave: how many it has, and of how many a run was opened, passed its commit point, was rolled back."""

    number: int
    systems: int
    started: int
    migrated: int
    failed: int


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """`unplaced` counts systems that are to be moved and have no place in the plan."""

    plan_id: str
    waves: tuple[WaveProgress, ...]
    unplaced: int


class Ledger(Protocol):
    async def read_workbook(self, upload: Upload) -> ReadWorkbook:
        """Reads the file and stores nothing. INVALID_ARGUMENT for what is no ledger."""

    async def take_in(self, read: ReadWorkbook) -> ImportAnswer:
        """Stores it in one transaction: a sender's first file applies at once, a later one that differs waits."""

    async def apply(self, import_id: str, actor: str) -> DiffAnswer: ...

    async def diff(self, import_id: str) -> DiffAnswer:
        """What a pending or applied import changes; empty id: the newest import."""

    async def resolve(self, finding_id: str, decision: str, actor: str, reason: str) -> Document: ...

    async def systems(self, scope: str, as_of: str, page_size: int, page_token: str) -> SystemPage: ...

    async def findings(self, settled: bool) -> tuple[Document, ...]: ...

    async def rates(self, as_of: str, scope: str, rows: bool) -> RatesAnswer: ...


class Migration(Protocol):
    async def draft(self, request: PlanRequest) -> PlanDraft:
        """Plans every system that should migrate and has not, and checks the plan; stores nothing."""

    async def adopt(self, draft: PlanDraft, actor: str) -> str:
        """Stores a plan that keeps every rule, and returns its id."""

    async def check(self, plan_json: str) -> tuple[Violation, ...]: ...

    async def score(self, plan_json: str) -> EditedPlan:
        """Any plan judged and measured at once, against the plan in force."""

    async def repair(self, request: ReplanRequest) -> RepairDraft:
        """The smallest change that repairs the plan in force; stores nothing."""

    async def forecast(self, seed: int, samples: int) -> PlanForecast: ...

    async def report(self, request: ReportRequest) -> MonthlyReport: ...

    async def evidence(self, request: EvidenceRequest) -> bytes:
        """An offline bundle as `inventory.evidence` makes it."""

    async def waves(self) -> PlannedWaves: ...

    async def status(self) -> MigrationProgress: ...

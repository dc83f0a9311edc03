"""The settings file of the service: how it scores pools, what may go before whom, and who may be stopped for whom.

`xisuan up` reads it (`--settings FILE`, or `settings.yaml` in the home folder) and gives the result to the control
plane. The form is closed, and everything in it has a default: docs/queues.md, examples/settings/settings.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from console.faults import Fault
from console.files import read_text
from console.home import Home
from console.yaml_documents import YamlDocument, read_documents
from inventory.model.form_faults import form_faults
from scheduler.access.settings import AccessForm
from scheduler.core.placement.stack import DEFAULT_WEIGHTS, build_stack, parse_weights
from scheduler.core.queueing.moving import MOST_SHARE
from scheduler.cycle import Backfill, BackfillRules, CycleSettings, MovingRules, PreemptionRules
from scheduler.runbooks.order import SecretPlace

LARGEST_FILE = 1024 * 1024
DEFAULT_NAME = "settings.yaml"
_A_YEAR_S = 366 * 86_400
_BACKFILL, _PREEMPTION, _MOVING = BackfillRules(), PreemptionRules(), MovingRules()


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _weights(given: object) -> object:
    """A text, as the simulator's options have it ("price:2,carbon:1"), or a mapping already."""
    return parse_weights(given) if isinstance(given, str) else given


class BackfillForm(_Form):
    policy: Backfill = _BACKFILL.policy
    window: Annotated[int, Field(ge=0, le=100_000)] = _BACKFILL.window
    hold_after_s: Annotated[float, Field(ge=0, le=_A_YEAR_S)] = _BACKFILL.hold_after_ms / 1000
    drain_after_s: Annotated[float, Field(ge=0, le=_A_YEAR_S)] = _BACKFILL.drain_after_ms / 1000

    def rules(self) -> BackfillRules:
        return BackfillRules(
            self.policy, self.window, round(self.hold_after_s * 1000), round(self.drain_after_s * 1000)
        )


class PreemptionForm(_Form):
    reclaims: bool = _PREEMPTION.reclaims
    by_priority: bool = _PREEMPTION.by_priority
    limit: Annotated[int, Field(ge=0, le=10_000)] = _PREEMPTION.limit

    def rules(self) -> PreemptionRules:
        return PreemptionRules(self.reclaims, self.by_priority, self.limit)


class MovingForm(_Form):
    """Moves of preemptible runs within their pool, so that the first that waits finds room. `share`: at most this part of a
    pool's running tasks moves in one cycle; 0: none."""

    share: Annotated[float, Field(ge=0, le=MOST_SHARE)] = _MOVING.share
    price_s: Annotated[float, Field(ge=0, le=_A_YEAR_S)] = _MOVING.price_ms / 1000
    after_s: Annotated[float, Field(ge=0, le=_A_YEAR_S)] = _MOVING.after_ms / 1000

    def rules(self, backfill: BackfillRules) -> MovingRules:
        """Nothing moves before room is kept for who waits: else others would take what the moves free."""
        after_ms = max(round(self.after_s * 1000), backfill.hold_after_ms)
        return MovingRules(self.share, round(self.price_s * 1000), after_ms)


class OperationForm(_Form):
    """How the service is operated. `metrics_port` 0: a free one; None: no metrics. `archive_after_days` 0: never.
    `lease_s`: a leader that was not heard of for so long is replaced by one that stands by."""

    metrics_port: Annotated[int, Field(ge=0, le=65_535)] | None = 0
    archive_after_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    lease_s: Annotated[float, Field(ge=1, le=3_600)] = 10


class NoticesForm(_Form):
    """Where notices of idle-resource cases go: a webhook, whose URL is a secret and is named, never written here."""

    webhook: SecretPlace | None = None


class SettingsForm(_Form):
    version: Annotated[int, Field(ge=1, le=1)] = 1
    scores: Annotated[Mapping[str, Annotated[int, Field(ge=0)]], BeforeValidator(_weights)] = Field(
        default_factory=lambda: dict(DEFAULT_WEIGHTS)
    )
    backfill: BackfillForm = BackfillForm()
    preemption: PreemptionForm = PreemptionForm()
    moving: MovingForm = MovingForm()
    operation: OperationForm = OperationForm()
    access: AccessForm = AccessForm()
    notices: NoticesForm = NoticesForm()

    def cycle(self) -> CycleSettings:
        """Raises ValueError for a score that no map knows."""
        return CycleSettings(
            stack=build_stack(weights=self.scores),
            backfill=self.backfill.rules(),
            preemption=self.preemption.rules(),
            moving=self.moving.rules(self.backfill.rules()),
        )


def settings_file(home: Home, given: Path | None) -> Path | None:
    """The file that is named, else the one of the home, else None: everything as by default."""
    if given is not None:
        return given
    usual = home.folder / DEFAULT_NAME
    return usual if usual.exists() else None


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Everything that the file says: how placements are decided, how the service is operated, who may do what, where notices
    go."""

    cycle: CycleSettings = field(default_factory=CycleSettings)
    operation: OperationForm = field(default_factory=OperationForm)
    access: AccessForm = field(default_factory=AccessForm)
    notices: NoticesForm = field(default_factory=NoticesForm)


def read_settings(path: Path | None) -> CycleSettings:
    """How placements are decided. Raises Fault as `read_service_settings` does."""
    return read_service_settings(path).cycle


def read_service_settings(path: Path | None) -> ServiceSettings:
    """Raises Fault with every fault of the file: its line, the value, the rule."""
    if path is None:
        return ServiceSettings()
    documents = read_documents(read_text(path, LARGEST_FILE), str(path))
    if not documents:
        return ServiceSettings()
    if len(documents) > 1:
        raise Fault(
            f"{path} 中应只有一份设置，现有 {len(documents)} 份 / {path} must hold one document of settings; it holds "
            f"{len(documents)}"
        )
    (document,) = documents
    try:
        form = SettingsForm.model_validate(document.value)
        return ServiceSettings(form.cycle(), form.operation, form.access, form.notices)
    except ValidationError as error:
        raise Fault(*_told(path, document, error)) from error
    except ValueError as error:
        raise Fault(f"{path} 第 {document.line(('scores',))} 行/line: {error}") from error


def _told(path: Path, document: YamlDocument, error: ValidationError) -> list[str]:
    lines = []
    for fault in form_faults(error):
        place = ".".join(map(str, fault.place)) or "整份/document"
        lines.append(f"{path} 第 {document.line(fault.place)} 行/line: {place} = {fault.value}: {fault.rule}")
    return lines

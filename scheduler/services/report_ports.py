"""What is asked of the migration desk for reports and evidence: plain values, without a wire.

`scheduler.services.migration_servicer` makes them from messages, `console.report_access` from options.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """`month` is YYYY-MM. `district` empty: all. `scope` as `inventory.rates.parse_scope` reads it. A target is a
    percentage (0: none) by an ISO day. `organisations_yaml` empty: the packaged file. The last four sign the report."""

    month: str
    district: str = ""
    scope: str = ""
    target_percent: float = 0.0
    target_day: str = ""
    organisations_yaml: str = ""
    unit: str = ""
    preparer: str = ""
    reviewer: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class EvidenceRequest:
    """Which events: of these systems (keys or names), of this wave of the newest plan (0: none), recorded within the
    ISO days `first_day`..`last_day` (empty: open). Nothing named: everything. `hashes_only` leaves out the contents
    of other events, and with them part of the proof."""

    systems: tuple[str, ...] = ()
    wave: int = 0
    first_day: str = ""
    last_day: str = ""
    hashes_only: bool = False

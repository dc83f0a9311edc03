"""The ledger's answers as JSON objects, in the forms that docs/ledger.md defines.

The ledger desk answers with them, the service sends them, the command line prints them and writes them with
`--json`: one form, whoever asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inventory.intake import ConflictRecord, Diff, FindingRecord, RowChange, StandingSystem
from inventory.ledger import system_json
from inventory.rates import CountedSystem, Rate, RatesReport
from scheduler.services.desk_ports import RateLine

Json = dict[str, Any]
# A diff of more rows than this is cut in each of its three lists; `counts` always has the full numbers.
MAX_DIFF_ROWS = 20_000


def diff_json(diff: Diff) -> Json:
    lists = {"added": diff.added, "changed": diff.changed, "missing": diff.missing}
    return {
        "counts": {name: len(rows) for name, rows in lists.items()},
        **{name: [_row_change_json(row) for row in rows[:MAX_DIFF_ROWS]] for name, rows in lists.items()},
        "findings_new": list(diff.findings_new),
        "findings_gone": list(diff.findings_gone),
    }


def _row_change_json(row: RowChange) -> Json:
    shown: Json = {
        "key": row.key,
        "name": row.name,
        "department": row.department,
        "sheet": row.sheet,
        "row": row.row,
        "held": row.held,
    }
    if row.fields:
        shown["fields"] = [{"field": one.field, "old": one.old, "new": one.new} for one in row.fields]
    return shown


def standing_json(standing: StandingSystem) -> Json:
    """A system of the stored ledger: the fields of an imported one, and where it stands."""
    days = {name: getattr(standing, name) for name in ("migrated_on", "closed_on", "merged_on")}
    return {
        "system_key": standing.system_key,
        **system_json(standing.system),
        "sender": standing.sender,
        "import_id": standing.import_id,
        "in_baseline": standing.in_baseline,
        **{name: None if day is None else day.isoformat() for name, day in days.items()},
    }


def finding_record_json(record: FindingRecord) -> Json:
    return {name: getattr(record, name) for name in FindingRecord.__dataclass_fields__}


def conflict_record_json(record: ConflictRecord) -> Json:
    """A conflict between senders, as a finding of kind `conflict`. `choices` are the decisions that fit."""
    is_identity = record.field == "department" and record.claiming_row != record.system_key
    choices = ["keep", "take", "both"] if is_identity else ["keep", "take"]
    shown = {name: getattr(record, name) for name in ConflictRecord.__dataclass_fields__}
    return {"kind": "conflict", **shown, "choices": choices, "remedy": _conflict_remedy(record, is_identity)}


def _conflict_remedy(record: ConflictRecord, is_identity: bool) -> str:
    if is_identity:
        return (
            f"“{record.claiming_sender}”填报的“{record.claiming_row}”与“{record.system_key}”同名；"
            "请裁定是同一系统（keep/take）还是两个系统（both）"
            f" / {record.claiming_row} of {record.claiming_sender} bears the name of {record.system_key}: "
            "settle whether it is the same system (keep or take) or another one (both)"
        )
    return (
        f"{record.standing_sender} 填 {record.standing_value!r}（现行），{record.claiming_sender} 填"
        f" {record.claiming_value!r}；请裁定 keep 或 take"
        f" / {record.standing_sender} says {record.standing_value!r} (stands), {record.claiming_sender} says "
        f"{record.claiming_value!r}: settle it with keep or take"
    )


def rates_json(report: RatesReport, rows: bool) -> Json:
    """The document of `xisuan rates --json`. With `rows`, every number opens the systems behind it."""

    def opened(name: str, systems: Sequence[CountedSystem]) -> Json:
        return {name: [counted_json(system) for system in systems]} if rows else {}

    puzzle = report.reconciliation
    return {
        "as_of": report.as_of.isoformat(),
        "scope": report.scope,
        "illustrative": report.illustrative,
        "empty_because": report.empty_because,
        "total": report.total,
        "by_ownership": [
            {"code": one.code, "name_zh": one.name_zh, "name_en": one.name_en, "number": one.number}
            for one in report.by_ownership
        ],
        "counts": [
            {"code": one.code, "name_zh": one.name_zh, "name_en": one.name_en, "number": one.number}
            | opened("rows", one.rows)
            for one in report.counts
        ],
        "rates": [_rate_json(rate) | _rate_rows(rate, rows) for rate in report.rates],
        "reconciliation": {
            "baseline": puzzle.baseline,
            "closed": puzzle.closed,
            "merged": puzzle.merged,
            "remaining": puzzle.remaining,
            "should_migrate": puzzle.should_migrate,
            "twice": len(puzzle.twice),
            "outside": len(puzzle.outside),
            "exempt": len(puzzle.exempt),
            "unknown": len(puzzle.unknown),
            "balances": puzzle.balances,
            **opened("twice_rows", puzzle.twice),
            **opened("outside_rows", puzzle.outside),
            **opened("exempt_rows", puzzle.exempt),
            **opened("unknown_rows", puzzle.unknown),
        },
    }


def _rate_json(rate: Rate) -> Json:
    return {
        "code": rate.code,
        "name_zh": rate.name_zh,
        "name_en": rate.name_en,
        "numerator": rate.numerator,
        "denominator": rate.denominator,
        "percent": rate.percent,
        "scope": rate.scope,
        "as_of": rate.as_of.isoformat(),
        "unknown": len(rate.unknown_rows),
    }


def _rate_rows(rate: Rate, rows: bool) -> Json:
    if not rows:
        return {}
    return {
        "numerator_rows": [counted_json(system) for system in rate.numerator_rows],
        "denominator_rows": [counted_json(system) for system in rate.denominator_rows],
        "unknown_rows": [counted_json(system) for system in rate.unknown_rows],
    }


def counted_json(system: CountedSystem) -> Json:
    """One row behind a number: which system, and where it stands in its sender's file."""
    return {
        "system_key": system.system_key,
        "name": system.name,
        "department": system.department,
        "sender": system.sender,
        "import_id": system.import_id,
        "sheet": system.sheet,
        "row": system.row,
    }


def rate_line(rate: Rate, rows: bool) -> RateLine:
    return RateLine(
        name_zh=rate.name_zh,
        name_en=rate.name_en,
        numerator=rate.numerator,
        denominator=rate.denominator,
        percent=rate.percent,
        scope=rate.scope,
        as_of=rate.as_of.isoformat(),
        numerator_rows=tuple(system.system_key for system in rate.numerator_rows) if rows else (),
        denominator_rows=tuple(system.system_key for system in rate.denominator_rows) if rows else (),
    )

"""Chooses the events of an evidence bundle: of systems, of a wave, of a period. Reads only.

`MigrationDesk.evidence` calls `evidence_bundle`. An event is of a system when it is about it, or about a run, workload
or review case that names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from inventory.evidence.bundle import make_bundle
from inventory.model.system import system_key
from inventory.store.chain import Event, civil_day
from inventory.store.event_store import Store, stream_events
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.services.report_ports import EvidenceRequest

# A bundle travels in one message, and a person is to read it.
_MOST_BYTES = 60 * 1024 * 1024


def evidence_bundle(store: Store, request: EvidenceRequest, wave_systems: tuple[str, ...]) -> bytes:
    """`wave_systems` are the keys of the wave that was asked for. Raises RequestError for a system that no event
    names, a bad day, a choice without events, and one that is too large for a bundle."""
    first, last = _day(request.first_day, "from"), _day(request.last_day, "to")
    with store.connect() as connection:
        events = [event for page in stream_events(connection) for event in page]
    wanted = _Wanted(events, (*request.systems, *wave_systems))
    chosen = {
        event.seq
        for event in events
        if event.payload_json
        and wanted.holds(event)
        and (first is None or civil_day(event.recorded_ms) >= first)
        and (last is None or civil_day(event.recorded_ms) <= last)
    }
    if not chosen:
        raise RequestError(
            ErrorCode.FAILED_PRECONDITION,
            "所选范围内没有事件；请扩大范围 / no event is in what was chosen; choose more",
            "NO_EVENTS",
        )
    segment = [event for event in events if event.seq >= min(chosen)]
    selection = {
        "systems": sorted(request.systems),
        "wave": request.wave,
        "from": request.first_day,
        "to": request.last_day,
        "hashes_only": request.hashes_only,
    }
    bundle = make_bundle(segment, chosen, selection, hashes_only=request.hashes_only)
    if len(bundle) > _MOST_BYTES:
        raise RequestError(
            ErrorCode.FAILED_PRECONDITION,
            f"证据包有 {len(bundle) >> 20} MiB，超过 {_MOST_BYTES >> 20} MiB；请缩小范围，或加 --hashes-only"
            f" / the bundle has {len(bundle) >> 20} MiB, more than {_MOST_BYTES >> 20}; choose less, or --hashes-only",
            "BUNDLE_TOO_LARGE",
        )
    return bundle


class _Wanted:
    """The subjects that the chosen systems have events under; with no system chosen, every event is wanted."""

    def __init__(self, events: Iterable[Event], named: tuple[str, ...]) -> None:
        self._all = not named
        self._subjects: set[tuple[str, str]] = set()
        if named:
            keys = _keys(events, named)
            self._subjects = {_subject(event) for event in events if not keys.isdisjoint(_systems(event))}

    def holds(self, event: Event) -> bool:
        return self._all or _subject(event) in self._subjects


def _subject(event: Event) -> tuple[str, str]:
    """Ids are unique within an area of kinds only: R1 is a run and a review case."""
    return event.kind.partition(".")[0], event.subject


def _keys(events: Iterable[Event], named: tuple[str, ...]) -> set[str]:
    known = {key for event in events for key in _systems(event)}
    found = set()
    for name in named:
        text = name.strip()
        matching = {key for key in known if key == text or key.rpartition("/")[2] == system_key(text, None)[1:]}
        if not matching:
            raise RequestError(
                ErrorCode.INVALID_ARGUMENT,
                f"没有关于系统 {name!r} 的事件；请写 单位/系统名称"
                f" / no event is about a system {name!r}; write department/name",
                "NO_SUCH_SYSTEM",
            )
        found |= matching
    return found


def _systems(event: Event) -> tuple[str, ...]:
    """The systems that an event names: of a run, a wave's workloads, a review case or an exception."""
    match event.kind:
        case "runbook.opened":
            return tuple(str(one["key"]) for one in event.payload["systems"])
        case "assessment.case_opened":
            return (str(event.payload["system_key"]),)
        case "ledger.claimed":
            return tuple(str(one["to"]) for one in event.payload["claims"])
        case (
            "system.migrated"
            | "system.closed"
            | "system.merged"
            | "assessment.decided"
            | "assessment.role_declared"
        ):
            return (event.subject,)
        case "assessment.excepted":
            return (str(event.payload["subject"]),)
        case _:
            return ()


def _day(text: str, option: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"{option} {text!r} 不是日期；请写 YYYY-MM-DD，例如 2026-11-01"
            f" / {option} {text!r} is not a day; write YYYY-MM-DD, for example 2026-11-01",
            "BAD_DAY",
        ) from error

"""The ledger desk: everything that people do with the ledger, over the store, without a wire.

The control plane holds one for the gateways (its writing methods take turns with the writer), and the command line
uses it directly where no service runs. What a user does wrong is a `RequestError` with one clear line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import PurePath

from inventory.intake import ImportRecord, ImportResult, Intake, IntakeError, StandingSystem
from inventory.ledger import HeaderMapping, LedgerError, LedgerReading, read_ledger
from inventory.rates import ScopeError, parse_scope
from inventory.store.chain import civil_day
from inventory.store.event_store import PAGE, Store
from inventory.store.ledger import kinds
from scheduler.services.desk_ports import (
    DiffAnswer,
    Document,
    ImportAnswer,
    RatesAnswer,
    ReadWorkbook,
    SystemPage,
    Upload,
)
from scheduler.services.ledger_documents import (
    conflict_record_json,
    diff_json,
    finding_record_json,
    rate_line,
    rates_json,
    standing_json,
)
from scheduler.services.ports import ErrorCode, RequestError

_FACTS = (kinds.SYSTEM_MIGRATED, kinds.SYSTEM_CLOSED, kinds.SYSTEM_MERGED)
# Methods that write nothing; the others are one transaction each.
READS = frozenset({"read_workbook", "diff", "systems", "findings", "rates", "imports"})


class LedgerDesk:
    """`store` carries the ledger's projection; `now_ms` tells the moment of a request, UTC since 1970."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._intake = Intake(store)
        self._now_ms = now_ms
        self._chosen: tuple[tuple[int, str, str], tuple[StandingSystem, ...]] | None = None

    def read_workbook(self, upload: Upload) -> ReadWorkbook:
        """Reads the file with the mapping that was given with it, or that is remembered for its sender."""
        with _refusing():
            if upload.mapping_yaml:
                mapping = HeaderMapping.from_yaml(upload.mapping_yaml)
                reading = read_ledger(upload.content, upload.file_name, mapping)
                sender = upload.sender or mapping.sender or reading.sender or ""
                return _read(upload, sender, reading, mapping, True)
            reading = read_ledger(upload.content, upload.file_name)
            sender = upload.sender or reading.sender or _stem(upload.file_name)
            remembered = self._intake.mapping_of(sender)
            if remembered is not None:
                reading = read_ledger(upload.content, upload.file_name, remembered)
            return _read(upload, sender, reading, remembered, False)

    def take_in(self, read: ReadWorkbook) -> ImportAnswer:
        """Stores what was read. When this returns, the file is wholly in the ledger."""
        now_ms = self._now_ms()
        with _refusing():
            result = self._intake.import_reading(
                read.reading, filename=read.file_name, sender=read.sender, actor=read.actor, now_ms=now_ms
            )
            if read.remember:
                # After the import: who repeats an interrupted command completes it.
                mapping = HeaderMapping.from_yaml(read.mapping_yaml)
                if self._intake.mapping_of(read.sender) != mapping:
                    self._intake.remember_mapping(read.sender, mapping, actor=read.actor, now_ms=now_ms)
        return _answer(result, read)

    def apply(self, import_id: str, actor: str) -> DiffAnswer:
        with _refusing(self._code_of_import(import_id)):
            result = self._intake.apply(import_id, actor=actor, now_ms=self._now_ms())
        return DiffAnswer(result.import_id, result.status.value, diff_json(result.diff))

    def diff(self, import_id: str) -> DiffAnswer:
        """What an import changes or has changed; empty: the newest one."""
        records = self._intake.imports()
        wanted = import_id.strip().upper() or (records[-1].id if records else "")
        if not wanted:
            raise RequestError(
                ErrorCode.NOT_FOUND,
                "还没有导入任何文件；请先运行 xisuan ledger import FILE"
                " / no file has been imported yet; run xisuan ledger import FILE first",
                "NO_IMPORT",
            )
        with _refusing(ErrorCode.NOT_FOUND):
            diff = self._intake.diff(wanted)
        status = next(record.status for record in records if record.id == wanted)
        return DiffAnswer(wanted, status, diff_json(diff))

    def imports(self) -> tuple[ImportRecord, ...]:
        """Who sent what, when; oldest first."""
        return self._intake.imports()

    def resolve(self, finding_id: str, decision: str, actor: str, reason: str) -> Document:
        """Settles a possible duplicate or a conflict; returns the decision as recorded."""
        with _refusing(self._code_of_question(finding_id)):
            settled = self._intake.resolve(finding_id, decision, actor=actor, reason=reason, now_ms=self._now_ms())
        return {
            "id": settled.subject,
            "kind": settled.kind,
            "decision": settled.decision,
            "effective_on": settled.effective_on.isoformat(),
            "system_keys": list(settled.system_keys),
            "decided_by": actor.strip(),
            "reason": reason.strip(),
        }

    def systems(self, scope: str, as_of: str, page_size: int, page_token: str) -> SystemPage:
        """Systems in the order of their keys; the token is the last key of the page before."""
        chosen = self._choose(scope, as_of)
        start = bisect_right(chosen, page_token, key=lambda standing: standing.system_key) if page_token else 0
        page = chosen[start : start + page_size]
        more = start + page_size < len(chosen)
        return SystemPage(tuple(standing_json(one) for one in page), page[-1].system_key if more else "")

    def findings(self, settled: bool) -> tuple[Document, ...]:
        """What waits for a person or for a corrected file; with `settled`, also what people have decided."""
        states = ("open", "settled") if settled else ("open",)
        found = [finding_record_json(record) for record in self._intake.findings(*states)]
        return (*found, *(conflict_record_json(record) for record in self._intake.conflicts(*states)))

    def rates(self, as_of: str, scope: str, rows: bool) -> RatesAnswer:
        with _refusing():
            report = self._intake.rates(_day(as_of) or self._latest_day(), scope)
        return RatesAnswer(tuple(rate_line(rate, rows) for rate in report.rates), rates_json(report, rows))

    def _choose(self, scope: str, as_of: str) -> tuple[StandingSystem, ...]:
        """The systems of a query, kept from page to page as long as nothing is recorded."""
        key = (self._store.head().seq, scope, as_of)
        if self._chosen is None or self._chosen[0] != key:
            day = _day(as_of)
            with _refusing():
                wanted = parse_scope(scope if "ownership" in scope else f"ownership=all,{scope}")
            held = {
                counted.system_key
                for counted in self._intake.counted(day or self._latest_day())
                if wanted.holds(counted)
            }
            standing = (one for one in self._intake.standing(day) if one.system_key in held)
            self._chosen = key, tuple(sorted(standing, key=lambda one: one.system_key))
        return self._chosen[1]

    def _latest_day(self) -> date:
        """The day on which everything that is recorded holds: today, or later where a fact is dated ahead.

        Files and decisions never count from a day that has not come; a cutover counts from the day of its window.
        """
        latest, after = civil_day(self._now_ms()), 0
        while facts := self._store.read(after, PAGE, kinds=_FACTS):
            latest = max(latest, *(fact.effective_on for fact in facts))
            after = facts[-1].seq
        return latest

    def _code_of_import(self, import_id: str) -> ErrorCode:
        known = any(record.id == import_id.strip().upper() for record in self._intake.imports())
        return ErrorCode.FAILED_PRECONDITION if known else ErrorCode.NOT_FOUND

    def _code_of_question(self, finding_id: str) -> ErrorCode:
        """What a refused decision means: no such question, a decision that does not fit, or one that came late."""
        states = ("open", "pending", "settled", "gone")
        asked = {one.id: one.state for one in self._intake.findings(*states)}
        asked |= {one.id: one.state for one in self._intake.conflicts(*states)}
        state = asked.get(finding_id.strip().upper())
        if state is None:
            return ErrorCode.NOT_FOUND
        return ErrorCode.INVALID_ARGUMENT if state == "open" else ErrorCode.FAILED_PRECONDITION


@contextmanager
def _refusing(code: ErrorCode = ErrorCode.INVALID_ARGUMENT) -> Iterator[None]:
    """Turns what a user did wrong into a RequestError with the same line."""
    try:
        yield
    except LedgerError as error:
        raise RequestError(ErrorCode.INVALID_ARGUMENT, str(error), "NOT_A_LEDGER") from error
    except ScopeError as error:
        raise RequestError(ErrorCode.INVALID_ARGUMENT, str(error), "BAD_SCOPE") from error
    except IntakeError as error:
        raise RequestError(code, str(error), "LEDGER_REFUSED") from error


def _day(text: str) -> date | None:
    """The day of an ISO date; None for an empty text."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"as_of {text!r} 不是日期；请写 YYYY-MM-DD，例如 2021-06-30"
            f" / is not a day; write YYYY-MM-DD, for example 2021-06-30",
            "BAD_DAY",
        ) from error


def _stem(file_name: str) -> str:
    return PurePath(file_name).stem


def _read(
    upload: Upload, sender: str, reading: LedgerReading, mapping: HeaderMapping | None, remember: bool
) -> ReadWorkbook:
    text = mapping.to_yaml() if mapping is not None else ""
    return ReadWorkbook(upload.file_name, sender or _stem(upload.file_name), upload.actor, reading, text, remember)


def _answer(result: ImportResult, read: ReadWorkbook) -> ImportAnswer:
    notes = result.notes
    if read.reading.sender is None and read.sender == _stem(read.file_name):
        note = (
            f"文件未写填报单位，按文件名记为“{read.sender}”；请用 --sender 写明，否则换名的文件会被当作另一单位"
            f" / the file names no sender, so it counts as sent by {read.sender}; name one with --sender, or a "
            "renamed file counts as another sender's"
        )
        notes = (*notes, note)
    return ImportAnswer(
        import_id=result.import_id,
        status=result.status.value,
        sender=read.sender,
        effective_on=result.effective_on,
        diff=diff_json(result.diff),
        questions=result.questions,
        notes=notes,
    )

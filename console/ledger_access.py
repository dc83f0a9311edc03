"""The ledger for the command line: through the running service, or at the store itself where none runs.

Both ways give the same answers; a command does not know which one it uses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from console.connection import PATIENCE_S, service_address
from console.home import Home
from console.local_store import local_store
from inventory.ledger import HeaderMapping, LedgerReading, read_ledger
from scheduler.runtime.clock import SystemClock
from scheduler.services.desk_ports import DiffAnswer, Document, ImportAnswer, ReadWorkbook, Upload
from scheduler.services.ledger_desk import LedgerDesk
from xisuan.operations import ImportRequest, Operations

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file, and the file as it was read."""

    answer: ImportAnswer
    reading: LedgerReading


class LedgerAccess(Protocol):
    def read_workbook(self, upload: Upload) -> ReadWorkbook:
        """Reads the file; stores nothing."""

    def take_in(self, upload: Upload, read: ReadWorkbook) -> Imported:
        """Stores it. `reading` differs from what was read before when the service remembers a mapping."""

    def apply(self, import_id: str, actor: str) -> DiffAnswer: ...

    def diff(self, import_id: str) -> DiffAnswer: ...

    def resolve(self, finding_id: str, decision: str, actor: str, reason: str) -> Document: ...

    def systems(self, scope: str, as_of: str) -> Iterator[Document]: ...

    def findings(self, settled: bool) -> Sequence[Document]: ...

    def rates(self, as_of: str, scope: str, rows: bool) -> Document: ...


@contextmanager
def open_ledger(home: Home, *, writing: bool) -> Iterator[LedgerAccess]:
    """The service's ledger when it runs, else the store's; a local writer holds the home's lock."""
    address = service_address(home)
    if address is not None:
        with Operations(address, patience_s=PATIENCE_S) as service:
            yield RemoteLedger(service)
    else:
        with local_store(home, writing=writing) as store:
            yield LocalLedger(LedgerDesk(store, SystemClock().now_ms))


class LocalLedger:
    def __init__(self, desk: LedgerDesk) -> None:
        self._desk = desk

    def read_workbook(self, upload: Upload) -> ReadWorkbook:
        return self._desk.read_workbook(upload)

    def take_in(self, upload: Upload, read: ReadWorkbook) -> Imported:
        return Imported(self._desk.take_in(read), read.reading)

    def apply(self, import_id: str, actor: str) -> DiffAnswer:
        return self._desk.apply(import_id, actor)

    def diff(self, import_id: str) -> DiffAnswer:
        return self._desk.diff(import_id)

    def resolve(self, finding_id: str, decision: str, actor: str, reason: str) -> Document:
        return self._desk.resolve(finding_id, decision, actor, reason)

    def systems(self, scope: str, as_of: str) -> Iterator[Document]:
        token = ""
        while True:
            page = self._desk.systems(scope, as_of, _PAGE, token)
            yield from page.systems
            token = page.next_token
            if not token:
                return

    def findings(self, settled: bool) -> Sequence[Document]:
        return self._desk.findings(settled)

    def rates(self, as_of: str, scope: str, rows: bool) -> Document:
        return self._desk.rates(as_of, scope, rows).document


class RemoteLedger:
    def __init__(self, service: Operations) -> None:
        self._service = service

    def read_workbook(self, upload: Upload) -> ReadWorkbook:
        """Reads here what the service will read there, so that a file that is no ledger never travels."""
        mapping = HeaderMapping.from_yaml(upload.mapping_yaml) if upload.mapping_yaml else None
        reading = read_ledger(upload.content, upload.file_name, mapping)
        return ReadWorkbook(upload.file_name, upload.sender, upload.actor, reading, upload.mapping_yaml)

    def take_in(self, upload: Upload, read: ReadWorkbook) -> Imported:
        answer = self._service.import_workbook(
            ImportRequest(
                file_name=upload.file_name,
                content=upload.content,
                sender=upload.sender,
                actor=upload.actor,
                mapping_yaml=upload.mapping_yaml,
            )
        )
        said = json.loads(answer.reading_json)
        if said["mapping_yaml"] and not upload.mapping_yaml:
            read = self.read_workbook(replace(upload, mapping_yaml=said["mapping_yaml"]))
        taken = ImportAnswer(
            import_id=answer.import_id,
            status=answer.status,
            sender=answer.sender,
            effective_on=date.fromisoformat(said["effective_on"]),
            diff=json.loads(answer.diff_json),
            questions=tuple(said["questions"]),
            notes=tuple(said["notes"]),
        )
        return Imported(taken, read.reading)

    def apply(self, import_id: str, actor: str) -> DiffAnswer:
        diff = json.loads(self._service.apply_import(import_id, actor))
        return DiffAnswer(import_id.strip().upper(), "applied", diff)

    def diff(self, import_id: str) -> DiffAnswer:
        answer = self._service.diff(import_id)
        diff = json.loads(answer.diff_json)
        return DiffAnswer(str(diff.get("import_id", import_id)), answer.status, diff)

    def resolve(self, finding_id: str, decision: str, actor: str, reason: str) -> Document:
        settled: Document = json.loads(self._service.resolve(finding_id, decision, actor, reason))
        return settled

    def systems(self, scope: str, as_of: str) -> Iterator[Document]:
        return (json.loads(system) for system in self._service.systems(scope, as_of))

    def findings(self, settled: bool) -> Sequence[Document]:
        return [json.loads(finding) for finding in self._service.findings(settled=settled)]

    def rates(self, as_of: str, scope: str, rows: bool) -> Document:
        document: Document = json.loads(self._service.rates(as_of, scope, rows=rows).document_json)
        return document

"""Migration runs for the command line: through the running service, or at the store itself where none runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from console.connection import PATIENCE_S, service_address
from console.faults import Fault
from console.files import read_text
from console.home import Home
from console.local_store import local_store
from console.papers import UNKEPT, PaperShelf
from scheduler.runbooks.faults import RunbookRefused
from scheduler.runbooks.template import LARGEST_FILE, read_yaml
from scheduler.runtime.clock import SystemClock
from scheduler.runtime.run_calls import RunCalls
from scheduler.services.migration_desk import MigrationDesk
from scheduler.services.run_ports import Act, RunAction, RunDocument, RunOpening, StartedWave, WaveStarting
from scheduler.store.scheduler_store import SchedulerStore
from xisuan.operations import ActOnRunRequest, OpenRunRequest, Operations, RunAct, StartWaveRequest

_ACTS: Mapping[Act, RunAct.ValueType] = {act: RunAct.Value(f"RUN_ACT_{act.name}") for act in Act}


class RunAccess(Protocol):
    def open(self, opening: RunOpening) -> str: ...

    def start_wave(self, starting: WaveStarting) -> StartedWave: ...

    def act(self, action: RunAction) -> RunDocument: ...

    def run(self, run_id: str) -> RunDocument: ...

    def history(self, run_id: str) -> tuple[RunDocument, ...]: ...

    def runs(self) -> tuple[RunDocument, ...]: ...


@contextmanager
def open_runs(home: Home, *, writing: bool) -> Iterator[RunAccess]:
    """The service's runs when it runs, else the store's; a local writer holds the home's lock."""
    address = service_address(home)
    if address is not None:
        with Operations(address, patience_s=PATIENCE_S) as service:
            yield RemoteRuns(service)
    else:
        with local_store(home, writing=writing) as store:
            now_ms = SystemClock().now_ms
            yield RunCalls(store, MigrationDesk(SchedulerStore(store), now_ms), now_ms)


class RemoteRuns:
    def __init__(self, service: Operations) -> None:
        self._service = service

    def open(self, opening: RunOpening) -> str:
        return self._service.open_run(
            OpenRunRequest(
                runbook_yaml=opening.runbook, order_yaml=opening.order, actor=opening.actor, wave=opening.wave
            )
        )

    def start_wave(self, starting: WaveStarting) -> StartedWave:
        answer = self._service.start_wave(
            StartWaveRequest(
                number=starting.number, actor=starting.actor, site_yaml=starting.site, runbooks=starting.runbooks
            )
        )
        return StartedWave(tuple(answer.run_ids), tuple(answer.waiting))

    def act(self, action: RunAction) -> RunDocument:
        text = self._service.act_on_run(
            ActOnRunRequest(
                run_id=action.run_id,
                act=_ACTS[action.act],
                actor=action.actor,
                step_id=action.step_id,
                reason=action.reason,
                document_number=action.number,
                document_sha256=action.sha256,
            )
        )
        return _parsed(text)

    def run(self, run_id: str) -> RunDocument:
        return _parsed(self._service.run(run_id)[0])

    def history(self, run_id: str) -> tuple[RunDocument, ...]:
        return tuple(_parsed(text) for text in self._service.run(run_id, history=True)[1])

    def runs(self) -> tuple[RunDocument, ...]:
        return tuple(_parsed(text) for text in self._service.runs())


def read_order_file(path: Path, shelf: PaperShelf = UNKEPT) -> tuple[str, str]:
    """The texts of the runbook that the order names (beside it), and of the order with the hashes of its documents.

    Their SHA-256 goes into the record, a copy of each paper onto the shelf.
    """
    order = _mapping(path, "割接单 / order")
    runbook = path.parent / str(order.get("runbook") or "")
    if not runbook.is_file():
        raise Fault(
            f"{path}: runbook {order.get('runbook')!r} 不是文件；请写相对于割接单的路径 / is no file; give its path, "
            "relative to the order"
        )
    _hash_documents(path.parent, order, shelf)
    return read_text(runbook, LARGEST_FILE), _text_of(order)


def read_site_file(path: Path, shelf: PaperShelf = UNKEPT) -> tuple[str, dict[str, str]]:
    """The text of a site file with the hashes of its documents, and the texts of the runbooks that it names (their
    paths are relative to it), by the names that it has for them. The service says what is wrong in it."""
    site = _mapping(path, "实施单位文件 / site file")
    systems = [one for one in _values(site.get("systems")) if isinstance(one, dict)]
    for part in (site, *systems):
        _hash_documents(path.parent, part, shelf)
    named = [*_values(site.get("runbooks")), *(one.get("runbook") for one in systems)]
    names = sorted({name for name in named if isinstance(name, str) and name})
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise Fault(
            *(
                f"{path}: 割接方案 {name!r} 不是文件；请写相对于本文件的路径 / the runbook is no file; give its path, relative "
                "to the site file"
                for name in missing
            )
        )
    return _text_of(site), {name: read_text(path.parent / name, LARGEST_FILE) for name in names}


def _values(mapping: object) -> list[Any]:
    return list(mapping.values()) if isinstance(mapping, dict) else []


def _text_of(document: object) -> str:
    """YAML again. No alias: the service refuses them."""
    return json.dumps(document, ensure_ascii=False, default=str)


def _hash_documents(folder: Path, holder: dict[str, Any], shelf: PaperShelf) -> None:
    documents = holder.get("documents")
    if isinstance(documents, dict):
        holder["documents"] = {name: _hashed(folder, paper, shelf) for name, paper in documents.items()}


def _mapping(path: Path, kind: str) -> dict[str, Any]:
    try:
        order = read_yaml(read_text(path, LARGEST_FILE), str(path))
    except RunbookRefused as refused:
        raise Fault(*refused.faults) from None
    if not isinstance(order, dict):
        raise Fault(f"{path}: 不是 / is no {kind} (docs/runbooks.md)")
    return order


def _hashed(folder: Path, paper: object, shelf: PaperShelf) -> object:
    if not isinstance(paper, dict) or not isinstance(paper.get("file"), str) or not paper["file"]:
        return paper
    return {**paper, "sha256": shelf.keep(folder / paper["file"])}


def _parsed(text: str) -> RunDocument:
    document: dict[str, Any] = json.loads(text)
    return document

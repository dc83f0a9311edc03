"""Architecture compatibility: what of a system runs on Kunpeng, Hygon or x86 as it is, and what has to be ported.

Who calls this: `inventory.assessment`. The matrix is data (`compatibility.yaml`, whose head tells the form); what it
has no entry for is unknown, and unknown is not compatible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import ValidationError, model_validator

from inventory.model.migration import Pair
from inventory.model.system import Architecture, System
from inventory.rules.forms import Form, PairForm, SourceForm, Text, form_lines, read_source, strict_yaml
from inventory.rules.source import RuleFileError, Source

DEFAULT_MATRIX = Path(__file__).with_name("compatibility.yaml")


class Verdict(StrEnum):
    """From best to worst; the worst of a system's parts is the system's."""

    RUNS = "runs"
    CHECK = "check"
    UNKNOWN = "unknown"
    PORT = "port"
    REPLACE = "replace"


class PartKind(StrEnum):
    BINARIES = "binaries"
    OS = "os"
    DATABASE = "database"
    MIDDLEWARE = "middleware"
    ACCELERATOR = "accelerator"


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    kind: PartKind
    words: tuple[str, ...]
    on: Mapping[Architecture, Verdict]
    says: Pair
    source: Source


@dataclass(frozen=True, slots=True)
class Matrix:
    """`runs_binaries_of[target]` are the architectures whose programs run there."""

    targets: Mapping[Architecture, Pair]
    runs_binaries_of: Mapping[Architecture, frozenset[Architecture]]
    binaries_source: Source
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class PartVerdict:
    """One part of a system on one target. `stated` is what the ledger says; None: it says nothing."""

    kind: PartKind
    stated: str | None
    verdict: Verdict
    says: Pair
    source: Source | None


@dataclass(frozen=True, slots=True)
class Compatibility:
    """A system on one target architecture."""

    target: Architecture
    verdict: Verdict
    parts: tuple[PartVerdict, ...]


class _TargetForm(Form):
    zh: Text
    en: Text
    runs_binaries_of: frozenset[Architecture]


class _EntryForm(Form):
    name: Text
    kind: Literal[PartKind.OS, PartKind.DATABASE, PartKind.MIDDLEWARE, PartKind.ACCELERATOR]
    words: tuple[Text, ...]
    verdicts: dict[Architecture, Literal[Verdict.RUNS, Verdict.CHECK, Verdict.PORT, Verdict.REPLACE]]
    says: PairForm
    source: SourceForm


class _MatrixForm(Form):
    version: Literal[1]
    documents: dict[str, Text]
    targets: dict[Architecture, _TargetForm]
    binaries_source: SourceForm
    entries: tuple[_EntryForm, ...]

    @model_validator(mode="after")
    def _complete(self) -> _MatrixForm:
        for entry in self.entries:
            missing = sorted(self.targets.keys() - entry.verdicts.keys())
            if missing:
                raise ValueError(
                    f"{entry.name} 缺少 {', '.join(missing)} 的结论，请补上"
                    f" / {entry.name} has no verdict for {', '.join(missing)}; add it"
                )
        return self


def read_matrix(path: Path = DEFAULT_MATRIX) -> Matrix:
    """Raises RuleFileError where the file is missing, is no YAML, or breaks the form."""
    content = strict_yaml(path)
    try:
        form = _MatrixForm.model_validate(content)
    except ValidationError as refusal:
        raise RuleFileError(form_lines(path.name, refusal)) from None
    faults: list[str] = []

    def source(place: str, given: SourceForm) -> Source:
        found, fault = read_source(given, form.documents)
        if fault is not None:
            faults.append(f"{path.name}: {place}: {fault}")
        return found

    matrix = Matrix(
        targets={target: (one.zh, one.en) for target, one in form.targets.items()},
        runs_binaries_of={target: one.runs_binaries_of for target, one in form.targets.items()},
        binaries_source=source("binaries_source", form.binaries_source),
        entries=tuple(
            Entry(
                one.name,
                one.kind,
                tuple(word.casefold() for word in one.words),
                {target: Verdict(verdict) for target, verdict in one.verdicts.items()},
                one.says.pair,
                source(f"entries.{one.name}.source", one.source),
            )
            for one in form.entries
        ),
    )
    if faults:
        raise RuleFileError(faults)
    return matrix


def compatibility(system: System, target: Architecture, matrix: Matrix) -> Compatibility:
    """The parts of the system that the ledger tells of, on `target`. Middleware is looked for in function and
    remark; the ledger has no column for it."""
    parts = tuple(_parts(system, target, matrix))
    order = tuple(Verdict)
    return Compatibility(target, max((part.verdict for part in parts), key=order.index), parts)


def _parts(system: System, target: Architecture, matrix: Matrix) -> Iterator[PartVerdict]:
    yield _binaries(system.arch, target, matrix)
    yield _part(PartKind.OS, system.os, target, matrix)
    yield _part(PartKind.DATABASE, system.database, target, matrix)
    said = " ".join(text for text in (system.function, system.remark) if text)
    middleware = _entry(PartKind.MIDDLEWARE, said, matrix)
    if middleware is not None:
        yield _of_entry(middleware, middleware.name, target)
    if system.gpu is not None:
        yield _part(PartKind.ACCELERATOR, system.gpu.model, target, matrix)


def _binaries(arch: Architecture | None, target: Architecture, matrix: Matrix) -> PartVerdict:
    if arch is None:
        says = ("CPU 架构未知", "the architecture is unknown")
        return PartVerdict(PartKind.BINARIES, None, Verdict.UNKNOWN, says, None)
    if arch in matrix.runs_binaries_of[target]:
        says = (f"{arch} 程序可直接运行", f"programs for {arch} run as they are")
        return PartVerdict(PartKind.BINARIES, arch, Verdict.RUNS, says, matrix.binaries_source)
    says = (f"{arch} 程序须重新编译", f"programs for {arch} must be rebuilt")
    return PartVerdict(PartKind.BINARIES, arch, Verdict.PORT, says, matrix.binaries_source)


def _part(kind: PartKind, stated: str | None, target: Architecture, matrix: Matrix) -> PartVerdict:
    if stated is None:
        return PartVerdict(kind, None, Verdict.UNKNOWN, ("台账未填", "the ledger does not say"), None)
    entry = _entry(kind, stated, matrix)
    if entry is None:
        says = ("矩阵中没有此项，请核实", "the matrix has no such entry; find out")
        return PartVerdict(kind, stated, Verdict.UNKNOWN, says, None)
    return _of_entry(entry, stated, target)


def _of_entry(entry: Entry, stated: str, target: Architecture) -> PartVerdict:
    return PartVerdict(entry.kind, stated, entry.on[target], entry.says, entry.source)


def _entry(kind: PartKind, said: str, matrix: Matrix) -> Entry | None:
    text = said.casefold()
    return next(
        (one for one in matrix.entries if one.kind is kind and any(word in text for word in one.words)), None
    )

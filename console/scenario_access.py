"""Scenario files for the command line: YAML with lines, checked; and what several `sim` commands choose from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from console.faults import Fault
from console.files import read_text
from console.yaml_documents import read_documents
from simulations.code_version import code_version
from simulations.result_file import ResultFileError
from simulations.scenarios.cell import Cell, cells
from simulations.scenarios.form import Scenario
from simulations.scenarios.reading import ScenarioError, parse_scenario
from simulations.traces.bad_rows import TraceError

MAX_FILE_BYTES = 64 * 1024 * 1024


def read_scenario(path: Path) -> Scenario:
    """Raises Fault with all faults of the file, each with its line."""
    documents = read_documents(read_text(path, MAX_FILE_BYTES), path.name)
    if len(documents) != 1:
        raise Fault(
            f"{path.name}: 须恰好有一个 YAML 文档，现有 {len(documents)} 个"
            f" / needs exactly one YAML document, has {len(documents)}"
        )
    (document,) = documents
    try:
        return parse_scenario(document.value, path.name, document.line)
    except ScenarioError as error:
        raise Fault(*error.faults) from error


def chosen(scenario: Scenario, kind: str, names: Sequence[str], option: str) -> Scenario:
    """The scenario with only the named variants of one kind ("policies", ...); all where none is named."""
    known = getattr(scenario, kind)
    for name in names:
        if name not in known:
            raise Fault(
                f"{option} {name}：场景中没有，可用 {'、'.join(known)}"
                f" / {option} {name} is not in the scenario; there are {', '.join(known)}"
            )
    return scenario.model_copy(update={kind: {name: known[name] for name in names}}) if names else scenario


def first_of_each(scenario: Scenario) -> Scenario:
    """The first variant of each kind and the first seed."""
    kinds = ("traces", "capacities", "policies", "failures")
    firsts = {kind: dict([next(iter(getattr(scenario, kind).items()))]) for kind in kinds}
    return scenario.model_copy(update={**firsts, "seeds": scenario.seeds[:1]})


def make_cells(scenario: Scenario, file: Path, skip_bad: bool) -> list[Cell]:
    """All combinations of the scenario's variants and seeds; its files are found beside it."""
    return list(cells(scenario, str(file.resolve().parent), code_version(), skip_bad))


@contextmanager
def input_faults() -> Iterator[None]:
    """What is wrong with a scenario's files or with results is the user's to cure."""
    try:
        yield
    except (ScenarioError, TraceError, ResultFileError) as error:
        raise Fault(*str(error).splitlines()) from error

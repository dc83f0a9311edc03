"""House rules that a reader relies on: short files, short signatures, telling names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("adapters", "console", "inventory", "scheduler", "simulations", "xisuan", "tests")
MAX_LINES = 500
MAX_PARAMETERS = 6
EMPTY_NAMES = {"data", "helper", "helpers", "info", "manager", "misc", "processor", "util", "utils"}


def is_generated(file: Path) -> bool:
    return "_pb2" in file.name


def sources(*folders: str) -> list[Path]:
    found = [file for folder in folders for file in (ROOT / folder).rglob("*.py") if not is_generated(file)]
    assert len(found) > 5
    return sorted(found)


def place(file: Path) -> str:
    return str(file.relative_to(ROOT))


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Without self and cls."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    bound = 1 if names[:1] in (["self"], ["cls"]) else 0
    return len(names) - bound + len(function.args.kwonlyargs)


def test_no_file_is_longer_than_500_lines() -> None:
    lengths = {place(file): len(file.read_text(encoding="utf-8").splitlines()) for file in sources(*FOLDERS)}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_no_function_has_more_than_six_parameters() -> None:
    """Command-line options in the console are not an interface between modules, and test tables are columns."""
    long = [
        f"{place(file)}:{function.lineno} {function.name}"
        for file in sources(*(folder for folder in FOLDERS if folder not in ("console", "tests")))
        for function in functions(file)
        if parameters(function) > MAX_PARAMETERS
    ]
    assert long == []


def test_every_module_says_who_calls_it_and_why_it_exists() -> None:
    silent = [
        place(file)
        for file in sources(*FOLDERS)
        if file.read_text(encoding="utf-8").strip()
        and ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) is None
    ]
    assert silent == []


def test_no_name_is_empty_of_meaning() -> None:
    empty = [place(file) for file in sources(*FOLDERS) if EMPTY_NAMES & set(file.stem.split("_"))]
    assert empty == []


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "X" + "XX"])
def test_nothing_is_left_for_later(word: str) -> None:
    assert [place(file) for file in sources(*FOLDERS) if word in file.read_text(encoding="utf-8")] == []


def test_nothing_is_declared_and_not_implemented() -> None:
    """A protocol has methods without a body; what has a body does its work."""
    left = [
        f"{place(file)}:{node.lineno}"
        for file in sources(*FOLDERS)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" in ast.dump(node.exc)
    ]
    assert left == []

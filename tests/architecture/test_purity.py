"""The core and the model can be imported where none of the edges is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EDGES = ("alembic", "google.protobuf", "grpc", "kubernetes", "openpyxl", "psycopg", "ray", "sqlalchemy", "typer")

IMPORT_ALL = """
import importlib, json, sys
names = json.loads(sys.argv[1])
for name in names:
    importlib.import_module(name)
print(json.dumps([sorted(sys.modules), names]))
"""


def modules_below(package: str) -> list[str]:
    folder = ROOT / package.replace(".", "/")
    files = (file.relative_to(ROOT).with_suffix("") for file in folder.rglob("*.py"))
    return sorted(".".join(file.parts).removesuffix(".__init__") for file in files)


@pytest.mark.parametrize(
    ("package", "at_least"),
    [("scheduler.core", 40), ("inventory.model", 7), ("scheduler.cycle", 1), ("scheduler.ports", 1)],
)
def test_a_fresh_interpreter_imports_it_without_any_edge(package: str, at_least: int) -> None:
    names = modules_below(package) or [package]
    assert len(names) >= at_least
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, json.dumps(names)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded, imported = json.loads(done.stdout.splitlines()[-1])
    assert set(names) <= set(imported) & set(loaded)
    assert [edge for edge in EDGES if edge in loaded] == []


@pytest.mark.parametrize("package", ["adapters", "console", "inventory", "scheduler", "simulations", "xisuan"])
def test_a_top_level_package_is_empty(package: str) -> None:
    assert (ROOT / package / "__init__.py").read_text(encoding="utf-8").strip() == ""


def test_the_contracts_folder_is_no_python_package() -> None:
    """A package called `proto` would shadow proto-plus."""
    assert list((ROOT / "proto").rglob("*.py")) == []

"""The layers hold, and nothing stands outside them."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / ".importlinter"
PACKAGES = ("adapters", "console", "inventory", "scheduler", "simulations", "xisuan")


@pytest.fixture(scope="module")
def contracts() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(CONTRACTS, encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


def test_every_contract_is_kept() -> None:
    """In a process of its own: the command reconfigures logging for whatever process it runs in."""
    command = [Path(sys.executable).with_name("lint-imports"), "--config", str(CONTRACTS), "--no-cache"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == os.EX_OK, said.stdout + said.stderr
    assert "0 broken" in said.stdout


def listed(parser: configparser.ConfigParser, contract: str, option: str) -> list[str]:
    return parser[f"importlinter:contract:{contract}"][option].split("\n")[1:]


def the_layers(parser: configparser.ConfigParser) -> Iterator[str]:
    for line in listed(parser, "layers", "layers"):
        yield from (name.strip().strip("()") for name in line.split("|"))


def test_every_module_stands_in_a_layer(contracts: configparser.ConfigParser, imports: grimp.ImportGraph) -> None:
    layers = tuple(the_layers(contracts))
    outside = [
        module
        for module in sorted(imports.modules)
        if module.split(".")[0] in PACKAGES
        and module not in PACKAGES  # the empty top-level packages
        and not any(module == layer or module.startswith(f"{layer}.") for layer in layers)
    ]
    assert outside == [], "give each of these a place in the layers of .importlinter"


def test_every_contract_is_named_as_a_sentence(contracts: configparser.ConfigParser) -> None:
    names = [section["name"] for title, section in contracts.items() if title.startswith("importlinter:contract")]
    assert len(names) >= 12
    for name in names:
        assert len(name.split()) >= 5 and name[0].isalpha(), name


@pytest.mark.parametrize("library", ["alembic", "grpc", "networkx", "openpyxl", "sqlalchemy", "xlrd"])
def test_a_library_that_a_contract_bounds_is_really_used_somewhere(
    library: str, imports: grimp.ImportGraph
) -> None:
    """A misspelt library, or one that nobody imports, would keep its contract without meaning."""
    assert imports.find_modules_that_directly_import(library)

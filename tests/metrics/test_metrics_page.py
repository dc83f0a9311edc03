"""docs/metrics.md tells every metric with the names, unit and direction of the code, and none that does not exist."""

from __future__ import annotations

import importlib
import re

from simulations.metrics.definitions import METRICS
from simulations.report.explanations import EXPLANATIONS
from tests.shared_inputs import REPOSITORY

PAGE = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| `(\w+)` \| (.+?) \| (.+?) \| (\w+) \| `simulations\.metrics\.([\w.]+)` \|$", PAGE, re.MULTILINE
)


def test_the_table_is_that_of_the_code() -> None:
    expected = [
        (key, f"{one.zh} / {one.en}", one.unit or "–", one.better.value, one.defined)
        for key, one in METRICS.items()
    ]
    assert expected == ROWS


def test_every_definition_stands_in_a_docstring_of_the_function_named() -> None:
    for one in METRICS.values():
        module, _, function = one.defined.rpartition(".")
        assert getattr(importlib.import_module(f"simulations.metrics.{module}"), function).__doc__


def test_every_explanation_stands_on_the_page() -> None:
    assert [said.zh for said in EXPLANATIONS.values() if said.zh not in PAGE or said.en not in PAGE] == []

"""A scenario file that has been parsed, checked: a `Scenario`, or every fault with its line.

`console.commands.simulation` reads the YAML and calls `parse_scenario`; tests and programs may give plain values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from inventory.model.form_faults import form_faults
from simulations.scenarios.form import Scenario

Line = Callable[[tuple[str | int, ...]], int]


class ScenarioError(ValueError):
    """A scenario that cannot be used. `faults` has a line for each fault; the message is all of them."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


def parse_scenario(value: Any, file: str, line: Line | None = None) -> Scenario:
    """`line` gives the line of a place in the file (path of keys and positions), for the messages.

    Raises ScenarioError with all faults: place, value, rule, remedy.
    """
    try:
        return Scenario.model_validate(value)
    except ValidationError as refusal:
        raise ScenarioError([_said(fault, file, line) for fault in form_faults(refusal)]) from refusal


def _said(fault: Any, file: str, line: Line | None) -> str:
    path = ".".join(str(part) for part in fault.place)
    where = file
    if line is not None:
        number = line(fault.place)
        where = f"{file} 第 {number} 行 / line {number}"
    place = f"{where}: {path}" if path else where
    return f"{place}: {fault.value}: {fault.rule}；请改正 / correct it"

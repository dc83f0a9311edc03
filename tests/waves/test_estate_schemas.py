"""The schemas and the example that ship are those of the code."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from scheduler.core.budget import Budget
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.document import PlanForm
from scheduler.core.waves.estate_file import estate_problem, read_estate
from scheduler.core.waves.estate_form import EstateForm
from scheduler.core.waves.solve import solve
from tests.shared_inputs import REPOSITORY


@pytest.mark.parametrize(("name", "form"), [("estate", EstateForm), ("plan", PlanForm)])
def test_the_schema_that_ships_is_the_form_that_is_read(name: str, form: type[BaseModel]) -> None:
    shipped = json.loads((REPOSITORY / "docs" / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert shipped == json.loads(json.dumps(form.model_json_schema()))


def test_the_example_estate_is_planned() -> None:
    text = (REPOSITORY / "examples" / "estates" / "small.json").read_text(encoding="utf-8")
    problem = estate_problem(read_estate(text))
    plan = solve(problem, 1, Budget(effort=0.3))
    assert check_plan(problem, plan) == () and not plan.unplaced
    assert plan.measure is not None and plan.measure.gap == 0

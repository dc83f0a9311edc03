"""What an order names must be there, and fit: pools and documents are judged when it is opened, not at the step that
needs them months later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inventory.model.system import Architecture, Zone
from inventory.model.units import GIB, Resources
from scheduler.runbooks.admission import KnownSystem, misfits, unasked_documents
from scheduler.runbooks.expansion import opening
from scheduler.runbooks.order import read_order
from scheduler.runbooks.pool_rules import KnownPool, pool_faults
from scheduler.runbooks.template import read_template
from tests.runbooks.runbooks import GOV_A, SYSTEM, T0, a_template, an_order, as_yaml, step

PLAIN = KnownSystem(SYSTEM, zone=Zone.EXTRANET, level=2)


def judged(
    order: dict[str, Any], system: KnownSystem = PLAIN, pool: KnownPool = GOV_A, **changes: Any
) -> list[str]:
    template = read_template(as_yaml(a_template(Path("log"), **changes)), "runbook")
    read = read_order(as_yaml(order), "order")
    known = {one.key: system for one in read.systems}
    return pool_faults(template, read, opening(template, read)["steps"], known, {pool.pool_id: pool})


def holding(pool: str = "gov-a", cpu_milli: int = 1000) -> dict[str, Any]:
    return {"steps": [step("hold", {"kind": "reserve", "pool": pool, "cpu_milli": cpu_milli, "memory_mib": 64})]}


@pytest.mark.parametrize(
    ("system", "pool", "words"),
    [
        pytest.param(PLAIN, GOV_A, (), id="a pool that serves the system"),
        pytest.param(KnownSystem(SYSTEM), replace(GOV_A, zones=frozenset({Zone.INTERNET})), (), id="zone unknown"),
        pytest.param(
            PLAIN,
            replace(GOV_A, zones=frozenset({Zone.INTERNET})),
            ("政务外网", "互联网", "correct the ledger"),
            id="a pool of another zone",
        ),
        pytest.param(replace(PLAIN, level=4), GOV_A, ("4", "3 at most"), id="a pool of a lower protection level"),
        pytest.param(PLAIN, replace(GOV_A, is_open=False), ("cordoned", "--undo"), id="a pool that is cordoned"),
        pytest.param(
            replace(PLAIN, built_for=Architecture.X86_64),
            replace(GOV_A, architectures=frozenset({Architecture.ARM64})),
            ("x86_64", "arm64", "replatform"),
            id="moved as it is onto another instruction set",
        ),
        pytest.param(
            replace(PLAIN, built_for=Architecture.C86),
            replace(GOV_A, architectures=frozenset({Architecture.X86_64})),
            (),
            id="Hygon programs run on x86",
        ),
        pytest.param(
            PLAIN,
            replace(GOV_A, capacity=Resources(500, 64 * GIB)),
            ("1 vCPU", "0.5 vCPU"),
            id="larger than the whole pool",
        ),
        pytest.param(PLAIN, replace(GOV_A, capacity=Resources()), (), id="a pool that declares no nodes"),
    ],
)
def test_a_pool_that_cannot_take_the_system_is_refused_with_rule_and_remedy(
    system: KnownSystem, pool: KnownPool, words: tuple[str, ...]
) -> None:
    lines = judged(an_order(), system, pool)
    assert bool(lines) == bool(words) and len(lines) <= 1
    assert all(word in lines[0] for word in ("gov-a", *words) if words)


def test_an_unknown_pool_is_named_where_it_stands_with_what_may_be_meant() -> None:
    (line,) = judged(an_order(), provisioning=holding("gov-b"))
    assert "step hold: pool gov-b" in line and "did you mean gov-a" in line
    by_parameter = an_order(parameters={"place": "production", "pool": "nowhere"})
    (line,) = judged(by_parameter, provisioning=holding("${pool}"), parameters=["place", "pool"])
    assert "parameters.pool = nowhere" in line and "there are gov-a" in line and "xisuan pool ls" in line


def test_a_pool_that_only_the_way_back_names_is_looked_up_too() -> None:
    work = {"kind": "workload", "command": ["true"], "cpu_milli": 1, "memory_mib": 1}
    build = step("build", {**work, "pool": "gov-a"}, compensation={**work, "pool": "gone"})
    (line,) = judged(an_order(), provisioning={"steps": [*holding()["steps"], build]})
    assert "build" in line and "gone" in line


def test_what_is_merged_goes_where_its_target_may_be() -> None:
    order = an_order(systems=[{"key": "甲"}, {"key": "乙"}, {"key": "丙", "target": True}])
    template = read_template(as_yaml({**a_template(Path("log")), "outcome": "merged"}), "runbook")
    read = read_order(as_yaml(order), "order")
    known = {key: KnownSystem(key, zone=Zone.INTERNET) for key in "甲乙"} | {
        "丙": KnownSystem("丙", zone=Zone.EXTRANET)
    }
    steps = opening(template, read)["steps"]
    extranet = replace(GOV_A, zones=frozenset({Zone.EXTRANET}))
    assert pool_faults(template, read, steps, known, {"gov-a": extranet}) == []
    (line,) = pool_faults(
        template, read, steps, known, {"gov-a": replace(GOV_A, zones=frozenset({Zone.INTERNET}))}
    )
    assert "丙" in line


def test_a_system_for_which_no_department_answers_is_not_moved() -> None:
    template = read_template(as_yaml(a_template(Path("log"))), "runbook")
    order = read_order(as_yaml(an_order()), "order")
    assert misfits(template, order, {SYSTEM: PLAIN}, "王五", T0) == []
    (line,) = misfits(template, order, {SYSTEM: replace(PLAIN, has_owner=False)}, "王五", T0)
    assert SYSTEM in line and "no department" in line


def test_a_document_under_a_name_that_nobody_asks_for_is_refused() -> None:
    template = read_template(as_yaml(a_template(Path("log"))), "runbook")
    assert unasked_documents(["ledger_row", "crypto_plan", "approval", "capacity"], [template]) == []
    (line,) = unasked_documents(["rolback_plan"], [template])
    assert "documents.rolback_plan" in line and "rollback_plan" in line
    asks = a_template(Path("log"))
    asks["phases"]["cutover"]["steps"][1]["do"]["criteria"].append({"evidence": "insurance"})
    assert unasked_documents(["insurance"], [read_template(as_yaml(asks), "runbook")]) == []

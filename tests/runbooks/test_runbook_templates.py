"""What is refused before anything starts: by its name, with the rule; and that every example is sound."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.migration.phases import ORDER, Phase
from scheduler.runbooks.admission import KnownSystem, misfits
from scheduler.runbooks.expansion import opening
from scheduler.runbooks.faults import RunbookRefused
from scheduler.runbooks.order import read_order
from scheduler.runbooks.template import read_template
from scheduler.runbooks.template_rules import require_sound
from tests.runbooks.runbooks import SYSTEM, T0, a_template, an_order, as_yaml, step

ROOT = Path(__file__).parents[2]
LOG = Path("unused")
Change = Callable[[dict[str, Any]], object]


def steps_of(template: dict[str, Any], phase: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = template["phases"][phase]["steps"]
    return found


def refused(template: dict[str, Any], order: dict[str, Any] | None = None) -> str:
    with pytest.raises(RunbookRefused) as caught:
        opening(read_template(as_yaml(template), "t.yaml"), read_order(as_yaml(order or an_order()), "o.yaml"))
    assert all("/" in fault for fault in caught.value.faults)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "named", "rule"),
    [
        pytest.param(
            lambda t: steps_of(t, "cutover")[3].pop("compensation"),
            "start",
            "compensation",
            id="an action without a compensation",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover")[2].update(after=["start"]),
            "start",
            "loop",
            id="steps that wait for each other",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover")[2].update(after=["nowhere"]),
            "nowhere",
            "no step",
            id="a step after an unknown one",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover")[3]["do"].update(kind="teleport"),
            "teleport",
            "unknown kind",
            id="an unknown kind of step",
        ),
        pytest.param(
            lambda t: steps_of(t, "acceptance")[0]["do"].update(role="emperor"),
            "emperor",
            "unknown value",
            id="an unknown role",
        ),
        pytest.param(
            lambda t: steps_of(t, "acceptance")[0]["do"].update(role="integrator"),
            "acceptance",
            "competent_authority",
            id="a gate whose approver has another role",
        ),
        pytest.param(lambda t: t["phases"].pop("rehearsal"), "rehearsal", "missing", id="a phase left out"),
        pytest.param(lambda t: t["phases"].update(teatime={}), "teatime", "unknown value", id="an unknown phase"),
        pytest.param(
            lambda t: t["phases"].update(survey={"steps": [step("look", {"kind": "window"})]}),
            "look",
            "documents",
            id="a step in a phase on paper",
        ),
        pytest.param(
            lambda t: steps_of(t, "verification")[0].pop("provides"),
            "verified",
            "provides",
            id="evidence that no step gives",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover").__setitem__(slice(0, 1), []),
            "window",
            "needs a step",
            id="a cutover that waits for no window",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover")[3].update(id="verify"), "verify", "twice", id="two steps of one name"
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover")[3]["do"]["argv"].append("${colour}"),
            "colour",
            "no parameter",
            id="a parameter that is not declared",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover")[3]["do"]["argv"].append("${system.key}"),
            "system.key",
            "per_system",
            id="a system where there is none",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover")[3]["do"].update(secrets={"PASSWORD": "admin"}),
            "admin",
            "not listed",
            id="a secret that is not declared",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover")[3].update(
                do={"kind": "switch", "to": "a", "back": "b"}, compensation=None
            ),
            "start",
            "either",
            id="a switch without a hook",
        ),
        pytest.param(
            lambda t: t.update(policy={"commit_point": "cutover"}),
            "cutover",
            "commit_point",
            id="a commit point too early",
        ),
        pytest.param(
            lambda t: t["phases"]["rehearsal"].pop("rehearses"),
            "rehearsal",
            "rehearses",
            id="a rehearsal of nothing",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover").insert(0, steps_of(t, "cutover").pop(3)),
            "start",
            "before the step window",
            id="an action before the window",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover").append(steps_of(t, "cutover").pop(1)),
            "stop",
            "before the step go_no_go",
            id="an action before go/no-go",
        ),
        pytest.param(
            lambda t: steps_of(t, "replication").append(
                step("early", {"kind": "switch", "url": "http://gw", "to": "new", "back": "old"})
            ),
            "early",
            "before the window",
            id="users are switched before the window",
        ),
        pytest.param(
            lambda t: steps_of(t, "verification")[0]["do"].update(value=True),
            "verify",
            "nobody compares",
            id="a count of differences that is accepted, whatever it is",
        ),
        pytest.param(
            lambda t: steps_of(t, "verification")[0]["do"].update(at_most=0),
            "at_most",
            "write value: true",
            id="a bound of no value",
        ),
        pytest.param(
            lambda t: steps_of(t, "provisioning")[1].update(
                compensation={"kind": "http_check", "url": "http://a"}
            ),
            "build",
            "undoes nothing",
            id="a compensation that only looks",
        ),
        pytest.param(
            lambda t: steps_of(t, "provisioning")[1].update(
                compensation={"kind": "approval", "role": "competent_authority"}
            ),
            "build",
            "undoes nothing",
            id="a compensation that waits for a person",
        ),
        pytest.param(
            lambda t: (
                steps_of(t, "cutover")[3].update(attempts=3),
                steps_of(t, "cutover")[3]["do"].update(idempotent=False),
            ),
            "start",
            "attempts 3",
            id="what must not be repeated is repeated by itself",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover").append(steps_of(t, "acceptance").pop(1)),
            "release",
            "before acceptance",
            id="capacity let go before acceptance",
        ),
        pytest.param(
            lambda t: steps_of(t, "acceptance").reverse(),
            "acceptance",
            "put it after",
            id="capacity let go before the signature",
        ),
        pytest.param(
            lambda t: steps_of(t, "acceptance").pop(1), "hold", "nothing releases", id="capacity held for ever"
        ),
        pytest.param(
            lambda t: steps_of(t, "provisioning").append({**steps_of(t, "provisioning")[0], "id": "more"}),
            "more",
            "holds capacity once",
            id="capacity held twice",
        ),
        pytest.param(
            lambda t: steps_of(t, "provisioning")[0]["do"].pop("memory_mib"),
            "provisioning.steps.0",
            "or neither",
            id="half a reservation",
        ),
        pytest.param(
            lambda t: t["phases"]["rehearsal"].update(rehearses=["cutover", "verification", "provisioning"]),
            "provisioning",
            "not inside the window",
            id="a rehearsal of what is no part of the cutover",
        ),
        pytest.param(
            lambda t: t["phases"]["rehearsal"].update(rehearses=["cutover"]),
            "verify",
            "would not be rehearsed",
            id="a verification that is not rehearsed",
        ),
        pytest.param(
            lambda t: t["phases"]["rehearsal"].pop("with"),
            "stop",
            "touch the real thing",
            id="a rehearsal on the real thing",
        ),
        pytest.param(
            lambda t: t["phases"]["rehearsal"].update({"with": {"place": "${elsewhere}"}}),
            "${elsewhere}",
            "no parameter",
            id="a rehearsal that names no parameter",
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover")[3].update(timeout_s=0), "timeout_s", "greater", id="no time at all"
        ),
        pytest.param(
            lambda t: t.update(colour="red"), "colour", "no such field", id="a field that does not exist"
        ),
        pytest.param(
            lambda t: steps_of(t, "cutover")[3]["do"].pop("idempotent"),
            "idempotent",
            "required",
            id="a command that does not say whether it may be repeated",
        ),
    ],
)
def test_a_runbook_is_refused_with_name_and_rule(change: Change, named: str, rule: str) -> None:
    template = copy.deepcopy(a_template(LOG))
    change(template)
    said = refused(template)
    assert named in said and rule in said, said


@pytest.mark.parametrize(
    ("changes", "named", "rule"),
    [
        ({"people": {}}, "competent_authority", "nobody has this role"),
        ({"people": {"competent_authority": []}}, "competent_authority", "nobody has this role"),
        ({"people": {"emperor": ["某"]}}, "emperor", "unknown value"),
        ({"documents": {}}, "ledger_row", "must be evidenced"),
        ({"systems": []}, "systems", "at least 1"),
        ({"systems": [{"key": SYSTEM}, {"key": SYSTEM}]}, SYSTEM, "twice"),
        ({"systems": [{"key": SYSTEM}, {"key": "甲", "target": True}]}, "target", "exactly 0"),
        ({"parameters": {"colour": "red"}}, "colour", "remove it"),
        ({"parameters": {"place": "${place}"}}, "${place}", "cannot name a parameter"),
        ({"parameters": {"place": "rehearsal"}}, "place = rehearsal", "what the cutover touches"),
        ({"systems": [{"key": SYSTEM, "parameters": {"colour": "red"}}]}, "colour", "remove it"),
        ({"people": {"competent_authority": [" "]}}, "competent_authority", "at least 1"),
        ({"secrets": {"admin": {"env": "ADMIN"}}}, "admin", "remove it"),
        (
            {"window": {"starts": "2026-09-22T22:00:00+08:00", "ends": "2026-09-22T21:00:00+08:00"}},
            "window",
            "end after",
        ),
        ({"window": {"starts": "2026-09-22T22:00:00", "ends": "2026-09-23T06:00:00"}}, "window", "timezone"),
    ],
)
def test_an_order_is_refused_with_name_and_rule(changes: dict[str, Any], named: str, rule: str) -> None:
    said = refused(a_template(LOG), an_order(**changes))
    assert named in said and rule in said, said


@settings(deadline=None, max_examples=24)
@given(st.permutations(range(4)))
def test_a_cutover_is_sound_exactly_when_both_gates_stand_before_every_action(order: list[int]) -> None:
    template = a_template(LOG)
    steps = [steps_of(template, "cutover")[at] for at in order]
    template["phases"]["cutover"]["steps"] = steps
    names = [one["id"] for one in steps]
    gates_first = set(names[:2]) == {"wait", "go"}
    said = "" if gates_first else refused(template)
    if gates_first:
        require_sound(read_template(as_yaml(template), "t"))
    assert gates_first or "acts before the step" in said


def test_a_reservation_without_numbers_is_as_large_as_the_order_says() -> None:
    template = a_template(LOG)
    for name in ("cpu_milli", "memory_mib"):
        del steps_of(template, "provisioning")[0]["do"][name]
    assert "the step hold reserves as much" in refused(template, an_order())
    order = read_order(as_yaml(an_order(capacity={"cpu_milli": 64_000, "memory_mib": 131_072})), "o")
    (hold,) = [
        one for one in opening(read_template(as_yaml(template), "t"), order)["steps"] if one["kind"] == "reserve"
    ]
    assert (hold["action"]["cpu_milli"], hold["action"]["memory_mib"]) == (64_000, 131_072)


PAPERS = {**an_order()["documents"], "data_catalog": {"number": "目录〔2026〕8号"}}


def test_evidence_that_go_or_no_go_asks_for_is_there_by_then_or_in_the_order() -> None:
    template = a_template(LOG)
    steps_of(template, "cutover")[1]["do"]["criteria"] = [
        {"evidence": name}
        for name in ("approval", "rehearsed_rollback_ms", "window_overrun_pct", "penetration_test")
    ]
    said = refused(template, an_order())
    assert "penetration_test" in said and "rehearsed_rollback_ms" not in said and "window_overrun_pct" not in said
    order = an_order()
    order["documents"]["penetration_test"] = {"number": "测〔2026〕3号"}
    assert opening(read_template(as_yaml(template), "t"), read_order(as_yaml(order), "o"))
    steps_of(template, "cutover")[1]["do"]["criteria"] = [{"evidence": "verified"}]
    assert "verified" in refused(template, an_order()), "verification comes after go/no-go"


@pytest.mark.parametrize(
    ("system", "changes", "actor", "said"),
    [
        ({"is_classified": True}, {}, "王五", "a classified system is never moved"),
        ({"ended": "关停"}, {}, "王五", "台账已记为关停"),
        ({"lacks": ("crypto_plan",)}, {}, "王五", "documents.crypto_plan"),
        ({"lacks": ("data_catalog",)}, {"documents": PAPERS}, "王五", ""),
        ({}, {"window": {"starts": "2026-09-01T22:00:00+08:00", "ends": "2026-09-02T06:00:00+08:00"}}, "王五", "is over"),
        ({}, {"window": {"starts": "2026-09-22T22:00:00+08:00", "ends": "2026-09-22T22:30:00+08:00"}}, "王五", "30 minutes"),
        ({}, {"people": {"competent_authority": ["王五"]}}, "王五", "segregation of duties"),
        ({}, {"people": {"competent_authority": ["王五", "张三"]}}, "王五", ""),
        ({}, {}, "王五", ""),
    ],
    ids=[
        "a classified system",
        "a system that is closed",
        "a system without a cryptography plan",
        "a system whose missing catalogue is brought along",
        "a window that is over",
        "a window that holds no more than a rollback",
        "nobody is left who could accept",
        "somebody else may accept",
        "nothing is wrong",
    ],
)  # fmt: skip
def test_an_order_that_could_not_end_well_is_not_begun(
    system: dict[str, Any], changes: dict[str, Any], actor: str, said: str
) -> None:
    template = read_template(as_yaml(a_template(LOG)), "t")
    order = read_order(as_yaml(an_order(**changes)), "o")
    found = misfits(template, order, {SYSTEM: KnownSystem(SYSTEM, **system)}, actor, T0)
    assert said in found[0] if said else not found, found


def test_a_secret_stands_in_one_place_and_its_value_nowhere() -> None:
    template = a_template(LOG, secrets=["admin"])
    order = an_order(secrets={"admin": {"env": "ADMIN", "file": "x"}})
    assert "env" in refused(template, order)
    payload = opening(
        read_template(as_yaml(template), "t"),
        read_order(as_yaml(an_order(secrets={"admin": {"env": "ADMIN"}})), "o"),
    )
    assert payload["secrets"] == {"admin": {"env": "ADMIN", "file": ""}}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: 1\na: 2", "twice"),
        ("a: &x 1\nb: *x", "aliases"),
        ("a: [", "cannot be read"),
        ("- 1", "dictionary"),
        ("x" * (1024 * 1024 + 1), "1 MiB"),
        ("!!python/object/apply:os.getcwd []", "cannot be read"),
    ],
)
def test_a_file_that_is_no_runbook_is_refused(text: str, rule: str) -> None:
    with pytest.raises(RunbookRefused, match=rule):
        read_template(text, "t.yaml")


@pytest.mark.parametrize(
    "file", sorted((ROOT / "examples" / "runbooks").glob("*.yaml")), ids=lambda file: str(file.stem)
)
def test_every_example_is_sound(file: Path) -> None:
    require_sound(read_template(file.read_text(encoding="utf-8"), file.name))


def test_systems_of_a_group_move_step_by_step_together() -> None:
    order = an_order(systems=[{"key": "甲"}, {"key": "乙"}])
    payload = opening(read_template(as_yaml(a_template(LOG)), "t"), read_order(as_yaml(order), "o"))
    cutover = [one["id"] for one in payload["steps"] if one["phase"] == "cutover"]
    assert cutover == ["wait", "go", "stop@甲", "stop@乙", "start"]
    rehearsed = [one["id"] for one in payload["steps"] if one["phase"] == "rehearsal"]
    assert rehearsed == ["rehearsal.stop@甲", "rehearsal.stop@乙", "rehearsal.start", "rehearsal.verify"]


def test_every_phase_has_a_rule_and_asks_only_for_evidence_that_an_earlier_one_gives() -> None:
    given: set[str] = set()
    for phase in ORDER:
        assert set(phase.rule.entry) <= given, phase
        given |= set(phase.rule.exit)
    assert tuple(Phase) == ORDER

"""Scenarios that cannot be used: each fault names file, line, value, rule and remedy, and nothing is simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from simulations.scenarios.cell import cells
from simulations.scenarios.form import Scenario
from simulations.scenarios.reading import ScenarioError, parse_scenario
from simulations.traces.bad_rows import TraceError

WHOLE = """
name: test
traces: {t: {jobs: [{id: A, at: 0s, runtime: 10s, cpu: 1}]}}
capacities: {c: {pools: [{id: p, nodes: [{count: 1, cpu: 4, memory: 8Gi}]}]}}
"""


def changed(path: str, value: Any) -> dict[str, Any]:
    """The whole scenario with the value at a dotted path replaced (or added)."""
    document: Any = yaml.safe_load(WHOLE)
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    inner = document
    for part in way:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else inner[part]
    inner[last] = value
    return document


def faults(document: Any) -> str:
    with pytest.raises(ScenarioError) as refused:
        parse_scenario(document, "s.yaml", lambda path: 7)
    return str(refused.value)


def prepared(document: Any, folder: Path, skip_bad: bool = False) -> None:
    for cell in cells(parse_scenario(document, "s.yaml"), str(folder), "v", skip_bad):
        cell.prepare()


def test_the_whole_scenario_is_usable(tmp_path: Path) -> None:
    prepared(yaml.safe_load(WHOLE), tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("polices", {}, ("polices", "没有此项", "is not known here")),
        ("policies.p.scores", {"cheapest": 1}, ("cheapest", "unknown score", "free_capacity", "price")),
        ("policies.p.backfill", "eazy", ("'eazy'", "easy", "conservative", "none")),
        ("policies.p.window", 0, ("0", "must be at least 1")),
        ("traces.t.jobs.0.runtime", "10", ("'10'", "带单位的时长", "90s")),
        ("traces.t.jobs.0.runtime", "-5s", ("'-5s'", "must be a duration")),
        ("traces.t.jobs.0.runtime", float("nan"), ("nan", "must be a duration")),
        ("traces.t.jobs.0.runtime", "900000d", ("at most 100 years",)),
        ("traces.t.jobs.0.cpu", "four", ("'four'", "must be cores")),
        ("traces.t.jobs.0.memory", "8 GiBit", ("'8 GiBit'", "64Gi")),
        ("traces.t.format", "swf", ("go with a file",)),
        ("traces.t", {"file": "x", "format": "xml"}, ("'xml'", "unknown trace format", "swf", "philly")),
        ("traces.t", {}, ("jobs", "file")),
        ("traces", {}, ("traces",)),
        ("traces.a/b", {"jobs": []}, ("a/b",)),
        ("capacities.c.pools.0.nodes.0.count", -1, ("-1", "must be at least 1")),
        ("capacities.c.pools.0.nodes.0.cards", 8, ("accelerator", "cards go together")),
        ("capacities.c.pools.0.pue", 0.9, ("0.9", "must be at least 1")),
        (
            "capacities.c.power.p.price_kwh",
            {"steps": [{"at": "2h", "value": 1}, {"at": "1h", "value": 2}]},
            ("rise",),
        ),
        ("capacities.c", {}, ("needs pools",)),
        ("failures.f.nodes", {"mean_up": "1d"}, ("mean_repair", "is missing")),
        ("failures.f.outages", [{"pool": "p", "from": "2h", "until": "1h"}], ("later than from",)),
        ("failures.f.maintenance", [{"pool": "p", "from": "2h"}], ("maintenance needs until",)),
        ("seeds", "0-x", ("'0-x'", "0-9")),
        ("queues", [{"path": "q"}, {"path": "q"}], ("q", "given twice")),
        ("queues", [{"path": "q", "weight": 0}], ("0", "must be at least 1")),
        ("cycle", "soon", ("'soon'", "must be a duration")),
    ],
)
def test_a_value_that_breaks_a_rule_is_named_with_its_line(path: str, value: Any, said: tuple[str, ...]) -> None:
    text = faults(changed(path, value))
    assert "s.yaml 第 7 行 / line 7" in text
    for words in (*said, "请改正 / correct it"):
        assert words in text


def test_all_faults_are_told_at_once() -> None:
    document = changed("cycle", "soon") | {"seeds": "x", "nonsense": 1}
    assert len(faults(document).splitlines()) == 3


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("capacities.c.without", ["q"], ("without", "'q'", "there are p")),
        ("capacities.c.without", ["p"], ("leaves no pool",)),
        ("capacities.c.power", {"q": {}}, ("power", "'q'", "there are p")),
        ("capacities.c.scales", {"q": 2}, ("scales", "'q'", "there are p")),
        ("capacities.c.catalogue", {"pools": "no.csv", "node_groups": "no.csv"}, ("no.csv", "cannot be read")),
        ("failures.f.outages", [{"pool": "q", "from": "1h"}], ("'q'", "there are p")),
        ("failures.f.outages", [{"pool": "p", "node": 1, "from": "1h"}], ("node 1", "has 1 nodes")),
        ("failures.f.file", "no.csv", ("no.csv", "cannot be read")),
        (
            "reservations",
            [{"id": "r", "pool": "q", "queue": "a", "amount": {}, "from": "0"}],
            ("'q'", "there are p"),
        ),
        ("queues", [{"path": "a", "guaranteed": {"cpu": 5}, "maximum": {"cpu": 4}}], ("a", "guarantees more")),
    ],
)
def test_a_name_that_does_not_exist_is_refused_before_anything_runs(
    path: str, value: Any, said: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(ScenarioError) as refused:
        prepared(changed(path, value), tmp_path)
    for words in said:
        assert words in str(refused.value)


def test_two_jobs_of_one_id_are_refused(tmp_path: Path) -> None:
    jobs = [{"id": "A", "at": "0s", "runtime": "1s"}] * 2
    with pytest.raises(ScenarioError, match=r"A .*given twice"):
        prepared(changed("traces.t.jobs", jobs), tmp_path)


def test_a_trace_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"none\.swf"):
        prepared(changed("traces.t", {"file": "none.swf"}), tmp_path)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("p,0,x,2h", ("line 3", "column from", "'x'")),
        ("p,zero,1h,2h", ("line 3", "column node", "'zero'")),
        ("p,0,2h,1h", ("line 3", "later than from")),
        ("q,0,1h,2h", ("'q'", "there are p")),
    ],
)
def test_a_failure_file_is_read_with_line_and_column(row: str, said: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(f"pool,node,from,until\np,0,5m,3600000\n{row}\n", encoding="utf-8")
    with pytest.raises(ScenarioError) as refused:
        prepared(changed("failures.f.file", "f.csv"), tmp_path)
    for words in said:
        assert words in str(refused.value)


def test_a_failure_file_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("pool,from,until\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match="column missing: node"):
        prepared(changed("failures.f.file", "f.csv"), tmp_path)


def test_a_job_that_fits_nowhere_is_an_error_unless_it_may_be_skipped(tmp_path: Path) -> None:
    jobs = [{"id": "fits", "at": "0s", "runtime": "1s"}, {"id": "huge", "at": "0s", "runtime": "1s", "cpu": 5}]
    scenario = parse_scenario(changed("traces.t.jobs", jobs), "s.yaml")
    (strict,) = cells(scenario, str(tmp_path), "v")
    with pytest.raises(TraceError, match=r"1 jobs fit into no pool.*huge.*--skip-bad"):
        strict.prepare().result(strict.trace())
    (lenient,) = cells(scenario, str(tmp_path), "v", skip_bad=True)
    result = lenient.prepare().result(lenient.trace())
    assert result.measures.metrics["jobs_unplaceable"] == 1
    assert any("huge" in note for note in result.notes)


def test_an_unreadable_yaml_value_is_no_scenario() -> None:
    assert "s.yaml" in faults(["not", "a", "mapping"])


def test_one_scenario_has_one_hash_whatever_order_sets_are_in() -> None:
    from simulations.scenarios.cell import digest_of

    zones = ["互联网", "政务外网", "业务专网"]
    digests = set()
    for order in (zones, zones[::-1]):
        document = changed("capacities.c.pools.0.zones", order)
        digests.add(digest_of(Scenario.model_validate(document)))
    assert len(digests) == 1

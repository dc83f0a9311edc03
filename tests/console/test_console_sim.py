"""`xisuan sim trace` as a planner types it: results on a small trace, and what can be typed wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.console.commandline import ROOT, xisuan

NODES = "sn,cpu_milli,memory_mib,gpu,model\n" + "".join(
    f"node-{number},8000,32768,2,{'T4' if number % 2 else 'G2'}\n" for number in range(4)
)
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n" + "".join(
    f"pod-{number},1000,1024,1,500,\n" for number in range(16)
)


@pytest.fixture
def trace(tmp_path: Path) -> list[str]:
    (tmp_path / "nodes.csv").write_text(NODES, encoding="utf-8")
    (tmp_path / "pods.csv").write_text(PODS, encoding="utf-8")
    return ["sim", "trace", "--nodes", str(tmp_path / "nodes.csv"), "--workload", str(tmp_path / "pods.csv")]


def test_every_policy_that_was_asked_for_is_in_the_file_and_on_the_screen(
    trace: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "results.json"
    said = xisuan(*trace, "--policy", "bestfit", "--policy", "xisuan", "--seeds", "0-1", "--json", str(out))
    assert said.code == 0, said
    results = json.loads(out.read_text(encoding="utf-8"))["results"]
    assert [result["policy"] for result in results] == ["bestfit", "xisuan"]
    for result in results:
        # Sixteen halves fill eight cards exactly: all of the capacity is allocated when all of it has arrived.
        assert result["alloc"]["100"] == {"mean": 100.0, "sd": 0.0}
        assert result["arrivals_per_second"] > 0
        assert result["policy"] in said.out


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        pytest.param(
            ["--policy", "magic"], ["magic", "bestfit", "fgd"], id="an unknown policy lists the known ones"
        ),
        pytest.param(["--policy", "fgd", "--seeds", "9-1"], ["9-1", "0-9"], id="seeds that run backwards"),
        pytest.param(["--policy", "fgd", "--format", "swf2"], ["swf2", "openb"], id="an unknown format"),
        pytest.param([], ["--policy"], id="no policy"),
    ],
)
def test_what_is_typed_wrong_is_one_line(trace: list[str], words: list[str], fragments: list[str]) -> None:
    xisuan(*trace, *words).refused(*fragments)


@pytest.mark.usefixtures("home")
def test_a_broken_row_is_named_by_line_and_column(trace: list[str], tmp_path: Path) -> None:
    pods = tmp_path / "pods.csv"
    pods.write_text(PODS.replace("pod-3,1000", "pod-3,-5"), encoding="utf-8")
    xisuan(*trace, "--policy", "fgd").refused("pods.csv", "5", "cpu_milli", "-5")


@pytest.mark.usefixtures("home")
def test_what_a_wave_plan_does_to_the_pools_is_one_command(tmp_path: Path) -> None:
    """From a plan of the example estate, and systems as the ledger writes them."""
    estate, plan, systems = ROOT / "examples/estates/small.json", tmp_path / "plan.json", tmp_path / "systems.json"
    assert xisuan("migration", "plan", "--estate", str(estate), "--seconds", "1", "--json", str(plan)).code == 0
    plan.write_text(plan.read_text(encoding="utf-8").replace('"政务云"', '"cloud"'), encoding="utf-8")
    planned = json.loads(plan.read_text(encoding="utf-8"))["assignments"]
    sizes = [{"system_key": one["system_key"], "vcpu": 8, "mem_gb": 16, "servers": 2} for one in planned]
    systems.write_text(json.dumps({"systems": sizes}), encoding="utf-8")
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        "name: waves\n"
        "traces: {batch: {jobs: [{id: b, at: 0s, runtime: 1h, estimate: 1h, cpu: 8, memory: 8Gi, count: 20, every: 1d}]}}\n"
        "capacities: {now: {pools: [{id: cloud, nodes: [{count: 4, cpu: 16, memory: 64Gi}]}]}}\n"
        "policies: {easy: {}}\n",
        encoding="utf-8",
    )
    asked = ["sim", "waves", str(scenario), "--plan", str(plan), "--systems", str(systems)]
    document = xisuan(*asked, "--json").done().json
    assert sum(wave["started"] for wave in document["waves"]) == len(planned)
    last = document["waves"][-1]["shares"]["cloud"]
    assert last >= 8 * len(planned) / 64, "what the systems hold is held from then on"
    assert "cloud" in xisuan(*asked).done().out

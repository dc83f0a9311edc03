"""The published openb evaluation, reproduced: six policies, ten lists, ten seeds, against the authors' numbers."""

from __future__ import annotations

import csv
import os
from functools import cache
from pathlib import Path

import pytest

from simulations.evaluation import PolicyResult, evaluate_openb
from simulations.traces.locate import traces_folder
from simulations.traces.openb import read_nodes, read_pods

FOLDER = traces_folder(os.environ, Path(__file__).resolve().parents[2]) / "openb"
LISTS = [
    *("cpu050", "cpu100", "cpu200", "default", "gpushare100", "gpushare40"),
    *("gpuspec10", "gpuspec33", "multigpu20", "multigpu50"),
]
POLICIES = ["random", "dotprod", "bestfit", "packing", "clustering", "fgd"]

pytestmark = pytest.mark.skipif(
    not (FOLDER / "published.csv").is_file(), reason=f"the openb trace is not at {FOLDER} (XISUAN_TRACES names it)"
)


@cache
def published() -> dict[tuple[str, str], dict[str, str]]:
    with (FOLDER / "published.csv").open(encoding="utf-8") as file:
        return {(row["workload"], row["policy"]): row for row in csv.DictReader(file)}


@cache
def evaluated(workload: str) -> dict[str, PolicyResult]:
    nodes = read_nodes(FOLDER / "openb_node_list_gpu_node.csv")
    pods = read_pods(FOLDER / f"openb_pod_list_{workload}.csv", nodes)
    return {result.policy: result for result in evaluate_openb(nodes, pods, POLICIES, range(10), 1.3)}


@pytest.mark.parametrize("workload", LISTS)
def test_six_policies_lie_within_a_third_of_a_point_of_the_authors(workload: str) -> None:
    off = {}
    for policy, result in evaluated(workload).items():
        theirs = published()[workload, policy]
        allowed = 0.8 if policy == "random" else 0.3
        for level in (100, 130):
            for kind, spreads in (("alloc", result.alloc), ("frag", result.frag)):
                difference = spreads[level].mean - float(theirs[f"pub_{kind}{level}"])
                if abs(difference) > allowed:
                    off[policy, kind, level] = round(difference, 3)
    assert not off
    assert set(evaluated(workload)) == set(POLICIES)


def test_the_cluster_is_the_published_one() -> None:
    nodes = read_nodes(FOLDER / "openb_node_list_gpu_node.csv")
    assert len(nodes.nodes) == 1_213
    assert nodes.card_milli == 6_212_000
    assert sum(node.cpu_capacity for node in nodes.nodes) == 107_018_000

"""The public traces, against counts and sums that awk found in the files (docs/traces.md has the commands)."""

from __future__ import annotations

import pytest

from simulations.traces.openb_departures import read_openb_nodes
from simulations.traces.reading import read_trace
from tests.shared_inputs import shared_input


@pytest.mark.parametrize(
    ("file", "jobs", "runtime_ms", "processor_ms"),
    [
        ("swf/NASA-iPSC-1993-3.1-cln.swf.gz", 18_239, 13_950_781_000, 474_238_015_000),
        ("philly/philly_jobs_sia.csv.gz", 82_247, 1_080_390_950_000, 3_521_082_502_000),
        ("surf/surf_month_tasks.parquet", 68_648, 310_586_735_000, 16 * 310_586_735_000),
    ],
)
def test_jobs_and_work_are_those_of_the_file(file: str, jobs: int, runtime_ms: int, processor_ms: int) -> None:
    trace = read_trace(shared_input("traces", *file.split("/")))
    units = trace.cpu_milli // 1000 + trace.accelerator_milli // 1000
    assert len(trace) == jobs
    assert int(trace.runtime_ms.sum()) == runtime_ms
    assert int((units * trace.runtime_ms).sum()) == processor_ms


def test_surf_has_the_868_tasks_that_outlast_their_slack() -> None:
    trace = read_trace(shared_input("traces", "surf", "surf_month_tasks.parquet"))
    assert int((trace.runtime_ms > trace.deadline_ms - trace.submitted_ms).sum()) == 868


def test_openb_with_departures_has_every_pod_that_ran() -> None:
    trace = read_trace(shared_input("traces", "openb", "openb_pod_list_default.csv"))
    assert len(trace) == 7_255
    assert int(trace.runtime_ms.sum()) == 210_028_342_000
    assert int((trace.accelerator_milli * (trace.runtime_ms // 1000)).sum()) == 185_294_426_970
    assert "897 x" in trace.notes[0]


def test_openb_nodes_are_1213_with_6212_cards() -> None:
    nodes = read_openb_nodes(shared_input("traces", "openb", "openb_node_list_gpu_node.csv"))
    assert (len(nodes), sum(node.allocatable.accelerator_milli for node in nodes)) == (1_213, 6_212_000)

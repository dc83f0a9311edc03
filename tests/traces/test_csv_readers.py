"""Philly's CSV and openb's with departures: line and column of whatever cannot be used."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from inventory.model.units import Resources
from simulations.traces.bad_rows import TraceError
from simulations.traces.openb import read_nodes
from simulations.traces.openb_departures import read_openb, read_openb_nodes
from simulations.traces.philly import cards_shape, read_philly
from simulations.traces.reading import Reading, read_trace
from simulations.traces.trace_file import write_trace
from tests.traces.small_traces import a_trace

PHILLY = "timestamp,duration,num_gpus,gpu_time,cluster"
PODS = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"
)
NODES = "sn,cpu_milli,memory_mib,gpu,model\nn0,64000,262144,2,P100\nn1,96000,262144,8,V100\n"


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_philly_rows_need_no_order_and_keep_their_line_as_name(tmp_path: Path) -> None:
    trace = read_philly(
        written(tmp_path / "p.csv", PHILLY, "2017-10-09 07:00:10,66.5,16,0,vc1", "2017-10-09 07:00:00,1,1,0,vc2")
    )
    assert trace.job_ids.tolist() == ["philly-3", "philly-2"]
    assert trace.submitted_ms.tolist() == [0, 10_000]
    assert trace.runtime_ms.tolist() == [1_000, 66_500]
    assert trace.queues == ("vc2", "vc1")
    assert trace.accelerator_milli.tolist() == [1_000, 16_000]
    assert "1 rows lie before the row above them, the first is line 3" in trace.notes[0]


@pytest.mark.parametrize(("cards", "tasks", "each"), [(1, 1, 1), (8, 1, 8), (12, 2, 6), (16, 2, 8), (11, 11, 1)])
def test_more_than_eight_cards_are_a_gang_of_equal_tasks(cards: int, tasks: int, each: int) -> None:
    needs = cards_shape(cards).requirements
    assert (needs.tasks, needs.per_task.accelerator_milli) == (tasks, each * 1000)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2017-10-09 07:00:10,,1,0,vc", "line 2, column duration: ''"),
        ("2017-10-09 07:00:10,-3,1,0,vc", "line 2, column duration: '-3'"),
        ("2017-10-09 07:00:10,nan,1,0,vc", "line 2, column duration: 'nan'"),
        ("2017-10-09 07:00:10,5,0,0,vc", "line 2, column num_gpus: '0'"),
        ("9 Oct 2017,5,1,0,vc", "line 2, column timestamp: '9 Oct 2017'"),
        ("2017-10-09 07:00:10,5,1", "line 2, column gpu_time"),
    ],
)
def test_a_bad_philly_row_is_named_by_line_and_column(tmp_path: Path, row: str, said: str) -> None:
    path = written(tmp_path / "p.csv", PHILLY, row, "2017-10-09 07:00:10,5,1,0,vc")
    with pytest.raises(TraceError, match=said):
        read_philly(path)
    assert "1 rows skipped" in read_philly(path, skip_bad=True).notes[0]


def test_philly_without_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="line 1: missing columns: num_gpus, cluster"):
        read_philly(written(tmp_path / "p.csv", "timestamp,duration", "x,y"))


def test_another_encoding_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes((PHILLY + "\n2017-10-09 07:00:10,5,1,0,重庆\n").encode("gbk"))
    with pytest.raises(TraceError, match="line 2, byte 27: not UTF-8"):
        read_philly(path)


def test_a_csv_gzip_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress("\n".join([PHILLY, *(f"2017-10-09 07:00:10,{i},1,0,vc" for i in range(5000))]).encode())
    (tmp_path / "p.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(TraceError, match="cut short or damaged"):
        read_philly(tmp_path / "p.csv.gz")


def pods(folder: Path, *rows: str) -> Path:
    return written(folder / "openb_pods.csv", PODS, *rows)


def test_openb_pods_run_from_scheduling_to_deletion(tmp_path: Path) -> None:
    trace = read_openb(
        pods(
            tmp_path,
            "b,4000,1024,1,500,V100|P100,LS,Succeeded,10,100,40",
            "a,4000,1024,0,0,,BE,Failed,5,9,6",
            "c,4000,1024,2,1000,V100,BE,Pending,5,9,",
        )
    )
    assert trace.job_ids.tolist() == ["a", "b"]
    assert trace.submitted_ms.tolist() == [5_000, 10_000]
    assert trace.runtime_ms.tolist() == [3_000, 60_000]
    assert trace.queues == ("BE", "LS")
    assert "1 x" in trace.notes[0] and "Pending" in trace.notes[0]
    (selector,) = trace.shapes[1].requirements.node_selectors
    assert selector.values == {"V100", "P100"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,4000,1024,0,0,,BE,Running,50,40,", "line 2, column deletion_time: '40'"),
        ("a,4000,1024,0,0,,BE,Running,50,90,20", "line 2, column scheduled_time: '20'"),
        ("a,4000,1024,0,0,,BE,Running,x,90,20", "line 2, column creation_time: 'x'"),
        ("a,128000,1024,0,0,,BE,Running,5,90,20", "line 2, column cpu_milli: '128000'"),
    ],
)
def test_a_bad_pod_is_named_by_line_and_column(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / "nodes.csv").write_text(NODES, encoding="utf-8")
    with pytest.raises(TraceError, match=said):
        read_openb(pods(tmp_path, row), read_nodes(tmp_path / "nodes.csv"))


def test_openb_nodes_carry_their_card_model_as_a_label(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text(NODES, encoding="utf-8")
    first, second = read_openb_nodes(tmp_path / "nodes.csv")
    assert (first.accelerator, dict(first.labels)) == ("P100", {"accelerator": "P100"})
    assert second.allocatable.accelerator_milli == 8000


def test_a_node_list_that_names_a_node_twice_is_refused_by_line(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text(NODES + "n0,1,1,1,P100\n", encoding="utf-8")
    with pytest.raises(TraceError, match="line 4, column sn: 'n0'"):
        read_openb_nodes(tmp_path / "nodes.csv")


def test_jobs_larger_than_any_node_are_named_or_counted(tmp_path: Path) -> None:
    write_trace(a_trace([0, 1, 2]), tmp_path / "t.parquet")
    small = Resources(cpu_milli=2000)
    with pytest.raises(TraceError, match=r"job 2 \(column requirements\): one task asks for more"):
        read_trace(tmp_path / "t.parquet", how=Reading(largest=small))
    kept = read_trace(tmp_path / "t.parquet", how=Reading(largest=small, skip_bad=True))
    assert kept.job_ids.tolist() == ["job-0", "job-2"]
    assert "1 jobs larger than any node" in kept.notes[0]


def test_an_unknown_form_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="known: xisuan, swf, opendc, philly, openb"):
        read_trace(tmp_path / "x.csv", "gwf")

"""What the openb reader says of bad input (line, column, value, rule), and what it skips on request."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.core.placement.policies.encode import MAX_CARDS
from scheduler.core.placement.policies.shape import NodeFree, TaskShape
from simulations.traces.bad_rows import TraceError
from simulations.traces.openb import NodeList, read_nodes, read_pods

NODES_HEAD = "sn,cpu_milli,memory_mib,gpu,model\n"
PODS_HEAD = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n"
CLUSTER = NodeList(("n",), (NodeFree.empty(32_000, 1_000, 2, "T4"),))


def write(folder: Path, text: str, name: str = "openb_pod_list_tiny.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_pod_list_is_sorted_by_name_and_named_after_its_file(tmp_path: Path) -> None:
    pods = read_pods(write(tmp_path, PODS_HEAD + "b,1000,10,0,0,\na,2000,20,1,500,T4|G2\n"), CLUSTER)
    assert pods.name == "tiny"
    assert pods.names == ("a", "b")
    assert pods.pods == (TaskShape(2000, 20, 1, 500, frozenset({"T4", "G2"})), TaskShape(1000, 10))
    assert pods.notes == ()


def test_a_pod_list_needs_no_gpu_spec_column(tmp_path: Path) -> None:
    text = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,2000,20,2,1000\n"
    assert read_pods(write(tmp_path, text), CLUSTER).pods == (TaskShape(2000, 20, 2, 1000),)


BAD_PODS = [
    ("a negative CPU", "a,-1,10,0,0,", "cpu_milli", "'-1'"),
    ("a CPU that is not a number", "a,nan,10,0,0,", "cpu_milli", "'nan'"),
    ("an endless memory", "a,1,inf,0,0,", "memory_mib", "'inf'"),
    ("half a GPU card as a count", "a,1,1,0.5,0,", "num_gpu", "'0.5'"),
    ("an empty value", "a,,10,0,0,", "cpu_milli", "''"),
    ("a short row", "a,1,10", "num_gpu", "''"),
    ("a long row", "a,1,10,0,0,,x,y", "extra", "x"),
    ("no name", ",1,10,0,0,", "name", "''"),
    ("more than a whole card", "a,1,10,1,1001,", "gpu_milli", "'1001'"),
    ("a card of which nothing is asked", "a,1,10,1,0,", "gpu_milli", "'0'"),
    ("shares of several cards", "a,1,10,2,500,", "gpu_milli", "'500'"),
    ("more CPU than the largest node", "a,32001,10,0,0,", "cpu_milli", "32000"),
    ("more memory than the largest node", "a,1,1001,0,0,", "memory_mib", "1000"),
    ("more cards than the largest node", "a,1,1,4,1000,", "num_gpu", "2"),
    ("a number beyond all sense", "a,1e300,1,0,0,", "cpu_milli", "'1e300'"),
]


@pytest.mark.parametrize(("row", "column", "shown"), [b[1:] for b in BAD_PODS], ids=[b[0] for b in BAD_PODS])
def test_a_bad_pod_is_refused_by_line_and_column(tmp_path: Path, row: str, column: str, shown: str) -> None:
    path = write(tmp_path, PODS_HEAD + f"good,1,1,0,0,\n{row}\n")
    with pytest.raises(TraceError) as caught:
        read_pods(path, CLUSTER)
    message = str(caught.value)
    assert "line 3" in message and "第 3 行" in message
    assert column in message and shown in message
    assert "--skip-bad" in message
    assert "\n" not in message


@pytest.mark.parametrize("row", [b[1] for b in BAD_PODS], ids=[b[0] for b in BAD_PODS])
def test_skipping_keeps_the_rest_and_reports_the_row(tmp_path: Path, row: str) -> None:
    pods = read_pods(write(tmp_path, PODS_HEAD + f"good,1,1,0,0,\n{row}\n"), CLUSTER, skip_bad=True)
    assert pods.names == ("good",)
    assert "1 rows skipped" in pods.notes[0]
    assert any("line 3" in note for note in pods.notes)


def test_a_name_that_comes_twice_names_the_first_line(tmp_path: Path) -> None:
    path = write(tmp_path, PODS_HEAD + "a,1,1,0,0,\na,2,1,0,0,\n")
    with pytest.raises(TraceError, match=r"line 3, column name.*line 2"):
        read_pods(path, CLUSTER)
    assert read_pods(path, CLUSTER, skip_bad=True).pods == (TaskShape(1, 1),)


def test_a_model_that_the_cluster_lacks_is_a_request_and_is_noted(tmp_path: Path) -> None:
    pods = read_pods(write(tmp_path, PODS_HEAD + "a,1,1,1,500,H100\n"), CLUSTER)
    assert pods.pods[0].models == frozenset({"H100"})
    assert "fit on no empty node" in pods.notes[0]


BAD_FILES = [
    ("missing columns", b"name,cpu_milli\na,1\n", "num_gpu"),
    ("an empty file", b"", "missing columns"),
    ("a head alone", PODS_HEAD.encode(), "no usable row"),
    ("not UTF-8", PODS_HEAD.encode() + "卡,1,1,0,0,\n".encode("gbk"), "UTF-8"),
]


@pytest.mark.parametrize(("content", "shown"), [b[1:] for b in BAD_FILES], ids=[b[0] for b in BAD_FILES])
def test_a_file_that_is_no_pod_list(tmp_path: Path, content: bytes, shown: str) -> None:
    path = tmp_path / "openb_pod_list_bad.csv"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=shown):
        read_pods(path, CLUSTER)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nowhere\.csv"):
        read_nodes(tmp_path / "nowhere.csv")


def test_a_node_list_with_duplicates_names_both_lines(tmp_path: Path) -> None:
    path = write(tmp_path, NODES_HEAD + "n,1,1,1,T4\nn,1,1,1,T4\n", "nodes.csv")
    with pytest.raises(TraceError, match=r"line 3, column sn.*line 2"):
        read_nodes(path)


def test_a_cluster_without_cards_has_no_allocation_ratio(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="not one card"):
        read_nodes(write(tmp_path, NODES_HEAD + "n,1,1,0,\n", "nodes.csv"))


def test_a_node_with_too_many_cards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"line 2, column gpu"):
        read_nodes(write(tmp_path, NODES_HEAD + f"n,1,1,{MAX_CARDS + 1},T4\n", "nodes.csv"))

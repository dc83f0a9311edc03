"""The pool catalogue: two CSV files, read whole or refused with every fault named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.model.system import Architecture, Zone
from inventory.model.units import GIB, TIB, Resources
from inventory.pool_catalogue import CatalogueError, CsvFile, parse_pools, read_pools
from tests.shared_inputs import needs_shared, shared_path

POOL_HEAD = (
    "pool_id,name,hub,adapter,zones,mlps,arch,accel,cards,pflops_fp16,disk_tb,oneway_ms_cq,egress_gbps,pue,green,"
    "kwh_cny,card_h_cny,vcpu_h_cny,classes"
)
GROUP_HEAD = "pool_id,group,nodes,arch,vcpu,mem_gb,accel,cards"
GOV = "gov,示例-政务云,成渝,simulated,政务外网|互联网,3,x86_64|arm64,,0,0,5,0.6,100,1.3,0.45,0.62,,0.1,通算"
AI = "ai,示例-智算,成渝,simulated,政务外网,3,arm64,Ascend910B,16,5,4,0.8,200,1.2,0.5,0.62,7.2,0.12,智算|通算"
GOV_X = "gov,general,10,x86_64,96,384,,0"
GOV_A = "gov,xinchuang,5,arm64,64,256.5,,0"
AI_T = "ai,train,2,arm64,192,1536,Ascend910B,8"


def files(pools: list[str], groups: list[str]) -> tuple[CsvFile, CsvFile]:
    return CsvFile("pools.csv", "\n".join(pools).encode()), CsvFile("groups.csv", "\n".join(groups).encode())


def test_both_files_become_pools_in_integers() -> None:
    gov, ai = parse_pools(*files([POOL_HEAD, GOV, AI], [GROUP_HEAD, GOV_X, AI_T, GOV_A]))
    assert (gov.pool_id, gov.adapter, gov.protection_level) == ("gov", "simulated", 3)
    assert gov.zones == {Zone.EXTRANET, Zone.INTERNET}
    assert gov.architectures == {Architecture.X86_64, Architecture.ARM64}
    memory = 10 * 384 * GIB + 5 * int(256.5 * GIB)
    assert gov.capacity == Resources(10 * 96_000 + 5 * 64_000, memory, 5 * TIB)
    assert (ai.accelerator, ai.cards, ai.capacity.accelerator_milli) == ("Ascend910B", 16, 16_000)
    assert (ai.card_hour_cny, gov.card_hour_cny) == (7.2, None)
    assert ai.classes == {"智算", "通算"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_encodings_and_line_endings_make_no_difference(encoding: str, ending: str) -> None:
    pools = ending.join([POOL_HEAD, GOV, ""]).encode(encoding)
    groups = ending.join([GROUP_HEAD, GOV_X, ",,,,,,,"]).encode(encoding)
    (gov,) = parse_pools(CsvFile("p", pools), CsvFile("g", groups))
    assert gov.name == "示例-政务云"


def test_columns_may_stand_in_any_order_with_spaces_and_blank_lines() -> None:
    shuffled = ["cards, accel,mem_gb,vcpu,arch,nodes,group,pool_id", "", " 0,,384, 96 ,x86_64,10,general,gov"]
    (gov,) = parse_pools(*files([POOL_HEAD, "", GOV], shuffled))
    assert gov.node_groups[0].capacity == Resources(96_000, 384 * GIB)


def test_a_local_pool_needs_no_node_group_because_it_measures_its_machine() -> None:
    here = with_cell(with_cell(GOV, POOL_HEAD, "pool_id", "here"), POOL_HEAD, "adapter", "local")
    assert [
        len(pool.node_groups) for pool in parse_pools(*files([POOL_HEAD, GOV, here], [GROUP_HEAD, GOV_X]))
    ] == [1, 0]


def with_cell(row: str, head: str, column: str, value: str) -> str:
    cells = row.split(",")
    cells[head.split(",").index(column)] = value
    return ",".join(cells)


def faults_of(pools: list[str], groups: list[str]) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as refused:
        parse_pools(*files([POOL_HEAD, *pools], [GROUP_HEAD, *groups]))
    return refused.value.faults


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        pytest.param("pool_id", "Gov Pool", "must match", id="an id with spaces and capitals"),
        pytest.param("name", "", "at least 1 char", id="no name"),
        pytest.param("zones", "政务外网|外太空", "政务内网", id="an unknown zone, with the valid ones"),
        pytest.param("zones", "", "at least one", id="no zone"),
        pytest.param("mlps", "5", "4", id="a protection level that does not exist"),
        pytest.param("mlps", "-1", "0", id="a negative level"),
        pytest.param("arch", "sparc", "arm64", id="an unknown architecture, with the valid ones"),
        pytest.param("cards", "many", "须为整数 / must be a whole number", id="a number that is none"),
        pytest.param("disk_tb", "-1", "0", id="a negative amount"),
        pytest.param("vcpu_h_cny", "nan", "finite", id="a price that is not a number"),
        pytest.param("vcpu_h_cny", "inf", "finite", id="an infinite price"),
        pytest.param("pue", "0.9", "1", id="a PUE below one"),
        pytest.param("green", "45", "1", id="a share in percent"),
    ],
)
def test_a_faulty_cell_of_the_pool_file_is_named(column: str, value: str, rule: str) -> None:
    (fault,) = faults_of([GOV, with_cell(AI, POOL_HEAD, column, value)], [GOV_X, AI_T])
    for word in ("pools.csv", "第 3 行", "line 3", f"column {column}", repr(value), rule, "请改正"):
        assert word in fault


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        pytest.param("nodes", "-3", "1", id="negative nodes"),
        pytest.param("nodes", "2.5", "whole number", id="half a node"),
        pytest.param("arch", "sparc", "arm64", id="an unknown architecture"),
        pytest.param("vcpu", "0", "1", id="nodes without CPU"),
        pytest.param("mem_gb", "", "number", id="no memory given"),
    ],
)
def test_a_faulty_cell_of_the_group_file_is_named(column: str, value: str, rule: str) -> None:
    (fault,) = faults_of([GOV], [with_cell(GOV_X, GROUP_HEAD, column, value)])
    for word in ("groups.csv", "line 2", f"column {column}", repr(value), rule):
        assert word in fault


@pytest.mark.parametrize(
    ("pools", "groups", "says"),
    [
        pytest.param([GOV, GOV], [GOV_X], ["pools.csv", "line 3", "pool_id", "line 2"], id="a pool twice"),
        pytest.param([GOV], [GOV_X, GOV_X], ["groups.csv", "line 3", "line 2"], id="a group twice in a pool"),
        pytest.param([GOV], [GOV_X, AI_T], ["line 3", "'ai'", "no such pool", "gov"], id="a stray group"),
        pytest.param([GOV, AI], [GOV_X], ["line 3", "'ai'", "no node group"], id="a pool without nodes"),
        pytest.param(
            [AI], [with_cell(AI_T, GROUP_HEAD, "nodes", "3")], ["16", "24", "agree"], id="cards that do not add up"
        ),
        pytest.param(
            [AI], [with_cell(AI_T, GROUP_HEAD, "accel", "A800")], ["'A800'", "Ascend910B"], id="another card"
        ),
        pytest.param([AI], [with_cell(AI_T, GROUP_HEAD, "accel", "")], ["go together"], id="cards of no model"),
        pytest.param([AI], [with_cell(AI_T, GROUP_HEAD, "arch", "x86_64")], ["arm64"], id="hosts of another kind"),
        pytest.param(
            [with_cell(AI, POOL_HEAD, "card_h_cny", "")], [AI_T], ["card_h_cny", "needs a price"], id="free cards"
        ),
        pytest.param([GOV + ",extra"], [GOV_X], ["line 2", "20", "19"], id="a cell too many"),
        pytest.param([GOV[: GOV.rindex(",")]], [GOV_X], ["line 2", "18", "19"], id="a cell too few"),
        pytest.param(['gov,"open'], [GOV_X], ["not valid CSV"], id="an open quote"),
        pytest.param([], [GOV_X], ["pools.csv", "no rows"], id="headings alone"),
    ],
)
def test_what_rows_or_files_contradict_is_named(pools: list[str], groups: list[str], says: list[str]) -> None:
    faults = faults_of(pools, groups)
    assert any(all(word in fault for word in says) for fault in faults), faults


@pytest.mark.parametrize(
    ("head", "says"),
    [
        pytest.param(POOL_HEAD.replace(",zones", ""), "column zones is missing", id="a column is missing"),
        pytest.param(POOL_HEAD + ",colour", "'colour'", id="a column is unknown"),
        pytest.param(POOL_HEAD + ",zones", "'zones' 重复", id="a column stands twice"),
        pytest.param("", "empty file", id="no heading at all"),
    ],
)
def test_faulty_headings_are_named(head: str, says: str) -> None:
    with pytest.raises(CatalogueError, match=says):
        parse_pools(*files([head, GOV], [GROUP_HEAD, GOV_X]))


def test_all_faults_of_both_files_are_told_at_once() -> None:
    pool = with_cell(GOV, POOL_HEAD, "mlps", "9")
    faults = faults_of([pool], [with_cell(GOV_X, GROUP_HEAD, "nodes", "0")])
    assert len(faults) == 2
    assert all("\n" not in fault for fault in faults)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(CatalogueError, match="UTF-8 or GB18030"):
        parse_pools(CsvFile("pools.csv", b"\xff\xff\xff\x00"), files([], [GROUP_HEAD, GOV_X])[1])


def test_missing_files_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError) as refused:
        read_pools(tmp_path / "a.csv", tmp_path / "b.csv")
    assert len(refused.value.faults) == 2 and "a.csv" in refused.value.faults[0]


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_any_bytes_are_refused_as_a_catalogue(pools: bytes, groups: bytes) -> None:
    with pytest.raises(CatalogueError):
        parse_pools(CsvFile("p", pools), CsvFile("g", groups))


SCRAPS = [*"0123456789-.|,\n\"'\r", "政务外网", "x86_64", "gov", " ", "1e999", "NaN"]


@given(st.lists(st.sampled_from(SCRAPS), max_size=60).map("".join))
def test_any_scraps_under_good_headings_are_refused_as_a_catalogue(row: str) -> None:
    with pytest.raises(CatalogueError):
        parse_pools(*files([POOL_HEAD, row], [GROUP_HEAD, GOV_X]))


@needs_shared("pools-sample.csv")
def test_the_sample_pools_are_read() -> None:
    read = read_pools(shared_path("pools-sample.csv"), shared_path("pool-node-groups-sample.csv"))
    pools = {pool.pool_id: pool for pool in read}
    assert len(pools) == 9
    assert pools["cq-inner"].architectures == {Architecture.X86_64, Architecture.ARM64}
    assert [group.group for group in pools["ga-mix"].node_groups] == ["general", "train"]
    assert pools["hlge-ai"].cards == 4096

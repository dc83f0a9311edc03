"""Columns whose heading nobody knows: what their cells may prove, and above all what they may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.ledger import HeaderMapping, HeadingReport, LedgerReading, read_ledger
from tests.ledger.workbooks import Rows, reading, xlsx

SYSTEMS = (
    "学籍管理系统",
    "预算执行系统",
    "门户网站",
    "协同办公平台",
    "视频会议系统",
    "档案查询系统",
    "证照库",
    "移动服务端",
)
DEPARTMENTS = ("区教委", "区教委", "区财政局", "区财政局", "区财政局", "区民政局", "区民政局", "区档案馆")
Cells = Sequence[Any]


def table(*columns: tuple[str, Cells], known: Sequence[tuple[str, Cells]] | None = None) -> list[list[Any]]:
    """Rows of a ledger with these columns behind the known ones, department and name where nothing else is said."""
    every = [*(known if known is not None else (("单位名称", DEPARTMENTS), ("系统名称", SYSTEMS))), *columns]
    height = max(len(cells) for _, cells in every)
    rows = [[cells[row] if row < len(cells) else None for _, cells in every] for row in range(height)]
    return [[heading for heading, _ in every], *rows]


def report(result: LedgerReading, heading: str) -> HeadingReport:
    return next(one for one in result.headings if one.heading == heading)


def target(*columns: tuple[str, Cells], known: Sequence[tuple[str, Cells]] | None = None) -> str | None:
    """What the first of the columns became."""
    return report(reading(table(*columns, known=known)), columns[0][0]).target


ARCHITECTURES = ("鲲鹏920", "Intel Xeon", "海光", "x86", "飞腾", "x86", "ARM64", "海光C86")
ZONES = ("政务外网", "互联网", "公网", "政务外网", "业务专网", "政务外网", "政务内网", "外网")
LEVELS = ("二级", "三级", "未定级", "S3A3G3", "等保二级", "二级", "三级", "一级")
SPECS = ("16核32G*2台", "8C16G", "2台（4核/8GB）", "4核8G", "8核16G", "16C/64G", "4C8G×2", "2核4G")
DISKS = ("2T", "500G+1T", "300G", "1T", "500G", "200G", "4TB", "1T+500G")
DATES = ("2016-10", "2019年3月", "20131217", "2020.5", "2021/06/01", "2018年", "2017-01", "2022年12月")
DISPOSITIONS = ("关停", "整合", "平迁", "迁移", "改造", "关停", "例外保留", "整合")
OWNERS = ("本级自建", "本级自建", "市级垂管", "市级垂管", "国有企业", "本级自建", "市级垂管", "本级自建")
PERCENTS = ("12%", "27.5%", "3%", "0.9%", "44%", "8%", "15.5%", "1.2%")
SECRECY = ("非涉密", "非涉密", "涉密", "非涉密", "不涉密", "非涉密", "非涉密", "非涉密")
DEPS = (
    "预算执行系统、门户网站",
    "证照库",
    "证照库；学籍管理系统",
    None,
    "门户网站",
    "证照库\n协同办公平台",
    None,
    "证照库",
)
SUPERIORS = tuple(f"市{department[1:]}" for department in DEPARTMENTS)
CREDENTIALS = (*(f"10.1.2.{host}/admin/Xs@2021{host}" for host in range(7)), "sa 12345678")


@pytest.mark.parametrize(
    ("heading", "cells", "field"),
    [
        ("部署架构", ARCHITECTURES, "arch"),
        ("线路", ZONES, "zone"),
        ("公安部门意见", LEVELS, "mlps"),
        ("机器", SPECS, "spec"),
        ("介质", DISKS, "disk"),
        ("哪年开始用", DATES, "golive"),
        ("怎么办", DISPOSITIONS, "disposition"),
        ("谁的", OWNERS, "ownership"),
        ("主机忙闲程度", PERCENTS, "cpu_avg_pct"),
        ("定密", SECRECY, "classified"),
        ("打通了谁", DEPS, "deps"),
        ("后台入口", CREDENTIALS, "credential"),
    ],
)
def test_cells_of_a_distinctive_form_tell_the_field(heading: str, cells: Cells, field: str) -> None:
    result = reading(table((heading, cells)))
    found = report(result, heading)
    assert (found.target, found.by_values) == (field, True)
    assert 0.5 < found.confidence <= 0.7
    assert report(result, "系统名称").by_values is False


def test_what_the_cells_tell_is_read_like_any_other_column() -> None:
    result = reading(table(("部署架构", ARCHITECTURES), ("机器", SPECS), ("打通了谁", DEPS), ("谁的", OWNERS)))
    first = result.systems[0]
    assert (first.arch, first.servers, first.vcpu, first.mem_gb) == ("arm64", 2, 32, 64)
    assert (first.deps, first.ownership) == (("预算执行系统", "门户网站"), "district")
    assert result.findings == ()


def test_a_column_of_credentials_is_refused_to_its_last_cell() -> None:
    result = reading(table(("后台入口", CREDENTIALS)))
    assert [(one.kind.value, one.cell) for one in result.findings] == [
        ("credential_refused", f"C{row}") for row in range(2, 10)
    ]


def test_departments_stand_in_groups_beside_the_names() -> None:
    assert target(("谁家的", DEPARTMENTS), known=[("系统名称", SYSTEMS), ("等保级别", LEVELS)]) == "department"


def test_the_names_themselves_are_found_where_the_rest_of_the_heading_is_known() -> None:
    known = [("单位名称", DEPARTMENTS), ("等保级别", LEVELS), ("存储容量", DISKS), ("网络类型", ZONES)]
    result = reading(table(("上报内容", SYSTEMS), known=known))
    found = report(result, "上报内容")
    assert [system.name for system in result.systems] == list(SYSTEMS)
    assert (found.target, found.by_values) == ("name", True)


def test_a_system_to_merge_into_stands_in_rows_that_are_consolidated() -> None:
    names = [f"{sign}{name}" for sign in "甲乙丙" for name in SYSTEMS]
    departments = [f"区{sign}局" for sign in "甲乙丙" for _ in SYSTEMS]
    known = [("单位名称", departments), ("系统名称", names), ("处置方式", DISPOSITIONS * 3)]
    goes_to = [f"{sign}证照库" if one == "整合" else None for sign in "甲乙丙" for one in DISPOSITIONS]
    everywhere = ["甲证照库" if number else None for number in range(len(names))]
    assert target(("归到哪里", goes_to), known=known) == "merged_into"
    assert target(("归到哪里", everywhere), known=known) is None


def test_names_of_another_sheet_count_as_names_of_the_workbook() -> None:
    book: dict[str, Rows] = {
        "区级系统": table(known=[("单位名称", DEPARTMENTS), ("系统名称", SYSTEMS)]),
        "市垂系统": table(
            ("打通了谁", DEPS),
            known=[("单位名称", ["市教委"] * 8), ("系统名称", [f"市{name}" for name in SYSTEMS])],
        ),
    }
    result = reading(book)
    assert report(result, "打通了谁").target == "deps"
    assert result.findings == ()


@pytest.mark.parametrize(
    ("heading", "cells"),
    [
        ("是否XX", ("是", "否", "是", "是", "否", "否", "是", "否")),
        ("情况", ("√", "×", "√", "√", "√", "×", "√", "√")),
        ("进展", ("已上云", "未上云", "已上云", "已迁移", "已上云", "未迁移", "已上云", "已上云")),
        ("其他情形", ("三级", "三级", "联系市局核实", "三级等保测评已过期", None, "三级", "正在改造", "三级")),
        ("要紧程度", ("一级", "二级", "三级", "一级", "二级", "三级", "一级", "一级")),
        ("软件底座", ("麒麟V10 ARM版", "CentOS 7 x86_64", "统信UOS", "Windows x64", "麒麟V10", "openEuler", "欧拉", "CentOS")),
        ("对口人", ("张三", "李四", "王五", "赵六", "钱七", "孙八", "周九", "吴十")),
        ("竣验年月", DATES),
        ("合同有效期至", DATES),
        ("副本量", ("2T", "300G", None, "1T", None, "500", "一般", "不备份")),
        ("推进度", PERCENTS),
        ("覆盖面", ("区级", "区级", "市级", "区级", "全国", "区级", "市级", "区级")),
        ("怎么建的", ("改造", "购买服务", "新建", "购买服务", "改造", "新建", "改造", "购买服务")),
        ("目前怎样", ("在用", "停用", "在用", "下线", "试运行", "在用", "在用", "停用")),
        ("出口", ("互联网",) * 8),
        ("又叫什么", tuple(f"老{name}" for name in SYSTEMS)),
        ("放在哪里", ("区数据中心", "市云中心", "区数据中心", "市云中心", "区数据中心", "自有机房", "市云中心", "区数据中心")),
        ("档数", (1, 2, 3, 2, 1, 2, 3, 2)),
    ],
)  # fmt: skip
def test_cells_that_could_mean_several_things_tell_nothing(heading: str, cells: Cells) -> None:
    known = [("系统名称", SYSTEMS), ("用户规模", range(10, 18))]
    result = reading(table((heading, cells), known=known))
    assert not [one for one in result.headings if one.by_values]


@pytest.mark.parametrize(
    ("heading", "cells", "taken"),
    [
        ("上级条线", SUPERIORS, ("单位名称", DEPARTMENTS)),
        ("竣工交付使用日", DATES, ("上线时间", DATES)),
        ("副本占用", DISKS, ("存储容量", DISKS)),
        ("二期机型", ARCHITECTURES, ("CPU架构", ARCHITECTURES)),
        ("第二线路", ZONES, ("网络类型", ZONES)),
        ("市里意见", DISPOSITIONS, ("处置方式", DISPOSITIONS)),
    ],
)  # fmt: skip
def test_a_field_that_has_its_column_is_given_to_no_other(
    heading: str, cells: Cells, taken: tuple[str, Cells]
) -> None:
    known = [("系统名称", SYSTEMS), taken]
    assert target((heading, cells), known=known) is None


@pytest.mark.parametrize(
    ("heading", "cells"),
    [
        ("目标机型", ARCHITECTURES), ("迁移后线路", ZONES), ("申请机器", SPECS), ("灾备介质", DISKS), ("末次开启测评日", DATES),
        ("上级条线", DEPARTMENTS), ("说明", LEVELS), ("承建方面", DEPARTMENTS), ("内存忙闲", PERCENTS),
    ],
)  # fmt: skip
def test_a_heading_that_speaks_against_a_field_is_believed(heading: str, cells: Cells) -> None:
    known = [("系统名称", SYSTEMS), ("用户规模", range(10, 18))]
    assert not report(reading(table((heading, cells), known=known)), heading).by_values


def test_two_columns_that_show_the_same_are_both_left_alone() -> None:
    result = reading(table(("甲机型", ARCHITECTURES), ("乙机型", ARCHITECTURES[::-1])))
    assert [one.target for one in result.headings] == ["department", "name", None, None]


def test_two_columns_of_names_make_no_table_of_a_sheet() -> None:
    known = [("单位名称", DEPARTMENTS), ("等保级别", LEVELS), ("存储容量", DISKS), ("网络类型", ZONES)]
    columns = (("甲内容", SYSTEMS), ("乙内容", [f"老{name}" for name in SYSTEMS]))
    book: dict[str, Rows] = {"区级系统": table(), "另表": table(*columns, known=known)}
    assert [skipped.sheet for skipped in reading(book).skipped_sheets] == ["另表"]


def test_a_heading_that_only_resembles_another_field_yields_to_its_cells() -> None:
    known = [("系统名称", SYSTEMS), ("等保级别", LEVELS)]
    result = reading(table(("Owner 归属", OWNERS), ("Dept. 单位", DEPARTMENTS), known=known))
    assert [one.target for one in result.headings] == ["name", "mlps", "ownership", "department"]


def test_a_class_of_systems_is_their_owner_only_where_its_cells_say_so() -> None:
    known = [("单位名称", DEPARTMENTS), ("系统名称", SYSTEMS)]
    layers = ("应用层", "应用支撑层", "应用层", "基础设施层", "应用层", "应用层", "应用层", "应用层")
    assert target(("系统类别", OWNERS), known=known) == "ownership"
    assert target(("系统类别", layers), known=known) == "ignore"


def test_what_a_person_mapped_stands_whatever_the_cells_say() -> None:
    mapping = HeaderMapping(headings={"部署架构": "ignore", "打通了谁": "remark"})
    result = read_ledger(xlsx(table(("部署架构", ARCHITECTURES), ("打通了谁", DEPS))), "a.xlsx", mapping)
    assert [one.target for one in result.headings] == ["department", "name", "ignore", "remark"]
    assert not any(one.by_values for one in result.headings)


def test_a_likeness_that_its_cells_refute_is_given_up_without_a_heap_of_findings() -> None:
    known = [("单位名称", DEPARTMENTS), ("系统名称", SYSTEMS)]
    sentences = tuple(f"第{number}批已签" for number in range(8))
    likely, refuted = ("年度运维支出预计", tuple(range(8))), ("年度运维支出预计", sentences)
    assert target(likely, known=known) == "opex_wan"
    assert target(refuted, known=known) is None
    assert reading(table(refuted, known=known)).findings == ()


def test_a_title_over_the_whole_width_is_no_group_of_the_headings_below_it() -> None:
    rows = [["区教委信息系统情况表", None, None, None], *table(("芯", ARCHITECTURES), ("情况", ZONES))]
    result = reading(rows, "A1:D1")
    assert [one.heading for one in result.headings] == ["单位名称", "系统名称", "芯", "情况"]
    assert [one.target for one in result.headings] == ["department", "name", "arch", "zone"]


def test_a_group_alone_does_not_say_what_stands_below_it() -> None:
    rows = [
        ["单位名称", "系统名称", "计算资源", None],
        [None, None, "服务器数量", "备份存储"],
        *[[department, name, 1, 300] for department, name in zip(DEPARTMENTS, SYSTEMS, strict=True)],
    ]
    result = reading(rows, "A1:A2", "B1:B2", "C1:D1")
    assert [one.target for one in result.headings] == ["department", "name", "servers", None]
    assert result.findings == ()


def test_a_first_row_without_any_number_is_data() -> None:
    known = [("单位名称", DEPARTMENTS), ("系统名称", SYSTEMS)]
    result = reading(
        table(("处置方式", ("整合", "关停", "平迁")), ("备注", ("说明", "其他", "备用")), known=known)
    )
    assert [system.name for system in result.systems] == list(SYSTEMS)


@pytest.mark.parametrize(("filled", "field"), [(4, None), (5, "arch"), (8, "arch")])
def test_four_cells_are_too_few(filled: int, field: str | None) -> None:
    assert target(("部署架构", ARCHITECTURES[:filled])) == field


@pytest.mark.parametrize(("strange", "field"), [(1, "arch"), (2, None)])
def test_one_cell_in_five_may_say_something_else(strange: int, field: str | None) -> None:
    cells = [*ARCHITECTURES[: 8 - strange], *["集中部署"] * strange]
    assert target(("部署架构", cells)) == field


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(["是", "否", "有", "无", "√", "×", "Y", "N", 0, 1, 2, 8, 16, 300, None]),
        min_size=8,
        max_size=8,
    )
)
def test_answers_and_plain_numbers_never_prove_anything(cells: list[Any]) -> None:
    assert target(("未知项", cells)) is None


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(8)), st.permutations(["arch", "zone", "spec", "disk"]))
def test_neither_the_order_of_columns_nor_that_of_rows_matters(rows: list[int], fields: list[str]) -> None:
    columns = {"arch": ARCHITECTURES, "zone": ZONES, "spec": SPECS, "disk": DISKS}
    unknown = [(f"未知{number}", [columns[field][row] for row in rows]) for number, field in enumerate(fields)]
    result = reading(
        table(*unknown, known=[("单位名称", ["区教委"] * 8), ("系统名称", [SYSTEMS[row] for row in rows])])
    )
    assert [one.target for one in result.headings] == ["department", "name", *fields]

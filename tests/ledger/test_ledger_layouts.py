"""Layouts that departments send: what is a system, what is not, and what belongs to whom."""

from __future__ import annotations

import pytest

from inventory.ledger import HeaderMapping, LedgerError, read_ledger
from inventory.model.system import Ownership
from tests.ledger.workbooks import by_name, names, reading, xlsx

HEAD = ["序号", "单位名称", "系统名称", "用户规模", "服务器配置"]
DATA = [[1, "区教委", "学籍管理系统", 300, "8C16G"], [2, "区财政局", "预算执行系统", 80, "4C8G"]]


def test_a_three_row_heading_with_merges_is_read_through_its_groups() -> None:
    rows = [
        ["某区台账", None, None, None, None, None, None],
        ["序号", "单位名称", "系统名称", "资源情况", None, None, "对接情况"],
        [None, None, None, "服务器", None, "GPU", None],
        [None, None, None, "数量", "配置", "数量", "名称"],
        [1, "区教委", "学籍管理系统", 2, "8核16G", None, "预算执行系统"],
        [2, "区财政局", "预算执行系统", 1, "4核8G", None, None],
    ]
    result = reading(rows, "A1:G1", "A2:A4", "B2:B4", "C2:C4", "D2:F2", "D3:E3", "G2:G3")
    system = by_name(result)["学籍管理系统"]
    assert (system.servers, system.vcpu, system.mem_gb) == (2, 16, 32)
    assert system.deps == ("预算执行系统",)
    assert result.findings == ()


@pytest.mark.parametrize(
    "noise",
    [
        ["合计", None, "2个", 380, None],
        [None, "合  计", None, 380, None],
        ["小计", None, None, 380, None],
        [None, "区教委小计", "1个", 300, None],
        [None, "总 计：", None, 380, None],
        ["注：1.系统名称填写全称；2.资源按实际分配填写。"],
        ["备注：空白表示未知"],
        ["填表人：张三", None, "审核人：李四", None, "联系电话：02300000000"],
        ["单位负责人（签字）：", None, None, "填报日期：2024年3月1日"],
        [None, None, "填表说明：系统名称须与备案一致。"],
        ["（1）", "（2）", "（3）", "（4）", "（5）"],
        [3, None, None, None, None],
        [3, "区民政局", "无", None, None],
        [3, "区民政局", None, "—", None],
        ["序号", "单位名称", "系统名称", "用户规模", "服务器配置"],
        [None, None, None, 380, None],
    ],
)
def test_rows_that_are_no_system_are_passed_over(noise: list[object]) -> None:
    result = reading([HEAD, *DATA, noise])
    assert names(result) == ["学籍管理系统", "预算执行系统"]
    assert result.findings == ()


@pytest.mark.parametrize(
    "hint",
    [
        ["（1）", "（2）", "（3）", "（4）", "（5）"],
        [1, 2, 3, 4, 5],
        ["必填", "填写单位全称", "填写系统全称", "如：300", "格式：16核32G*2台"],
        ["示例", "区某局", "某某系统", 100, "4C8G"],
        ["例", "区某局", "某某系统", 100, "4C8G"],
    ],
)
def test_what_forms_carry_below_their_headings_is_no_system(hint: list[object]) -> None:
    result = reading([HEAD, hint, *DATA])
    assert names(result) == ["学籍管理系统", "预算执行系统"]
    assert result.findings == ()


def test_headings_repeated_on_every_printed_page_are_no_system_and_no_finding() -> None:
    heading = [*HEAD, "登录账号密码"]
    result = reading([["台账"], heading, DATA[0], heading, DATA[1]])
    assert names(result) == ["学籍管理系统", "预算执行系统"]
    assert result.findings == ()


def test_two_tables_of_one_sheet_keep_their_own_columns_and_owners() -> None:
    rows = [
        ["一、区级部门系统"],
        ["序号", "单位名称", "系统名称", "用户规模"],
        [1, "区教委", "学籍管理系统", 300],
        [],
        ["二、上级垂管系统"],
        ["序号", "系统全称", "部署环境", "使用单位", "用户数"],
        [1, "统一征缴平台", "上级统建", "市税务局", "6万"],
    ]
    result = reading({"系统清单": rows})
    found = by_name(result)
    assert found["学籍管理系统"].ownership is Ownership.DISTRICT
    assert found["统一征缴平台"].ownership is Ownership.VERTICAL
    assert (found["统一征缴平台"].department, found["统一征缴平台"].users) == ("市税务局", 60000)
    assert result.findings == ()


def test_a_second_table_with_a_two_row_heading_is_recognised() -> None:
    rows = [
        ["单位名称", "系统名称", "用户规模"],
        ["区教委", "学籍管理系统", 300],
        ["基本情况", None, "资源情况", None],
        ["主管单位", "应用名称", "CPU核数", "内存（G）"],
        ["区财政局", "预算执行系统", 8, 16],
    ]
    result = reading(rows, "A3:B3", "C3:D3")
    assert names(result) == ["学籍管理系统", "预算执行系统"]
    assert by_name(result)["预算执行系统"].vcpu == 8
    assert result.findings == ()


def test_section_bands_set_the_owner_of_the_rows_below_them() -> None:
    rows = [
        HEAD,
        ["一、区级部门"],
        DATA[0],
        ["二、市级垂管系统"],
        DATA[1],
        ["三、区属国有企业"],
        [3, "示例水务公司", "抄表系统", 10, "2C4G"],
    ]
    result = reading({"汇总": rows})
    owners = [system.ownership for system in result.systems]
    assert owners == [Ownership.DISTRICT, Ownership.VERTICAL, Ownership.SOE]


@pytest.mark.parametrize(
    ("sheet", "owner"),
    [
        ("区属", Ownership.DISTRICT), ("本级", Ownership.DISTRICT), ("区级系统", Ownership.DISTRICT),
        ("县级", Ownership.DISTRICT),
        ("市垂", Ownership.VERTICAL), ("条线", Ownership.VERTICAL), ("上级垂管系统", Ownership.VERTICAL),
        ("市级统建", Ownership.VERTICAL),
        ("国企", Ownership.SOE), ("平台公司", Ownership.SOE), ("区属国有企业", Ownership.SOE), ("国有公司系统", Ownership.SOE),
    ],
)  # fmt: skip
def test_the_sheet_name_says_whose_systems_these_are(sheet: str, owner: Ownership) -> None:
    assert {system.ownership for system in reading({sheet: [HEAD, *DATA]}).systems} == {owner}


def test_an_ownership_column_overrides_the_sheet_name() -> None:
    rows = [[*HEAD, "系统归属"], [*DATA[0], "市级垂管"], [*DATA[1], None]]
    result = reading({"区级系统": rows})
    assert [system.ownership for system in result.systems] == [Ownership.VERTICAL, Ownership.VERTICAL]
    rows = [
        [*HEAD, "系统归属"],
        [*DATA[0], "市级垂管"],
        [*DATA[1], "区级"],
        [3, "区民政局", "救助系统", 5, "2C4G", "国企"],
    ]
    assert [system.ownership for system in reading({"汇总": rows}).systems] == [
        Ownership.VERTICAL,
        Ownership.DISTRICT,
        Ownership.SOE,
    ]


def test_a_title_that_names_the_district_speaks_of_the_districts_own_systems() -> None:
    result = reading({"Sheet1": [["示例区政务信息系统台账"], HEAD, *DATA]})
    assert {system.ownership for system in result.systems} == {Ownership.DISTRICT}


def test_nothing_is_guessed_where_nobody_says_whose_the_systems_are() -> None:
    assert {system.ownership for system in reading({"Sheet1": [HEAD, *DATA]}).systems} == {None}


def test_systems_of_superiors_have_no_migration_duty_of_the_district() -> None:
    rows = [[*HEAD, "是否应上云", "是否已上云"], [*DATA[0], "是", "是"]]
    system = reading({"市垂": rows}).systems[0]
    assert (system.should_migrate, system.migrated) == (None, None)


def test_hidden_rows_and_columns_are_read_and_named() -> None:
    def hide(book: object) -> None:
        sheet = book["区级系统"]  # type: ignore[index]  # openpyxl's Workbook, typed as object by the builder
        sheet.row_dimensions[2].hidden = True
        sheet.column_dimensions["D"].hidden = True

    result = read_ledger(xlsx([HEAD, *DATA], touch=hide), "a.xlsx")
    assert names(result) == ["学籍管理系统", "预算执行系统"]
    assert result.systems[0].users == 300
    assert [(row.row, row.name) for row in result.hidden_rows] == [(2, "学籍管理系统")]
    assert result.findings == ()


def test_a_name_merged_over_several_rows_is_one_system_with_all_their_machines() -> None:
    rows = [HEAD, [1, "区教委", "学籍管理系统", 300, "8核16G*2台"], [None, None, None, None, "4核8G*1台"], DATA[1]]
    result = reading(rows, "A2:A3", "B2:B3", "C2:C3", "D2:D3")
    system = result.systems[0]
    assert names(result) == ["学籍管理系统", "预算执行系统"]
    assert (system.servers, system.vcpu, system.mem_gb) == (3, 20, 40)


def test_a_category_merged_over_rows_holds_for_each_of_them() -> None:
    rows = [
        ["单位名称", "系统名称", "网络类型", "部署位置"],
        ["区教委", "甲系统", "政务外网", "政务云"],
        ["区财政局", "乙系统", None, None],
    ]
    result = reading(rows, "C2:C3", "D2:D3")
    assert [(system.zone, system.environment) for system in result.systems] == [("政务外网", "政务云")] * 2


def test_sheets_that_are_no_ledger_are_named_as_skipped() -> None:
    book = {
        "填报说明": [["一、系统名称填写全称。"], ["二、单位名称填写全称。"]],
        "代码表": [["单位名称", "单位代码"], ["区教委", "A01"]],
        "统计": [["单位", "系统数量", "已上云数"], ["区教委", 3, 2]],
        "区级系统": [HEAD, *DATA],
    }
    result = reading(book)
    assert names(result) == ["学籍管理系统", "预算执行系统"]
    assert [skipped.sheet for skipped in result.skipped_sheets] == ["填报说明", "代码表", "统计"]


def test_a_workbook_without_any_ledger_is_an_error_that_names_its_sheets() -> None:
    with pytest.raises(LedgerError, match="代码表"):
        reading({"代码表": [["单位名称", "单位代码"], ["区教委", "A01"]]})


def test_resources_on_a_sheet_of_their_own_join_the_systems_they_belong_to() -> None:
    book = {
        "区级系统": [["单位名称", "系统名称", "用户规模", "等保级别"], ["区教委", "学籍管理系统", 300, "三级"]],
        "资源": [
            ["单位名称", "系统名称", "服务器数量", "CPU总核数", "内存总量（G）"],
            ["区教委", "学籍管理系统", 2, 16, 32],
        ],
    }
    result = reading(book)
    assert names(result) == ["学籍管理系统"]
    system = result.systems[0]
    assert (system.users, system.mlps, system.servers, system.vcpu, system.mem_gb) == (300, "3", 2, 16, 32)
    assert result.findings == ()


@pytest.mark.parametrize(
    ("line", "day"),
    [
        (["截至日期：2021年6月30日"], "2021-06-30"),
        (["统计截止时间：2021年6月30日"], "2021-06-30"),
        (["数据截至2021年6月30日"], "2021-06-30"),
        (["截止时间：2021.6"], "2021-06-30"),
        (["截至日期：", "2021-06-30"], "2021-06-30"), (["填报单位：某局", None, "统计时间：2021/6/30"], "2021-06-30"),
        (["（截至2021年6月30日）"], "2021-06-30"),
    ],
)  # fmt: skip
def test_the_as_of_day_is_read_from_the_title_rows(line: list[str], day: str) -> None:
    result = reading([["台账"], line, HEAD, *DATA])
    assert result.as_of is not None
    assert result.as_of.isoformat() == day


def test_a_watermark_marks_the_reading_as_illustrative() -> None:
    assert reading([["示例数据，请勿引用"], HEAD, *DATA]).illustrative
    assert not reading([["示例区台账"], HEAD, *DATA]).illustrative

    def footer(book: object) -> None:
        book["区级系统"].oddFooter.center.text = "示例数据"  # type: ignore[index]  # as above

    assert read_ledger(xlsx([HEAD, *DATA], touch=footer), "a.xlsx").illustrative


class TestUnits:
    @pytest.mark.parametrize(
        ("heading", "written", "wan"),
        [
            ("年运维费（元）", 306000, 30.6), ("年运维费（万元）", 30.6, 30.6), ("年运维费（千元）", 306, 30.6),
            ("年运维费（亿元）", 0.003, 30.0),
            ("年运维费", 30.6, 30.6), ("年运维费", "30.6万元", 30.6), ("年运维费（万元）", "8000元", 0.8),
            ("年运维费（元）", "1,250", 0.125),
        ],
    )  # fmt: skip
    def test_money_is_in_wan_whatever_the_heading_counts_in(
        self, heading: str, written: object, wan: float
    ) -> None:
        rows = [["单位名称", "系统名称", heading], ["区教委", "甲系统", written]]
        assert reading(rows).systems[0].opex_wan == wan

    def test_a_unit_line_above_the_table_holds_for_it(self) -> None:
        rows = [["单位：元"], ["单位名称", "系统名称", "年运维费"], ["区教委", "甲系统", 5000]]
        assert reading(rows).systems[0].opex_wan == 0.5

    def test_yearly_costs_of_six_digits_without_any_unit_are_yuan(self) -> None:
        rows = [["单位名称", "系统名称", "年运维费"], ["区教委", "甲系统", 125000], ["区教委", "乙系统", 300000]]
        assert [system.opex_wan for system in reading(rows).systems] == [12.5, 30.0]

    @pytest.mark.parametrize(
        ("heading", "written", "percent"),
        [
            ("CPU平均利用率", ("0.0%", 0.27), 27.0), ("CPU平均利用率", "27.0%", 27.0), ("CPU平均利用率（%）", 27, 27.0),
            ("CPU平均利用率（%）", 0.9, 0.9),
            ("CPU平均利用率", 0.27, 27.0), ("CPU平均利用率", 27, 27.0), ("CPU平均利用率", "约8.0％", 8.0),
        ],
    )  # fmt: skip
    def test_percentages_are_percent_whatever_their_cell_looks_like(
        self, heading: str, written: object, percent: float
    ) -> None:
        rows = [["单位名称", "系统名称", heading], ["区教委", "甲系统", written]]
        assert reading(rows).systems[0].cpu_avg_pct == percent

    @pytest.mark.parametrize(
        ("written", "percent"),
        [
            ([0.27, 0.035, 0.44, 0.002, 0.155], [27.0, 3.5, 44.0, 0.2, 15.5]),
            ([0.2, 0.9, 0.5, 1, 0.8], [0.2, 0.9, 0.5, 1.0, 0.8]),
            ([0.27, 0.035, 0.44, 0.002, 15.5], [0.27, 0.035, 0.44, 0.002, 15.5]),
            ([0.27, 0.035], [0.27, 0.035]),
        ],
    )
    def test_below_a_percent_heading_two_decimals_throughout_are_fractions(
        self, written: list[float], percent: list[float]
    ) -> None:
        rows = [
            ["单位名称", "系统名称", "CPU平均利用率（%）"],
            *(["区教委", f"{n}号系统", x] for n, x in enumerate(written)),
        ]
        assert [system.cpu_avg_pct for system in reading(rows).systems] == percent

    def test_one_number_above_one_shows_that_the_column_is_in_percent(self) -> None:
        rows = [["单位名称", "系统名称", "CPU利用率"], ["区教委", "甲系统", 0.9], ["区教委", "乙系统", 35]]
        assert [system.cpu_avg_pct for system in reading(rows).systems] == [0.9, 35.0]

    @pytest.mark.parametrize(
        ("headings", "cells", "amounts"),
        [
            (("服务器数量", "CPU核数", "内存（GB）"), (2, 32, 64), (2, 32, 64)),
            (("台数", "单台CPU核数", "单台内存（GB）"), (2, 16, 32), (2, 32, 64)),
            (("台数", "CPU总核数", "总内存（TB）"), (4, 64, 0.5), (4, 64, 512)),
            (("台数", "每台配置", "备注"), (3, "16核32G", None), (3, 48, 96)),
            (("台数", "服务器配置", "备注"), ("3台", "16核32G", None), (3, 48, 96)),
            (("台数", "服务器配置", "备注"), (2, "16核32G*2台", None), (2, 32, 64)),
            (("台数", "服务器总配置（合计）", "备注"), (2, "32核64G", None), (2, 32, 64)),
            (("服务器（台）", "CPU（核）", "内存（MB）"), ("2", "32核", 65536), (2, 32, 64)),
        ],
    )  # fmt: skip
    def test_capacity_is_the_total_over_the_servers(
        self, headings: tuple[str, ...], cells: tuple[object, ...], amounts: tuple[int, int, float]
    ) -> None:
        system = reading([["单位名称", "系统名称", *headings], ["区教委", "甲系统", *cells]]).systems[0]
        assert (system.servers, system.vcpu, system.mem_gb) == amounts

    def test_cores_that_do_not_divide_by_the_servers_are_stated_per_server(self) -> None:
        rows = [
            ["单位名称", "系统名称", "服务器数量", "CPU核数", "内存（GB）"],
            ["区教委", "甲系统", 3, 16, 32],
            ["区教委", "乙系统", 2, 8, 16],
        ]
        assert [(system.vcpu, system.mem_gb) for system in reading(rows).systems] == [(48, 96), (16, 32)]

    def test_a_group_heading_says_that_amounts_are_per_server(self) -> None:
        rows = [
            ["单位名称", "系统名称", "台数", "单台配置", None],
            [None, None, None, "CPU（核）", "内存（G）"],
            ["区教委", "甲系统", 2, 8, 16],
        ]
        system = reading(rows, "A1:A2", "B1:B2", "C1:C2", "D1:E1").systems[0]
        assert (system.vcpu, system.mem_gb) == (16, 32)

    @pytest.mark.parametrize(
        ("heading", "written", "users"),
        [("用户数（万人）", 1.2, 12000), ("用户数（人）", 300, 300), ("用户数（万人）", "300人", 300)],
    )
    def test_users_may_be_counted_in_ten_thousands(self, heading: str, written: object, users: int) -> None:
        assert (
            reading([["单位名称", "系统名称", heading], ["区教委", "甲系统", written]]).systems[0].users == users
        )


class TestMapping:
    def test_a_mapping_file_names_what_the_lexicon_does_not_know(self) -> None:
        mapping = HeaderMapping.from_yaml(
            "headings:\n  承载网: zone\n  用户规模: ignore\nsheets:\n  平台类: soe\n"
        )
        rows = [["单位名称", "系统名称", "用户规模", "承载网"], ["区教委", "甲系统", 300, "公网"]]
        result = read_ledger(xlsx({"平台类": rows}), "a.xlsx", mapping)
        system = result.systems[0]
        assert (system.zone, system.users, system.ownership) == ("互联网", None, Ownership.SOE)

    def test_a_mapping_can_name_the_system_column_itself(self) -> None:
        mapping = HeaderMapping.from_yaml("headings:\n  工程: name\n  甲方: department\n")
        rows = [["工程", "甲方", "规模"], ["甲系统", "区教委", "大"]]
        assert [(s.name, s.department) for s in read_ledger(xlsx(rows), "a.xlsx", mapping).systems] == [
            ("甲系统", "区教委")
        ]

    def test_a_sheet_can_be_skipped_by_the_mapping(self) -> None:
        mapping = HeaderMapping.from_yaml("sheets:\n  旧表: skip\n")
        result = read_ledger(xlsx({"旧表": [HEAD, *DATA], "区级系统": [HEAD, DATA[0]]}), "a.xlsx", mapping)
        assert names(result) == ["学籍管理系统"]
        assert [skipped.sheet for skipped in result.skipped_sheets] == ["旧表"]

    def test_a_mapping_survives_its_yaml(self) -> None:
        mapping = HeaderMapping(sender="示例区大数据中心", headings={"承载网": "zone"}, sheets={"平台": "soe"})
        assert HeaderMapping.from_yaml(mapping.to_yaml()) == mapping

    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("headings:\n  承载网: zones\n", "zones"), ("headers:\n  a: zone\n", "headers"),
            ("sheets:\n  a: 国企\n", "sheets"), ("- a\n", "YAML"),
            ("headings: [\n", "YAML"), ("headings: zone\n", "headings"),
        ],
    )  # fmt: skip
    def test_a_wrong_mapping_is_one_line_that_names_the_entry(self, text: str, named: str) -> None:
        with pytest.raises(LedgerError, match=named) as caught:
            HeaderMapping.from_yaml(text, "map.yaml")
        assert "\n" not in str(caught.value)

    def test_every_heading_is_reported_with_its_confidence(self) -> None:
        result = reading(
            [["单位名称", "系统名称", "系统目前的密码应用方案", "承建单位"], ["区教委", "甲系统", "是", "某公司"]]
        )
        report = {entry.heading: (entry.target, entry.cell) for entry in result.headings}
        assert report == {
            "单位名称": ("department", "A1"),
            "系统名称": ("name", "B1"),
            "系统目前的密码应用方案": ("crypto_plan", "C1"),
            "承建单位": ("ignore", "D1"),
        }
        confidence = {entry.heading: entry.confidence for entry in result.headings}
        assert confidence["系统名称"] > 0.9 > confidence["系统目前的密码应用方案"] > 0.6


def test_a_row_of_units_below_the_headings_belongs_to_them() -> None:
    rows = [
        ["单位名称", "系统名称", "年运维费", "用户数", "内存"],
        [None, None, "（元）", "（万人）", "（TB）"],
        ["区教委", "甲系统", 8000, 1.2, 0.5],
    ]
    system = reading(rows).systems[0]
    assert (system.opex_wan, system.users, system.mem_gb) == (0.8, 12000, 512)


def test_a_summary_sheet_that_lists_everything_again_is_no_pile_of_duplicates() -> None:
    own = [[f"区第{index}局", f"第{index}系统", index + 3, "8C16G"] for index in range(6)]
    other = [["市税务局", "征缴平台", 9, "16C32G"]]
    head = ["单位名称", "系统名称", "用户规模", "服务器配置"]
    for book in (
        {"区级": [head, *own], "市垂": [head, *other], "汇总": [head, *own, *other]},
        {"汇总": [head, *own, *other], "区级": [head, *own], "市垂": [head, *other]},
    ):
        result = reading(book)
        assert len(result.systems) == 7
        assert result.findings == ()
        assert {system.name: system.ownership for system in result.systems}["征缴平台"] is Ownership.VERTICAL


def test_numbered_remarks_below_a_table_are_no_systems() -> None:
    rows = [
        ["系统名称", "单位名称", "用户规模"],
        ["甲系统", "区教委", 3],
        ["填报说明："],
        ["1.系统名称填写全称"],
        ["2、用户规模填写人数。"],
        ["（3）上级垂管系统不填"],
    ]
    result = reading(rows)
    assert names(result) == ["甲系统"]
    assert result.findings == ()


@pytest.mark.parametrize("line", ["填报日期：2024年3月31日", "（2024年3月31日）", "截至2024年3月底"])
def test_the_day_of_filling_in_is_the_as_of_where_nothing_else_says_it(line: str) -> None:
    result = reading([["台账"], [line], HEAD, *DATA])
    assert result.as_of is not None
    assert result.as_of.isoformat() == "2024-03-31"


def test_the_reporting_unit_does_not_decide_whose_systems_these_are() -> None:
    rows = [["示例区政务信息系统台账"], ["填报单位：示例区国资委"], ["说明：上级垂管系统不填。"], HEAD, *DATA]
    assert {system.ownership for system in reading({"Sheet1": rows}).systems} == {Ownership.DISTRICT}

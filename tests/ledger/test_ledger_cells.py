"""What people write in a cell, and what the ledger means by it. Each table is one kind of cell."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from inventory.ledger.cells import capacity, choices, dates, quantities
from inventory.ledger.cells.text import Unreadable, identity, is_ditto, says_nothing, written
from inventory.ledger.grid import CalendarDay, Percent
from inventory.model.system import AcceleratorDemand
from inventory.model.units import percent_half_up


@pytest.mark.parametrize(
    ("text", "servers", "vcpu", "mem"),
    [
        ("16核32G*2台", 2, 32, 64), ("8C/16G", 1, 8, 16), ("2台（32C/64GB）", 2, 64, 128), ("4台16核64G", 4, 64, 256),
        ("CPU32核，内存128G", 1, 32, 128), ("32核128G×2", 2, 64, 256), ("4vCPU 8GB", 1, 4, 8), ("十六核32G", 1, 16, 32),
        ("４台（３２Ｃ／６４ＧＢ）", 4, 128, 256), ("ＣＰＵ２核，内存８Ｇ", 1, 2, 8), ("8核/16GB", 1, 8, 16),
        ("2*（16核32G）", 2, 32, 64),
        ("2路16核64G", 1, 32, 64), ("每台16核32G，共3台", 3, 48, 96), ("共32核64G（2台）", 2, 32, 64),
        ("内存64G CPU16核", 1, 16, 64),
        ("16C32G x2", 2, 32, 64), ("Intel Xeon 6248 16核 64G", 1, 16, 64), ("鲲鹏920 CPU 16核 32G", 1, 16, 32), ("4U8G", 1, 4, 8),
        ("16核32G*2台+8核16G*1台", 3, 40, 80), ("2台16核64G，1台8核16G", 3, 40, 144), ("两台8核16G", 2, 16, 32),
        ("8 核 16 G * 2 台", 2, 16, 32),
        ("8核1T", 1, 8, 1024), ("2核512M", 1, 2, 0.5),
    ],
)  # fmt: skip
def test_servers_are_read_as_totals(text: str, servers: int, vcpu: int, mem: float) -> None:
    read = capacity.machines(text)
    assert read is not None
    assert (read.servers, read.vcpu, read.mem_gb) == (servers, vcpu, mem)


@pytest.mark.parametrize("text", ["按需", "若干台服务器", "高配", "3台", True])
def test_a_server_text_without_cores_or_memory_is_unreadable(text: Any) -> None:
    with pytest.raises(Unreadable):
        capacity.machines(text)


@pytest.mark.parametrize(
    ("value", "gigabytes"),
    [
        ("2T", 2048), ("2 T", 2048), ("500G+1T", 1524), ("200g", 200), ("1TB×2", 2048), ("系统盘100G+数据盘2T", 2148),
        ("512MB", 0.5),
        ("1.5T", 1536), ("4*600G", 2400), ("600G*4块", 2400), ("2块1T", 2048), ("１Ｔ", 1024), ("1,024GB", 1024),
        (500, 500), ("500", 500),
        ("约2T", 2048), ("1P", 1048576), ("无", None), ("—", None), (None, None),
    ],
)  # fmt: skip
def test_disks_are_read_in_gigabytes_with_1024_to_the_terabyte(value: Any, gigabytes: float | None) -> None:
    assert capacity.size_gb(value) == gigabytes


@pytest.mark.parametrize("value", ["很大", "500G已用300G", "1T~2T", "三块盘", True, Percent(0.5)])
def test_a_disk_that_needs_guessing_is_unreadable(value: Any) -> None:
    with pytest.raises(Unreadable):
        capacity.size_gb(value)


@pytest.mark.parametrize(
    ("text", "model", "count"),
    [
        ("昇腾910B*2", "昇腾910B", 2), ("2张A800", "A800", 2), ("寒武纪MLU370×8卡", "寒武纪MLU370", 8),
        ("A100 8卡", "A100", 8), ("昇腾910B 2块", "昇腾910B", 2),
        ("2*昇腾910B", "昇腾910B", 2), ("NVIDIA A800（4张）", "NVIDIA A800", 4), ("两张A800", "A800", 2),
        ("Tesla T4 x 2", "Tesla T4", 2), ("昇腾910B＊２", "昇腾910B", 2),
    ],
)  # fmt: skip
def test_accelerator_cards_have_a_model_and_a_number(text: str, model: str, count: int) -> None:
    assert capacity.cards(text) == AcceleratorDemand(model, count)


def test_a_card_without_a_number_is_unreadable_and_no_card_is_none() -> None:
    with pytest.raises(Unreadable):
        capacity.cards("昇腾910B")
    assert [capacity.cards(value) for value in ("无", "—", None, "0")] == [None] * 4
    assert capacity.cards("昇腾910B", 4) == AcceleratorDemand("昇腾910B", 4)


@pytest.mark.parametrize(
    ("value", "people"),
    [
        ("约300", 300), ("6万", 60000), ("80人", 80), ("1.2万", 12000), ("3千", 3000), ("1,200", 1200),
        ("300余人", 300), ("300多人", 300), ("0人", 0),
        ("约0", 0), ("约6万人", 60000), ("近500人", 500), ("三百", 300), ("两千", 2000), ("用户3000人", 3000),
        ("注册用户：3000", 3000), ("８０人", 80), (1200, 1200),
        (1200.0, 1200), ("50户", 50), ("6万余人", 60000), ("十余人", 10), ("1.5w", 15000), (None, None), ("不详", None),
        ("—", None),
    ],
)  # fmt: skip
def test_numbers_of_people(value: Any, people: int | None) -> None:
    assert quantities.people(value) == people


@pytest.mark.parametrize(
    "value", ["100-200", "全体干部", "若干", "注册300人，活跃80人", "3.5人", -3, Percent(0.5), True]
)
def test_people_that_cannot_be_counted_are_unreadable(value: Any) -> None:
    with pytest.raises(Unreadable):
        quantities.people(value)


@pytest.mark.parametrize(
    ("value", "text", "precision"),
    [
        ("2021年7月", "2021-07", "month"), ("2021.7", "2021-07", "month"), ("21-07", "2021-07", "month"),
        ("20131217", "2013-12-17", "day"),
        ("2018/12", "2018-12", "month"), ("2016", "2016", "year"), (2016, "2016", "year"), ("2016年", "2016", "year"),
        ("2013.11.9", "2013-11-09", "day"),
        ("2021年7月5日", "2021-07-05", "day"), ("2021-07-05 00:00:00", "2021-07-05", "day"),
        ("201310", "2013-10", "month"), (201310, "2013-10", "month"),
        ("二〇二一年七月", "2021-07", "month"), ("2021年上半年", "2021", "year"), ("17/12/2013", "2013-12-17", "day"),
        ("Jul-21", "2021-07", "month"),
        (41625, "2013-12-17", "day"), (20131217, "2013-12-17", "day"), (2021.7, "2021-07", "month"),
        ("２０２１年７月", "2021-07", "month"),
        ("2021年7月上线", "2021-07", "month"), ("2021 年 7 月", "2021-07", "month"),
        (CalendarDay(date(2020, 3, 1), "month"), "2020-03", "month"),
        (CalendarDay(date(2020, 3, 9), "day"), "2020-03-09", "day"), ("98-05", "1998-05", "month"),
    ],
)  # fmt: skip
def test_a_date_keeps_the_precision_it_was_written_with(value: Any, text: str, precision: str) -> None:
    assert dates.partial_date(value) == (text, precision)


@pytest.mark.parametrize("value", ["长期", "不详", None, "", "—", "在建", "未上线"])
def test_a_date_that_says_nothing_is_unknown(value: Any) -> None:
    assert dates.partial_date(value) is None


@pytest.mark.parametrize(
    "value", ["2021.13", "5/6/2013", "2018-2020", "2021年2月30日", "去年", 7, "1921年", True, "2021年6月至8月"]
)
def test_a_date_that_needs_guessing_is_unreadable(value: Any) -> None:
    with pytest.raises(Unreadable):
        dates.partial_date(value)


@pytest.mark.parametrize(
    ("value", "percent"),
    [(Percent(0.27), 27.0), (Percent(0.009000000000000001), 0.9), ("27.0%", 27.0), ("约8.0%", 8.0), ("27％", 27.0),
    ("0.9%", 0.9), (Percent(0.155), 15.5), (None, None), ("无", None)],
)  # fmt: skip
def test_percentages(value: Any, percent: float | None) -> None:
    assert quantities.percentage(value, plain_is_fraction=False) == percent


@pytest.mark.parametrize("value", ["130%", "30%-50%", "较高", -5, True])
def test_a_percentage_beyond_a_hundred_or_a_range_is_unreadable(value: Any) -> None:
    with pytest.raises(Unreadable):
        quantities.percentage(value, plain_is_fraction=False)


@pytest.mark.parametrize(
    ("value", "unit", "wan"),
    [(30, "万元", 30.0), ("12.5万", "元", 12.5), ("3万元", "元", 3.0), (5000, "元", 0.5), ("￥5,000.00元", "万元", 0.5),
    ("约30万元/年", "元", 30.0), ("0.8", "万元", 0.8), (2, "亿元", 20000.0), ("—", "元", None)],
)  # fmt: skip
def test_money(value: Any, unit: str, wan: float | None) -> None:
    assert quantities.money_wan(value, unit) == wan


@pytest.mark.parametrize("value", ["面议", "10-20万", "美元3万", True, Percent(0.1), -1])
def test_money_that_cannot_be_read(value: Any) -> None:
    with pytest.raises(Unreadable):
        quantities.money_wan(value, "万元")


YES = [
    "是",
    "有",
    "√",
    "✓",
    "✔",
    "Y",
    "y",
    "Yes",
    "已上云",
    "已完成",
    "1",
    1,
    1.0,
    True,
    "TRUE",
    "已迁移",
    "是（政务云）",
    "已编制",
    "是，2020年完成",
    "☑",
    "对",
]
NO = [
    "否",
    "无",
    "×",
    "✗",
    "x",
    "X",
    "N",
    "n",
    "No",
    "未完成",
    "未上云",
    "0",
    0,
    False,
    "没有",
    "尚未迁移",
    "编制中",
    "正在迁移",
    "否（合同未到期）",
    "未编制",
    "不是",
    "□",
]


@pytest.mark.parametrize(("value", "answer"), [(value, True) for value in YES] + [(value, False) for value in NO])
def test_yes_and_no_in_all_their_spellings(value: Any, answer: bool) -> None:
    assert choices.yes_or_no(value) is answer


@pytest.mark.parametrize("value", [None, "", " ", "\u3000", "—", "/", "不涉及", "不适用", "N/A", "不详", "待核实"])
def test_empty_and_not_applicable_are_unknown_and_never_no(value: Any) -> None:
    assert choices.yes_or_no(value) is None
    assert choices.yes_or_no(value, "should") is None


@pytest.mark.parametrize("value", ["部分上云", "是否", "张三", 7, "2021年", Percent(0.5)])
def test_an_answer_between_yes_and_no_is_unreadable(value: Any) -> None:
    with pytest.raises(Unreadable):
        choices.yes_or_no(value)


@pytest.mark.parametrize(
    ("value", "answer"),
    [("应上云", True), ("拟上云", True), ("需要", True), ("纳入", True), ("不纳入", False),
     ("无需上云", False), ("暂不上云", False), ("是", True), ("×", False)]
)  # fmt: skip
def test_a_duty_to_migrate(value: Any, answer: bool) -> None:
    assert choices.yes_or_no(value, "should") is answer


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("三级", "3"), ("等保3级", "3"), ("S3A3G3", "3"), ("S2A3G3", "3"), ("S2A2", "2"), ("第三级", "3"),
        ("未定级", "none"), ("无", "none"), (3, "3"), (3.0, "3"), ("3", "3"),
        ("等级保护二级", "2"), ("三级（备案号50010199001）", "3"), ("Ⅲ级", "3"), ("三级等保", "3"), ("２级", "2"),
        ("等保三级", "3"), ("等保2.0三级", "3"), ("未备案", "none"), ("不涉及", None), (None, None), ("", None),
    ],
)  # fmt: skip
def test_protection_levels(value: Any, level: str | None) -> None:
    assert choices.protection_level(value) == level


@pytest.mark.parametrize("value", ["五级", "二级/三级", "高", "7", True])
def test_a_protection_level_that_is_none_of_the_four_is_unreadable(value: Any) -> None:
    with pytest.raises(Unreadable):
        choices.protection_level(value)


@pytest.mark.parametrize(
    ("text", "arch"),
    [
        ("鲲鹏920", "arm64"), ("飞腾", "arm64"), ("海光", "c86"), ("兆芯", "x86_64"), ("Intel", "x86_64"),
        ("AMD EPYC", "x86_64"), ("X86", "x86_64"), ("ARM", "arm64"),
        ("aarch64", "arm64"), ("ARM（鲲鹏）", "arm64"), ("海光（x86）", "c86"), ("x86架构", "x86_64"),
        ("Intel至强", "x86_64"), ("FT-2000", "arm64"), ("Hygon C86 7285", "c86"), ("不详", None),
    ],
)  # fmt: skip
def test_architectures(text: str, arch: str | None) -> None:
    assert choices.architecture(text) == arch


@pytest.mark.parametrize("text", ["x86/ARM", "鲲鹏+Intel", "龙芯3A5000", "申威", "国产"])
def test_an_architecture_that_no_pool_has_or_two_at_once_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        choices.architecture(text)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("互联网", "互联网"), ("公网", "互联网"), ("Internet", "互联网"), ("internet", "互联网"),
        ("政务外网", "政务外网"), ("电子政务外网", "政务外网"), ("外网", "政务外网"), ("政务外网（互联网区）", "政务外网"),
        ("政务内网", "政务内网"), ("业务专网", "业务专网"), ("专网", "业务专网"), ("公安专网", "业务专网"),
        ("ＩＮＴＥＲＮＥＴ", "互联网"), ("不详", None),
    ],
)  # fmt: skip
def test_zones(text: str, zone: str | None) -> None:
    assert choices.zone(text) == zone


@pytest.mark.parametrize("text", ["互联网、政务外网", "政务外网+专网", "局域网", "政务外网/互联网"])
def test_a_zone_that_names_two_networks_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        choices.zone(text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("涉密", True), ("非涉密", False), ("否", False), ("是", True), ("参照涉密", True),
     ("不涉密", False), ("秘密级", True), ("", None), ("公开", False)]
)  # fmt: skip
def test_classified(text: str, answer: bool | None) -> None:
    assert choices.classified(text) is answer


@pytest.mark.parametrize(
    ("text", "disposition"),
    [
        ("关停", "retire"), ("已关停", "retire"), ("停用下线", "retire"), ("整合", "consolidate"),
        ("优化整合", "consolidate"), ("平迁", "rehost"), ("迁移", "rehost"), ("迁移（平迁）", "rehost"),
        ("改造", "replatform"), ("改造迁移", "replatform"), ("迁移（改造）", "replatform"), ("重构", "refactor"),
        ("迁移（替换）", "repurchase"), ("例外保留", "retain"), ("暂缓", "retain"),
        ("暂缓迁移", "retain"), ("不迁移", "retain"), ("整合后关停", "consolidate"), ("", None), ("待定", None),
    ],
)  # fmt: skip
def test_dispositions(text: str, disposition: str | None) -> None:
    assert choices.disposition(text) == disposition


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (" 甲系统\u3000", "甲系统"), ("甲\n系统", "甲系统"), ("ＯＡ系统", "OA系统"),
        ("甲系统（一期）", "甲系统（一期）"), ("\u00a0甲系统\ufeff", "甲系统"), ("OA  系统", "OA 系统"), (12345, "12345"),
        (13800000000.0, "13800000000"),
    ],
)  # fmt: skip
def test_names_are_kept_as_written_but_for_what_the_keyboard_left(cell: Any, name: str) -> None:
    assert written(cell) == name


def test_spellings_of_one_name_have_one_identity() -> None:
    assert (
        len(
            {
                identity(name)
                for name in ("OA系统(一期)", "ＯＡ系统（一期）", "oa 系统（一期）", "《OA系统（一期）》")
            }
        )
        == 1
    )


def test_signs_for_nothing_and_for_the_same_again() -> None:
    assert all(says_nothing(value) for value in (None, "", "—", "/", "不详", " - ", "N/A"))
    assert not any(says_nothing(value) for value in (0, "0", "无", "否"))
    assert is_ditto("同上") and is_ditto("〃") and not is_ditto("同上系统")


@pytest.mark.parametrize(
    ("count", "of", "percent"),
    [(34, 35, 97.1), (40, 67, 59.7), (1, 8, 12.5), (389, 400, 97.3), (0, 5, 0.0), (5, 5, 100.0), (1, 0, None)],
)
def test_rates_round_half_up_as_reports_do(count: int, of: int, percent: float | None) -> None:
    assert percent_half_up(count, of) == percent

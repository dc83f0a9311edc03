"""When a finding arises, and when it must not: nothing more may be found than is there."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from inventory.ledger import FindingKind, reading_json
from tests.ledger.workbooks import by_name, kinds, names, reading

HEAD = ["单位名称", "系统名称", "上线时间", "用户规模", "服务器配置", "存储", "等保级别", "对接系统"]
EXCHANGE: list[Any] = ["区大数据局", "数据共享交换平台", "2013.11.9", 80, "2台32核64G", "1T", "二级", None]


def like(row: list[Any], **changes: Any) -> list[Any]:
    """A copy of a row with some cells changed, named by their heading."""
    return [changes.get(heading, value) for heading, value in zip(HEAD, row, strict=True)]


class TestDuplicates:
    @pytest.mark.parametrize(
        "name",
        [
            "数据共享交换平台（二期）",
            "数据共享交换平台二期",
            "数据共享交换平台V2.0",
            "数据共享交换平台(升级版)",
            "数据共享 交换平台",
            "数据共享交换平台2.0",
            "数据共享交换平台（新）",
            "数据共享交换平台-二期",
        ],
    )
    def test_the_same_system_under_a_later_name_is_held_and_counts_nowhere(self, name: str) -> None:
        result = reading([HEAD, EXCHANGE, like(EXCHANGE, 系统名称=name)])
        assert names(result) == ["数据共享交换平台"]
        assert [(duplicate.system.name, duplicate.of) for duplicate in result.held] == [(name, "数据共享交换平台")]
        assert kinds(result) == [("possible_duplicate", "B3")]
        assert result.findings[0].of == "数据共享交换平台"

    def test_the_row_with_the_later_name_is_held_even_where_it_comes_first(self) -> None:
        result = reading([HEAD, like(EXCHANGE, 系统名称="数据共享交换平台（二期）"), EXCHANGE])
        assert names(result) == ["数据共享交换平台"]
        assert kinds(result) == [("possible_duplicate", "B2")]

    def test_other_dependencies_do_not_make_it_another_system(self) -> None:
        rows = [
            HEAD,
            EXCHANGE,
            like(EXCHANGE, 系统名称="证照库", 用户规模=3, 上线时间="2015"),
            like(EXCHANGE, 系统名称="数据共享交换平台（二期）", 对接系统="证照库"),
        ]
        assert [kind for kind, _ in kinds(reading(rows))] == ["possible_duplicate"]

    def test_the_department_spelled_out_is_the_same_department(self) -> None:
        rows = [
            HEAD,
            like(EXCHANGE, 单位名称="区教委", 系统名称="学籍系统"),
            like(EXCHANGE, 单位名称="示例区教育委员会", 系统名称="学籍系统"),
        ]
        assert kinds(reading(rows)) == [("possible_duplicate", "B3")]

    def test_the_department_spelled_otherwise_inside_the_name_is_seen_through(self) -> None:
        rows = [
            HEAD,
            like(EXCHANGE, 单位名称="区卫健委", 系统名称="卫健委档案管理系统"),
            like(EXCHANGE, 单位名称="区卫生健康委", 系统名称="卫生健康委档案管理系统"),
        ]
        assert kinds(reading(rows)) == [("possible_duplicate", "B3")]

    def test_the_same_row_entered_twice_is_held_once(self) -> None:
        result = reading([HEAD, EXCHANGE, EXCHANGE])
        assert names(result) == ["数据共享交换平台"]
        assert kinds(result) == [("possible_duplicate", "B3")]

    @pytest.mark.parametrize(
        "changes",
        [
            {
                "系统名称": "数据共享交换平台（二期）",
                "上线时间": "2019.3",
                "用户规模": 3000,
                "服务器配置": "4台16核64G",
                "存储": "4T",
            },
            {"系统名称": "数据共享监管平台"},
            {
                "系统名称": "数据共享交换平台",
                "单位名称": "区财政局",
                "上线时间": "2019.3",
                "用户规模": 3000,
                "存储": "4T",
            },
            {"系统名称": "数据共享交换平台移动端"},
            {"系统名称": "数据共享交换平台", "单位名称": "市大数据局"},
            {"系统名称": "数据交换平台（二期）"},
        ],
        ids=[
            "a second phase with data of its own",
            "another name",
            "another department",
            "the mobile client",
            "the superior's own",
            "another base name",
        ],
    )
    def test_a_different_system_is_never_held(self, changes: dict[str, Any]) -> None:
        result = reading([HEAD, EXCHANGE, like(EXCHANGE, **changes)])
        assert len(result.systems) == 2
        assert result.findings == ()

    def test_two_phases_that_carry_their_numbers_are_two_systems(self) -> None:
        first = like(EXCHANGE, 系统名称="雪亮工程（一期）")
        second = like(EXCHANGE, 系统名称="雪亮工程（二期）", 上线时间="2016.5")
        result = reading([HEAD, first, second])
        assert names(result) == ["雪亮工程（一期）", "雪亮工程（二期）"]
        assert result.findings == ()

    def test_different_systems_of_one_department_with_equal_sizes_are_not_alike(self) -> None:
        rows = [HEAD, like(EXCHANGE, 系统名称="档案管理系统"), like(EXCHANGE, 系统名称="项目管理系统")]
        assert reading(rows).findings == ()

    def test_a_dependency_on_a_held_duplicate_means_the_system_it_repeats(self) -> None:
        rows = [
            HEAD,
            EXCHANGE,
            like(EXCHANGE, 系统名称="数据共享交换平台（二期）"),
            like(EXCHANGE, 系统名称="门户", 用户规模=1, 对接系统="数据共享交换平台（二期）"),
        ]
        result = reading(rows)
        assert by_name(result)["门户"].deps == ("数据共享交换平台",)
        assert [kind for kind, _ in kinds(result)] == ["possible_duplicate"]


class TestConflicts:
    def test_one_system_with_two_values_is_one_system_and_a_conflict_for_each_field(self) -> None:
        result = reading([HEAD, EXCHANGE, like(EXCHANGE, 用户规模=90, 存储="2T")])
        assert names(result) == ["数据共享交换平台"]
        assert result.systems[0].users == 80
        assert kinds(result) == [("conflict", "D3"), ("conflict", "F3")]
        finding = result.findings[0]
        assert (finding.field, finding.value, finding.of) == ("users", "90", "数据共享交换平台")

    def test_what_only_the_second_row_knows_is_kept(self) -> None:
        result = reading([HEAD, like(EXCHANGE, 等保级别=None), like(EXCHANGE, 用户规模=90)])
        assert result.systems[0].mlps == "2"

    def test_the_same_name_in_two_departments_is_two_systems(self) -> None:
        result = reading(
            [
                HEAD,
                like(EXCHANGE, 系统名称="门户网站"),
                like(EXCHANGE, 系统名称="门户网站", 单位名称="区财政局", 用户规模=7, 存储="3T"),
            ]
        )
        assert len(result.systems) == 2
        assert result.findings == ()


class TestDependencies:
    ROWS: ClassVar[list[list[Any]]] = [
        HEAD,
        EXCHANGE,
        like(EXCHANGE, 系统名称="证照库（二期）", 上线时间="2020", 用户规模=3),
        like(EXCHANGE, 系统名称="规划、建设一体化平台", 用户规模=5, 上线时间="2018"),
    ]

    @pytest.mark.parametrize(
        ("text", "deps"),
        [
            ("数据共享交换平台；证照库（二期）", ("数据共享交换平台", "证照库（二期）")),
            ("数据共享交换平台\n证照库(二期)", ("数据共享交换平台", "证照库（二期）")),
            ("数据共享交换平台、规划、建设一体化平台", ("数据共享交换平台", "规划、建设一体化平台")),
            ("1.数据共享交换平台 2、", ()), ("1.数据共享交换平台；2.证照库（二期）", ("数据共享交换平台", "证照库（二期）")),
            ("数据共享交换平台和证照库（二期）", ("数据共享交换平台", "证照库（二期）")),
            ("数据共享交换平台（接口）", ("数据共享交换平台",)), ("《数据共享交换平台》", ("数据共享交换平台",)),
            ("数据共享 交换平台,数据共享交换平台", ("数据共享交换平台",)),
            ("数据共享交换平台/证照库（二期）", ("数据共享交换平台", "证照库（二期）")),
            ("门户", ()), ("无", ()), ("—", ()), ("数据共享交换平台；无", ("数据共享交换平台",)),
        ],
    )  # fmt: skip
    def test_names_are_split_without_breaking_a_name(self, text: str, deps: tuple[str, ...]) -> None:
        result = reading([*self.ROWS, like(EXCHANGE, 系统名称="门户", 用户规模=1, 对接系统=text)])
        assert by_name(result)["门户"].deps == deps
        if not text.startswith("1.数据共享交换平台 2"):
            assert result.findings == ()

    def test_a_name_that_no_row_bears_is_a_finding_and_no_dependency(self) -> None:
        result = reading(
            [*self.ROWS, like(EXCHANGE, 系统名称="门户", 用户规模=1, 对接系统="证照库（二期）、省平台；交换平台")]
        )
        assert by_name(result)["门户"].deps == ("证照库（二期）",)
        assert [(finding.kind, finding.value) for finding in result.findings] == [
            (FindingKind.UNKNOWN_DEPENDENCY, "省平台"),
            (FindingKind.UNKNOWN_DEPENDENCY, "交换平台"),
        ]

    def test_a_system_that_names_itself_depends_on_nothing_by_that(self) -> None:
        result = reading([HEAD, like(EXCHANGE, 对接系统="数据共享交换平台")])
        assert result.systems[0].deps == ()
        assert result.findings == ()

    def test_a_merge_target_that_no_row_bears_is_a_finding_too(self) -> None:
        head = ["单位名称", "系统名称", "处置方式", "整合目标系统"]
        result = reading([head, ["区教委", "甲系统", "整合", "乙系统"], ["区教委", "丙系统", "整合", "甲系统"]])
        assert [system.merged_into for system in result.systems] == [None, "甲系统"]
        assert [(finding.kind.value, finding.cell, finding.value) for finding in result.findings] == [
            ("unknown_dependency", "D2", "乙系统")
        ]

    def test_a_short_name_from_its_own_column_is_a_name(self) -> None:
        head = ["单位名称", "系统名称", "系统简称", "对接系统"]
        result = reading([head, ["区教委", "学籍管理系统", "学籍", None], ["区教委", "门户", None, "学籍"]])
        assert by_name(result)["门户"].deps == ("学籍管理系统",)

    def test_names_across_sheets_are_found(self) -> None:
        result = reading(
            {
                "区级": [HEAD, like(EXCHANGE, 对接系统="征缴平台")],
                "市垂": [HEAD, like(EXCHANGE, 单位名称="市税务局", 系统名称="征缴平台")],
            }
        )
        assert by_name(result)["数据共享交换平台"].deps == ("征缴平台",)


class TestUnreadableAndMissing:
    def test_a_cell_that_cannot_be_read_is_unknown_and_reported_with_its_text(self) -> None:
        result = reading([HEAD, like(EXCHANGE, 用户规模="全体干部", 存储="很大")])
        system = result.systems[0]
        assert (system.users, system.disk_gb) == (None, None)
        assert [
            (finding.kind.value, finding.cell, finding.field, finding.value) for finding in result.findings
        ] == [
            ("unreadable_cell", "D2", "users", "全体干部"),
            ("unreadable_cell", "F2", "disk", "很大"),
        ]

    def test_a_formula_error_is_unreadable(self) -> None:
        from inventory.ledger import read_ledger
        from tests.ledger.workbooks import xlsx

        result = read_ledger(xlsx([HEAD, like(EXCHANGE, 用户规模="=A1*2")]), "a.xlsx")
        assert kinds(result) == [("unreadable_cell", "D2")]

    def test_what_says_nothing_is_no_finding(self) -> None:
        result = reading(
            [HEAD, like(EXCHANGE, 用户规模="不详", 存储="—", 等保级别="/", 上线时间="未知", 服务器配置="无")]
        )
        assert result.findings == ()

    def test_a_row_with_data_and_no_name_is_reported_at_the_name_cell(self) -> None:
        result = reading([HEAD, EXCHANGE, like(EXCHANGE, 系统名称=None)])
        assert names(result) == ["数据共享交换平台"]
        assert kinds(result) == [("missing_required", "B3")]

    def test_a_department_that_reports_none_is_no_finding(self) -> None:
        assert reading([HEAD, EXCHANGE, ["区民政局", "无", None, None, None, None, None, None]]).findings == ()


def test_a_finding_in_json_has_the_keys_of_the_answer_key_and_its_cell_and_remedy() -> None:
    result = reading_json(reading([HEAD, like(EXCHANGE, 对接系统="省平台")]))
    finding = result["findings"][0]
    assert {name: finding[name] for name in ("kind", "sheet", "row", "cell", "value")} == {
        "kind": "unknown_dependency", "sheet": "区级系统", "row": 2, "cell": "H2", "value": "省平台",
    }  # fmt: skip
    assert " / " in finding["remedy"]

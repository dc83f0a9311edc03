"""Whose a system is: the department of a row, written in it, above it, merged over it, or nowhere."""

from __future__ import annotations

import pytest

from tests.ledger.workbooks import kinds, names, reading

HEAD = ["序号", "单位名称", "系统名称", "用户规模", "服务器配置"]


def departments(*column: str | None) -> tuple[list[str | None], list[tuple[str, str]]]:
    """The departments and findings of rows whose department column holds this."""
    rows = [
        [number, own, f"{sign}系统", number, None]
        for number, (own, sign) in enumerate(zip(column, "甲乙丙丁戊己庚", strict=False), 1)
    ]
    result = reading([HEAD, *rows])
    return [system.department for system in result.systems], kinds(result)


class TestDepartments:
    def test_a_vertical_merge_holds_for_its_rows(self) -> None:
        rows = [
            HEAD,
            [1, "区教委", "甲系统", 1, None],
            [2, None, "乙系统", 2, None],
            [3, "区财政局", "丙系统", 3, None],
        ]
        result = reading(rows, "B2:B3")
        assert [system.department for system in result.systems] == ["区教委", "区教委", "区财政局"]

    def test_written_once_it_holds_until_the_next_one(self) -> None:
        rows = [
            HEAD,
            [1, "区教委", "甲系统", 1, None],
            [2, None, "乙系统", 2, None],
            [3, "区财政局", "丙系统", 3, None],
        ]
        result = reading(rows)
        assert [system.department for system in result.systems] == ["区教委", "区教委", "区财政局"]
        assert result.findings == ()

    @pytest.mark.parametrize("ditto", ["同上", "〃", '"', "同上 "])
    def test_ditto_signs_repeat_the_one_above(self, ditto: str) -> None:
        rows = [HEAD, [1, "区教委", "甲系统", 1, None], [2, ditto, "乙系统", 2, None]]
        assert [system.department for system in reading(rows).systems] == ["区教委", "区教委"]

    @pytest.mark.parametrize(
        ("column", "expected"),
        [
            (("区教委", "同上", "同上", "区财政局", None), ("区教委", "区教委", "区教委", "区财政局", "区财政局")),
            (("区教委", None, "同上", "区财政局", "同上", None), ("区教委",) * 3 + ("区财政局",) * 3),
            (("区教委", "〃", "〃", "〃", None), ("区教委",) * 5),
            (("区教委", '"', '"', "区财政局", '"', '"', None), ("区教委",) * 3 + ("区财政局",) * 4),
        ],
    )
    def test_signs_twice_in_a_row_repeat_a_mark_not_a_value_and_mix_with_empty_cells(
        self, column: tuple[str | None, ...], expected: tuple[str, ...]
    ) -> None:
        assert departments(*column) == (list(expected), [])

    def test_a_sign_does_not_hide_that_rows_repeat_the_value_themselves(self) -> None:
        found, findings = departments("区教委", "区教委", "同上", None)
        assert found == ["区教委", "区教委", "区教委", None]
        assert findings == [("missing_required", "B5")]

    def test_a_sign_above_every_department_repeats_nothing(self) -> None:
        found, findings = departments("同上", "区教委", None)
        assert found == [None, "区教委", "区教委"]
        assert findings == [("missing_required", "B2")]

    def test_where_rows_repeat_it_themselves_an_empty_cell_is_missing(self) -> None:
        rows = [
            HEAD,
            [1, "区教委", "甲系统", 1, None],
            [2, "区教委", "乙系统", 2, None],
            [3, None, "丙系统", 3, None],
        ]
        result = reading(rows)
        assert [system.department for system in result.systems] == ["区教委", "区教委", None]
        assert kinds(result) == [("missing_required", "B4")]

    def test_a_row_outside_every_merge_is_missing_where_merges_are_used(self) -> None:
        rows = [HEAD, [1, "区教委", "甲系统", 1, None], [2, None, "乙系统", 2, None], [3, None, "丙系统", 3, None]]
        result = reading(rows, "B2:B3")
        assert [system.department for system in result.systems] == ["区教委", "区教委", None]
        assert kinds(result) == [("missing_required", "B4")]

    def test_a_sheet_of_one_department_is_named_after_it(self) -> None:
        result = reading({"区教委": [["系统名称", "用户规模", "服务器配置"], ["甲系统", 1, "2C4G"]]})
        assert result.systems[0].department == "区教委"

    def test_without_a_column_the_reporting_unit_is_the_department(self) -> None:
        rows = [["填报单位：示例区教育委员会"], ["系统名称", "用户规模", "服务器配置"], ["甲系统", 1, "2C4G"]]
        result = reading({"Sheet1": rows})
        assert (result.systems[0].department, result.sender) == ("示例区教育委员会", "示例区教育委员会")
        assert result.findings == ()

    def test_no_department_anywhere_is_a_finding_and_the_system_is_kept(self) -> None:
        result = reading({"Sheet1": [["系统名称", "用户规模", "服务器配置"], ["甲系统", 1, "2C4G"]]})
        assert names(result) == ["甲系统"]
        assert kinds(result) == [("missing_required", "A2")]

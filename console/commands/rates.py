"""`xisuan rates`: 上云率, 整合率, each with numerator, denominator, scope and day, and with its rows on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from console import printing
from console.commands.options import AsJson, AsOf, Scope, checked_day
from console.home import find_home
from console.ledger_access import open_ledger

_ROW_COLUMNS = ("系统/system", "单位/department", "工作表/sheet", "行/row", "填报单位/sender", "导入/import")


def rates(
    as_of: AsOf = "",
    scope: Scope = "",
    rows: Annotated[bool, typer.Option("--rows", help="列出每个数字背后的系统 / open the rows")] = False,
    as_json: AsJson = False,
) -> None:
    """上云率、整合率及其对账 / rates with numerator, denominator, scope and day; --rows opens them."""
    day = checked_day(as_of, "--as-of")
    with open_ledger(find_home(), writing=False) as ledger:
        document = ledger.rates(day, scope, rows)
    if as_json:
        printing.write_json(document)
    else:
        show_rates(document)


def show_rates(document: Mapping[str, Any]) -> None:
    """Prints the document of a rates report for people."""
    printing.watermark(document["illustrative"])
    printing.say(
        f"截至 / as of {document['as_of']}    范围 / scope {document['scope']}    系统总数 / systems in all"
        f" {document['total']} = {_sum(document['by_ownership'])}"
    )
    if document["empty_because"]:
        printing.say(f"没有数据 / nothing to count: {document['empty_because']}", "yellow")
    rates = [
        (
            f"{rate['name_zh']} {rate['name_en']}",
            f"{rate['numerator']}/{rate['denominator']}",
            "-" if rate["percent"] is None else f"{rate['percent']:.1f}%",
            rate["scope"],
            rate["as_of"],
            rate["unknown"],
        )
        for rate in document["rates"]
    ]
    columns = ("指标/rate", "分子/分母 n/d", "比率/percent", "范围/scope", "截至/as of", "未知/unknown")
    printing.table("指标 / rates", columns, rates)
    counts = [(f"{count['name_zh']} {count['name_en']}", count["number"]) for count in document["counts"]]
    printing.table("计数 / counts", ("项目/item", "数量/number"), counts)
    printing.panel("对账 / reconciliation", _reconciliation(document["reconciliation"]))
    _show_rows(document)


def _sum(by_ownership: Sequence[Mapping[str, Any]]) -> str:
    return " + ".join(f"{one['number']}（{one['name_zh']} {one['name_en']}）" for one in by_ownership) or "0"


def _reconciliation(puzzle: Mapping[str, Any]) -> list[str]:
    lines = [
        f"基数 {puzzle['baseline']} − 关停 {puzzle['closed']} − 整合 {puzzle['merged']} = {puzzle['remaining']}"
        f" / baseline {puzzle['baseline']} − closed {puzzle['closed']} − merged {puzzle['merged']}"
        f" = {puzzle['remaining']}"
    ]
    if puzzle["remaining"] == puzzle["should_migrate"]:
        lines.append(f"等于应迁移 {puzzle['should_migrate']} / equals should migrate {puzzle['should_migrate']}")
        return lines
    sign = "<" if puzzle["remaining"] < puzzle["should_migrate"] else ">"
    lines += [
        f"{puzzle['remaining']} {sign} 应迁移 {puzzle['should_migrate']}，并非差错：系统可以先迁移、后整合"
        f" / {sign} should migrate {puzzle['should_migrate']}: no error, a system may be migrated and then merged",
        f"{puzzle['remaining']} = 应迁移 {puzzle['should_migrate']} − 已迁又关停或整合 {puzzle['twice']}"
        f" − 基数之外 {puzzle['outside']} + 无须迁移 {puzzle['exempt']} + 未知 {puzzle['unknown']}",
        f"{puzzle['remaining']} = should migrate {puzzle['should_migrate']} − also closed or merged"
        f" {puzzle['twice']} − outside the baseline {puzzle['outside']} + need not migrate {puzzle['exempt']}"
        f" + unknown {puzzle['unknown']}",
    ]
    return lines


def _show_rows(document: Mapping[str, Any]) -> None:
    """Every list of rows that the document opens; none without --rows."""
    for rate in document["rates"]:
        for part, name in (("numerator", "分子"), ("denominator", "分母"), ("unknown", "未知")):
            _rows_table(f"{rate['name_zh']} {name} / {rate['name_en']} {part}", rate.get(f"{part}_rows"))
    for count in document["counts"]:
        _rows_table(f"{count['name_zh']} / {count['name_en']}", count.get("rows"))
    puzzle = document["reconciliation"]
    for part, name in (
        ("twice", "已迁又关停或整合"),
        ("outside", "基数之外"),
        ("exempt", "无须迁移"),
        ("unknown", "未知"),
    ):
        _rows_table(f"对账：{name} / reconciliation: {part}", puzzle.get(f"{part}_rows"))


def _rows_table(title: str, rows: Sequence[Mapping[str, Any]] | None) -> None:
    if rows:
        shown = [
            (row["name"], row["department"], row["sheet"], row["row"], row["sender"], row["import_id"])
            for row in rows
        ]
        printing.table(f"{title}: {len(rows)}", _ROW_COLUMNS, shown)

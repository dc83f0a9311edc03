"""`xisuan migration report`: the monthly report (上云月报) as Word, its Excel annex and one HTML page.

`console.commands.migration` registers it. Works through the running service, or on the store where none runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console import printing
from console.commands.options import AsJson, Scope
from console.faults import Fault
from console.files import read_text, replacing
from console.home import find_home
from console.migration_access import open_migration
from inventory.reports.document import MonthlyReport
from scheduler.services.report_ports import ReportRequest

_MAX_ORGANISATIONS = 4 * 1024 * 1024
_TARGET_FORM = "--target 需要两部分，如 99.0@2026-12-31 / --target needs both parts, such as 99.0@2026-12-31"


def report(
    month: Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="月份 / the month")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="写入该文件夹（自动建立）/ the folder to write to")
    ] = None,
    district: Annotated[
        str, typer.Option("--district", help="只报该区县（原名或承接名）/ one district only")
    ] = "",
    scope: Scope = "",
    target: Annotated[
        str, typer.Option("--target", metavar="PCT@DAY", help="上云率目标，如 99.0@2026-12-31 / the goal")
    ] = "",
    organisations: Annotated[
        Path | None,
        typer.Option("--organisations", metavar="FILE.yaml", help="区划沿革，代替内置 / mergers and splits"),
    ] = None,
    unit: Annotated[str, typer.Option("--unit", help="填报单位 / reporting unit")] = "",
    preparer: Annotated[str, typer.Option("--preparer", help="填表人 / prepared by")] = "",
    reviewer: Annotated[str, typer.Option("--reviewer", help="审核人 / reviewed by")] = "",
    phone: Annotated[str, typer.Option("--phone", help="联系电话 / telephone")] = "",
    as_json: AsJson = False,
) -> None:
    """上云月报：Word、Excel 附件和 HTML，每个数字都能查到行 / the monthly report; every figure opens its rows."""
    if out is None and not as_json:
        raise Fault("请写 --out DIR（写入的文件夹）或 --json / give --out DIR, the folder to write to, or --json")
    percent, day = _target(target)
    request = ReportRequest(
        month=month.strip(),
        district=district,
        scope=scope,
        target_percent=percent,
        target_day=day,
        organisations_yaml="" if organisations is None else read_text(organisations, _MAX_ORGANISATIONS),
        unit=unit,
        preparer=preparer,
        reviewer=reviewer,
        phone=phone,
    )
    with open_migration(find_home(), writing=False) as migration:
        made = migration.report(request)
    files = () if out is None else _write(made, out)
    if as_json:
        printing.write_json(made.model_dump(mode="json"))
        return
    printing.watermark(made.illustrative)
    for line in made.summary:
        printing.say(line)
    for file in files:
        printing.say(f"已写入 / written: {file}")


def _write(made: MonthlyReport, folder: Path) -> tuple[Path, ...]:
    # The writers bring libraries that no other command needs.
    from console.monthly.page import write_page
    from console.monthly.texts import file_stem
    from console.monthly.word import write_word
    from console.monthly.workbook import write_workbook

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Fault(
            f"无法建立文件夹 {folder}：{error.strerror}；请换一个位置"
            f" / the folder {folder} cannot be made: {error.strerror}; choose another place"
        ) from None
    written = []
    for ending, write in (("docx", write_word), ("xlsx", write_workbook), ("html", write_page)):
        file = folder / f"{file_stem(made)}.{ending}"
        with replacing(file) as output:
            output.write(write(made))
        written.append(file)
    return tuple(written)


def _target(text: str) -> tuple[float, str]:
    if not text:
        return 0.0, ""
    percent, at, day = text.partition("@")
    try:
        wanted = float(percent)
    except ValueError:
        raise Fault(f"{text!r}：{_TARGET_FORM}") from None
    if not at or not day:
        raise Fault(f"{text!r}：{_TARGET_FORM}")
    return wanted, day

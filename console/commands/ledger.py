"""`xisuan ledger`: import workbooks, compare and apply them, settle what waits for a person, list and export.

Works through the running service, or on the store itself where none runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console import ledger_views, printing
from console.commands.options import AsJson, AsOf, By, Scope, checked_day
from console.faults import Fault
from console.files import STANDARD_OUTPUT, read_input, read_text, replacing
from console.home import find_home
from console.ledger_access import Imported, open_ledger
from console.ledger_export import FORMATS, write_export
from console.people import actor
from console.reading_file import write_list, write_reading
from inventory.ledger import HeaderMapping, mark_up
from scheduler.services.desk_ports import Upload
from scheduler.services.ledger_servicer import MAX_WORKBOOK_BYTES

app = typer.Typer(no_args_is_help=True, help="台账：导入、比对、应用、裁定、导出 / the ledger")
_MAX_MAPPING_BYTES = 1024 * 1024

ImportId = Annotated[str, typer.Argument(metavar="IMPORT", help="导入编号，如 I2 / import id, such as I2")]


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".xlsx .xls .csv")],
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="读出的内容写成 JSON，- 为标准输出 / as JSON")
    ] = None,
    marked_up: Annotated[
        Path | None, typer.Option("--marked-up", metavar="OUT.xlsx", help="批注副本 / a copy with comments")
    ] = None,
    sender: Annotated[str, typer.Option("--sender", help="填报单位，缺省按文件所写 / who sends it")] = "",
    mapping: Annotated[
        Path | None, typer.Option("--mapping", metavar="FILE.yaml", help="表头映射，按单位记住 / heading mapping")
    ] = None,
    by: By = None,
) -> None:
    """导入台账文件：单位首次导入即生效，以后有变化的等待 apply / import a workbook.

    A sender's first file applies at once; a later one that differs waits for `xisuan ledger apply`.
    """
    _require_other_file(file, json_file, marked_up)
    upload = Upload(
        file_name=file.name,
        content=read_input(file, MAX_WORKBOOK_BYTES),
        sender=sender.strip(),
        actor=actor(by),
        mapping_yaml="" if mapping is None else _mapping(mapping),
    )
    # Both outputs are opened first and take their places last: a disk that is full leaves everything as it was.
    with (
        replacing(json_file) as json_output,
        replacing(marked_up) as copy_output,
        open_ledger(find_home(), writing=True) as ledger,
    ):
        read = ledger.read_workbook(upload)
        if marked_up is not None:
            copy = mark_up(upload.content, upload.file_name, read.reading)
        imported = ledger.take_in(upload, read)
        if json_file is not None:
            write_reading(imported.reading, json_output)
        if marked_up is not None:
            if imported.reading is not read.reading:
                copy = mark_up(upload.content, upload.file_name, imported.reading)
            copy_output.write(copy)
    if json_file != STANDARD_OUTPUT:
        _tell(imported)


@app.command()
def diff(
    import_id: Annotated[str, typer.Argument(metavar="[IMPORT]", help="缺省为最近一次 / default: newest")] = "",
    as_json: AsJson = False,
) -> None:
    """一次导入改变了什么、将改变什么 / what an import changes or has changed."""
    with open_ledger(find_home(), writing=False) as ledger:
        answer = ledger.diff(import_id)
    if as_json:
        printing.write_json({"import_id": answer.import_id, "status": answer.status, **answer.diff})
    else:
        ledger_views.show_diff(answer)


@app.command()
def apply(import_id: ImportId, by: By = None, as_json: AsJson = False) -> None:
    """应用等待中的导入 / apply an import that waits."""
    name = actor(by)
    with open_ledger(find_home(), writing=True) as ledger:
        answer = ledger.apply(import_id, name)
    if as_json:
        printing.write_json({"import_id": answer.import_id, "status": answer.status, **answer.diff})
    else:
        printing.say(f"已应用 / applied: {answer.import_id}", "bold green")
        ledger_views.show_diff(answer)


@app.command()
def findings(
    settled: Annotated[bool, typer.Option("--settled", help="含已裁定的 / also what was settled")] = False,
    as_json: AsJson = False,
) -> None:
    """待处理的问题：疑似重复、冲突、无法识别的单元格等 / what waits for a person or a corrected file."""
    with open_ledger(find_home(), writing=False) as ledger:
        found = ledger.findings(settled)
    if as_json:
        printing.write_json(list(found))
    else:
        ledger_views.show_stored_findings(found)


@app.command()
def resolve(
    finding_id: Annotated[str, typer.Argument(metavar="ID", help="F12 或 C3 / F12 or C3")],
    decision: Annotated[
        str, typer.Option("--decision", help="duplicate|distinct（重复）；keep|take|both（冲突）/ the decision")
    ],
    by: Annotated[str, typer.Option("--by", help="裁定人姓名 / who decides")],
    reason: Annotated[str, typer.Option("--reason", help="理由 / why")],
    as_json: AsJson = False,
) -> None:
    """裁定疑似重复或冲突，记下姓名和理由 / settle a possible duplicate or a conflict."""
    with open_ledger(find_home(), writing=True) as ledger:
        settled = ledger.resolve(finding_id, decision, actor(by), reason)
    if as_json:
        printing.write_json(settled)
    else:
        printing.say(
            f"已裁定 / settled: {settled['id']} = {settled['decision']}，自 / from {settled['effective_on']}，"
            f"{settled['decided_by']}：{settled['reason']}",
            "bold green",
        )


@app.command()
def systems(scope: Scope = "", as_of: AsOf = "", as_json: AsJson = False) -> None:
    """列出系统 / list systems."""
    day = checked_day(as_of, "--as-of")
    with open_ledger(find_home(), writing=False) as ledger:
        found = ledger.systems(scope, day)
        if not as_json:
            printing.watermark(ledger.rates(day, "ownership=all", False)["illustrative"])
            ledger_views.show_systems(list(found))
        else:
            with replacing(STANDARD_OUTPUT) as output:
                write_list(found, output)
                output.write(b"\n")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="OUT", help=".xlsx .csv .json")],
    scope: Scope = "",
    as_of: AsOf = "",
) -> None:
    """导出台账，可改正后再导入 / write the ledger out; a workbook can be corrected and imported again."""
    day = checked_day(as_of, "--as-of")
    if file.suffix.lower() not in FORMATS:
        raise Fault(
            f"{file}：不知道格式 {file.suffix or '（无扩展名）'}；请用 {'、'.join(FORMATS)}"
            f" / the format of {file} is not known; end its name with one of {', '.join(FORMATS)}"
        )
    with replacing(file) as output, open_ledger(find_home(), writing=False) as ledger:
        count = write_export(file.suffix.lower(), ledger, (scope, day), output)
    printing.say(f"已导出 {count} 个系统 → {file} / exported {count} systems")


def _mapping(file: Path) -> str:
    """The text of a mapping file that can be used."""
    text = read_text(file, _MAX_MAPPING_BYTES)
    return HeaderMapping.from_yaml(text, str(file)).to_yaml()


def _tell(imported: Imported) -> None:
    ledger_views.show_import(imported)
    for note in imported.answer.notes:
        printing.warn(note)


def _require_other_file(file: Path, *outputs: Path | None) -> None:
    """An output must not take the place of the input, nor of another output."""
    seen = {file.absolute()}
    for output in outputs:
        if output is None or output == STANDARD_OUTPUT:
            continue
        if output.absolute() in seen or (output.exists() and file.exists() and output.samefile(file)):
            raise Fault(
                f"{output} 与输入或另一输出是同一文件；请换一个文件名"
                f" / {output} is the input or another output; name another file"
            )
        seen.add(output.absolute())

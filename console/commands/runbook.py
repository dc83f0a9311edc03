"""`xisuan migration open|runs|show|approve|...`: runs of runbooks. `console.commands.migration` registers them.

Opening a run and acting on it is recorded at once; the runbook host of the running service carries it forward.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console import printing, run_views
from console.commands.options import AsJson, By
from console.faults import AnswerIsNo, Fault
from console.files import read_text
from console.home import find_home
from console.papers import PaperShelf
from console.people import actor
from console.run_access import open_runs, read_order_file
from scheduler.runbooks.faults import RunbookRefused
from scheduler.runbooks.template import LARGEST_FILE, read_template
from scheduler.runbooks.template_rules import require_sound
from scheduler.services.run_ports import Act, RunAction, RunDocument, RunOpening

RunId = Annotated[str, typer.Argument(metavar="RUN", help="割接任务号，如 R1 / id of the run")]
Reason = Annotated[str, typer.Option("--reason", help="原因 / why")]
Number = Annotated[str, typer.Option("--number", help="文号 / number of the document")]


def open_run(
    order: Annotated[Path, typer.Argument(metavar="ORDER.yaml", help="割接单 / order (docs/runbooks.md)")],
    wave: Annotated[int, typer.Option("--wave", min=0, help="用该批次的窗口 / take this wave's window")] = 0,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """按割接单开始一次迁移；模板和割接单有任何问题都先逐条拒绝 / open a run; every fault is named first."""
    runbook, text = read_order_file(order, PaperShelf(find_home().papers_folder))
    with open_runs(find_home(), writing=True) as runs:
        run_id = runs.open(RunOpening(runbook, text, actor(by), wave))
    if as_json:
        printing.write_json({"run_id": run_id})
    else:
        printing.say(f"已开始 / opened: {run_id}；进度见 / see xisuan migration show {run_id}", "bold")


def check_runbook(
    file: Annotated[Path, typer.Argument(metavar="RUNBOOK.yaml", help="割接方案模板 / runbook template")],
) -> None:
    """检查割接方案模板，逐条指出问题 / check a runbook template and name each fault."""
    text = read_text(file, LARGEST_FILE)
    try:
        require_sound(read_template(text, str(file)))
    except RunbookRefused as refused:
        for line in refused.faults:
            printing.say(line)
        raise AnswerIsNo(f"{len(refused.faults)} 处问题 / {len(refused.faults)} faults: {file}") from None
    printing.say(f"检查通过 / the runbook is sound: {file}", "bold green")


def runs(as_json: AsJson = False) -> None:
    """全部割接任务 / every run."""
    with open_runs(find_home(), writing=False) as access:
        found = access.runs()
    if as_json:
        printing.write_json(list(found))
    else:
        run_views.show_runs(found)


def show(
    run: RunId,
    history: Annotated[bool, typer.Option("--history", help="链上的每个事件 / every event in the chain")] = False,
    as_json: AsJson = False,
) -> None:
    """一次割接任务：阶段、步骤、佐证、在等谁 / one run: steps, evidence, what it waits for."""
    with open_runs(find_home(), writing=False) as access:
        document = access.run(run)
        events = access.history(run) if history else ()
    if as_json:
        printing.write_json({**document, "history": list(events)} if history else dict(document))
        return
    run_views.show_run(document)
    if history:
        run_views.show_history(events)


def approve(
    run: RunId,
    number: Number = "",
    paper: Annotated[
        Path | None, typer.Option("--file", help="文件，记录其 SHA-256 / the document's file")
    ] = None,
    step: Annotated[
        str, typer.Option("--step", help="步骤，缺省为正等待的 / the step (default: the awaited)")
    ] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """审批正等待的步骤（须有角色；执行者不能验收）/ say yes to the step that waits."""
    if not number.strip():
        raise Fault("--number 不能为空；请写文号 / --number must not be empty; give the document's number")
    sha256 = PaperShelf(find_home().papers_folder).keep(paper) if paper is not None else ""
    _act(RunAction(Act.APPROVE, run, actor(by), step_id=step, number=number, sha256=sha256), as_json)


def refuse(run: RunId, reason: Reason, step: str = "", by: By = None, as_json: AsJson = False) -> None:
    """不同意，任务停下等人处理 / say no: the run is held."""
    _act(RunAction(Act.REFUSE, run, actor(by), step_id=step, reason=reason), as_json)


def pause(run: RunId, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """不再开始新步骤；窗口仍在计时 / begin no further step; the window's clock goes on."""
    _act(RunAction(Act.PAUSE, run, actor(by), reason=reason), as_json)


def resume(run: RunId, by: By = None, as_json: AsJson = False) -> None:
    """继续 / go on after a pause."""
    _act(RunAction(Act.RESUME, run, actor(by)), as_json)


def retry(run: RunId, by: By = None, as_json: AsJson = False) -> None:
    """只重做失败的步骤 / the failed step once more, and only that."""
    _act(RunAction(Act.RETRY, run, actor(by)), as_json)


def skip(run: RunId, reason: Reason, number: Number = "", by: By = None, as_json: AsJson = False) -> None:
    """跳过失败的步骤，写明原因 / leave the failed step out, with the reason."""
    _act(RunAction(Act.SKIP, run, actor(by), reason=reason, number=number), as_json)


def rollback(run: RunId, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """整组回退到割接前（提交点之前）/ undo everything, last first, for the whole group."""
    _act(RunAction(Act.ROLL_BACK, run, actor(by), reason=reason), as_json)


def example(
    keep: Annotated[bool, typer.Option("--keep", help="结束后保留数据 / keep the files at the end")] = False,
    crashes: Annotated[
        bool, typer.Option("--crashes", help="每步之后强杀执行主机再重启 / kill -9 the host after every step")
    ] = False,
) -> None:
    """示例：把一个真实的小网站连同 PostgreSQL 迁到算力池，写入不停，注入故障并回退 / move a real service."""
    from console.migration_example import run_example

    run_example(find_home(), keep=keep, crashes=crashes)


def _act(action: RunAction, as_json: bool) -> None:
    with open_runs(find_home(), writing=True) as access:
        document: RunDocument = access.act(action)
    if as_json:
        printing.write_json(dict(document))
    else:
        printing.say(f"{document['run_id']} {document['state']} {document['reason']}".strip(), "bold")


def register_run_commands(app: typer.Typer) -> None:
    """Adds these commands to the group `migration`."""
    for name, command in (
        ("open", open_run),
        ("check-runbook", check_runbook),
        ("runs", runs),
        ("show", show),
        ("approve", approve),
        ("refuse", refuse),
        ("pause", pause),
        ("resume", resume),
        ("retry", retry),
        ("skip", skip),
        ("rollback", rollback),
        ("example", example),
    ):
        app.command(name)(command)

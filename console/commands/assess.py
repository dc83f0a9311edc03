"""`xisuan migration assess`: the ledger judged by the rules, the review queue, decisions, and questions.

Works through the running service, or on the store itself where none runs. Called by `console.commands.migration`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console import analysis_views, assessment_views, printing
from console.assessment_access import open_assessment
from console.commands.assess_review import DocumentNumber, Reason, register
from console.commands.options import AsJson, AsOf, By, checked_day, day
from console.faults import AnswerIsNo, Fault
from console.files import read_input, read_text
from console.home import find_home
from console.people import actor
from inventory.assessment.documents import rulebook_json
from inventory.rules.rulebook import read_rulebook
from scheduler.services.assessment_ports import ExceptionAsked, MeasuredUpload, Minute
from scheduler.services.desk_ports import Document

app = typer.Typer(invoke_without_command=True, help="评估：规则、核查、例外、依赖、规格 / assessment by rules")
_MAX_BYTES = 64 * 1024 * 1024
_MAX_PROJECT_BYTES = 1024 * 1024

SystemName = Annotated[
    str, typer.Argument(metavar="SYSTEM", help="系统名称或 单位/系统 / name or department/name")
]
MaybeSystem = Annotated[str, typer.Argument(metavar="[SYSTEM]", help="系统，缺省为全部 / a system (default: all)")]


@app.callback()
def assess(
    context: typer.Context,
    as_of: AsOf = "",
    everything: Annotated[
        bool, typer.Option("--all", help="也列出已迁、已关停、已整合的 / also migrated, closed and merged ones")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """评估台账：每个系统的处置建议、缺项、就绪度、风险，及依据 / judge every system by the rules, with sources."""
    if context.invoked_subcommand is not None:
        return
    with open_assessment(find_home(), writing=False) as desk:
        report = desk.assess(checked_day(as_of, "--as-of"))
    if as_json:
        printing.write_json(report)
    else:
        assessment_views.show_report(report, everything)


@app.command()
def show(system: SystemName, as_of: AsOf = "", as_json: AsJson = False) -> None:
    """一个系统的全部判断过程 / one system: every rule with its trace and source."""
    with open_assessment(find_home(), writing=False) as desk:
        report = desk.assess(checked_day(as_of, "--as-of"))
    found = _system(report, system)
    if as_json:
        printing.write_json(found)
    else:
        printing.watermark(report["illustrative"])
        assessment_views.show_system(found, report["as_of"])


def _system(report: Document, wanted: str) -> Document:
    text = wanted.strip()
    found = [one for one in report["systems"] if text in (one["system_key"], one["name"])]
    if len(found) != 1:
        listed = "、".join(one["system_key"] for one in found[:5])
        raise Fault(
            f"没有唯一的系统“{text}”{'：' + listed if found else ''}；请写 单位/系统"
            f" / {len(found)} systems are named {text!r}; write department/name"
        )
    one: Document = found[0]
    return one


@app.command()
def decide(
    system: SystemName,
    disposition: Annotated[str, typer.Argument(metavar="DISPOSITION", help="rehost, replatform, retire, …")],
    reason: Reason = "",
    document: DocumentNumber = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """决定处置方式；与建议不同的须有理由和文号 / decide what shall become of a system; an override needs a document."""
    with open_assessment(find_home(), writing=True) as desk:
        decided = desk.decide(system, disposition, Minute(actor(by), reason, document))
    if as_json:
        printing.write_json(decided)
        return
    printing.say(
        f"{decided['system_key']}: {decided['disposition']}（建议 / proposed {decided['proposed'] or '-'}"
        f" [{decided['rule'] or '-'}]）",
        "bold",
    )


@app.command("except")
def grant(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="规则编号，见 assess rules / id of a rule")],
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="系统或单位 / a system or a department")],
    until: Annotated[str, typer.Option("--until", metavar="DAY", help="到期日（含）/ the last day")],
    approver: Annotated[str, typer.Option("--approver", help="批准人 / who approved it")],
    reason: Reason = "",
    document: DocumentNumber = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """登记例外：理由、文号、批准人、期限 / grant an exception from one rule, with its end."""
    expires_on = day(until, "--until").isoformat()
    asked = ExceptionAsked(rule, subject, approver, expires_on, Minute(actor(by), reason, document))
    with open_assessment(find_home(), writing=True) as desk:
        granted = desk.grant_exception(asked)
    if as_json:
        printing.write_json(granted)
    else:
        printing.say(f"{granted['id']}: {granted['rule']} 至 / until {granted['expires_on']}", "bold")


@app.command()
def exceptions(as_json: AsJson = False) -> None:
    """例外台账：哪些有效，哪些已到期 / the exceptions, valid and expired."""
    with open_assessment(find_home(), writing=False) as desk:
        listed = desk.exceptions()
    if as_json:
        printing.write_json(listed)
    else:
        assessment_views.show_exceptions(listed)


@app.command()
def role(
    system: SystemName,
    role: Annotated[
        str,
        typer.Argument(metavar="ROLE", help="standby, disaster_recovery, seasonal, emergency, ordinary"),
    ],
    reason: Reason = "",
    document: DocumentNumber = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """声明特殊角色：备用、容灾、季节性、应急，或一般 / declare that little use is as it should be, or is not."""
    with open_assessment(find_home(), writing=True) as desk:
        declared = desk.declare_role(system, role, Minute(actor(by), reason, document))
    if as_json:
        printing.write_json(declared)
    else:
        printing.say(f"{declared['system_key']}: {declared['role']}", "bold")


@app.command()
def utilisation(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="利用率文件 / docs/assessment.md")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """导入利用率（每系统每日一行）/ import measured utilisation, a row a system and day."""
    upload = MeasuredUpload(file.name, read_input(file, _MAX_BYTES), actor(by))
    with open_assessment(find_home(), writing=True) as desk:
        _show_file(desk.take_utilisation(upload), as_json)


@app.command()
def traffic(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="实测流量文件 / docs/assessment.md")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """导入实测流量，证实或质疑申报的依赖 / import measured traffic, to confirm or refute declared dependencies."""
    upload = MeasuredUpload(file.name, read_input(file, _MAX_BYTES), actor(by))
    with open_assessment(find_home(), writing=True) as desk:
        _show_file(desk.take_traffic(upload), as_json)


def _show_file(answer: Document, as_json: bool) -> None:
    if as_json:
        printing.write_json(answer)
    else:
        assessment_views.show_file(answer)
    if not answer["import_id"]:
        raise AnswerIsNo("文件与台账没有共同的系统 / the file and the ledger have no system in common")


@app.command()
def dependencies(system: MaybeSystem = "", as_json: AsJson = False) -> None:
    """依赖分析：同批组、循环与最省的桥接、影响范围、关键路径、实测对照 / groups, cycles, reach, critical path."""
    with open_assessment(find_home(), writing=False) as desk:
        analysis = desk.dependencies(system)
    if as_json:
        printing.write_json(analysis)
    elif system:
        analysis_views.show_system_dependencies(analysis)
    else:
        analysis_views.show_dependencies(analysis)


@app.command()
def rightsize(system: MaybeSystem = "", as_json: AsJson = False) -> None:
    """合理规格：按百分位乘舒适系数，附把握 / sizes by percentile and comfort factor, with confidence."""
    with open_assessment(find_home(), writing=False) as desk:
        sizes = desk.right_sizes(system)
    if as_json:
        printing.write_json(sizes)
    else:
        analysis_views.show_sizes(sizes)


@app.command()
def compatible(
    target: Annotated[
        str, typer.Argument(metavar="ARCHITECTURE", help="arm64（鲲鹏、飞腾）, c86（海光）, x86_64")
    ],
    system: MaybeSystem = "",
    as_json: AsJson = False,
) -> None:
    """架构适配：操作系统、数据库、中间件能否运行 / what runs on Kunpeng or Hygon, and what must be ported."""
    with open_assessment(find_home(), writing=False) as desk:
        found = desk.compatibility(target, system)
    if as_json:
        printing.write_json(found)
    else:
        analysis_views.show_compatibility(found)


@app.command()
def project(
    file: Annotated[Path, typer.Argument(metavar="PROJECT.yaml", help="立项文件 / docs/assessment.md")],
    as_json: AsJson = False,
) -> None:
    """立项审查：目录、密码方案、上限、只减不增、重复建设 / judge a project by every gate before its approval."""
    text = read_text(file, _MAX_PROJECT_BYTES)
    with open_assessment(find_home(), writing=False) as desk:
        approval = desk.check_project(text, file.name)
    if as_json:
        printing.write_json(approval)
    else:
        analysis_views.show_approval(approval)
    if approval["is_refused"]:
        refused = [one for one in approval["gates"] if one["outcome"] in ("holds", "undecided")]
        blocking = [one for one in refused if one["severity"] == "blocking"]
        raise AnswerIsNo(
            f"不能批准：{len(blocking)} 项不符，如“{blocking[0]['title']['zh']}”"
            f" / not to be approved: {len(blocking)} gates refuse, such as {blocking[0]['title']['en']}"
        )


@app.command()
def similar(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="名称或功能 / a name or what it does")],
    limit: Annotated[int, typer.Option("--limit", min=1, max=50, help="至多几个 / at most")] = 10,
    as_json: AsJson = False,
) -> None:
    """功能查重：台账中做类似事情的系统 / systems that do something like this."""
    with open_assessment(find_home(), writing=False) as desk:
        found = desk.lookalikes(text, limit)
    if as_json:
        printing.write_json(found)
    else:
        analysis_views.show_matches(found["matches"])


@app.command()
def rules(as_json: AsJson = False) -> None:
    """全部规则及其来源 / every rule with its source."""
    listed = rulebook_json(read_rulebook())
    if as_json:
        printing.write_json(listed)
    else:
        analysis_views.show_rules(listed)


register(app)

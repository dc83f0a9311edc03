"""`xisuan migration assess review|attest|quarantine|...`: the review queue, one command a step.

Called by `console.commands.assess`. Nothing is closed by the program: every step is a person's, with his reason and
a document number.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from console import assessment_views, printing
from console.assessment_access import open_assessment
from console.commands.options import AsJson, By
from console.connection import service_address
from console.faults import AnswerIsNo, Fault
from console.home import find_home
from console.local_store import local_store
from console.notice_post import sender_of
from console.papers import PaperShelf
from console.people import actor
from console.service_settings import DEFAULT_NAME, read_service_settings, settings_file
from scheduler.runbooks.faults import StepImpossible
from scheduler.services.assessment_ports import Minute, ReviewStep

Case = Annotated[str, typer.Argument(metavar="CASE", help="核查单编号，如 R3 / id of a case")]
Reason = Annotated[str, typer.Option("--reason", help="理由 / why")]
DocumentNumber = Annotated[str, typer.Option("--document", help="文号 / number of the document")]
Evidence = Annotated[
    Path | None,
    typer.Option("--evidence", help="佐证文件，只记其 SHA-256 / its SHA-256 is recorded, it stays here"),
]
Override = Annotated[
    bool, typer.Option("--override", help="虽有系统仍在使用，仍办理（须文号）/ although living systems use it")
]


def register(app: typer.Typer) -> None:
    """Adds the review commands to `xisuan migration assess`."""
    app.command()(review)
    app.command()(notify)
    app.command()(attest)
    for name, action, words in _STEPS:
        app.command(name, help=words)(_step(action))


def review(
    start: Annotated[
        bool, typer.Option("--open", help="为规则建议的系统立核查单 / open cases for what the rules propose")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """核查队列：僵尸与闲置，可办的步骤和最早日期 / the review queue: zombies and idle resources."""
    name = actor(by)
    with open_assessment(find_home(), writing=start) as desk:
        queue = desk.open_reviews(name) if start else desk.reviews()
    if as_json:
        printing.write_json(queue)
        return
    assessment_views.show_reviews(queue)
    if start:
        opened = ", ".join(queue["opened"]) or "-"
        printing.say(f"新立 / opened: {opened}", "bold")


def notify(by: By = None, as_json: AsJson = False) -> None:
    """发送到期的闲置通知（服务运行时由其自动发送）/ send due notices of idle cases; a running service does it itself."""
    home = find_home()
    place = read_service_settings(settings_file(home, None)).notices.webhook
    if place is None:
        raise Fault(
            f"{home.folder / DEFAULT_NAME} 没有 notices.webhook；请写 {{file: 路径}} 或 {{env: 变量}}，指向通知地址 / the "
            "settings name no notices.webhook; give {file: PATH} or {env: NAME}, where the address is found"
        )
    if service_address(home) is not None:
        raise Fault(
            "服务正在运行，到期通知由其自动发送；结果见 assess review / the service runs and sends them itself; see assess review"
        )
    try:
        with local_store(home, writing=True) as store:
            done = sender_of(store, place, actor(by)).send_due()
    except StepImpossible as error:
        raise Fault(str(error)) from None
    if as_json:
        printing.write_json([{"key": one.notice.key, "fault": one.fault or None} for one in done])
    for one in done if not as_json else ():
        printing.say(f"{one.fault or f'{one.notice.key}: 已送达 / delivered'}  {one.notice.system_key}")
    if not done and not as_json:
        printing.say("没有到期未发的通知 / no notice is due and unsent")
    if any(one.fault for one in done):
        raise AnswerIsNo("通知未全部送达；可再运行 / not every notice was delivered; run it again")


def attest(
    case: Case,
    unused: Annotated[
        bool, typer.Option("--unused/--in-use", help="单位答复：不再使用 / 仍在使用 · what the department says")
    ],
    reason: Reason = "",
    document: DocumentNumber = "",
    evidence: Evidence = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """单位答复：系统不再使用，或仍在使用 / the owner attests that a system is unused, or in use."""
    action = "attest_unused" if unused else "attest_in_use"
    _take(ReviewStep(case, action, Minute(actor(by), reason, document), _sha256(evidence)), as_json)


_STEPS = (
    ("quarantine", "quarantine", "隔离观察：停止服务但保留环境 / take it off the network, keep everything"),
    ("release", "release", "解除隔离：证实仍需使用 / end a quarantine: it is needed"),
    ("archive", "archive", "数据归档，须佐证文件 / its data is archived; needs evidence"),
    ("close", "close", "注销：记入台账为关停，须佐证文件 / close it for good; the ledger records it"),
    ("remind", "remind", "闲置提醒 / idle resources: remind the department"),
    ("urge", "urge", "主管部门督促（提醒后超过一个月）/ the authority urges, over a month after the reminder"),
    ("reclaim", "reclaim", "回收闲置资源（督促后五个工作日）/ reclaim, five workdays after the urging"),
    ("restore", "restore", "恢复使用，结束闲置核查 / it is in use again"),
)


def _step(action: str) -> Callable[..., None]:
    """The command of one action; they differ in nothing but the action."""

    def take(
        case: Case,
        reason: Reason = "",
        document: DocumentNumber = "",
        evidence: Evidence = None,
        override: Override = False,
        by: By = None,
        as_json: AsJson = False,
    ) -> None:
        minute = Minute(actor(by), reason, document)
        _take(ReviewStep(case, action, minute, _sha256(evidence), override), as_json)

    return take


def _take(step: ReviewStep, as_json: bool) -> None:
    with open_assessment(find_home(), writing=True) as desk:
        case = desk.advance(step)
    if as_json:
        printing.write_json(case)
    else:
        assessment_views.show_case(case)


def _sha256(evidence: Path | None) -> str:
    return "" if evidence is None else PaperShelf(find_home().papers_folder).keep(evidence)

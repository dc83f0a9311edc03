"""Whether an order may start at all, as the ledger, the people and the clock stand: asked before a run is opened.

`desk.RunDesk` calls this for every order, whether a person wrote it or a wave made it. What template and order say of
each other is `expansion`'s; what they say of the world is here. Pure: the ledger's word and the time are arguments.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from inventory.model.system import Architecture, Zone
from scheduler.core.migration.go_no_go import OVERRUN_EVIDENCE
from scheduler.core.migration.phases import RULES, Outcome, Phase, Role
from scheduler.core.migration.run import OverrunPolicy
from scheduler.runbooks.faults import RefusalKind, RequestRefused
from scheduler.runbooks.order import Order, milliseconds
from scheduler.runbooks.template import Approval, GoNoGo, Template, steps_of

_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class KnownSystem:
    """What the ledger says of one system. `key` is its own key; `ended` says in words that it was closed
    (empty: it was not); `lacks` are the papers of APPROVAL_PAPERS that it says there are none of. `level` is its
    protection level (等保 0..4); `built_for` is told of a system that is moved as it is. Unknown (None) is not no.
    `has_owner`: a department answers for it."""

    key: str
    is_classified: bool = False
    ended: str = ""
    lacks: tuple[str, ...] = ()
    zone: Zone | None = None
    level: int | None = None
    built_for: Architecture | None = None
    has_owner: bool = True


APPROVAL_PAPERS = {
    "data_catalog": "数据资源目录 / data catalogue",
    "crypto_plan": "密码应用方案 / cryptography plan",
}
"""Without these no approval (市政协五届五次会议第0426号提案复函): by the names of an order's documents."""


def of_the_ledger(order: Order, known: Mapping[str, KnownSystem]) -> Order:
    """The order with the ledger's own keys: a system may bear another name there than it had when it came in."""
    missing = [system.key for system in order.systems if system.key not in known]
    if missing:
        raise RequestRefused(
            RefusalKind.INVALID,
            f"台账中没有系统 {missing[0]}；请先导入，或用 xisuan ledger systems 查其键 / the ledger has no system "
            f"{missing[0]}; import it, or look its key up with xisuan ledger systems",
            "UNKNOWN_SYSTEM",
        )
    systems = tuple(system.model_copy(update={"key": known[system.key].key}) for system in order.systems)
    return order.model_copy(update={"systems": systems})


def misfits(
    template: Template, order: Order, known: Mapping[str, KnownSystem], actor: str, now_ms: int
) -> list[str]:
    """Lines for everything that keeps the order (with the ledger's keys) from starting now; `actor` opens it."""
    return [
        f"{order.title}: {fault}"
        for fault in (
            *_barred(order, known),
            *_papers(template, order, known),
            *_window(template, order, now_ms),
            *_nobody_left(template, order, actor),
        )
    ]


def unasked_documents(documents: Iterable[str], templates: Iterable[Template]) -> list[str]:
    """Lines for documents under a name that nobody asks for: no phase, no gate, no criterion of one of the templates.
    A misspelt name would lie there and evidence nothing."""
    asked = {name for rule in RULES.values() for name in rule.exit} | {*APPROVAL_PAPERS, OVERRUN_EVIDENCE}
    for template in templates:
        for _, step in steps_of(template):
            asked.update(one.evidence for one in (step.do.criteria if isinstance(step.do, GoNoGo) else ()))
    faults = []
    for name in documents:
        if name not in asked:
            near = difflib.get_close_matches(name, asked, 1)
            listed = "、".join(near or sorted(asked))
            faults.append(
                f"documents.{name}: 没有阶段、门槛或判据要这份文件；请改名（{listed}）或删去 / no phase, gate or criterion asks "
                f"for it; correct the name ({listed}), or remove it"
            )
    return faults


def _barred(order: Order, known: Mapping[str, KnownSystem]) -> Iterator[str]:
    for system in order.systems:
        one = known[system.key]
        if not one.has_owner:
            yield (
                f"系统 {system.key}: 台账没有责任单位，无人可签收；请在台账补填单位 / by the ledger no department answers for "
                "it; fill it in there"
            )
        if one.is_classified:
            yield f"系统 {system.key}: 涉密系统不迁移；请移出割接单 / a classified system is never moved; take it out"
        elif one.ended:
            yield (
                f"系统 {system.key}: 台账已记为{one.ended}；请移出割接单，或先更正台账 / the ledger has it as ended; take it "
                "out, or correct the ledger first"
            )


def _papers(template: Template, order: Order, known: Mapping[str, KnownSystem]) -> Iterator[str]:
    """What the ledger lacks the order brings along: the paper itself, or the document that grants an exception."""
    if template.outcome is Outcome.CLOSED:
        return
    for paper, title in APPROVAL_PAPERS.items():
        without = [system.key for system in order.sources if paper in known[system.key].lacks]
        if without and paper not in order.documents:
            yield (
                f"documents.{paper}: 台账记 {without[0]} 没有{title}，审批必备；请附文号，或批准例外的文号 / by the ledger "
                f"{without[0]} has none, and approval needs it; give its number, or that of an exception"
            )


def _window(template: Template, order: Order, now_ms: int) -> Iterator[str]:
    window, policy = order.window, template.policy
    if milliseconds(window.ends) <= now_ms:
        yield (
            f"window: {window.ends.isoformat()} 已过；请改用以后的窗口 / the window is over; take a later one, or plan anew"
        )
    minutes = (milliseconds(window.ends) - milliseconds(window.starts)) // _MINUTE_MS
    if policy.on_overrun is OverrunPolicy.ROLL_BACK and minutes <= policy.rollback_reserve_minutes:
        yield (
            f"window: 共 {minutes} 分钟，回退就要留 {policy.rollback_reserve_minutes} 分钟，容不下割接；请加长 / it has "
            f"{minutes} minutes, of which a rollback keeps {policy.rollback_reserve_minutes}: nothing is left; make it longer"
        )


def _nobody_left(template: Template, order: Order, actor: str) -> Iterator[str]:
    """Who executes cannot accept: where only he has the role, the run could never be accepted."""
    acceptance = template.phases.get(Phase.ACCEPTANCE)
    steps = acceptance.steps if acceptance else ()
    roles: list[Role] = list(dict.fromkeys(step.do.role for step in steps if isinstance(step.do, Approval)))
    for role in roles:
        if set(order.people.get(role, ())) == {actor}:
            yield (
                f"people.{role}: 只有 {actor}，而执行者不能验收（职责分离）；请再列一人 / only {actor} has this role, and who "
                "executes cannot accept (segregation of duties); name another person"
            )

"""Exit codes, and how every failure becomes clear lines: who may be to blame, and what to do.

`console.app` calls `explain` for whatever a command raised. What it does not know is a fault of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xisuan.client import CallError


class ExitCode(IntEnum):
    DONE = 0
    OUR_FAULT = 1
    USER_MISTAKE = 2
    ANSWER_IS_NO = 3  # it ran, and the answer is no: infeasible, check failed, chain broken
    INTERRUPTED = 130


class Fault(Exception):
    """What a user did wrong or can cure: one line each, "中文 / English", with value, rule and remedy."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class AnswerIsNo(Exception):
    """The command did its work, and the answer is no. `line` says so; the details were printed before."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.line = line


@dataclass(frozen=True, slots=True)
class Explanation:
    """What to print on standard error, and the exit code."""

    code: ExitCode
    lines: tuple[str, ...]


_THE_CALLERS = frozenset(
    {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "FAILED_PRECONDITION",
        "RESOURCE_EXHAUSTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
    }
)


def explain(error: BaseException) -> Explanation | None:
    """The lines for an error that a user can cause or cure; None for one of ours."""
    if isinstance(error, Fault):
        return Explanation(ExitCode.USER_MISTAKE, error.lines)
    if isinstance(error, AnswerIsNo):
        return Explanation(ExitCode.ANSWER_IS_NO, (error.line,))
    return _of_others(error)


def _of_others(error: BaseException) -> Explanation | None:
    """Errors of the parts below. They are imported only here: a command loads no more than it uses."""
    from adapters.sdk.listening import StartRefused
    from adapters.wire.inspection import InvalidMessage
    from inventory.intake import IntakeError
    from inventory.ledger import LedgerError
    from inventory.pool_catalogue import CatalogueError
    from inventory.store.errors import StoreError
    from scheduler.access.principals import GrantUnreadable
    from scheduler.services.ports import RequestError
    from xisuan.client import CallError
    from xisuan.credentials import CredentialsUnusable

    match error:
        case CallError():
            return _of_call(error)
        case CatalogueError():
            return Explanation(ExitCode.USER_MISTAKE, error.faults)
        case InvalidMessage():
            lines = tuple(f"{one.field} = {one.description}" for one in error.violations)
            return Explanation(ExitCode.USER_MISTAKE, lines)
        case RequestError():
            return Explanation(ExitCode.USER_MISTAKE, _lines(str(error)))
        case StoreError() | LedgerError() | IntakeError() | StartRefused() | GrantUnreadable():
            return Explanation(ExitCode.USER_MISTAKE, (_one_line(str(error)),))
        case CredentialsUnusable():
            return Explanation(ExitCode.USER_MISTAKE, (str(error),))
        case _:
            return None


def _of_call(error: CallError) -> Explanation:
    if error.code == "UNAVAILABLE":
        return Explanation(
            ExitCode.USER_MISTAKE,
            (
                "服务没有应答；请稍后重试，或用 xisuan status 查看"
                f" / the service does not answer; try again, or look with xisuan status ({error.message})",
            ),
        )
    if error.code in _THE_CALLERS:
        lines = tuple(f"{one.field} = {one.description}" for one in error.violations)
        return Explanation(ExitCode.USER_MISTAKE, lines or _lines(error.message))
    return Explanation(
        ExitCode.OUR_FAULT,
        (f"服务出错 / the service failed: {error.code} {error.message}；见服务日志 / see the service's log",),
    )


def _lines(text: str) -> tuple[str, ...]:
    """One for each fault."""
    return tuple(_one_line(line) for line in text.splitlines() if line.strip()) or (text,)


def _one_line(text: str) -> str:
    return " ".join(text.split())

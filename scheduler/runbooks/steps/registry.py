"""Which function carries out which kind of step. Approvals have none: people give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from scheduler.core.migration.go_no_go import Criterion, go_no_go
from scheduler.runbooks.faults import StepImpossible
from scheduler.runbooks.steps import command, http, pools, sql
from scheduler.runbooks.steps.context import StepContext, StepResult, done, failed


def decide_go(context: StepContext) -> StepResult:
    """The sheet of go or no-go, computed from what the run has shown so far."""
    criteria = [Criterion(one["evidence"], one["at_most"]) for one in context.action["criteria"]]
    lines = go_no_go(context.run, criteria, context.ports.clock.now_ms())
    sheet = [{"criterion": line.criterion, "found": line.found, "holds": line.holds} for line in lines]
    against = [f"{line.criterion}: {line.found}" for line in lines if not line.holds]
    if against:
        return failed(f"不割接 / no-go: {'; '.join(against)}", sheet=sheet)
    return done(decision="go", sheet=sheet)


def window_is_open(context: StepContext) -> StepResult:
    """The decision to begin was made on the clock; what is left is to refuse a window that is over."""
    now_ms = context.ports.clock.now_ms()
    if now_ms >= context.run.window.ends_ms:
        return failed("割接窗口已过 / the cutover window is over; roll back, and open a run for another window")
    return done(entered_ms=now_ms)


STEPS: Final[Mapping[str, Callable[[StepContext], StepResult]]] = {
    "command": command.run_command,
    "workload": pools.run_workload,
    "cancel_workload": pools.cancel_workload,
    "http_check": http.check_http,
    "sql_compare": sql.compare,
    "sql_check": sql.check,
    "switch": http.switch,
    "notify": http.notify,
    "window": window_is_open,
    "go_no_go": decide_go,
    "reserve": pools.reserve,
    "release": pools.release,
}


def carry_out(context: StepContext) -> StepResult:
    """Raises StepImpossible for a kind that nobody carries out."""
    try:
        step = STEPS[context.action["kind"]]
    except KeyError:
        raise StepImpossible(f"unknown kind {context.action['kind']!r}; there are {', '.join(STEPS)}") from None
    return step(context)

"""Migration runs as people see them."""

from __future__ import annotations

from collections.abc import Sequence

from console import printing
from scheduler.services.run_ports import RunDocument


def show_runs(runs: Sequence[RunDocument]) -> None:
    rows = [
        (run["run_id"], run["title"], run["state"], run["phase"], run["changed"], run["reason"]) for run in runs
    ]
    columns = ("任务/run", "名称/title", "状态/state", "阶段/phase", "时间/changed", "原因/reason")
    printing.table(f"割接任务 / runs: {len(rows)}", columns, rows)


def show_run(run: RunDocument) -> None:
    printing.say(f"{run['run_id']} {run['title']}    {run['state']} / {run['phase']}    {run['reason']}", "bold")
    printing.say(
        f"窗口 / window {run['window']['starts']} – {run['window']['ends']}    提交点 / commit point {run['commit_point']}"
        + ("，已过 / passed" if run["is_committed"] else "")
    )
    if run["may_approve"]:
        names = "、".join(run["may_approve"])
        printing.say(f"等待审批 / waits for approval of {run['waiting_for']}: {names}", "yellow")
        printing.say(f"  xisuan migration approve {run['run_id']} --by {run['may_approve'][0]} --number 文号")
    elif run["waiting_for"]:
        printing.say(f"等待 / waits for: {run['waiting_for']}", "yellow")
    rows = [
        (
            step["phase"],
            step["id"],
            step["kind"],
            step["state"],
            step["attempt"],
            step["milliseconds"],
            step["message"],
        )
        for step in run["steps"]
    ]
    columns = ("阶段/phase", "步骤/step", "类型/kind", "状态/state", "次数/attempt", "毫秒/ms", "说明/message")
    printing.table(f"步骤 / steps: {len(rows)}", columns, rows)
    printing.say(f"佐证 / evidence: {'、'.join(run['evidence']) or '-'}")


def show_history(events: Sequence[RunDocument]) -> None:
    rows = [
        (
            event["seq"],
            event["at"],
            event["kind"],
            event["actor"],
            event["payload"].get("step", ""),
            event["hash"][:12],
        )
        for event in events
    ]
    columns = ("序号/seq", "时间/at", "事件/event", "经办/actor", "步骤/step", "哈希/hash")
    printing.table(f"事件 / events: {len(rows)}", columns, rows)

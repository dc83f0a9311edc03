"""`xisuan workload`: submit job files, follow workloads, read their logs, ask why they wait."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from adapters.wire.scalars import WORKLOAD_STATES
from adapters.wire.workloads import submission_to_wire
from console import outlook_views, printing, workload_views
from console.commands.options import AsJson
from console.connection import workloads
from console.faults import AnswerIsNo, Fault
from console.files import read_text
from console.home import find_home
from console.jobfile import MAX_FILE_BYTES, read_jobs
from inventory.model.workload import Submission, WorkloadState
from xisuan.client import (
    FINAL_STATES,
    Client,
    DryRunResult,
    PoolOpinion,
    SubmitResult,
    Workload,
    WorkloadChange,
    WorkloadSpec,
    item_error,
)

app = typer.Typer(no_args_is_help=True, help="作业：提交、查看、日志、取消、解释 / workloads")

JobFile = Annotated[Path, typer.Argument(metavar="JOB.yaml", help="作业文件 / job file (docs/workloads.md)")]
Queue = Annotated[str, typer.Option("--queue", help="未写 queue 的作业用此队列 / queue of jobs that name none")]
WorkloadId = Annotated[str, typer.Argument(metavar="ID", help="作业编号 / workload id")]


@app.command()
def submit(
    file: JobFile,
    queue: Queue = "",
    wait: Annotated[bool, typer.Option("--wait", help="等到全部结束 / wait until all have ended")] = False,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="只试算，不提交 / only try, submit nothing")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """提交作业文件（重复提交同一文件不会重复建立）/ submit a job file; submitting it again changes nothing."""
    if is_dry_run:
        dry_run(file, queue, as_json)
        return
    jobs = _jobs(file, queue)
    with workloads(find_home()) as client:
        accepted = _submit(client, jobs, file)
        if wait:
            accepted = _follow(client, accepted, quiet=as_json)
    if as_json:
        printing.write_json([workload_views.workload_json(workload) for workload in accepted])
    else:
        printing.table(
            "作业 / workloads", workload_views.COLUMNS, [workload_views.row(workload) for workload in accepted]
        )
    if wait:
        _require_success(accepted)


@app.command("dry-run")
def dry_run(file: JobFile, queue: Queue = "", as_json: AsJson = False) -> None:
    """试算：现在提交会放到哪里、为什么 / where a job file would go now, and why; stores nothing."""
    jobs = _jobs(file, queue)
    with workloads(find_home()) as client:
        results = client.dry_run([submission_to_wire(job) for job in jobs])
    _refuse_items([(job.name, result) for job, result in zip(jobs, results, strict=True)], file)
    if as_json:
        printing.write_json([_dry_run_json(job, result) for job, result in zip(jobs, results, strict=True)])
    else:
        for job, result in zip(jobs, results, strict=True):
            _show_dry_run(job, result)
    waiting = [job.name for job, result in zip(jobs, results, strict=True) if not result.placement.pool_id]
    if waiting:
        names = ", ".join(waiting[:5]) + (" …" if len(waiting) > 5 else "")
        raise AnswerIsNo(
            f"{len(waiting)} 个作业现在无处可放：{names} / {len(waiting)} jobs would have to wait: {names}"
        )


@app.command("ls")
def ls(
    queue: Annotated[str, typer.Option("--queue", help="只看此队列 / only this queue")] = "",
    states: Annotated[
        list[WorkloadState] | None, typer.Option("--state", help="只看此状态，可重复 / only these states")
    ] = None,
    array: Annotated[str, typer.Option("--array", help="此数组的元素 / the elements of this array")] = "",
    as_json: AsJson = False,
) -> None:
    """列出作业；数组列为一行 / list workloads; an array is one line."""
    wanted = [WORKLOAD_STATES[state] for state in states or ()]
    with workloads(find_home()) as client:
        found = list(client.list(queue=queue, states=wanted, array_id=array))
    if as_json:
        printing.write_json([workload_views.workload_json(workload) for workload in found])
    else:
        rows = (workload_views.row(workload) for workload in found)
        printing.table(f"作业 / workloads: {len(found)}", workload_views.COLUMNS, rows)


@app.command()
def get(workload_id: WorkloadId, as_json: AsJson = False) -> None:
    """一个作业及其各次运行 / one workload with all its runs."""
    with workloads(find_home()) as client:
        workload = client.get(workload_id)
    if as_json:
        printing.write_json(workload_views.workload_json(workload))
        return
    spec = workload.spec
    printing.panel(
        f"{workload.workload_id} {spec.name}",
        [
            f"状态 / state: {workload_views.state_of(workload)} {workload.message}".rstrip(),
            *([f"元素 / elements: {workload_views.elements_of(workload)}"] if spec.HasField("array") else []),
            *([f"期限 / finish by: {workload_views.deadline_of(workload)}"] if spec.HasField("finish_by") else []),
            f"队列 / queue: {spec.queue}    键 / key: {spec.client_key}    优先级 / priority: {spec.priority}",
            f"需求 / needs: {workload_views.needs(workload)}",
            f"命令 / command: {' '.join(spec.program.command) or spec.program.image}",
        ],
    )
    columns = (
        "次/attempt",
        "算力池/pool",
        "状态/state",
        "退出码/exit",
        "节点/nodes",
        "安置/placed",
        "结束/ended",
        "说明",
    )
    printing.table("运行 / runs", columns, [workload_views.run_row(run) for run in workload.runs])


@app.command()
def watch(
    workload_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    queue: Annotated[str, typer.Option("--queue", help="只看此队列 / only this queue")] = "",
    cursor: Annotated[str, typer.Option("--cursor", help="从此处继续 / go on after this cursor")] = "",
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="只看带此标签的，可重复 / only these")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """持续显示状态变化；给出编号时，全部结束即退出 / follow changes; with ids, until all of them have ended."""
    with workloads(find_home()) as client:
        pending = {workload_id for workload_id in workload_ids or () if _is_open(client, workload_id)}
        if workload_ids and not pending:
            return
        told: set[str] = set()
        wanted = _labels(labels or ())
        for message in client.watch(workload_ids=workload_ids or (), queue=queue, cursor=cursor, labels=wanted):
            changes = [change for change in message.changes if change.workload_id not in told]
            if not message.changes:
                # The first message, where we come in. Whoever ended since we looked may have done so before it,
                # and sends no change any more: we say it, and leave out the change if it comes after all.
                changes = [change for workload_id in sorted(pending) if (change := _end_of(client, workload_id))]
                told = {change.workload_id for change in changes}
            for change in changes:
                if as_json:
                    printing.write_json_line(workload_views.change_json(change) | {"cursor": message.cursor})
                else:
                    printing.say(workload_views.change_line(change))
                if change.state in FINAL_STATES:
                    pending.discard(change.workload_id)
            if workload_ids and not pending:
                return


@app.command()
def logs(
    workload_id: WorkloadId,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="持续到运行结束 / stay until the run ends")
    ] = False,
    attempt: Annotated[int, typer.Option("--attempt", min=0, help="第几次运行，0 为最后一次 / 0: the last")] = 0,
) -> None:
    """运行的输出 / the output of a run."""
    with workloads(find_home()) as client:
        for chunk in client.logs(workload_id, attempt=attempt, follow=follow):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()


@app.command()
def cancel(
    workload_ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    reason: Annotated[str, typer.Option("--reason", help="原因，记入台账 / kept in the record")] = "",
) -> None:
    """取消作业（可重复执行）/ cancel workloads; doing it again changes nothing."""
    with workloads(find_home()) as client:
        for workload_id in workload_ids:
            workload = client.cancel(workload_id, reason)
            printing.say(f"{workload_id}  {workload_views.state_of(workload)}")


@app.command()
def explain(workload_id: WorkloadId, as_json: AsJson = False) -> None:
    """每个算力池对该作业的意见 / what each pool says to this workload now, and what would have to change."""
    with workloads(find_home()) as client:
        said = client.explain(workload_id)
    if as_json:
        printing.write_json(
            {
                "workload_id": workload_id,
                "summary_zh": said.summary_zh,
                "summary_en": said.summary_en,
                "refusals_by_code": dict(sorted(said.refusals_by_code.items())),
                "opinions": [workload_views.opinion_json(opinion) for opinion in said.opinions],
                "verdict": workload_views.verdict_of(said.verdict),
                "counterfactuals": [outlook_views.counterfactual_json(one) for one in said.counterfactuals],
                "forecast": outlook_views.forecast_json(said.forecast) if said.HasField("forecast") else None,
            }
        )
        return
    printing.say(f"{said.summary_zh} / {said.summary_en}", "bold")
    if said.HasField("forecast"):
        printing.say(outlook_views.forecast_line(said.forecast))
    for line in outlook_views.counterfactual_lines(said.counterfactuals):
        printing.say(line)
    _show_opinions(said.opinions)


@app.command()
def estimate(workload_id: WorkloadId, as_json: AsJson = False) -> None:
    """预计何时开始（80% 区间）/ when a workload that waits is expected to start, as an interval."""
    with workloads(find_home()) as client:
        said = client.estimate(workload_id)
        workload = client.get(workload_id)
    if as_json:
        shown = outlook_views.forecast_json(said) if said is not None else None
        printing.write_json({"workload_id": workload_id, "forecast": shown})
    elif said is not None:
        printing.say(outlook_views.forecast_line(said), "bold")
    elif workload.state == WORKLOAD_STATES[WorkloadState.QUEUED]:
        printing.say(
            f"{workload_id} 在排队，但推演未能在限时内结束，或失败后稍停再试；请看 explain / is queued, but no future was "
            "over in time, or it pauses after a failure: see explain"
        )
    else:
        state = workload_views.state_of(workload)
        printing.say(
            f"{workload_id} 不在等待资源（{state}），无可估计 / does not wait for room ({state}): nothing to estimate"
        )


def _labels(words: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE words. Raises Fault for another form."""
    parts = [word.partition("=") for word in words]
    for word, (name, equals, _) in zip(words, parts, strict=True):
        if not name or not equals:
            raise Fault(f"--label {word}：须写成 名称=值 / write it as NAME=VALUE")
    return {name: value for name, _, value in parts}


def _jobs(file: Path, queue: str) -> list[Submission]:
    return read_jobs(read_text(file, MAX_FILE_BYTES), str(file), queue)


def _submit(client: Client, jobs: Sequence[Submission], file: Path) -> list[Workload]:
    specs: list[WorkloadSpec] = [submission_to_wire(job) for job in jobs]
    results = client.submit_batch(specs)
    done = [result.accepted for result in results if result.HasField("accepted")]
    refused = [(job.name, result) for job, result in zip(jobs, results, strict=True) if result.HasField("error")]
    if refused and done:
        ids = ", ".join(accepted.workload.workload_id for accepted in done[:10])
        printing.warn(
            f"{len(done)} 个作业已提交（{ids}），改正后再次提交同一文件即可 / {len(done)} jobs were submitted; correct "
            "the others and submit the same file again"
        )
    _refuse_items(refused, file)
    for accepted in done:
        for warning in accepted.warnings:
            printing.warn(f"{accepted.workload.spec.name}：{warning.message_zh} / {warning.message_en}")
    return [accepted.workload for accepted in done]


def _refuse_items(results: Sequence[tuple[str, SubmitResult | DryRunResult]], file: Path) -> None:
    """Raises Fault with a line for each refused item."""
    lines = []
    for name, result in results:
        if result.HasField("error"):
            lines.append(f"{file} “{name}”: {item_error(result.error).message}")
    if lines:
        raise Fault(*lines)


def _follow(client: Client, accepted: Sequence[Workload], *, quiet: bool) -> list[Workload]:
    """The workloads as they ended; says each change on the way."""
    ids = [workload.workload_id for workload in accepted]
    pending = set(ids)
    for message in client.watch(workload_ids=ids):
        for change in message.changes:
            if not quiet:
                printing.say(workload_views.change_line(change))
            if change.state in FINAL_STATES:
                pending.discard(change.workload_id)
        if not message.changes:
            pending = {workload_id for workload_id in pending if _is_open(client, workload_id)}
        if not pending:
            break
    return [client.get(workload_id) for workload_id in ids]


def _end_of(client: Client, workload_id: str) -> WorkloadChange | None:
    """The end of a workload as its change would tell it; None while it goes on."""
    workload = client.get(workload_id)
    if workload.state not in FINAL_STATES:
        return None
    run = workload.runs[-1] if workload.runs else None
    return WorkloadChange(
        workload_id=workload_id,
        queue=workload.spec.queue,
        state=workload.state,
        run=run,
        message=workload.message,
        at=run.ended_at if run else workload.submitted_at,
    )


def _is_open(client: Client, workload_id: str) -> bool:
    return client.get(workload_id).state not in FINAL_STATES


def _require_success(ended: Sequence[Workload]) -> None:
    failed = [
        f"{workload.workload_id} {workload_views.state_of(workload)} {workload.message}".rstrip()
        for workload in ended
        if workload.state != WORKLOAD_STATES[WorkloadState.SUCCEEDED]
    ]
    if failed:
        raise AnswerIsNo(
            f"{len(failed)} 个作业没有成功：{'；'.join(failed[:5])} / {len(failed)} workloads did not succeed"
        )


def _show_dry_run(job: Submission, result: DryRunResult) -> None:
    placement = result.placement
    cost = f"，约 ¥{placement.estimated_cost_cny:.2f}" if placement.estimated_cost_cny else ""
    cost += f"，{placement.carbon_g:.0f} g CO₂" if placement.HasField("carbon_g") else ""
    if placement.pool_id:
        nodes = ", ".join(placement.nodes[:4])
        printing.say(f"{job.name}: → {placement.pool_id} ({nodes}){cost}", "bold")
    else:
        printing.say(f"{job.name}: 等待 / would wait{cost}", "bold")
    for line in outlook_views.dry_run_lines(placement):
        printing.say(line)
    _show_opinions(placement.opinions)


def _show_opinions(opinions: Sequence[PoolOpinion]) -> None:
    if not opinions:
        return  # it waits for no pool
    columns = ("算力池/pool", "意见/opinion", "需要/needed", "提供/offered", "怎样才行、得分 / remedy, score")
    rows = [row for opinion in opinions for row in workload_views.opinion_rows(opinion)]
    printing.table("算力池意见 / opinions", columns, rows)


def _dry_run_json(job: Submission, result: DryRunResult) -> dict[str, object]:
    placement = result.placement
    return {
        "name": job.name,
        "key": job.client_key,
        "pool_id": placement.pool_id or None,
        "nodes": list(placement.nodes),
        "estimated_cost_cny": placement.estimated_cost_cny,
        **outlook_views.dry_run_json(placement),
        "opinions": [workload_views.opinion_json(opinion) for opinion in placement.opinions],
    }

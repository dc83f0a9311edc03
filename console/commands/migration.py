"""`xisuan migration`: plan waves, have any plan judged, follow it, start a wave.

All of it works through the running service, or on the store itself where none runs: what is started there is carried
forward as soon as a service runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console import estate_views, migration_views, planning, printing, projects
from console.commands.assess import app as assess_app
from console.commands.evidence import app as evidence_app
from console.commands.options import AsJson, By, NodeGroupFile, PoolFile, day
from console.commands.pool import read_pool_files
from console.commands.project import Effort, ProjectFile, Seconds, Workers
from console.commands.report import report
from console.commands.runbook import register_run_commands
from console.faults import AnswerIsNo, Fault
from console.files import STANDARD_OUTPUT, read_text, replacing
from console.home import find_home
from console.ledger_access import open_ledger
from console.migration_access import BrokenRule, open_migration
from console.papers import PaperShelf
from console.people import actor
from console.run_access import open_runs, read_site_file
from inventory.model.pool import Pool
from scheduler.core.waves.document import write_plan
from scheduler.services.desk_ports import PlanForecast, PlanRequest, ReplanRequest
from scheduler.services.migration_servicer import MAX_CAP, MAX_WEEKS
from scheduler.services.run_ports import WaveStarting

EstateFile = Annotated[
    Path | None,
    typer.Option("--estate", metavar="FILE.json", help="资产文件，代替台账 / an estate (docs/waves.md)"),
]

app = typer.Typer(no_args_is_help=True, help="迁移：编排、检查、批次、进度、开始 / migration waves")
_MAX_PLAN_BYTES = 64 * 1024 * 1024

app.add_typer(assess_app, name="assess")


@app.command()
def plan(
    start: Annotated[str, typer.Option("--start", metavar="DAY", help="从哪天起可割接 / the first day")] = "",
    seed: Annotated[int, typer.Option("--seed", help="决定并列时的先后 / fixes all ties")] = 0,
    cap: Annotated[
        int, typer.Option("--cap", min=0, max=MAX_CAP, help="每窗口系统数上限，0 为缺省 / systems in a window")
    ] = 0,
    weeks: Annotated[
        int, typer.Option("--weeks", min=0, max=MAX_WEEKS, help="可用周数，0 为缺省 / weeks that may be used")
    ] = 0,
    pools: PoolFile = None,
    node_groups: NodeGroupFile = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="计划写成 JSON，- 为标准输出 / the plan as JSON")
    ] = None,
    psplib: ProjectFile = None,
    estate: EstateFile = None,
    options: Annotated[
        Path | None,
        typer.Option(
            "--options", metavar="FILE.yaml", help="台账之外的申报：队伍、期限、专线 / declared beside the ledger"
        ),
    ] = None,
    solver: Annotated[
        str, typer.Option("--solver", help="greedy 或/or cp-sat（按台账时 / with the ledger）")
    ] = "",
    seconds: Seconds = 30.0,
    effort: Effort = 0.0,
    workers: Workers = 0,
    by: By = None,
) -> None:
    """编排：把应迁未迁的系统排进割接窗口并检查 / plan every system that should migrate and has not, and check it."""
    if psplib is not None:
        projects.plan_project(psplib, json_file, seed, projects.budget(seconds, effort, workers))
        return
    if estate is not None:
        planning.plan_estate(estate, json_file, seed, projects.budget(seconds, effort, workers))
        return
    if not start:
        raise Fault(
            "缺少 --start DAY（从哪天起可割接），例如 --start 2026-03-02"
            " / --start DAY is missing: the first day that may hold a window, for example 2026-03-02"
        )
    declared_options = "" if options is None else read_text(options, _MAX_PLAN_BYTES)
    request = PlanRequest(day(start, "--start"), seed, cap, weeks, solver, effort, declared_options)
    declared = _pools(pools, node_groups)
    home, name = find_home(), actor(by)
    with replacing(json_file) as output:
        with open_migration(home, writing=True) as migration:
            made = migration.plan(request, name, declared)
        output.write(f"{write_plan(made.plan)}\n".encode())
    if json_file != STANDARD_OUTPUT:
        with open_ledger(home, writing=False) as ledger:
            printing.watermark(ledger.rates("", "ownership=all", False)["illustrative"])
        migration_views.show_plan(made)
    _require_kept(made.broken)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="PLAN.json", help="计划文件 / plan file (docs/waves.md)")],
    pools: PoolFile = None,
    node_groups: NodeGroupFile = None,
    estate: EstateFile = None,
    as_json: AsJson = False,
) -> None:
    """检查任何计划是否守规则，逐条指出 / judge any plan against ledger, pools and calendar; name each broken rule."""
    if estate is not None:
        found = planning.check_estate(file, estate)
        broken = tuple(BrokenRule(each.rule.value, each.system_key or "", each.message) for each in found.broken)
        if not as_json:
            estate_views.show_worth(found.worth, found.before)
    else:
        text = read_text(file, _MAX_PLAN_BYTES)
        with open_migration(find_home(), writing=False) as migration:
            found_scores = migration.score(text, _pools(pools, node_groups))
        broken = found_scores.broken
        if not as_json:
            migration_views.show_price(found_scores.price)
    if as_json:
        printing.write_json([migration_views.broken_json(one) for one in broken])
    else:
        migration_views.show_broken(broken)
    _require_kept(broken)


@app.command("replan")
def replan_plan(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="PLAN.json", help="改过的计划；缺省为台账的最新计划 / an edited plan; without: the newest"
        ),
    ] = None,
    estate: EstateFile = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="WINDOW", help="已批准、不得改动的窗口 / approved windows"),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="OUT", help="新计划 / the new plan")] = None,
    seed: Annotated[int, typer.Option("--seed", help="决定并列时的先后 / fixes all ties")] = 0,
    seconds: Seconds = 30.0,
    effort: Effort = 0.0,
    workers: Workers = 0,
    options: Annotated[
        Path | None,
        typer.Option(
            "--options", metavar="FILE.yaml", help="新的申报，代替计划里的 / new options in place of the plan's"
        ),
    ] = None,
    not_before: Annotated[
        str,
        typer.Option("--from", metavar="DAY", help="此前的窗口视为已过，缺省今天 / windows before it are past"),
    ] = "",
    adopt: Annotated[bool, typer.Option("--adopt", help="采用为最新计划 / keep it as the newest plan")] = False,
    pools: PoolFile = None,
    node_groups: NodeGroupFile = None,
    by: By = None,
) -> None:
    """重排：保留已批准的批次，以最小改动修复计划并报价 / the smallest change that repairs a plan, and its price."""
    if estate is not None:
        if file is None:
            raise Fault(
                "缺少 PLAN.json：--estate 须给出要修复的计划 / PLAN.json is missing: with --estate, name the plan to repair"
            )
        choices = planning.ReplanChoices(tuple(keep or ()), seed, projects.budget(seconds, effort, workers))
        planning.replan_estate(file, estate, json_file, choices)
        return
    request = ReplanRequest(
        approved=tuple(keep or ()),
        seed=seed,
        effort=effort,
        plan_json="" if file is None else read_text(file, _MAX_PLAN_BYTES),
        options=None if options is None else read_text(options, _MAX_PLAN_BYTES),
        not_before=day(not_before, "--from") if not_before else None,
    )
    with replacing(json_file) as output:
        with open_migration(find_home(), writing=adopt) as migration:
            declared = _pools(pools, node_groups)
            repaired = migration.replan(request, actor(by) if adopt else "", adopt=adopt, pools=declared)
        output.write(f"{write_plan(repaired.made.plan)}\n".encode())
    if json_file != STANDARD_OUTPUT:
        migration_views.show_ledger_repair(repaired)
    _require_kept(repaired.made.broken)
    if repaired.made.plan.unplaced:
        count = len(repaired.made.plan.unplaced)
        raise AnswerIsNo(
            f"{count} 个系统在保留约定的前提下无法安排 / {count} systems have no place while the agreements stand"
        )


@app.command()
def forecast(
    file: Annotated[
        Path | None, typer.Argument(metavar="PLAN.json", help="资产的计划 / the plan of an estate")
    ] = None,
    estate: EstateFile = None,
    seed: Annotated[int, typer.Option("--seed", help="随机种子 / random seed")] = 0,
    samples: Annotated[int, typer.Option("--samples", min=1, max=1_000_000, help="模拟次数 / samples")] = 5000,
    pools: PoolFile = None,
    node_groups: NodeGroupFile = None,
    as_json: AsJson = False,
) -> None:
    """预测：按时长分布模拟完成日 P50/P80/P95 和超时概率 / when a plan will really end, by simulation."""
    learned: PlanForecast | None = None
    if estate is not None and file is not None:
        found = planning.estate_risk(file, estate, seed, samples)
    elif estate is None and file is None:
        with open_migration(find_home(), writing=False) as migration:
            learned = migration.forecast(seed, samples, _pools(pools, node_groups))
        found = learned.finish
    else:
        raise Fault(
            "PLAN.json 与 --estate 须同时给出，或都不给（按台账的最新计划）"
            " / give PLAN.json and --estate together, or neither (the newest plan of the ledger)"
        )
    if as_json:
        printing.write_json(migration_views.forecast_json(found, learned))
    else:
        migration_views.show_forecast(found)
        if learned is not None:
            migration_views.show_learned(learned)


@app.command()
def waves(as_json: AsJson = False) -> None:
    """最新计划的批次 / the waves of the newest plan."""
    with open_migration(find_home(), writing=False) as migration:
        planned = migration.waves()
    if as_json:
        printing.write_json(migration_views.waves_json(planned))
    else:
        migration_views.show_waves(planned)


@app.command()
def status(as_json: AsJson = False) -> None:
    """最新计划的进度 / how far the newest plan is."""
    with open_migration(find_home(), writing=False) as migration:
        progress = migration.status()
    if as_json:
        printing.write_json(migration_views.progress_json(progress))
    else:
        migration_views.show_progress(progress)


@app.command()
def start(
    wave: Annotated[int, typer.Argument(metavar="WAVE", min=1, help="批次号 / number of the wave")],
    site: Annotated[
        Path | None,
        typer.Option("--site", metavar="FILE.yaml", help="实施单位文件 / the site file (docs/runbooks.md)"),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """开始一批：每个同批组一次割接任务；缺什么先逐条说明（可重复执行）/ open a run for each move group of a wave."""
    shelf = PaperShelf(find_home().papers_folder)
    text, runbooks = read_site_file(site, shelf) if site is not None else ("", {})
    with open_runs(find_home(), writing=True) as runs:
        started = runs.start_wave(WaveStarting(wave, actor(by), text, runbooks))
    if as_json:
        printing.write_json({"wave": wave, "run_ids": list(started.run_ids), "waiting": list(started.waiting)})
        return
    count = len(started.run_ids)
    printing.say(f"第 {wave} 批：{count} 个割接任务 / wave {wave}: {count} runs", "bold")
    for run_id in started.run_ids:
        printing.say(f"  {run_id}")
    for system in started.waiting:
        printing.say(
            f"  {system}：等其并入的系统迁完后再运行本命令 / waits for what it is merged into; run this again then"
        )
    printing.say("进度见 xisuan migration status、xisuan migration show RUN / see")


register_run_commands(app)
app.command()(report)
app.add_typer(evidence_app, name="evidence")


def _pools(pools: Path | None, node_groups: Path | None) -> tuple[Pool, ...]:
    return () if pools is None and node_groups is None else read_pool_files(pools, node_groups)


def _require_kept(broken: tuple[BrokenRule, ...]) -> None:
    if broken:
        zh, en = broken[0].message
        raise AnswerIsNo(f"计划违反 {len(broken)} 条规则：{zh} / the plan breaks {len(broken)} rules: {en}")

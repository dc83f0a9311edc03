"""`xisuan sim lose-pool`, `capacity`, `saturation`, `waves`: what planners ask, one command a question."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from console import printing, simulation_views
from console.commands.options import AsJson
from console.commands.sim_scenarios import (
    Capacities,
    Failures,
    Out,
    Policies,
    ScenarioFile,
    SkipBad,
    Traces,
    Workers,
    asking,
    narrowed,
)
from console.faults import AnswerIsNo, Fault
from console.files import read_text
from console.home import find_home
from console.ledger_access import open_ledger
from console.scenario_access import first_of_each, input_faults, make_cells, read_scenario
from console.wave_landings import landings
from scheduler.core.waves.document import PlanUnreadable, read_plan
from simulations.code_version import code_version
from simulations.metrics.definitions import METRICS, Better
from simulations.questions.lost_pool import lose_each_pool
from simulations.questions.saturation import GrowthPlan, saturation
from simulations.questions.smallest_capacity import Limit, smallest_capacity
from simulations.questions.wave_plan import wave_impact
from simulations.scenarios.fields import DAY, parse_duration
from simulations.scenarios.form import Scenario

Answer = TypeVar("Answer")
_MAX_BYTES = 64 * 1024 * 1024


def lose_pool(
    scenario: ScenarioFile,
    policy: Policies = None,
    trace: Traces = None,
    capacity: Capacities = None,
    failures: Failures = None,
    out: Out = None,
    workers: Workers = 1,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """失去每个池会怎样：N-1 表 / what if a pool is lost: the N-1 table."""
    asked = _one_of_each(scenario, policy, trace, capacity, failures)
    with asking("N-1", out, workers, skip_bad) as ask:
        losses = _answer(lambda: lose_each_pool(asked, scenario.resolve().parent, code_version(), ask))
    if as_json:
        printing.write_json(simulation_views.losses_json(losses))
    else:
        simulation_views.show_losses(losses)


def smallest(
    scenario: ScenarioFile,
    limit: Annotated[
        str, typer.Option("--limit", metavar="X", help="上限，如 10m 或数字 / at most: 10m, or a number")
    ],
    metric: Annotated[str, typer.Option("--metric", help="指标 / the metric that is limited")] = "wait_p95",
    pool: Annotated[str | None, typer.Option("--pool", help="只改这个池 / resize only this pool")] = None,
    policy: Policies = None,
    trace: Traces = None,
    capacity: Capacities = None,
    failures: Failures = None,
    out: Out = None,
    workers: Workers = 1,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """使 p95 等待低于上限的最小容量 / the smallest capacity that keeps p95 waiting below a limit."""
    asked = _one_of_each(scenario, policy, trace, capacity, failures)
    wanted = Limit(_metric(metric), _value(limit, metric))
    with asking("容量 / capacity", out, workers, skip_bad) as ask:
        found = _answer(
            lambda: smallest_capacity(asked, scenario.resolve().parent, code_version(), ask, wanted, pool)
        )
    if as_json:
        printing.write_json(simulation_views.smallest_json(found))
    else:
        simulation_views.show_smallest(found, wanted)
    if found.best is None:
        most = found.tried[-1]
        raise AnswerIsNo(
            f"{most.nodes} 个节点（{most.scale:g} 倍）仍不够 / even {most.nodes} nodes ({most.scale:g} times) are too few"
        )


def saturate(
    scenario: ScenarioFile,
    growth: Annotated[float, typer.Option("--growth", metavar="Y", help="年增长百分数 / percent a year")],
    horizon: Annotated[str, typer.Option("--horizon", help="看多远 / how far to look")] = "1095d",
    every: Annotated[str, typer.Option("--every", help="每隔多久仿真一次 / simulate every so long")] = "91d",
    threshold: Annotated[float, typer.Option("--threshold", min=1, max=100, help="饱和，百分数 / percent")] = 95.0,
    policy: Policies = None,
    trace: Traces = None,
    capacity: Capacities = None,
    failures: Failures = None,
    out: Out = None,
    workers: Workers = 1,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """需求每年增长 Y %，各池哪一天饱和 / on which day each pool saturates if demand grows by Y % a year."""
    asked = _one_of_each(scenario, policy, trace, capacity, failures)
    if not -90 <= growth <= 1000:
        raise Fault(f"--growth {growth:g}：须在 -90 与 1000 之间 / must be between -90 and 1000 (percent a year)")
    plan = GrowthPlan(growth / 100, _days(horizon, "--horizon"), _days(every, "--every"), threshold / 100)
    with asking("饱和 / saturation", out, workers, skip_bad) as ask:
        found = _answer(lambda: saturation(asked, scenario.resolve().parent, code_version(), ask, plan))
    if as_json:
        printing.write_json(simulation_views.saturation_json(found))
    else:
        simulation_views.show_saturation(found, plan)


def waves(
    scenario: ScenarioFile,
    plan: Annotated[
        Path, typer.Option("--plan", metavar="PLAN.json", help="批次计划 / a wave plan (docs/waves.md)")
    ],
    systems: Annotated[
        Path | None, typer.Option("--systems", help="系统 JSON，缺省为台账 / systems as JSON; default: the ledger")
    ] = None,
    policy: Policies = None,
    trace: Traces = None,
    capacity: Capacities = None,
    failures: Failures = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """批次计划对各池的影响 / what a wave plan does to the pools."""
    asked = _one_of_each(scenario, policy, trace, capacity, failures)
    try:
        read = read_plan(read_text(plan, _MAX_BYTES))
    except PlanUnreadable as error:
        raise Fault(*str(error).splitlines()) from error
    landed = landings(read, _systems(systems))
    (cell,) = make_cells(asked.model_copy(update={"seeds": asked.seeds[:1]}), scenario, skip_bad)
    with input_faults():
        for note in cell.trace().notes:
            printing.warn(note)
        impact = _answer(lambda: wave_impact(cell, landed))
    if as_json:
        printing.write_json(simulation_views.impact_json(impact))
    else:
        simulation_views.show_impact(impact)
    if impact.stuck:
        raise AnswerIsNo(f"{len(impact.stuck)} 个系统放不下 / {len(impact.stuck)} systems find no room")


def _systems(file: Path | None) -> list[dict[str, Any]]:
    if file is None:
        with open_ledger(find_home(), writing=False) as ledger:
            return [dict(one) for one in ledger.systems("ownership=all", "")]
    try:
        document = json.loads(read_text(file, _MAX_BYTES))
        return [dict(one) for one in (document["systems"] if isinstance(document, dict) else document)]
    except (ValueError, KeyError, TypeError) as error:
        raise Fault(
            f'{file}: 须为 JSON，系统列在 systems 之下 / must be JSON with the systems below "systems"'
        ) from error


def _one_of_each(
    file: Path,
    policy: Sequence[str] | None,
    trace: Sequence[str] | None,
    capacity: Sequence[str] | None,
    failures: Sequence[str] | None,
) -> Scenario:
    """One variant of each kind, the first or the named one, with all seeds."""
    asked = narrowed(read_scenario(file), policy, trace, capacity, failures)
    return first_of_each(asked).model_copy(update={"seeds": asked.seeds})


def _answer(question: Callable[[], Answer]) -> Answer:
    """Questions raise ValueError for what they cannot ask of a scenario."""
    try:
        return question()
    except ValueError as error:
        raise Fault(*str(error).splitlines()) from error


def _metric(name: str) -> str:
    lower = [key for key, metric in METRICS.items() if metric.better is Better.LOWER]
    if name not in lower:
        raise Fault(f"--metric {name}：须是越小越好的指标 / must be one where lower is better: {', '.join(lower)}")
    return name


def _value(text: str, metric: str) -> float:
    """A duration for a metric in seconds, else a number."""
    try:
        value = parse_duration(text) / 1000 if METRICS[metric].unit == "s" else float(text)
    except ValueError as error:
        raise Fault(f"--limit {text!r}：{error}") from error
    if value < 0:
        raise Fault(f"--limit {text}：不得为负 / must not be negative")
    return value


def _days(text: str, option: str) -> int:
    try:
        days = parse_duration(text) // DAY
    except ValueError as error:
        raise Fault(f"{option} {text!r}：{error}") from error
    if days < 1:
        raise Fault(f"{option} {text}：至少一天 / must be at least a day")
    return days

"""`xisuan sim run`, `portfolio` and `compare`: simulate a scenario, all of it, and put policies side by side."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from console import printing, simulation_views
from console.commands.options import AsJson
from console.faults import AnswerIsNo, Fault
from console.scenario_access import chosen, first_of_each, input_faults, make_cells, read_scenario
from console.simulation_progress import cells_progress, jobs_progress
from simulations.metrics.definitions import METRICS
from simulations.metrics.result import Result
from simulations.portfolio import run_portfolio
from simulations.questions.asking import Ask
from simulations.questions.comparison import compare as compare_policies
from simulations.result_file import file_name, read_result, read_results, result_bytes, write_atomically
from simulations.scenarios.cell import Cell
from simulations.scenarios.form import Scenario
from simulations.schedule_file import write_schedule

ScenarioFile = Annotated[
    Path, typer.Argument(metavar="SCENARIO.yaml", help="场景文件 / scenario (docs/simulation.md)")
]
Policies = Annotated[
    list[str] | None, typer.Option("--policy", help="只用此策略，可重复 / only this policy; repeats")
]
Traces = Annotated[list[str] | None, typer.Option("--trace", help="只用此轨迹 / only this trace; repeats")]
Capacities = Annotated[
    list[str] | None, typer.Option("--capacity", help="只用此容量 / only this capacity; repeats")
]
Failures = Annotated[
    list[str] | None, typer.Option("--failures", help="只用此故障 / only these failures; repeats")
]
Workers = Annotated[int, typer.Option("--workers", min=1, max=4096, help="并行数，1 不用 Ray / 1: without Ray")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="结果文件夹，可续跑 / results; resumable")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="跳过并统计坏行和放不下的作业 / leave out, counted")]


def run(
    scenario: ScenarioFile,
    policy: Policies = None,
    trace: Traces = None,
    capacity: Capacities = None,
    failures: Failures = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="随机种子，缺省为场景的第一个 / default: the first")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="结果文件 / result file, JSON")] = None,
    schedule: Annotated[
        Path | None,
        typer.Option(
            "--schedule", metavar="FILE", help="每次运行的起止，CSV 或 Parquet / every run's start and end"
        ),
    ] = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """仿真一次：每类取第一个（或指名的）变体 / one simulation: the first, or the named, variant of each kind."""
    asked = narrowed(read_scenario(scenario), policy, trace, capacity, failures)
    asked = first_of_each(asked)
    if seed is not None:
        asked = asked.model_copy(update={"seeds": (seed,)})
    (cell,) = make_cells(asked, scenario, skip_bad)
    with input_faults():
        ready, jobs = cell.prepare(), cell.trace()
        with jobs_progress(len(jobs)) as progress:
            outcome = ready.simulate(jobs, progress)
    result = ready.measured(outcome)
    content = result_bytes(result)
    if out is not None:
        with _writing("--out", out):
            write_atomically(content, out)
    if schedule is not None:
        with _writing("--schedule", schedule):
            write_schedule(outcome, schedule)
    if as_json:
        typer.echo(content.decode(), nl=False)
    else:
        simulation_views.show_result(result)


def portfolio(
    scenario: ScenarioFile,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="结果文件夹，可续跑 / results; resumable")],
    policy: Policies = None,
    trace: Traces = None,
    capacity: Capacities = None,
    failures: Failures = None,
    workers: Workers = 1,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """仿真全部组合；中断后再运行即续跑 / simulate all combinations; run again to go on after an interruption."""
    asked = narrowed(read_scenario(scenario), policy, trace, capacity, failures)
    cells = make_cells(asked, scenario, skip_bad)
    try:
        with input_faults(), cells_progress(f"{asked.name}") as progress:
            done = run_portfolio(cells, _folder(out), workers, progress)
    except KeyboardInterrupt:
        kept = sum((out / file_name(cell.label)).exists() for cell in cells)
        printing.warn(
            f"{len(cells)} 个组合中 {kept} 个的结果在 {out}；再运行同一命令即续跑 / {kept} of {len(cells)} results are in "
            f"{out}; run the same command again to go on"
        )
        raise
    for failure in done.failures:
        printing.warn(f"{file_name(failure.label)}: {failure.message}")
    if as_json:
        printing.write_json({"done": done.done, "kept": done.kept, "failed": len(done.failures), "out": str(out)})
    else:
        printing.say(
            f"完成 {done.done}，已有 {done.kept}，失败 {len(done.failures)}；结果在 {out}"
            f" / done {done.done}, kept {done.kept}, failed {len(done.failures)}; results in {out}"
        )
    if done.failures:
        raise AnswerIsNo(f"{len(done.failures)} 个组合没有结果 / {len(done.failures)} combinations have no result")


def compare(
    results: Annotated[Path, typer.Argument(metavar="DIR", help="portfolio 的结果 / results of a portfolio")],
    base: Annotated[str | None, typer.Option("--base", help="基准策略，缺省为第一个 / default: the first")] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="指标，可重复 / a metric; repeats")] = None,
    as_json: AsJson = False,
) -> None:
    """策略对比：均值、95% 置信区间、与基准的成对差 / means with 95 % intervals, and paired differences."""
    metrics = tuple(metric) if metric else simulation_views.COMPARED
    for name in metrics:
        if name not in METRICS:
            raise Fault(
                f"--metric {name}：未知，可用 {', '.join(METRICS)} / unknown metric; known: {', '.join(METRICS)}"
            )
    with input_faults():
        found = read_results(results)
    try:
        settings = compare_policies(found, metrics, base)
    except ValueError as error:
        raise Fault(str(error)) from error
    if as_json:
        printing.write_json([row for setting in settings for row in simulation_views.compared_json(setting)])
    else:
        simulation_views.show_compared(settings, metrics)


def narrowed(
    scenario: Scenario,
    policy: Sequence[str] | None,
    trace: Sequence[str] | None,
    capacity: Sequence[str] | None,
    failures: Sequence[str] | None,
) -> Scenario:
    """The scenario with only the variants that the options name."""
    wanted = (
        ("policies", policy, "--policy"),
        ("traces", trace, "--trace"),
        ("capacities", capacity, "--capacity"),
        ("failures", failures, "--failures"),
    )
    for kind, names, option in wanted:
        scenario = chosen(scenario, kind, names or (), option)
    return scenario


@contextmanager
def asking(name: str, out: Path | None, workers: int, skip_bad: bool) -> Iterator[Ask]:
    """Simulates what a question asks, with a progress bar; keeps the results in `out`, or only while it is asked.
    What was left out of the traces is told once."""
    told: set[str] = set()
    with tempfile.TemporaryDirectory() as scratch:
        folder = _folder(out) if out is not None else Path(scratch)

        def ask(cells: Sequence[Cell]) -> list[Result]:
            cells = [replace(cell, skip_bad=skip_bad) for cell in cells]
            with cells_progress(name) as progress:
                done = run_portfolio(cells, folder, workers, progress)
            if done.failures:
                raise Fault(*(f"{file_name(failure.label)}: {failure.message}" for failure in done.failures))
            results = [read_result(folder / file_name(cell.label)) for cell in cells]
            for note in dict.fromkeys(note for result in results for note in result.notes):
                if note not in told:
                    printing.warn(note)
                    told.add(note)
            return results

        with input_faults():
            yield ask


def _folder(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise Fault(f"--out {out} 是文件；请指定文件夹 / is a file; name a folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Fault(f"--out {out}: 无法创建（{error.strerror}） / cannot be made; name another folder") from error
    if not os.access(out, os.W_OK):
        raise Fault(f"--out {out}: 无法写入 / cannot be written; name another folder")
    return out


@contextmanager
def _writing(option: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Fault(
            f"{option} {path}: 无法写入（{error.strerror}） / cannot be written; name another file"
        ) from error

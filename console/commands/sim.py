"""`xisuan sim`: what-if questions. `trace` evaluates placement policies on a public trace; the other commands
simulate scenarios (`sim_scenarios`) and answer planners' questions from them (`sim_questions`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console import printing
from console.commands import sim_calibrate, sim_questions, sim_report, sim_scenarios, sim_traces
from console.faults import Fault
from simulations.evaluation import LEVELS, TraceEvaluation, parse_seeds, run_trace_evaluation, write_results
from simulations.traces.bad_rows import TraceError

app = typer.Typer(
    help="仿真：场景、组合、规划问题 / what-if: scenarios, portfolios, questions", no_args_is_help=True
)
app.command("run")(sim_scenarios.run)
app.command("portfolio")(sim_scenarios.portfolio)
app.command("compare")(sim_scenarios.compare)
app.command("report")(sim_report.report)
app.command("lose-pool")(sim_questions.lose_pool)
app.command("capacity")(sim_questions.smallest)
app.command("saturation")(sim_questions.saturate)
app.command("waves")(sim_questions.waves)
app.command("calibrate")(sim_calibrate.calibrate_scenario)
app.command("inspect")(sim_traces.inspect)
app.command("convert")(sim_traces.convert)
app.command("record")(sim_traces.record)
app.add_typer(sim_traces.generate, name="generate")
FORMATS = ("openb",)


@app.callback()
def _group() -> None:
    """仿真：用生产中的放置代码回答假设 / what-if, with the placement code of production."""


@app.command()
def trace(
    nodes: Annotated[Path, typer.Option(help="节点表 / node list, CSV")],
    workload: Annotated[Path, typer.Option(help="作业表 / pod list, CSV")],
    policy: Annotated[list[str], typer.Option(help="策略，可重复 / a policy; may be repeated")],
    seeds: Annotated[str, typer.Option(help="随机种子，如 0-9 / seeds, such as 0-9 or 0,3")] = "0-9",
    arrive: Annotated[float, typer.Option(help="到达量与 GPU 容量之比 / arrivals per GPU capacity")] = 1.3,
    format: Annotated[str, typer.Option(help="轨迹格式 / trace format: openb")] = "openb",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="跳过并统计坏行 / leave bad rows out, counted")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="结果文件 / where to write the results")] = None,
) -> None:
    """GPU 分配率与碎片率，按到达量与种子统计 / allocation and fragmentation, by arrivals and over seeds."""
    if format not in FORMATS:
        raise Fault(f"--format {format}：可用 {', '.join(FORMATS)} / unknown format; known: {', '.join(FORMATS)}")
    try:
        evaluation = run_trace_evaluation(nodes, workload, policy, parse_seeds(seeds), arrive, skip_bad)
    except (TraceError, ValueError) as error:
        raise Fault(str(error)) from error
    for note in evaluation.notes:
        printing.warn(note)
    if json_file is not None:
        try:
            write_results(evaluation, json_file)
        except OSError as error:
            raise Fault(
                f"无法写入 {json_file}（{error.strerror}） / cannot write it: name another file"
            ) from error
    _show(evaluation)


def _show(evaluation: TraceEvaluation) -> None:
    levels = [level for level in LEVELS if level in evaluation.bounds]
    rows = [
        (
            result.policy,
            *(f"{result.alloc[level].mean:.2f} ± {result.alloc[level].sd:.2f}" for level in levels),
            *(f"{result.frag[level].mean:.2f}" for level in levels),
            f"{result.arrivals_per_second:,.0f}",
        )
        for result in evaluation.results
    ]
    bound = [f"{evaluation.bounds[level]:.2f}" for level in levels]
    rows.append(("上界 / bound", *bound, *("" for _ in levels), ""))
    columns = (
        "策略/policy",
        *(f"分配/alloc {level}%" for level in levels),
        *(f"碎片/frag {level}%" for level in levels),
        "到达/s",
    )
    name = evaluation.results[0].workload
    printing.table(f"{name}：占 GPU 容量的百分比 / percent of the GPU capacity", columns, rows)

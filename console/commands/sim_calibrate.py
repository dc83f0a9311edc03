"""`xisuan sim calibrate`: whether start estimates hold, measured on a scenario's trace."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer

from console import printing
from console.commands.options import AsJson
from console.commands.sim_scenarios import Capacities, Policies, ScenarioFile, SkipBad, Traces, narrowed
from console.scenario_access import first_of_each, input_faults, make_cells, read_scenario
from simulations.calibration import Calibration, CalibrationSettings, calibrate


def calibrate_scenario(
    scenario: ScenarioFile,
    policy: Policies = None,
    trace: Traces = None,
    capacity: Capacities = None,
    most: Annotated[int, typer.Option("--most", min=1, help="最多询问次数 / ask about so many at most")] = 200,
    share: Annotated[
        float, typer.Option("--share", min=0.001, max=1, help="询问的比例 / the part that is asked")
    ] = 1.0,
    raw: Annotated[
        bool, typer.Option("--raw", help="不修正区间 / without the correction that forecasts learn")
    ] = False,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """预计开始时间的区间是否成立 / whether the 80 % intervals of start estimates hold: a trace is lived through."""
    asked = first_of_each(narrowed(read_scenario(scenario), policy, trace, capacity, None))
    with input_faults():
        (cell,) = make_cells(asked, scenario, skip_bad)
        prepared, jobs = cell.prepare(), cell.trace()
    settings = CalibrationSettings(
        cycle=prepared.settings.cycle,
        share=share,
        most=most,
        step_ms=max(1_000, prepared.settings.granularity_ms),
        corrects=not raw,
        seed=cell.scenario.seeds[0],
    )
    found = calibrate(jobs, prepared.given.pools, settings)
    if as_json:
        printing.write_json(_json(found))
        return
    title = f"{found.trace}：{len(found.asked)} 次询问 / questions"
    printing.table(title, ("量 / what", "值 / value"), _shown(found))


def _shown(found: Calibration) -> list[tuple[str, str]]:
    if not found.asked:
        return [("没有作业等待过 / nobody waited", "0")]
    return [
        ("区间成立 / intervals that held", f"{found.coverage:.1%}"),
        ("早于区间 / started before it", f"{found.early:.1%}"),
        ("晚于区间 / started after it", f"{found.late:.1%}"),
        ("未给出上界 / without an end", str(sum(one.latest_ms is None for one in found.asked))),
        ("到结束未开始 / not started at the end", str(found.unfinished)),
        ("区间宽度中位数 / median width", f"{np.median(found.widths) / 1000:.0f} s" if len(found.widths) else ""),
        ("等待中位数 / median wait", f"{np.median(found.waits) / 1000:.0f} s"),
    ]


def _json(found: Calibration) -> dict[str, Any]:
    return {
        "trace": found.trace,
        "asked": len(found.asked),
        "coverage": found.coverage,
        "early": found.early,
        "late": found.late,
        "unfinished": found.unfinished,
        "median_width_ms": int(np.median(found.widths)) if len(found.widths) else None,
        "median_wait_ms": int(np.median(found.waits)) if len(found.waits) else None,
        "questions": [
            {
                "job": one.job,
                "earliest_ms": one.earliest_ms,
                "median_ms": one.median_ms,
                "latest_ms": one.latest_ms,
                "waited_ms": one.waited_ms,
            }
            for one in found.asked
        ],
    }

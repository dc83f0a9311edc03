"""`xisuan migration plan --psplib` on its own: `console.app` loads this in the place of the whole group of commands.

The group takes seconds of processor time to load, and this command promises to end in time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.projects import budget, plan_project

ProjectFile = Annotated[
    Path | None, typer.Option("--psplib", metavar="FILE.sm", help="PSPLIB 项目实例 / a project instance")
]
Seconds = Annotated[float, typer.Option("--seconds", help="求解秒数 / seconds to search")]
Effort = Annotated[float, typer.Option("--effort", help="确定性求解量，代替秒数 / deterministic effort, no clock")]
Workers = Annotated[int, typer.Option("--workers", min=0, max=64, help="线程，0 为全部 / threads, 0: all")]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def migration() -> None:
    """迁移：编排 / migration waves."""


@app.command()
def plan(
    psplib: Annotated[
        Path, typer.Option("--psplib", metavar="FILE.sm", help="PSPLIB 项目实例 / a project instance")
    ],
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="计划写成 JSON，- 为标准输出 / the plan as JSON")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="决定并列时的先后 / fixes all ties")] = 0,
    seconds: Seconds = 30.0,
    effort: Effort = 0.0,
    workers: Workers = 0,
) -> None:
    """编排一个 PSPLIB 项目 / schedule a project."""
    plan_project(psplib, json_file, seed, budget(seconds, effort, workers))

"""`xisuan migration plan --estate` on its own: `console.app` loads this in the place of the whole group of commands.

The group takes seconds of processor time to load, and this command promises to end in time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.commands.project import Effort, Seconds, Workers
from console.planning import plan_estate
from console.projects import budget

app = typer.Typer(no_args_is_help=True)


@app.callback()
def migration() -> None:
    """迁移：编排 / migration waves."""


@app.command()
def plan(
    estate: Annotated[
        Path, typer.Option("--estate", metavar="FILE.json", help="资产文件，代替台账 / an estate (docs/waves.md)")
    ],
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="计划写成 JSON，- 为标准输出 / the plan as JSON")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="决定并列时的先后 / fixes all ties")] = 0,
    seconds: Seconds = 30.0,
    effort: Effort = 0.0,
    workers: Workers = 0,
) -> None:
    """编排一份资产文件 / plan an estate."""
    plan_estate(estate, json_file, seed, budget(seconds, effort, workers))

"""`xisuan adapter serve TECHNOLOGY ...`: runs one adapter process, exactly as `python -m adapters.TECHNOLOGY` does."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from console.faults import Fault

app = typer.Typer(no_args_is_help=True, help="算力池适配器 / pool adapters")

# The technologies that have an adapter, each with its module. `--help` after the name lists its arguments.
TECHNOLOGIES = {"local": "adapters.local", "simulated": "adapters.simulated"}


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def serve(
    context: typer.Context,
    technology: Annotated[str, typer.Argument(metavar="TECHNOLOGY", help=", ".join(TECHNOLOGIES))],
) -> None:
    """运行一个适配器进程；其余参数见 xisuan adapter serve TECHNOLOGY --help / run one adapter process."""
    module = TECHNOLOGIES.get(technology)
    if module is None:
        known = ", ".join(TECHNOLOGIES)
        raise Fault(
            f"没有 {technology!r} 适配器；可用：{known} / there is no adapter {technology!r}; use one of {known}"
        )
    sys.stdout.flush()
    # The adapter takes the place of this process, so that signals and exit codes are its own.
    os.execv(sys.executable, [sys.executable, "-m", module, *context.args])

"""`python -m adapters.template`: the template as an adapter process. `--help` lists the arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from adapters.sdk.command import parser, run
from adapters.template.backend import TemplateBackend
from adapters.template.engine import ToyEngine
from inventory.model.pool import Pool


def _backend(pool: Pool, arguments: argparse.Namespace) -> TemplateBackend:
    arguments.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return TemplateBackend(pool, ToyEngine(pool, arguments.state_dir), arguments.state_dir)


def main(words: Sequence[str] | None = None) -> int:
    """Serves until it is told to end; returns the exit code. `words` default to those of the command line."""
    return run(parser("template").parse_args(words), _backend)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m adapters.local`: this machine as a pool, as an adapter process. `--help` lists the arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.local.backend import LocalBackend
from adapters.sdk.command import parser, run
from adapters.sdk.listening import StartRefused
from inventory.model.pool import Pool


def _arguments() -> argparse.ArgumentParser:
    result = parser("local")
    result.add_argument(
        "--stop-runs-at-exit", action="store_true", help="end what runs with the adapter (else it goes on)"
    )
    result.add_argument(
        "--cgroup", type=Path, help="a cgroup v2 folder that was delegated to us (else the root is tried)"
    )
    return result


def _backend(pool: Pool, arguments: argparse.Namespace) -> LocalBackend:
    try:
        return LocalBackend(
            pool, arguments.state_dir, stop_runs_at_exit=arguments.stop_runs_at_exit, cgroup=arguments.cgroup
        )
    except ValueError as error:
        raise StartRefused(str(error)) from error


def main(words: Sequence[str] | None = None) -> int:
    """Serves until it is told to end; returns the exit code. `words` default to those of the command line."""
    return run(_arguments().parse_args(words), _backend)


if __name__ == "__main__":
    sys.exit(main())

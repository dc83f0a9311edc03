"""`python -m adapters.slurm`: a Slurm cluster as a pool, as an adapter process. `--help` lists the arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.sdk.command import parser, run
from adapters.slurm.backend import SlurmBackend
from adapters.slurm.commands import Slurm
from adapters.slurm.engine import SlurmEngine, SlurmSettings
from inventory.model.pool import Pool


def _arguments() -> argparse.ArgumentParser:
    result = parser("slurm")
    result.add_argument(
        "--slurm-conf", type=Path, help="the cluster's slurm.conf (default: where Slurm looks for it)"
    )
    result.add_argument("--partition", default="", help="the partition that is the pool (default: the cluster's)")
    result.add_argument("--account", default="", help="the account that jobs are charged to")
    result.add_argument(
        "--output-dir",
        type=Path,
        help="on storage shared with the nodes: output of runs (default: in --state-dir)",
    )
    result.add_argument("--work-dir", default="/tmp", help="where programs start, on the nodes")
    result.add_argument(
        "--sbatch-option",
        action="append",
        default=[],
        metavar="OPTION",
        help="one more for sbatch; may be repeated",
    )
    return result


def _backend(pool: Pool, arguments: argparse.Namespace) -> SlurmBackend:
    settings = SlurmSettings(
        output_dir=(arguments.output_dir or arguments.state_dir / "output").absolute(),
        partition=arguments.partition,
        account=arguments.account,
        work_dir=arguments.work_dir,
        extra=tuple(arguments.sbatch_option),
    )
    return SlurmBackend(SlurmEngine(pool, Slurm(arguments.slurm_conf), settings), arguments.state_dir)


def main(words: Sequence[str] | None = None) -> int:
    """Serves until it is told to end; returns the exit code. `words` default to those of the command line."""
    return run(_arguments().parse_args(words), _backend)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m adapters.simulated`: one simulated pool as an adapter process. `--help` lists the arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from adapters.sdk.command import numbers_in_range, parser, run
from adapters.simulated.backend import SimulatedBackend
from adapters.simulated.fates import Profile
from inventory.model.pool import Pool

_WEEK_MS = 7 * 24 * 3600 * 1000


def _arguments() -> argparse.ArgumentParser:
    default = Profile()
    result = parser("simulated")
    result.add_argument("--speed", type=float, default=default.speed, help="simulated seconds in a real second")
    result.add_argument("--seed", type=int, default=0, help="fixes running times and failures")
    result.add_argument(
        "--failure-probability", type=float, default=default.failure_probability, help="0..1, of each run"
    )
    result.add_argument(
        "--launch-latency-ms", type=int, default=default.launch_latency_ms, help="simulated, launch to start"
    )
    result.add_argument(
        "--typical-runtime-ms", type=int, default=default.typical_runtime_ms, help="simulated, without an estimate"
    )
    return result


def _backend(pool: Pool, arguments: argparse.Namespace) -> SimulatedBackend:
    numbers_in_range(
        (
            ("--speed", arguments.speed, 0.001, 1e6),
            ("--failure-probability", arguments.failure_probability, 0, 1),
            ("--launch-latency-ms", arguments.launch_latency_ms, 0, _WEEK_MS),
            ("--typical-runtime-ms", arguments.typical_runtime_ms, 1, 1000 * _WEEK_MS),
        )
    )
    profile = Profile(
        launch_latency_ms=arguments.launch_latency_ms,
        typical_runtime_ms=arguments.typical_runtime_ms,
        failure_probability=arguments.failure_probability,
        speed=arguments.speed,
    )
    return SimulatedBackend(pool, profile, arguments.seed, arguments.state_dir)


def main(words: Sequence[str] | None = None) -> int:
    """Serves until it is told to end; returns the exit code. `words` default to those of the command line."""
    return run(_arguments().parse_args(words), _backend)


if __name__ == "__main__":
    sys.exit(main())

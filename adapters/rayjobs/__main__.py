"""`python -m adapters.rayjobs`: a Ray cluster as a pool, as an adapter process. `--help` lists the arguments."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.rayjobs.api import RayApi
from adapters.rayjobs.engine import RayJobsEngine, RaySettings
from adapters.rayjobs.nodes import Cards
from adapters.sdk.command import numbers_in_range, parser, run
from adapters.sdk.engine_backend import EngineBackend
from adapters.sdk.listening import StartRefused
from inventory.model.pool import Pool

_YEAR_S = 365 * 24 * 3600


def _arguments() -> argparse.ArgumentParser:
    result = parser("rayjobs")
    result.add_argument(
        "--address", required=True, metavar="URL", help="the cluster's dashboard, such as http://ray-head:8265"
    )
    result.add_argument(
        "--token-file", type=Path, help="the cluster's token (default: RAY_AUTH_TOKEN, where it is set)"
    )
    result.add_argument(
        "--accelerator-resource",
        action="append",
        default=[],
        metavar="RESOURCE=MODEL",
        help="a Ray resource that is a card, and its model (NPU=Ascend910B); may be repeated",
    )
    result.add_argument(
        "--grace", type=int, default=10, metavar="S", help="seconds between the polite and the forced end of a job"
    )
    result.add_argument(
        "--keep", type=int, default=3600, metavar="S", help="seconds after which ended jobs leave Ray's list"
    )
    result.add_argument(
        "--launch-rate",
        type=int,
        default=2,
        metavar="N",
        help="launches a second that the pool promises (1 to 100)",
    )
    return result


def _backend(pool: Pool, arguments: argparse.Namespace) -> EngineBackend:
    if not arguments.address.startswith(("http://", "https://")):
        raise StartRefused(
            f"--address {arguments.address!r}: 须为 http:// 或 https:// 地址 / must be a URL, such as http://ray-head:8265"
        )
    numbers_in_range(
        [
            ("--grace", arguments.grace, 1, _YEAR_S),
            ("--keep", arguments.keep, 60, _YEAR_S),
            ("--launch-rate", arguments.launch_rate, 1, 100),
        ]
    )
    settings = RaySettings(
        cards=Cards(_named(arguments.accelerator_resource)),
        grace_s=arguments.grace,
        keep_s=arguments.keep,
        launch_rate=arguments.launch_rate,
    )
    engine = RayJobsEngine(pool, RayApi(arguments.address, _token(arguments.token_file)), settings)
    return EngineBackend(engine, arguments.state_dir)


def _named(pairs: Sequence[str]) -> dict[str, str]:
    result = {}
    for pair in pairs:
        resource, equals, model = pair.partition("=")
        if not (resource and equals and model):
            raise StartRefused(f"--accelerator-resource {pair!r}: 应为 资源=型号 / write RESOURCE=MODEL")
        result[resource] = model
    return result


def _token(path: Path | None) -> str:
    if path is None:
        return os.environ.get("RAY_AUTH_TOKEN", "")
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefused(f"--token-file {path}: 无法读取 / cannot be read: {error}") from error


def main(words: Sequence[str] | None = None) -> int:
    """Serves until it is told to end; returns the exit code. `words` default to those of the command line."""
    return run(_arguments().parse_args(words), _backend)


if __name__ == "__main__":
    sys.exit(main())

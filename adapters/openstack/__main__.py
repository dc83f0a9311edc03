"""`python -m adapters.openstack`: a project of an OpenStack cloud as a pool, as an adapter process; see `--help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from adapters.openstack.backend import OpenStackBackend
from adapters.openstack.cloud import Cloud
from adapters.openstack.engine import OpenStackEngine
from adapters.openstack.order import MachineSettings
from adapters.sdk.command import parser, run
from inventory.model.pool import Pool


def _arguments() -> argparse.ArgumentParser:
    result = parser("openstack")
    result.add_argument(
        "--cloud", default="", help="the cloud's name in clouds.yaml (default: the OS_ environment variables)"
    )
    result.add_argument(
        "--network",
        action="append",
        default=[],
        metavar="ID",
        help="a network that machines join; may be repeated; or auto (the default), or none",
    )
    result.add_argument("--availability-zone", default="", help="where machines are made (default: Nova's choice)")
    result.add_argument("--key-name", default="", help="the key pair that machines admit")
    result.add_argument(
        "--security-group", action="append", default=[], metavar="NAME", help="of every machine; may be repeated"
    )
    result.add_argument(
        "--create-flavors",
        action="store_true",
        help="make a flavor where none is large enough (an administrator's right)",
    )
    result.add_argument(
        "--aggregate-only",
        action="store_true",
        help="for a tenant who may not see hypervisors: the pool file's shapes stand for them",
    )
    return result


def _backend(pool: Pool, arguments: argparse.Namespace) -> OpenStackBackend:
    settings = MachineSettings(
        networks=tuple(arguments.network) or ("auto",),
        availability_zone=arguments.availability_zone,
        key_name=arguments.key_name,
        security_groups=tuple(arguments.security_group),
    )
    engine = OpenStackEngine(
        pool,
        Cloud(arguments.cloud),
        settings,
        sees_hosts=not arguments.aggregate_only,
        makes_flavors=arguments.create_flavors,
    )
    return OpenStackBackend(engine, arguments.state_dir)


def main(words: Sequence[str] | None = None) -> int:
    """Serves until it is told to end; returns the exit code. `words` default to those of the command line."""
    return run(_arguments().parse_args(words), _backend)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m adapters.kubernetes`: a Kubernetes cluster as a pool, as an adapter process. `--help` lists the arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.kubernetes.api import Api
from adapters.kubernetes.backend import KubernetesBackend
from adapters.kubernetes.engine import ClusterSettings, KubernetesEngine
from adapters.kubernetes.manifests import PodSettings
from adapters.kubernetes.namespaces import Quotas, read_quotas
from adapters.kubernetes.resources import Cards
from adapters.sdk.command import parser, run
from adapters.sdk.listening import StartRefused
from inventory.model.pool import Pool


def _arguments() -> argparse.ArgumentParser:
    result = parser("kubernetes")
    result.add_argument("--kubeconfig", type=Path, help="the cluster's credentials (default: this pod's account)")
    result.add_argument("--context", help="a context of the kubeconfig (default: its current one)")
    result.add_argument(
        "--namespace-prefix", default="xisuan", help="begins the name of every department's namespace"
    )
    result.add_argument(
        "--node-selector", default="", help="labels of the nodes that belong to the pool (default: all)"
    )
    result.add_argument("--quotas", type=Path, help="YAML: department -> cpu, memory, cards of its namespace")
    result.add_argument(
        "--rack-label", default="topology.kubernetes.io/rack", help="the node label that names racks"
    )
    result.add_argument(
        "--accelerator-resource",
        action="append",
        default=[],
        metavar="RESOURCE=MODEL",
        help="an extended resource that is a card, and its model; may be repeated",
    )
    result.add_argument(
        "--image-pull-secret",
        action="append",
        default=[],
        metavar="NAME",
        help="of every namespace; may be repeated",
    )
    result.add_argument("--scheduler-name", default="", help="the scheduler for pods (default: the cluster's)")
    result.add_argument("--local-queue", default="", help="Kueue's LocalQueue that admits what runs")
    result.add_argument("--volcano-queue", default="", help="Volcano's Queue: it places each Job as one PodGroup")
    return result


def _backend(pool: Pool, arguments: argparse.Namespace) -> KubernetesBackend:
    settings = ClusterSettings(
        namespace_prefix=arguments.namespace_prefix,
        node_selector=arguments.node_selector,
        cards=Cards(_named(arguments.accelerator_resource), arguments.rack_label),
        quotas=_quotas(arguments.quotas),
        pods=PodSettings(
            tuple(arguments.image_pull_secret),
            arguments.scheduler_name,
            arguments.local_queue,
            arguments.volcano_queue,
        ),
    )
    engine = KubernetesEngine(pool, Api(arguments.kubeconfig, arguments.context), settings)
    return KubernetesBackend(engine, arguments.state_dir)


def _named(pairs: Sequence[str]) -> dict[str, str]:
    result = {}
    for pair in pairs:
        resource, equals, model = pair.partition("=")
        if not (resource and equals and model):
            raise StartRefused(f"--accelerator-resource {pair!r}: 应为 资源=型号 / write RESOURCE=MODEL")
        result[resource] = model
    return result


def _quotas(path: Path | None) -> Quotas:
    if path is None:
        return {}
    try:
        return read_quotas(path)
    except OSError as error:
        raise StartRefused(f"--quotas {path}: 无法读取 / cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StartRefused(f"--quotas {error}") from error


def main(words: Sequence[str] | None = None) -> int:
    """Serves until it is told to end; returns the exit code. `words` default to those of the command line."""
    return run(_arguments().parse_args(words), _backend)


if __name__ == "__main__":
    sys.exit(main())

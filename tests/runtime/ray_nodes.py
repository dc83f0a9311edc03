"""Several Ray nodes on this machine: `python -m tests.runtime.ray_nodes FOLDER`, until its standard input ends.

A process of its own, because Ray keeps one cluster in a process and reads its environment once. It writes one line of
JSON when all nodes are up: the address, and the process of each node's raylet, which dies with everything below it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from scheduler.runtime.cluster import GATEWAY_RESOURCE

# Not 127.0.0.1, which Ray replaces by another address of the machine.
ADDRESSES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
_OBJECT_STORE_BYTES = 80 * 1024 * 1024
# A node that is lost is noticed within two seconds instead of half a minute.
_SYSTEM = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}


def main(folder: Path) -> None:
    os.environ |= {
        "RAY_AUTH_MODE": "disabled",
        "RAY_enable_worker_prestart": "0",
        "RAY_prestart_worker_first_driver": "0",
    }
    from ray.cluster_utils import Cluster

    common = {"num_cpus": 1, "object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
    cluster = Cluster()
    head = cluster.add_node(**common, node_ip_address=ADDRESSES[0], temp_dir=str(folder), _system_config=_SYSTEM)
    # Each worker has room for both gateways: when one is lost, they are wanted on the other.
    workers = [
        cluster.add_node(**common, node_ip_address=address, resources={GATEWAY_RESOURCE: 2})
        for address in ADDRESSES[1:]
    ]
    raylets = [node.all_processes["raylet"][0].process.pid for node in (head, *workers)]
    sys.stdout.write(json.dumps({"address": cluster.address, "raylets": raylets}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

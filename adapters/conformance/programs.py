"""What the suite asks a pool to run, in the terms of whichever runtime it declares."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from xisuan.common.v1 import common_pb2
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb
from xisuan.workload.v1 import workload_pb2

_PREFERRED = ("process", "batch-script", "container", "ray-job", "virtual-machine")
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asking:
    """What a run of the suite takes: small, so that any pool has room for hundreds. `image` serves containers and
    machines; it must have `sh` and `sleep`."""

    cpu_milli: int = 20
    memory_bytes: int = 64 * MEBIBYTE
    image: str = "busybox"
    queue: str = "conformance"


def choose_runtime(declared: list[str]) -> str:
    """The runtime that the suite uses, the plainest of those declared."""
    known = [runtime for runtime in _PREFERRED if runtime in declared]
    return known[0] if known else ""


def program(runtime: str, script: str, image: str) -> workload_pb2.Program:
    """A program that runs this text of a shell on that runtime."""
    match runtime:
        case "batch-script":
            return workload_pb2.Program(command=[f"#!/bin/sh\n{script}\n"])
        case "container":
            return workload_pb2.Program(image=image, command=["sh", "-c", script])
        case "virtual-machine":
            return workload_pb2.Program(image=image, command=[f"#!/bin/sh\n{script}\n"])
        case _:
            return workload_pb2.Program(command=["sh", "-c", script])


def requirements(asking: Asking, tasks: int = 1) -> workload_pb2.Requirements:
    return workload_pb2.Requirements(
        per_task=common_pb2.Resources(cpu_milli=asking.cpu_milli, memory_bytes=asking.memory_bytes), tasks=tasks
    )


def seconds(amount: float) -> Duration:
    return Duration(seconds=int(amount), nanos=int(amount % 1 * 1e9))


def partition(
    lost_after_s: float,
    on_disconnect: common_pb2.OnDisconnect.ValueType = common_pb2.ON_DISCONNECT_STOP,
) -> common_pb2.PartitionPolicy:
    return common_pb2.PartitionPolicy(lost_after=seconds(lost_after_s), on_disconnect=on_disconnect)


def set_runtime(item: pb.LaunchItem, runtime: str) -> None:
    """Names the runtime where the default would be another."""
    default = "container" if item.program.image else "process"
    item.runtime = "" if runtime == default else runtime

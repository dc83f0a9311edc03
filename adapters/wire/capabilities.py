"""What an adapter says of itself, between plain values and protobuf: its capabilities and its versions."""

from __future__ import annotations

from adapters.contract import AcceleratorSupport, Capabilities, VersionAnswer
from adapters.wire.inspection import Inspection
from adapters.wire.scalars import (
    ZONES,
    duration_from_wire,
    duration_to_wire,
    timestamp_from_wire,
    timestamp_to_wire,
    zone_from_wire,
)
from adapters.wire.words import WordRule
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_POOL_ID = WordRule(63)


def version_to_wire(answer: VersionAnswer) -> pb.GetVersionResponse:
    return pb.GetVersionResponse(
        oldest=answer.oldest,
        newest=answer.newest,
        technology=answer.technology,
        adapter_version=answer.adapter_version,
        instance_id=answer.instance_id,
        now=timestamp_to_wire(answer.now_ms),
    )


def version_from_wire(message: pb.GetVersionResponse) -> VersionAnswer:
    """Raises InvalidMessage where the versions are no range."""
    check = Inspection()
    oldest = check.whole_number("oldest", message.oldest, 1, 1_000_000)
    newest = check.whole_number("newest", message.newest, oldest, 1_000_000)
    check.close()
    return VersionAnswer(
        oldest,
        newest,
        message.technology,
        message.adapter_version,
        message.instance_id,
        timestamp_from_wire(message.now),
    )


def capabilities_to_wire(mine: Capabilities, version: VersionAnswer) -> pb.GetCapabilitiesResponse:
    return pb.GetCapabilitiesResponse(
        pool_id=mine.pool_id,
        technology=mine.technology,
        adapter_version=version.adapter_version,
        contract_version=version.newest,
        runtimes=mine.runtimes,
        gangs=mine.gangs,
        logs=mine.logs,
        max_runtime=mine.max_runtime,
        max_batch=mine.max_batch,
        instance_id=version.instance_id,
        enforces=mine.enforces,
        accelerators=[pb.AcceleratorSupport(model=a.model, step_milli=a.step_milli) for a in mine.accelerators],
        zones=[ZONES[zone] for zone in mine.zones],
        chooses_nodes=mine.chooses_nodes,
        services=mine.services,
        reservations=mine.reservations,
        start_estimates=mine.start_estimates,
        suspend=mine.suspend,
        checkpoints=mine.checkpoints,
        exec=mine.exec,
        leases=mine.leases,
        max_clock_skew=duration_to_wire(mine.max_clock_skew_ms),
        remembered_runs=mine.remembered_runs,
        watch_window=mine.watch_window,
        durable_cursors=mine.durable_cursors,
        refuses_when_full=mine.refuses_when_full,
        simulates=mine.simulates,
        secrets=mine.secrets,
        launches_per_second=mine.launches_per_second,
    )


def capabilities_from_wire(message: pb.GetCapabilitiesResponse) -> Capabilities:
    """What the adapter declares. Raises InvalidMessage for a batch size below 1, an empty pool id, nonsense."""
    check = Inspection()
    zones = [zone_from_wire(number, check, f"zones[{i}]") for i, number in enumerate(message.zones)]
    capabilities = Capabilities(
        pool_id=_POOL_ID.inspect(message.pool_id, check, "pool_id"),
        technology=message.technology,
        runtimes=tuple(message.runtimes),
        gangs=message.gangs,
        logs=message.logs,
        max_runtime=message.max_runtime,
        max_batch=check.whole_number("max_batch", message.max_batch, 1, 1_000_000),
        enforces=tuple(message.enforces),
        accelerators=tuple(
            AcceleratorSupport(a.model, check.whole_number(f"accelerators[{i}].step_milli", a.step_milli, 1, 1000))
            for i, a in enumerate(message.accelerators)
        ),
        zones=tuple(zone for zone in zones if zone is not None),
        chooses_nodes=message.chooses_nodes,
        services=message.services,
        reservations=message.reservations,
        start_estimates=message.start_estimates,
        suspend=message.suspend,
        checkpoints=message.checkpoints,
        exec=message.exec,
        leases=message.leases,
        max_clock_skew_ms=duration_from_wire(message.max_clock_skew, check, "max_clock_skew"),
        remembered_runs=check.whole_number("remembered_runs", message.remembered_runs, 0, 2**31 - 1),
        watch_window=check.whole_number("watch_window", message.watch_window, 0, 2**31 - 1),
        durable_cursors=message.durable_cursors,
        refuses_when_full=message.refuses_when_full,
        simulates=message.simulates,
        secrets=message.secrets,
        launches_per_second=check.whole_number("launches_per_second", message.launches_per_second, 0, 1_000_000),
    )
    check.close()
    return capabilities

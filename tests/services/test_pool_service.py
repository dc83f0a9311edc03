"""`PoolService` over gRPC: registering, cordoning and draining, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from tests.services.failures import failure_of, fields_of
from tests.services.memory import MemoryScheduling
from tests.services.serving import serving
from xisuan.common.v1 import common_pb2
from xisuan.pool.v1 import pool_pb2
from xisuan.pool.v1 import pool_service_pb2 as pb
from xisuan.pool.v1.pool_service_pb2_grpc import PoolServiceStub


@pytest.fixture
def stub() -> Iterator[PoolServiceStub]:
    with serving(MemoryScheduling()) as service, grpc.insecure_channel(service.address) as channel:
        yield PoolServiceStub(channel)


def a_pool(**changes: object) -> pool_pb2.PoolSpec:
    fields: dict[str, object] = {
        "pool_id": "cq-gov",
        "name": "示例池",
        "adapter": "simulated",
        "zones": [common_pb2.ZONE_EXTRANET],
        "pue": 1.2,
        "node_groups": [
            pool_pb2.NodeGroup(
                group="general",
                nodes=2,
                architecture=common_pb2.ARCHITECTURE_X86_64,
                capacity=common_pb2.Resources(cpu_milli=64_000, memory_bytes=2**38),
            )
        ],
    }
    return pool_pb2.PoolSpec(**(fields | changes))  # type: ignore[arg-type]  # the tests name real fields


def register(stub: PoolServiceStub, spec: pool_pb2.PoolSpec, endpoint: str = "127.0.0.1:7701") -> pool_pb2.Pool:
    return stub.Register(pb.RegisterRequest(spec=spec, endpoint=endpoint)).pool


def test_a_registered_pool_is_listed_as_declared(stub: PoolServiceStub) -> None:
    registered = register(stub, a_pool())
    assert registered.health == pool_pb2.POOL_HEALTH_UNKNOWN
    assert list(stub.ListPools(pb.ListPoolsRequest()).pools) == [registered]
    assert registered.spec == a_pool()


def test_registering_again_changes_the_endpoint(stub: PoolServiceStub) -> None:
    register(stub, a_pool())
    assert register(stub, a_pool(), "[::1]:7702").endpoint == "[::1]:7702"
    assert len(stub.ListPools(pb.ListPoolsRequest()).pools) == 1


@pytest.mark.parametrize(
    ("changes", "endpoint", "fields"),
    [
        pytest.param({}, "127.0.0.1", ["endpoint"], id="an endpoint without a port"),
        pytest.param({}, "127.0.0.1:99999", ["endpoint"], id="a port over 65535"),
        pytest.param({}, "", ["endpoint"], id="no endpoint"),
        pytest.param({"pool_id": "重庆"}, "a:1", ["spec.pool_id"], id="an id that is no word"),
        pytest.param({"zones": []}, "a:1", ["spec.zones"], id="no zone"),
        pytest.param({"zones": [77]}, "a:1", ["spec.zones[0]"], id="an unknown zone"),
        pytest.param({"pue": 0.5}, "a:1", ["spec.pue"], id="a PUE below 1"),
        pytest.param({"kwh_cny": float("nan")}, "a:1", ["spec.kwh_cny"], id="a price that is no number"),
        pytest.param(
            {"protection_level": 9, "disk_bytes": -1},
            "a:1",
            ["spec.protection_level", "spec.disk_bytes"],
            id="two faults at once",
        ),
    ],
)
def test_a_pool_that_cannot_be_is_refused_field_by_field(
    stub: PoolServiceStub, changes: dict[str, object], endpoint: str, fields: list[str]
) -> None:
    failure = failure_of(lambda: register(stub, a_pool(**changes), endpoint))
    assert (failure.code, fields_of(failure)) == (grpc.StatusCode.INVALID_ARGUMENT, fields)
    assert not stub.ListPools(pb.ListPoolsRequest()).pools


def test_a_cordon_is_set_and_lifted(stub: PoolServiceStub) -> None:
    register(stub, a_pool())
    assert stub.Cordon(pb.CordonRequest(pool_id="cq-gov", reason="维护")).pool.cordoned
    assert not stub.Cordon(pb.CordonRequest(pool_id="cq-gov", undo=True)).pool.cordoned


def test_a_drain_cordons_and_names_the_runs_that_stop(stub: PoolServiceStub) -> None:
    register(stub, a_pool())
    answer = stub.Drain(pb.DrainRequest(pool_id="cq-gov"))
    assert (answer.pool.cordoned, answer.pool.draining, list(answer.run_ids)) == (True, True, ["w-1.1"])


def test_an_unknown_pool_is_not_found(stub: PoolServiceStub) -> None:
    for call in (
        lambda: stub.Cordon(pb.CordonRequest(pool_id="nowhere")),
        lambda: stub.Drain(pb.DrainRequest(pool_id="nowhere")),
    ):
        failure = failure_of(call)
        assert failure.code is grpc.StatusCode.NOT_FOUND
        assert "nowhere" in failure.message


def test_maintenance_windows_are_told_back_as_stated_and_a_pool_leaves(stub: PoolServiceStub) -> None:
    register(stub, a_pool())
    window = pool_pb2.MaintenanceWindow(reason="new switches")
    window.starts_at.FromMilliseconds(1_800_000_000_000)
    window.ends_at.FromMilliseconds(1_800_000_600_000)
    window.cordon_before.FromMilliseconds(3_600_000)
    window.drain_before.FromMilliseconds(600_000)
    answer = stub.Maintain(pb.MaintainRequest(pool_id="cq-gov", windows=[window]))
    assert list(answer.pool.maintenance) == [window]
    stub.Leave(pb.LeaveRequest(pool_id="cq-gov"))
    assert not stub.ListPools(pb.ListPoolsRequest()).pools

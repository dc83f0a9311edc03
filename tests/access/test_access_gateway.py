"""A gateway behind access control, as its callers meet it: TLS, certificates, rates, streams, and what is recorded."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from adapters.sdk.listening import StartRefused
from adapters.sdk.tls import require_known_callers
from adapters.wire.status import details_of
from inventory.store.attribution import Attribution, attributed
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from scheduler.access.guard import AccessSettings, Guard
from scheduler.access.local import LocalAccess
from scheduler.access.principals import Grant, Role
from scheduler.access.rates import Buckets, Rate
from scheduler.access.settings import AccessForm
from scheduler.access.transport import gateway_tls
from scheduler.runtime.writer import Decision, Writer, WriterEvents
from scheduler.services.server import UNGUARDED, Gateway, GatewayAccess, Ports
from scheduler.store.projection import SCHEDULER, pool_left
from scheduler.store.scheduler_store import SchedulerStore
from tests.access.guarded import NOW_MS, GuardedGateway, Recorder, bearer, guarded
from tests.services.memory import MemoryScheduling
from xisuan.client import CallError, Client, Program, Requirements, Resources, WorkloadSpec
from xisuan.credentials import Credentials, CredentialsUnusable, of_home
from xisuan.inventory.v1 import ledger_service_pb2
from xisuan.inventory.v1.ledger_service_pb2_grpc import LedgerServiceStub
from xisuan.workload.v1 import workload_service_pb2 as pb
from xisuan.workload.v1.workload_service_pb2_grpc import WorkloadServiceStub

EAST = "city/east"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GuardedGateway]:
    with guarded(tmp_path) as up:
        yield up


def a_spec(key: str = "job", queue: str = f"{EAST}/transport", **changes: Any) -> WorkloadSpec:
    return WorkloadSpec(
        queue=queue,
        client_key=key,
        requirements=Requirements(per_task=Resources(cpu_milli=1, memory_bytes=1024)),
        program=Program(command=["true"]),
        **changes,
    )


def client_of(gateway: GuardedGateway, *grants: str) -> Client:
    return Client(gateway.address, patience_s=2, credentials=Credentials(gateway.token(*grants)))


def test_health_is_open_and_reflection_is_not(gateway: GuardedGateway) -> None:
    with gateway.channel() as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError):
            ProtoReflectionDescriptorDatabase(channel).get_services()
    assert "xisuan.workload.v1.WorkloadService" in gateway.served()


def test_a_district_submits_sees_and_cancels_its_own_and_nothing_of_another(gateway: GuardedGateway) -> None:
    with client_of(gateway, f"submitter@{EAST}") as east, client_of(gateway, "submitter@city/west") as west:
        mine, _ = east.submit(a_spec())
        refused = west.submit_batch([a_spec(queue="city/west/health"), a_spec("x"), a_spec("y", "city/eastern")])
        assert [one.error.code for one in refused] == [0, 7, 7]
        assert [one.workload_id for one in east.list()] == [mine.workload_id]
        assert mine.workload_id not in {one.workload_id for one in west.list()}
        assert list(west.list(queue=f"{EAST}/transport")) == []
        words = set()
        for workload_id in (mine.workload_id, "w-unknown"):
            for ask in (west.get, west.cancel, west.explain):
                with pytest.raises(CallError) as failed:
                    ask(workload_id)
                assert failed.value.code == "NOT_FOUND"
                words.add(failed.value.message.replace(workload_id, "ID"))
        assert len(words) == 2, "a workload of others is spoken of as one that does not exist"


def test_work_of_others_cannot_be_waited_for_by_its_id(gateway: GuardedGateway) -> None:
    with client_of(gateway, f"submitter@{EAST}") as east, client_of(gateway, "submitter@city/west") as west:
        mine, _ = east.submit(a_spec())
        for name in (mine.workload_id, "w-unknown"):
            with pytest.raises(CallError) as failed:
                west.submit(a_spec(f"after-{name}", "city/west", after=[name]))
            assert failed.value.code == "INVALID_ARGUMENT"


def test_whoever_may_look_may_not_touch(gateway: GuardedGateway) -> None:
    with client_of(gateway, f"submitter@{EAST}") as east, client_of(gateway, f"viewer@{EAST}") as viewer:
        mine, _ = east.submit(a_spec())
        assert viewer.get(mine.workload_id) == mine
        with pytest.raises(CallError) as failed:
            viewer.cancel(mine.workload_id)
        assert failed.value.code == "PERMISSION_DENIED"


def test_the_authenticated_principal_is_the_actor_whatever_the_call_claims(tmp_path: Path) -> None:
    ledger = Recorder()
    with guarded(tmp_path, ledger=ledger) as gateway, gateway.channel() as channel:
        request = ledger_service_pb2.ResolveRequest(finding_id="F1", decision="keep", actor="局长", reason="因为")
        own = gateway.local.files.administrator_token.read_text("ascii")
        for token in (gateway.token("operator@/", name="李工"), own):
            LedgerServiceStub(channel).Resolve(request, metadata=bearer(token, "req-7"), timeout=10)
    (_, by_li, on_li), (_, by_local, on_local) = ledger.asked
    assert by_li == ("F1", "keep", "李工", "因为")
    assert on_li == Attribution("李工", "req-7")
    # The local administrator's token stands for whoever may read it on this machine, so the name that is given counts.
    assert by_local == ("F1", "keep", "局长", "因为")
    assert on_local == Attribution("xisuan:local-administrator", "req-7")


def test_a_request_without_an_id_gets_one_and_a_strange_one_is_not_recorded(tmp_path: Path) -> None:
    ledger = Recorder()
    with guarded(tmp_path, ledger=ledger) as gateway, gateway.channel() as channel:
        for sent in ("", "a b", "x" * 65):
            LedgerServiceStub(channel).Resolve(
                ledger_service_pb2.ResolveRequest(), metadata=bearer(gateway.token("operator"), sent), timeout=10
            )
    ids = [asked.request_id for _, _, asked in ledger.asked if asked is not None]
    assert len(set(ids)) == 3
    assert all(len(one) == 16 for one in ids)


def test_a_principal_that_is_too_fast_is_told_when_to_come_back_and_others_are_not_held_up(tmp_path: Path) -> None:
    form = AccessForm.model_validate({"rates": {"calls": {"per_second": 0.5, "burst": 2}}})
    with guarded(tmp_path, form) as gateway, gateway.channel() as channel:
        stub = WorkloadServiceStub(channel)
        fast, other = gateway.token("viewer"), gateway.token("operator")
        codes = []
        for _ in range(3):
            try:
                stub.List(pb.ListRequest(), metadata=bearer(fast))
            except grpc.RpcError as error:
                failure = details_of(error)
                codes.append(failure.code)
                assert failure.reason == "RATE_LIMITED"
                assert failure.retry_after_ms is not None and 0 < failure.retry_after_ms <= 2_000
        assert codes == [grpc.StatusCode.RESOURCE_EXHAUSTED]
        stub.List(pb.ListRequest(), metadata=bearer(other))


def test_workloads_are_counted_one_by_one(tmp_path: Path) -> None:
    form = AccessForm.model_validate({"rates": {"workloads": {"per_second": 1, "burst": 3}}})
    with guarded(tmp_path, form) as gateway, client_of(gateway, "submitter") as client:
        client.submit_batch([a_spec(str(number)) for number in range(3)])
        with pytest.raises(CallError) as failed:
            Client.submit_batch(client, [a_spec(str(number)) for number in range(3, 6)])
    assert failed.value.code == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("per_second", [1, 7, 1000])
def test_a_bucket_gives_its_burst_and_then_its_rate(per_second: int) -> None:
    buckets = Buckets(Rate(per_second, 5))
    taken = sum(buckets.take("a", now_ms) == 0 for now_ms in range(10_000))
    assert 5 + 9.9 * per_second - 1 <= taken <= 5 + 10 * per_second + 1 or taken == 10_000
    assert buckets.take("b", 0) == 0


def test_a_stream_does_not_outlive_the_token_that_opened_it(gateway: GuardedGateway) -> None:
    with client_of(gateway, "submitter") as client, gateway.channel() as channel:
        token = gateway.token("viewer", name="短暂")
        watching = WorkloadServiceStub(channel).Watch(pb.WatchRequest(), metadata=bearer(token), timeout=20)
        assert next(watching).cursor
        (entry,) = [one for one in gateway.local.entries() if one.name == "短暂"]
        gateway.local.revoke(entry.id)
        time.sleep(1.1)
        client.submit(a_spec())
        with pytest.raises(grpc.RpcError) as ended:
            next(watching)
    assert details_of(ended.value).code is grpc.StatusCode.UNAUTHENTICATED


def test_no_secret_is_logged(gateway: GuardedGateway, caplog: pytest.LogCaptureFixture) -> None:
    good = gateway.token("viewer")
    with caplog.at_level(logging.DEBUG), gateway.channel() as channel:
        for token in (good, good[:-4] + "AAAA", "nonsense-that-is-secret"):
            try:
                WorkloadServiceStub(channel).List(pb.ListRequest(), metadata=bearer(token))
            except grpc.RpcError as error:
                assert token not in str(error)
            assert token not in caplog.text
    assert "nonsense" not in repr(Credentials("nonsense"))


# TLS


class Secured:
    """A gateway with its own certificate on a loopback port, on a loop of its own for the time of a block."""

    def __init__(self, home: Path, form: AccessForm) -> None:
        self.local = LocalAccess(home, NOW_MS())
        self.local.prepare("127.0.0.1", ())
        self._settings = AccessSettings(home / "access", form)

    async def start(self) -> tuple[Gateway, int]:
        nothing = cast(Any, Recorder())
        ports = Ports(MemoryScheduling(), nothing, nothing, nothing, nothing, nothing)
        access = GatewayAccess(
            Guard(self._settings, NOW_MS), self._settings.form.path_of, gateway_tls(self._settings)
        )
        gateway = Gateway(ports, access)
        return gateway, await gateway.start("127.0.0.1", 0)

    def ask(self, credentials: Credentials) -> str:
        """The code of one call with these credentials."""

        async def asking() -> str:
            gateway, port = await self.start()
            try:
                return await asyncio.to_thread(_code_of_a_call, f"127.0.0.1:{port}", credentials)
            finally:
                await gateway.close()

        return asyncio.run(asking())


def _code_of_a_call(address: str, credentials: Credentials) -> str:
    with Client(address, patience_s=0.3, credentials=credentials) as client:
        try:
            client.submit(a_spec())
        except CallError as error:
            return error.code
    return "OK"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "ascii")
    return path


def test_over_tls_a_token_is_enough_and_a_stranger_in_the_middle_is_noticed(tmp_path: Path) -> None:
    secured = Secured(tmp_path, AccessForm())
    token = secured.local.issue_token("张三", [Grant(Role.SUBMITTER)], 1).secret
    ca = secured.local.files.authority
    other = LocalAccess(tmp_path / "other", NOW_MS())
    other.prepare("127.0.0.1", ())
    assert secured.ask(Credentials(token, ca)) == "OK"
    assert secured.ask(Credentials("", ca)) == "UNAUTHENTICATED"
    assert secured.ask(Credentials(token, other.files.authority)) == "UNAVAILABLE"
    assert secured.ask(Credentials(token)) == "UNAVAILABLE"


def test_where_certificates_are_required_one_names_its_owner_until_it_is_revoked(tmp_path: Path) -> None:
    form = AccessForm.model_validate({"client_certificates": "required"})
    secured = Secured(tmp_path, form)
    ca = secured.local.files.authority
    issued = secured.local.issue_certificate("system-7", [Grant(Role.SUBMITTER, EAST)], 1)
    certificate = written(tmp_path, "client.pem", issued.certificate)
    key = written(tmp_path, "client.key", issued.secret)
    token = secured.local.issue_token("张三", [Grant(Role.VIEWER)], 1).secret
    assert secured.ask(Credentials("", ca, certificate, key)) == "OK"
    assert secured.ask(Credentials(token, ca)) == "UNAVAILABLE", "no certificate, no connection"
    assert secured.ask(Credentials(token, ca, certificate, key)) == "PERMISSION_DENIED", "the token is who calls"
    secured.local.revoke(issued.entry.id)
    assert secured.ask(Credentials("", ca, certificate, key)) == "UNAUTHENTICATED"


def test_where_certificates_are_required_the_commands_of_the_home_go_on(tmp_path: Path) -> None:
    secured = Secured(tmp_path, AccessForm.model_validate({"client_certificates": "required"}))
    mine = of_home(secured.local.files.folder.parent)
    assert secured.ask(mine) == "OK"
    assert secured.ask(replace(mine, token="")) == "UNAUTHENTICATED", "its certificate is nobody's"


def test_a_certificate_of_the_authority_that_nobody_has_registered_is_nobody(tmp_path: Path) -> None:
    form = AccessForm.model_validate({"client_certificates": "required"})
    secured = Secured(tmp_path, form)
    files = secured.local.files
    mine = Credentials("", files.authority, files.certificate("scheduler"), files.key("scheduler"))
    assert secured.ask(mine) == "UNAUTHENTICATED"


def test_a_token_is_not_sent_in_the_clear_to_another_machine() -> None:
    with pytest.raises(CredentialsUnusable, match="TLS"):
        Client("10.1.2.3:7700", credentials=Credentials("secret"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "xisuan.example"])
def test_nothing_listens_beyond_loopback_without_authentication(host: str) -> None:
    with pytest.raises(StartRefused, match="loopback"):
        require_known_callers(host, are_known=False)

    async def start() -> None:
        nothing = cast(Any, Recorder())
        gateway = Gateway(Ports(MemoryScheduling(), nothing, nothing, nothing, nothing, nothing), UNGUARDED)
        try:
            await gateway.start(host, 0)
        finally:
            await gateway.close()

    with pytest.raises(StartRefused, match="loopback"):
        asyncio.run(start())


# The record


def test_events_of_a_request_name_principal_and_request_in_the_chain(tmp_path: Path) -> None:
    store = Store(open_engine(f"sqlite:///{tmp_path / 'x.db'}"), (LEDGER_PROJECTION, SCHEDULER))
    scheduler = SchedulerStore(store)
    scheduler.start_leadership("control-plane", 1)
    writer = Writer(scheduler, "control-plane", lambda: 2, WriterEvents(lambda _: None, lambda _: None))

    def leave(_: object) -> Decision[None]:
        return Decision(None, drafts=[pool_left("p", "because")])

    def by_itself() -> None:
        with store.transaction() as transaction:
            transaction.append([pool_left("q", "")], actor="李工", recorded_ms=3)

    with attributed(Attribution("system-7", "r-1")):
        asked = [writer.submit(leave), writer.exclusively(by_itself)]
    own = writer.submit(leave)
    for future in (*asked, own):
        future.result(10)
    writer.close()
    told = [(one.actor, one.payload.get("request_id"), one.payload.get("principal")) for one in store.read()[1:]]
    store.close()
    assert sorted(told, key=str) == sorted(
        [("system-7", "r-1", None), ("李工", "r-1", "system-7"), ("control-plane", None, None)], key=str
    )

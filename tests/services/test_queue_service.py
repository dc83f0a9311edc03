"""`QueueService` over gRPC: documents of queues, what every queue has, reservations, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from inventory.model.units import GIB
from tests.lifecycle.bookkeeping import submission
from tests.services.failures import failure_of, fields_of
from tests.services.memory import NOW_MS, MemoryScheduling
from tests.services.queue_desks import HOUR_MS, Site, queue_site
from tests.services.serving import serving
from xisuan.common.v1.common_pb2 import Resources
from xisuan.queue.v1 import queue_service_pb2 as pb
from xisuan.queue.v1.queue_service_pb2_grpc import QueueServiceStub

EXAMPLES = Path(__file__).parents[2] / "examples" / "queues"
TREE: dict[str, Any] = {
    "queues": [
        {"path": "市", "maximum": {"cpu": 12}},
        {"path": "市/甲局", "weight": 3, "guaranteed": {"cpu": 8, "memory": "8Gi"}, "lendable": {"cpu": 2}},
        {"path": "市/乙局", "budget": {"card_hours": 100, "days": 30, "starts": "2025-12-15T00:00:00+08:00"}},
    ]
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with queue_site(tmp_path) as opened:
        yield opened


@pytest.fixture
def stub(site: Site) -> Iterator[QueueServiceStub]:
    with (
        serving(MemoryScheduling(), queues=Forwarding(site)) as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        yield QueueServiceStub(channel)


class Forwarding:
    """The desk of the site as it is now: a restart makes a new one."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __getattr__(self, name: str) -> Any:
        return getattr(self._site.desk, name)


def apply(stub: QueueServiceStub, document: dict[str, Any], **fields: Any) -> pb.ApplyQueuesResponse:
    return stub.ApplyQueues(pb.ApplyQueuesRequest(document_json=json.dumps(document), actor="李工", **fields))


def queues(stub: QueueServiceStub, path: str = "") -> dict[str, pb.Queue]:
    return {queue.path: queue for queue in stub.ListQueues(pb.ListQueuesRequest(path=path)).queues}


def a_reservation(reservation_id: str = "r1", **changes: Any) -> pb.Reservation:
    fields: dict[str, Any] = {
        "reservation_id": reservation_id,
        "pool_id": "cq-extranet",
        "queue": "迁移",
        "amount": Resources(cpu_milli=4_000, memory_bytes=GIB),
    }
    return pb.Reservation(**(fields | changes))


def create(stub: QueueServiceStub, reservation: pb.Reservation) -> pb.ReservationRecord:
    return stub.CreateReservation(pb.CreateReservationRequest(reservation=reservation, actor="王工")).record


def end(stub: QueueServiceStub, reservation_id: str, reason: str = "验收完成") -> pb.ReservationRecord:
    request = pb.EndReservationRequest(reservation_id=reservation_id, actor="赵工", reason=reason)
    return stub.EndReservation(request).record


def reservations(stub: QueueServiceStub, **fields: Any) -> dict[str, pb.ReservationRecord]:
    answer = stub.ListReservations(pb.ListReservationsRequest(**fields))
    return {record.reservation.reservation_id: record for record in answer.records}


def at(time_ms: int) -> Any:
    from google.protobuf.timestamp_pb2 import Timestamp

    return Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)


# Documents


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_applies_and_reads_back_the_same(stub: QueueServiceStub, path: Path) -> None:
    document = json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))
    assert apply(stub, document).added
    in_force = json.loads(stub.ListQueues(pb.ListQueuesRequest()).document_json)
    again = apply(stub, in_force)
    assert not (again.added or again.changed or again.removed)


def test_applying_says_what_it_adds_changes_and_removes(stub: QueueServiceStub, site: Site) -> None:
    assert list(apply(stub, TREE).added) == ["市", "市/甲局", "市/乙局"]
    changed = {"half_life_hours": 24, "queues": [TREE["queues"][0] | {"weight": 2}, {"path": "市/丙局"}]}
    found = apply(stub, changed, validate_only=True)
    assert (list(found.added), list(found.removed)) == (["市/丙局"], ["市/甲局", "市/乙局"])
    assert list(found.changed) == ["half_life_hours", "市"]
    assert "市/甲局" in queues(stub), "a check changes nothing"
    apply(stub, changed)
    site.restart()
    assert list(queues(stub)) == ["市", "市/丙局"]


def test_applying_the_same_again_is_not_recorded_again(stub: QueueServiceStub, site: Site) -> None:
    apply(stub, TREE)
    head = site.store.store.head()
    apply(stub, TREE)
    assert site.store.store.head() == head


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ("no json", "document_json"),
        ("[]", "document_json"),
        ('{"queues": [{"path": "a", "weight": 0}]}', "document_json.queues.0.weight"),
        ('{"queues": [{"path": "a", "wieght": 2}]}', "document_json.queues.0.wieght"),
        ('{"queues": [{"path": "a"}, {"path": "a"}]}', "document_json"),
        ('{"queues": [{"path": "a", "maximum": {"cpu": "4 apples"}}]}', "document_json.queues.0.maximum.cpu"),
        ('{"queues": [{"path": "City"}]}', "document_json.queues.0.path"),  # no submission may name it
    ],
)
def test_a_document_with_a_fault_is_refused_by_its_place(
    stub: QueueServiceStub, document: str, field: str
) -> None:
    failure = failure_of(lambda: stub.ApplyQueues(pb.ApplyQueuesRequest(document_json=document)))
    assert (failure.code, fields_of(failure)) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
    assert queues(stub) == {}


@pytest.mark.parametrize(
    ("guaranteed", "missing"),
    [({"cpu": 4}, ["memory"]), ({"cards": 8}, ["cpu", "memory"]), ({"cpu": 4, "memory": "8Gi"}, []), ({}, [])],
)
def test_a_guarantee_within_which_nothing_can_be_is_told(
    stub: QueueServiceStub, guaranteed: dict[str, Any], missing: list[str]
) -> None:
    notes = apply(stub, {"queues": [{"path": "市", "guaranteed": guaranteed}]}).notes
    assert [note.split("add ")[-1] for note in notes] == missing


def test_every_fault_of_a_document_is_told(stub: QueueServiceStub) -> None:
    faulty = json.dumps({"queues": [{"path": "a", "weight": 0}, {"weight": 1}], "half_life_hours": -1})
    failure = failure_of(lambda: stub.ApplyQueues(pb.ApplyQueuesRequest(document_json=faulty)))
    told = [f"document_json.{place}" for place in ("half_life_hours", "queues.0.weight", "queues.1.path")]
    assert fields_of(failure) == told


# What queues have


def test_a_queue_tells_quota_share_and_budget(stub: QueueServiceStub) -> None:
    apply(stub, TREE)
    found = queues(stub)
    first = found["市/甲局"]
    assert (first.defined, first.weight, first.guaranteed.cpu_milli) == (True, 3, 8_000)
    assert first.lendable.cpu_milli == 2_000 and first.preemptible
    assert found["市"].maximum.cpu_milli == 12_000 and not found["市"].maximum.HasField("memory_bytes")
    assert not first.maximum.HasField("cpu_milli")
    assert [round(found[path].fair_share, 3) for path in ("市", "市/甲局", "市/乙局")] == [1.0, 0.75, 0.25]
    budget = found["市/乙局"].budget
    assert (budget.card_hours, budget.left_card_hours) == (100, 100)
    assert budget.renewed_at.ToMilliseconds() > NOW_MS and not first.HasField("budget")


def test_what_waits_is_counted_up_the_tree_and_unknown_paths_are_shown_as_such(
    stub: QueueServiceStub, site: Site
) -> None:
    apply(stub, TREE)
    for name, queue in (("one", "市/甲局"), ("two", "市/甲局/系统"), ("three", "别处")):
        site.clock.ms += 1_000
        site.submit(submission(name, queue=queue))
    found = queues(stub)
    assert list(found) == ["别处", "市", "市/乙局", "市/甲局", "市/甲局/系统"]
    assert {path: queue.waiting for path, queue in found.items()} == {
        "别处": 1,
        "市": 2,
        "市/乙局": 0,
        "市/甲局": 2,
        "市/甲局/系统": 1,
    }
    assert found["市"].oldest_waiting_at.ToMilliseconds() == NOW_MS + 1_000
    assert not found["市/甲局/系统"].defined and not found["市/乙局"].HasField("oldest_waiting_at")
    assert list(queues(stub, "市/甲局")) == ["市/甲局", "市/甲局/系统"]


def test_a_path_that_nobody_defined_is_shown_only_while_something_is_there(
    stub: QueueServiceStub, site: Site
) -> None:
    with site.writer.reading() as book:
        book.tables.tree.leaf("dry/run")  # as a dry run does
    site.submit(submission("one", queue="别处"))
    found = queues(stub)
    assert list(found) == ["别处"] and found["别处"].fair_share == 1.0


# Reservations


def test_a_reservation_is_kept_with_who_and_why_until_it_is_ended(stub: QueueServiceStub, site: Site) -> None:
    made = create(stub, a_reservation(reason="第七批割接"))
    assert (made.state, made.created_by) == (pb.RESERVATION_STATE_ACTIVE, "王工")
    assert made.reservation.starts_at.ToMilliseconds() == NOW_MS and not made.reservation.HasField("ends_at")
    site.restart()
    assert reservations(stub)["r1"] == made
    ended = end(stub, "r1")
    assert (ended.state, ended.ended_by, ended.end_reason) == (pb.RESERVATION_STATE_ENDED, "赵工", "验收完成")
    site.restart()
    assert reservations(stub) == {} and reservations(stub, include_ended=True)["r1"] == ended
    assert site.wakes == 2, "the planner looks again after each of both"


def test_creating_and_ending_again_changes_nothing(stub: QueueServiceStub, site: Site) -> None:
    made = create(stub, a_reservation())
    head = site.store.store.head()
    site.clock.ms += HOUR_MS
    assert create(stub, a_reservation()) == made
    assert site.store.store.head() == head
    ended = end(stub, "r1")
    site.clock.ms += HOUR_MS
    assert end(stub, "r1", "another reason") == ended


def test_an_id_that_has_ended_may_be_used_again(stub: QueueServiceStub) -> None:
    create(stub, a_reservation())
    end(stub, "r1")
    assert create(stub, a_reservation(queue="别处")).reservation.queue == "别处"
    assert reservations(stub)["r1"].ended_by == ""


def test_a_reservation_is_planned_then_active_then_over(stub: QueueServiceStub, site: Site) -> None:
    hours = a_reservation(starts_at=at(NOW_MS + HOUR_MS), ends_at=at(NOW_MS + 2 * HOUR_MS))
    assert create(stub, hours).state == pb.RESERVATION_STATE_PLANNED
    site.clock.ms += HOUR_MS
    assert reservations(stub)["r1"].state == pb.RESERVATION_STATE_ACTIVE
    site.clock.ms += HOUR_MS
    assert reservations(stub) == {}
    assert reservations(stub, include_ended=True)["r1"].state == pb.RESERVATION_STATE_ENDED


def test_a_document_replaces_its_own_reservations_and_no_others(stub: QueueServiceStub, site: Site) -> None:
    create(stub, a_reservation("by-hand"))
    named = {"id": "in-file", "pool": "cq-extranet", "holder": "迁移", "amount": {"cpu": 1}}
    with_one = {"reservations": [named | {"starts": "2025-01-01T00:00:00Z"}]}
    applied = apply(stub, with_one)
    assert (list(applied.added), list(applied.unknown_pools)) == (["reservation:in-file"], [])
    assert [record.from_document for record in reservations(stub).values()] == [True, False]
    apply(stub, {})
    assert list(reservations(stub)) == ["by-hand"]
    apply(stub, with_one)
    assert end(stub, "in-file").state == pb.RESERVATION_STATE_ENDED
    site.restart()
    assert list(reservations(stub)) == ["by-hand"]
    assert list(apply(stub, with_one).added) == ["reservation:in-file"], "the document says it anew"
    assert set(reservations(stub, pool_id="cq-extranet")) == {"by-hand", "in-file"}
    assert reservations(stub, pool_id="another") == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reservation_id": "a/b"}, "reservation.reservation_id"),
        ({"queue": "市//局"}, "reservation.queue"),
        ({"amount": Resources()}, "reservation.amount"),
        ({"amount": Resources(cpu_milli=-1)}, "reservation.amount.cpu_milli"),
        ({"starts_at": at(-1_000)}, "reservation.starts_at"),
    ],
)
def test_a_reservation_with_a_fault_is_refused_by_its_field(
    stub: QueueServiceStub, changes: dict[str, Any], field: str
) -> None:
    failure = failure_of(lambda: create(stub, a_reservation(**changes)))
    assert (failure.code, fields_of(failure)) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
    assert reservations(stub) == {}


def test_what_contradicts_the_calendar_is_refused_with_value_and_remedy(stub: QueueServiceStub) -> None:
    create(stub, a_reservation(amount=Resources(cpu_milli=10_000)))
    table: list[tuple[pb.Reservation, grpc.StatusCode, str]] = [
        (a_reservation("r2", pool_id="nowhere"), grpc.StatusCode.NOT_FOUND, "registered are: cq-extranet"),
        (a_reservation(queue="别处"), grpc.StatusCode.ALREADY_EXISTS, "r1 exists and says otherwise (迁移"),
        (
            a_reservation("r2", amount=Resources(cpu_milli=7_000)),
            grpc.StatusCode.FAILED_PRECONDITION,
            "of which 10 CPU are reserved in that time; 7 CPU do not fit",
        ),
        (a_reservation("r2", ends_at=at(NOW_MS)), grpc.StatusCode.INVALID_ARGUMENT, "give a later end"),
    ]
    for asked, code, told in table:
        failure = failure_of(lambda asked=asked: create(stub, asked))  # type: ignore[misc]  # bound at once
        assert failure.code is code and told in failure.message, failure
    unknown = failure_of(lambda: end(stub, "r9"))
    assert unknown.code is grpc.StatusCode.NOT_FOUND and "there are: r1" in unknown.message
    named = {"id": "r1", "pool": "p", "holder": "q", "amount": {"cpu": 1}, "starts": "2025-01-01T00:00:00Z"}
    taken = failure_of(lambda: apply(stub, {"reservations": [named]}))
    assert taken.code is grpc.StatusCode.ALREADY_EXISTS and "was created by 王工" in taken.message

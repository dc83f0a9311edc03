"""What is told to OpenStack and what is read from it, without one: machines, flavors, orders, refusals, room."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Launch, RefusalCode
from adapters.openstack import naming
from adapters.openstack.cloud import CloudRefused, Json
from adapters.openstack.flavors import Flavor, amount_of, flavors_of, smallest
from adapters.openstack.fleet import Fleet, doubles
from adapters.openstack.hypervisors import Hypervisor, node_of, room_on
from adapters.openstack.machines import Amount, Machine, machine_of, report_of
from adapters.openstack.order import MachineSettings, Order, body_of, refusal, why_not
from adapters.sdk.engine import EngineUnavailable
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements, RunState
from tests.openstack_adapter.conftest import cloud_pool

POOL = cloud_pool()
NOON_MS = 1_763_812_800_000
SMALL = Flavor("1", "small", Amount(1, 512, 0), 0)
LAUNCH = Launch(
    run_id="r-1",
    workload_id="w-1",
    name="a machine",
    requirements=Requirements(Resources(1000, GIB)),
    program=Program(("#!/bin/sh\necho 西算\n",), "debian", {"WORD": "西算"}),
    nodes=("c1",),
    max_runtime_ms=60_000,
    runtime="virtual-machine",
)


def server(**changes: object) -> Json:
    return {
        "id": "m-1",
        "name": naming.machine_name(POOL.pool_id, "r-1"),
        "status": "ACTIVE",
        "created": "2025-11-22T12:00:00Z",
        "updated": "2025-11-22T12:00:00Z",
        "metadata": {naming.RUN: "r-1", naming.NODE: "c1"},
        "flavor": {"vcpus": 2, "ram": 512, "disk": 10, "ephemeral": 5, "swap": 1025},
        "OS-EXT-STS:task_state": None,
        "OS-SRV-USG:launched_at": "2025-11-22T12:00:00.000000",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "state", "suspended", "said"),
    [
        ({}, RunState.RUNNING, False, ""),
        ({"status": "BUILD", "OS-SRV-USG:launched_at": None}, RunState.STARTING, False, ""),
        ({"status": "REBOOT"}, RunState.RUNNING, False, ""),
        ({"status": "VERIFY_RESIZE"}, RunState.RUNNING, False, ""),
        ({"OS-EXT-STS:task_state": "suspending"}, RunState.RUNNING, True, ""),
        ({"status": "SUSPENDED"}, RunState.RUNNING, True, ""),
        ({"status": "SUSPENDED", "OS-EXT-STS:task_state": "resuming"}, RunState.RUNNING, False, ""),
        ({"status": "PAUSED"}, RunState.RUNNING, True, ""),
        ({"status": "SHUTOFF"}, RunState.RUNNING, True, ""),
        ({"status": "DELETED"}, RunState.STOPPED, False, "deleted in the cloud"),
        ({"status": "SOFT_DELETED"}, RunState.STOPPED, False, "deleted in the cloud"),
        ({"status": "ERROR", "fault": {"message": "No valid host"}}, RunState.FAILED, False, "No valid host"),
        ({"status": "ERROR"}, RunState.FAILED, False, "no reason given"),
    ],
)
def test_a_server_is_read_as_what_happened(
    changes: dict[str, object], state: RunState, suspended: bool, said: str
) -> None:
    report = report_of(machine_of(server(**changes)))
    assert (report.run_id, report.state, report.suspended, report.nodes) == ("r-1", state, suspended, ("c1",))
    assert said in report.message
    assert bool(report.message) is state.is_final


def test_what_is_switched_off_to_end_it_is_not_called_suspended() -> None:
    assert not report_of(machine_of(server(status="SHUTOFF")), is_ending=True).suspended


@pytest.mark.parametrize(
    ("changes", "node"),
    [
        ({"OS-EXT-SRV-ATTR:hypervisor_hostname": "c2"}, "c2"),
        ({}, "c1"),
        ({"metadata": {}, "hostId": "0123456789abcdef"}, "host-0123456789ab"),
        ({"metadata": {}, "hostId": ""}, ""),
    ],
)
def test_a_machine_stands_where_nova_says_or_where_it_was_asked_for(changes: dict[str, object], node: str) -> None:
    assert machine_of(server(**changes)).node == node


def test_times_and_amounts_are_read_in_our_units() -> None:
    machine = machine_of(server(metadata={naming.LIMIT: "1500"}))
    assert (machine.launched_ms, machine.limit_ms) == (NOON_MS, 1500)
    assert machine.amount == Amount(2, 512, 10 + 5 + 2)  # swap is in MiB, rounded up to GiB


@given(
    flavors=st.lists(
        st.builds(
            lambda i, c, m, d: Flavor(str(i), f"f{i}", Amount(c, m, d), d),
            st.integers(0, 99),
            st.integers(1, 16),
            st.integers(1, 65536),
            st.integers(0, 100),
        ),
        max_size=12,
    ),
    need=st.builds(Amount, st.integers(1, 16), st.integers(1, 65536), st.integers(0, 100)),
)
def test_the_flavor_that_is_chosen_fits_and_none_that_fits_is_smaller(flavors: list[Flavor], need: Amount) -> None:
    fitting = [one for one in flavors if need.fits(one.amount)]
    chosen = smallest(flavors, need)
    assert (chosen is None) == (not fitting)
    if chosen is not None:
        assert need.fits(chosen.amount)
        for one in fitting:
            assert chosen.amount == one.amount or not one.amount.fits(chosen.amount)


@pytest.mark.parametrize(
    ("need", "amount"),
    [
        (Resources(1, 1), Amount(1, 1, 1)),
        (Resources(1000, GIB, GIB), Amount(1, 1024, 1)),
        (Resources(1001, GIB + 1, GIB + 1), Amount(2, 1025, 2)),
    ],
)
def test_what_is_asked_for_is_rounded_up_to_what_flavors_have(need: Resources, amount: Amount) -> None:
    assert amount_of(need) == amount


@pytest.mark.parametrize(
    ("changes", "is_offered"),
    [
        ({}, True),
        ({"os-flavor-access:is_public": False}, False),
        ({"os-flavor-access:is_public": False, "name": "xs-1c-64m-0g"}, True),
        ({"OS-FLV-DISABLED:disabled": True}, False),
        ({"extra_specs": {"hw:cpu_policy": "shared"}}, True),
        ({"extra_specs": {"pci_passthrough:alias": "npu:1"}}, False),
        ({"extra_specs": {"resources:VGPU": "1"}}, False),
        ({"extra_specs": {"trait:CUSTOM_FAST": "required"}}, False),
    ],
)
def test_flavors_of_special_hosts_and_of_others_are_left_alone(
    changes: dict[str, object], is_offered: bool
) -> None:
    listed = {"id": "1", "name": "m1", "vcpus": 1, "ram": 512, "disk": 1, **changes}
    assert bool(flavors_of([listed])) is is_offered


def test_an_order_says_all_that_is_needed_to_find_the_run_again() -> None:
    body = body_of(Order(LAUNCH, "i-1", SMALL), POOL.pool_id, MachineSettings(("none",)))["server"]
    assert body["name"] == naming.machine_name(POOL.pool_id, "r-1")
    assert (body["imageRef"], body["flavorRef"], body["networks"]) == ("i-1", "1", "none")
    assert body["hypervisor_hostname"] == body["metadata"][naming.NODE] == "c1"
    assert body["metadata"][naming.RUN] == "r-1"
    assert body["metadata"][naming.LIMIT] == "60000"
    assert body["metadata"]["WORD"] == "西算"
    assert base64.b64decode(body["user_data"]).decode() == "#!/bin/sh\necho 西算\n"


def test_what_the_operator_chose_goes_with_every_order() -> None:
    settings = MachineSettings(("n-1", "n-2"), "az1", "key", ("web",))
    launch = replace(LAUNCH, nodes=(), program=Program(image="debian"), max_runtime_ms=0)
    body = body_of(Order(launch, "i-1", SMALL), POOL.pool_id, settings)["server"]
    assert body["networks"] == [{"uuid": "n-1"}, {"uuid": "n-2"}]
    assert (body["availability_zone"], body["key_name"]) == ("az1", "key")
    assert body["security_groups"] == [{"name": "web"}]
    assert not {"hypervisor_hostname", "user_data"} & set(body)
    assert naming.LIMIT not in body["metadata"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"program": Program(("text",))}, "image"),
        ({"program": Program(("text", "more"), "debian")}, "command"),
        ({"program": Program((), "debian", {"A": "x" * 256})}, "environment"),
        ({"program": Program((), "debian", {"xisuan:run": "x"})}, "environment"),
        ({"program": Program((), "debian", {f"A{i}": "" for i in range(101)})}, "environment"),
        ({"program": Program(("x" * 50_000,), "debian")}, "command[0]"),
        ({"requirements": Requirements(Resources(1000, GIB, 0, 1000))}, "accelerator"),
    ],
)
def test_what_can_never_be_a_machine_is_told_with_the_rule(changes: dict[str, object], said: str) -> None:
    why = why_not(replace(LAUNCH, **changes))  # type: ignore[arg-type]  # the fields are spelled out above
    assert said in why
    assert bool(why) is bool(said)


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (403, "Quota exceeded for instances: Requested 1", RefusalCode.RESOURCE_EXHAUSTED),
        (403, "Policy doesn't allow it to be performed", RefusalCode.INVALID_ARGUMENT),
        (400, "Compute host c1 could not be found.", RefusalCode.NOT_FOUND),
        (400, "Flavor's disk is too small for requested image", RefusalCode.INVALID_ARGUMENT),
        (404, "Flavor 7 could not be found", RefusalCode.INVALID_ARGUMENT),
        (409, "Conflict", RefusalCode.UNAVAILABLE),
    ],
)
def test_each_no_of_the_cloud_has_its_code(status: int, said: str, code: RefusalCode) -> None:
    found = refusal(LAUNCH, CloudRefused(status, said))
    assert found.code is code
    assert found.code is RefusalCode.NOT_FOUND or said in found.message


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_names_are_host_names_and_tell_runs_apart(one: str, other: str) -> None:
    name = naming.machine_name("p", one)
    assert len(name) <= 63
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert (name == naming.machine_name("p", other)) == (one == other)


HOST = Hypervisor("u-1", "c1", True, Architecture.X86_64, Amount(10, 1000, 100))


def machine(machine_id: str, **changes: object) -> Machine:
    fields: dict[str, object] = {"amount": Amount(2, 100, 10), "node": "c1", "created_ms": 1, **changes}
    return replace(machine_of(server(id=machine_id)), **fields)  # type: ignore[arg-type]  # spelled out above


@pytest.mark.parametrize(
    ("held", "ours", "free"),
    [
        ({}, [], Amount(10, 1000, 100)),
        ({"m-1": Amount(2, 100, 10)}, [machine("m-1")], Amount(8, 900, 90)),
        ({}, [machine("m-1")], Amount(8, 900, 90)),
        ({"x": Amount(1, 10, 1)}, [machine("m-1")], Amount(7, 890, 89)),
        ({}, [machine("m-1", status="ERROR"), machine("m-2", node="c2")], Amount(10, 1000, 100)),
    ],
)
def test_room_is_what_placement_says_less_what_is_on_its_way(
    held: dict[str, Amount], ours: list[Machine], free: Amount
) -> None:
    assert room_on(HOST, held, ours) == free


def test_only_what_others_hold_is_taken_off_a_node() -> None:
    node = node_of(POOL, HOST, {"m-1": Amount(2, 100, 10), "x": Amount(3, 200, 0)}, {"m-1"})
    assert node.allocatable == Resources(7000, 800 * GIB // 1024)
    assert (node.node_id, node.cordoned) == ("c1", False)


@pytest.mark.parametrize(
    ("taken", "extra"),
    [({}, ["young"]), ({"r-1": "young"}, ["old"])],
)
def test_of_two_machines_of_one_run_the_one_that_was_told_stays(taken: dict[str, str], extra: list[str]) -> None:
    found = doubles([machine("young", created_ms=2), machine("old"), machine("dead", status="ERROR")], taken)
    assert [one.machine_id for one in found] == extra


class Answers:
    """Stands for a `Cloud`: lists of servers in the order in which they are asked for."""

    def __init__(self, *listings: list[Json]) -> None:
        self.listings = list(listings)
        self.queries: list[Mapping[str, str]] = []

    async def pages(self, path: str, key: str, query: Mapping[str, str]) -> list[Json]:
        self.queries.append(query)
        return self.listings.pop(0)

    async def get(self, service: str, path: str, query: Mapping[str, str] | None = None) -> Json:
        raise CloudRefused(404, path)


def fleet(*listings: list[Json]) -> tuple[Fleet, Answers]:
    answers = Answers(*listings)
    return Fleet(answers, POOL.pool_id), answers  # type: ignore[arg-type]  # it answers what a fleet asks


def test_a_deletion_is_told_once_as_the_run_that_it_was() -> None:
    gone = server(status="DELETED", metadata={}, updated="2025-11-22T12:01:00Z")
    found, answers = fleet([server()], [gone], [gone])
    asyncio.run(found.list_all())
    (told,) = asyncio.run(found.list_changes())
    assert (told.run_id, told.status, told.node) == ("r-1", "DELETED", "c1")
    assert asyncio.run(found.list_changes()) == []
    assert [query.get("changes-since") for query in answers.queries] == [
        None, "2025-11-22T11:59:50Z", "2025-11-22T12:00:50Z",
    ]  # fmt: skip


def test_a_machine_that_is_listed_twice_without_a_change_is_told_once() -> None:
    found, _ = fleet([], [server()], [server()])
    asyncio.run(found.list_all())
    assert len(asyncio.run(found.list_changes())) == 1
    assert asyncio.run(found.list_changes()) == []


def test_a_listing_without_a_cell_says_nothing_about_what_is_missing() -> None:
    found, _ = fleet([server(), {"id": "m-2", "status": "UNKNOWN"}])
    with pytest.raises(EngineUnavailable, match="cell"):
        asyncio.run(found.list_all())


def test_an_order_stays_known_until_a_listing_shows_it_or_nova_has_it_no_more() -> None:
    found, _ = fleet([], [server()])
    found.add(machine("m-1", created_ms=0))
    assert found.get("m-1") is not None
    asyncio.run(found.list_all())  # not listed, and not found by its id
    assert found.get("m-1") is None
    found.add(machine("m-1", created_ms=0, status="BUILD"))
    asyncio.run(found.list_changes())
    assert [one.status for one in found.named("r-1")] == ["ACTIVE"]

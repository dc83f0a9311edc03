"""`xisuan queue` and `xisuan reservation` through a running service: what people see, and what they are told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.home import Endpoint, Home
from tests.console.commandline import ROOT, xisuan
from tests.lifecycle.bookkeeping import submission
from tests.services.memory import NOW_MS, MemoryScheduling
from tests.services.queue_desks import Site, queue_site
from tests.services.serving import serving

EXAMPLE = ROOT / "examples" / "queues" / "queues.yaml"
TREE = """\
queues:
  - path: 市/甲局
    weight: 3
    guaranteed: {cpu: 8, memory: 8Gi}
    maximum: {cpu: 12}
  - {path: 市/乙局, preemptible: false, budget: {card_hours: 100, days: 30, starts: 2025-12-15T00:00:00+08:00}}
"""


@pytest.fixture
def site(home: Home, tmp_path: Path) -> Iterator[Site]:
    """The queues of a service that runs in this process, as `xisuan up` would."""
    home.create()
    with queue_site(tmp_path) as opened, serving(MemoryScheduling(), queues=opened.desk) as gateway:
        home.write_endpoint(Endpoint(gateway.address, os.getpid(), NOW_MS))
        yield opened
        home.remove_endpoint()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "queues.yaml"
    path.write_text(TREE, encoding="utf-8")
    return path


def reserve(*more: object) -> tuple[object, ...]:
    return ("reservation", "create", "wave-8", "--pool", "cq-extranet", "--queue", "迁移", "--cpu", "4", *more)


@pytest.mark.usefixtures("site")
def test_the_example_is_checked_applied_and_listed() -> None:
    assert "仅检查，未改变" in xisuan("queue", "apply", EXAMPLE, "--check").done().out
    assert "已生效 / in force" in xisuan("queue", "apply", EXAMPLE, "--reason", "年度调整").done().out
    again = xisuan("queue", "apply", EXAMPLE).done()
    assert "没有变化" in again.out and "reserves in pool demo-gov-x86, which is not registered" in again.err
    listed = xisuan("queue", "ls").done().out
    assert "市/示例区\t2\t1000 CPU · 4096 GiB · 128 卡/cards\t2000 CPU · 256 卡/cards" in listed
    (kept,) = xisuan("reservation", "ls", "--json").done().json
    assert (kept["reservation_id"], kept["from_document"], kept["created_by"]) == ("wave-7", True, "李工")


def test_a_queue_is_shown_with_those_below_it_and_its_reservations(site: Site, tree: Path) -> None:
    assert xisuan("queue", "apply", tree, "--json").done().json["added"] == ["市/甲局", "市/乙局"]
    site.submit(submission("one", queue="市/甲局/系统"))
    xisuan(*reserve(), "--reason", "第八批").done()
    shown = xisuan("queue", "show", "市/甲局").done().out
    assert "等待 / waiting: 1" in shown and "市/甲局/系统 *" in shown and "应得 / fair: 75.0%" in shown
    document = xisuan("queue", "show", "市", "--json").done().json
    assert [queue["path"] for queue in document["below"]] == ["市/乙局", "市/甲局", "市/甲局/系统"]
    assert document["below"][0]["budget"]["left_card_hours"] == 100
    assert document["below"][1]["maximum"] == {"cpu_milli": 12_000}


@pytest.mark.usefixtures("site")
def test_a_reservation_is_created_listed_and_ended() -> None:
    made = xisuan(*reserve("--memory", "8Gi", "--reason", "第八批割接", "--by", "王工")).done().out
    assert "wave-8\t生效 active\tcq-extranet\t迁移\t4 CPU · 8 GiB" in made and "直至结束" in made
    assert xisuan(*reserve("--memory", "8Gi", "--reason", "第八批割接")).done().out == made
    assert "第八批割接; 验收" in xisuan("reservation", "end", "wave-8", "--reason", "验收").done().out
    assert xisuan("reservation", "ls", "--json").done().json == []
    (ended,) = xisuan("reservation", "ls", "--all", "--json").done().json
    assert (ended["state"], ended["created_by"], ended["ended_by"]) == ("ended", "王工", "李工")


@pytest.mark.usefixtures("site")
def test_moments_without_a_zone_are_of_beijing() -> None:
    made = xisuan(*reserve("--starts", "2026-12-05T20:00", "--ends", "2026-12-06T00:00:00Z", "--json")).done().json
    assert (made["starts_at"], made["ends_at"]) == ("2026-12-05T12:00:00Z", "2026-12-06T00:00:00Z")
    assert made["state"] == "planned"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--starts", "tomorrow"), "write 2026-12-05T20:00"),
        (("--memory", "4 apples"), "--memory '4 apples' is no amount; write 512Mi or 64Gi"),
        (("--cpu", "17"), "16 CPU"),
        (("--cpu", "0"), "must be more than nothing"),
        (("--ends", "2020-01-01"), "give a later end"),
        (("--pool", "nowhere"), "registered are: cq-extranet"),
        (("--queue", "a//b"), "in levels like city/district/department/system"),
    ],
)
@pytest.mark.usefixtures("site")
def test_a_reservation_with_a_fault_is_refused_in_one_line(arguments: tuple[str, ...], told: str) -> None:
    xisuan(*reserve(*arguments)).refused(told)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            TREE.replace("weight: 3", "weight: 0"),
            "第 3 行/line: queues.0.weight = 0: 不得小于 1 / must be at least 1",
        ),
        (TREE.replace("weight: 3", "wieght: 3"), "第 3 行/line: queues.0.wieght = 3: 没有此项"),
        (TREE.replace("cpu: 12", "cpu: 4"), "queue 市/甲局 guarantees more than its maximum"),
        (TREE.replace("+08:00", ""), "must have a time zone, for example +08:00"),
        ("- a list\n", "must hold exactly one document of queues"),
        ("", "must hold exactly one document of queues"),
    ],
)
@pytest.mark.usefixtures("site")
def test_a_file_with_a_fault_is_refused_with_its_line(tree: Path, content: str, told: str) -> None:
    tree.write_text(content, encoding="utf-8")
    xisuan("queue", "apply", tree).refused(told)
    assert xisuan("queue", "ls", "--json").done().json == []


@pytest.mark.usefixtures("site")
def test_what_is_not_there_is_said_so() -> None:
    xisuan("queue", "show", "市/无").refused("no queue 市/无; see xisuan queue ls")
    xisuan("queue", "ls", "市/无").refused("no queue 市/无")
    xisuan("reservation", "end", "r9").refused("no reservation r9; there are: -")
    xisuan("queue", "apply", "missing.yaml").refused("there is no file missing.yaml")


def test_without_a_service_one_line_says_what_to_start(home: Home, tree: Path) -> None:
    for command in (("queue", "ls"), ("queue", "apply", tree), ("reservation", "ls")):
        xisuan(*command).refused("run xisuan up in another terminal first")

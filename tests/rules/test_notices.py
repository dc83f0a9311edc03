"""Notices of idle cases reach a real server on the loopback, each once: through refusals, restarts and kills, and with their
evidence in the chain."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from console.home import Home
from console.host_process import host_command
from console.notice_post import NoticePost
from console.runbook_host import parser
from inventory.assessment.notices import NoticeBook
from inventory.rules.rulebook import read_rulebook
from inventory.store.chain import civil_day
from inventory.store.verify import verify
from scheduler.runbooks.notices import NoticeSender
from scheduler.runbooks.order import SecretPlace
from scheduler.runtime.clock import SystemClock
from scheduler.services.assessment_ports import MeasuredUpload, Minute, ReviewStep
from tests.console.commandline import xisuan
from tests.rules.conftest import DAY_MS, LEDGER, NOVEMBER, Office, utilisation_csv
from tests.runbooks.test_http_steps import Gateway, serving
from tests.services.ledgers import a_workbook

CLERK = Minute("李四", "闲置", "数函〔2026〕9号")
# A month on, and five workdays after that, of which the holidays are known.
OCTOBER = NOVEMBER - 30 * DAY_MS


@pytest.fixture
def idle(office: Office) -> Office:
    """A case of the idle rule, opened and not reminded yet, on 23 October 2026."""
    busy = utilisation_csv("公车调度系统").decode().replace(",4,9,0", ",4,9,60")
    office.desk.take_utilisation(MeasuredUpload("利用率.csv", busy.encode(), "李四"))
    assert office.desk.open_reviews("李四")["opened"] == ["R1"]
    office.clock.now_ms = OCTOBER
    return office


def act(office: Office, action: str) -> None:
    office.desk.advance(ReviewStep("R1", action, CLERK))


def sender(office: Office, address: str) -> NoticeSender:
    """A new one, as after a restart."""
    book = NoticeBook(office.store, read_rulebook().terms)
    return NoticeSender(book, lambda: address, lambda: office.clock.now_ms, "runbook-host")


def keys(gateway: Gateway) -> list[str]:
    return [asked.key for asked in gateway.asked]


def told(office: Office) -> list[str]:
    return [event.payload["key"] for event in office.store.read(kinds=("assessment.notice_sent",))]


def test_each_moment_of_the_rule_is_told_once_and_stands_in_the_chain(idle: Office) -> None:
    with serving((204, "")) as gateway:
        assert sender(idle, gateway.url).send_due() == (), "watched only: a person decides on the reminder"
        act(idle, "remind")
        for days, expected in ((0, "reminded"), (31, ""), (1, "month_over")):
            idle.clock.forward(days)
            found = [one.notice.kind for one in sender(idle, gateway.url).send_due()]
            assert found == ([expected] if expected else []), f"after {days} days"
            assert sender(idle, gateway.url).send_due() == (), "once"
        act(idle, "urge")
        assert [one.notice.kind for one in sender(idle, gateway.url).send_due()] == ["urged"]
        idle.clock.forward(7)
        assert [one.notice.kind for one in sender(idle, gateway.url).send_due()] == ["workdays_over"]
        act(idle, "reclaim")
        assert sender(idle, gateway.url).send_due() == ()
    assert keys(gateway) == told(idle) == ["R1/reminded", "R1/month_over", "R1/urged", "R1/workdays_over"]
    body = gateway.asked[0].body
    assert body["case"] == "R1" and body["document"] == CLERK.document and body["due"] == "2026-10-23"
    assert "公车调度系统" in body["text"] and "reminder" in body["text"]
    (event, *_) = idle.store.read(kinds=("assessment.notice_sent",))
    assert (event.subject, event.payload["status"], event.actor) == ("R1", 204, "runbook-host")
    shown = idle.desk.reviews()["cases"][0]["notices"]
    assert shown[0]["notice"] == "reminded" and all(one["sent_on"] for one in shown) and len(shown) == 4


@pytest.mark.parametrize("answer", [(500, ""), (302, ""), (404, "")], ids=["fails", "points elsewhere", "is gone"])
def test_what_the_receiver_does_not_take_stays_due_and_is_sent_again(
    idle: Office, answer: tuple[int, str]
) -> None:
    act(idle, "remind")
    with serving(answer, (200, "")) as gateway:
        (delivery,) = sender(idle, gateway.url).send_due()
        assert str(answer[0]) in delivery.fault and told(idle) == []
        assert idle.desk.reviews()["cases"][0]["notices"][0]["sent_on"] is None
        (delivery,) = sender(idle, gateway.url).send_due()
        assert not delivery.fault and told(idle) == ["R1/reminded"]
    assert keys(gateway) == ["R1/reminded"] * 2


def test_a_receiver_that_is_not_there_is_said_without_its_address(idle: Office) -> None:
    act(idle, "remind")
    (delivery,) = sender(idle, "http://127.0.0.1:1/the-token").send_due()
    assert "R1/reminded" in delivery.fault and "the-token" not in delivery.fault


def test_what_a_case_has_left_behind_is_not_sent(idle: Office) -> None:
    act(idle, "remind")
    idle.desk.advance(ReviewStep("R1", "restore", Minute("张三", "已恢复使用")))
    with serving((200, "")) as gateway:
        assert sender(idle, gateway.url).send_due() == ()


def test_a_sender_that_is_killed_at_every_point_tells_each_notice_once(idle: Office, tmp_path: Path) -> None:
    act(idle, "remind")
    idle.clock.forward(32)
    with serving((200, "")) as gateway:
        url = f"sqlite:///{tmp_path / 'xisuan.db'}"
        command = [sys.executable, "-m", "tests.rules.dying_sender", url, gateway.url, str(idle.clock.now_ms)]
        lives = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert int(lives) == 7, "two notices with three points each, and the life that comes to the end"
    assert told(idle) == list(dict.fromkeys(keys(gateway))) == ["R1/reminded", "R1/month_over"]
    # Killed between the answer and the record: the same message under the same key, which tells the receiver.
    assert keys(gateway) == ["R1/reminded", "R1/reminded", "R1/month_over", "R1/month_over"]
    assert [asked.body for asked in gateway.asked[:1]] == [asked.body for asked in gateway.asked[1:2]]
    assert verify(idle.store).holds


@pytest.mark.parametrize("place", [None, {"file": "/etc/xisuan/notices.url"}, {"env": "NOTICES_URL"}])
def test_the_runbook_host_is_told_where_the_address_is(place: dict[str, str] | None) -> None:
    named = None if place is None else SecretPlace.model_validate(place)
    command = host_command(Path("runbooks"), "127.0.0.1:1", named)
    assert parser().parse_args(command[3:]).notices == named


def test_a_post_sends_what_is_due_when_it_begins(idle: Office, tmp_path: Path) -> None:
    idle.clock.now_ms = SystemClock().now_ms()
    act(idle, "remind")
    with serving((200, "")) as gateway:
        (tmp_path / "url").write_text(gateway.url, encoding="utf-8")
        post = NoticePost(idle.store, SecretPlace(file=str(tmp_path / "url")))
        deadline = time.monotonic() + 20
        while not told(idle) and time.monotonic() < deadline:
            time.sleep(0.02)
        post.close()
    assert keys(gateway) == ["R1/reminded"]


def test_from_the_command_line_where_no_service_runs(home: Home, tmp_path: Path) -> None:
    workbook, measured = tmp_path / "台账.xlsx", tmp_path / "利用率.csv"
    workbook.write_bytes(a_workbook(LEDGER))
    yesterday = civil_day(SystemClock().now_ms()) - timedelta(days=1)  # of old data the rule makes nothing
    days = [yesterday - timedelta(days=at) for at in reversed(range(120))]
    lines = [
        "系统名称,日期,CPU峰值利用率,内存峰值利用率,活跃用户",
        *(f"公车调度系统,{day},4,9,60" for day in days),
    ]
    measured.write_text("\n".join(lines), encoding="utf-8")
    xisuan("ledger", "import", workbook).done()
    xisuan("migration", "assess", "utilisation", measured).done()
    xisuan("migration", "assess", "review", "--open").done()
    xisuan("migration", "assess", "notify").refused("settings.yaml", "notices.webhook")
    with serving((500, ""), (200, "")) as gateway:
        address = tmp_path / "webhook.url"
        (home.folder / "settings.yaml").write_text(
            f"notices: {{webhook: {{file: '{address}'}}}}", encoding="utf-8"
        )
        xisuan("migration", "assess", "remind", "R1", "--reason", "闲置", "--document", "数函〔2026〕9号").done()
        xisuan("migration", "assess", "notify").refused("webhook.url")
        address.write_text(gateway.url, encoding="utf-8")
        said = xisuan("migration", "assess", "notify")
        assert said.code == 3 and "HTTP 500" in said.out
        assert "R1/reminded" in xisuan("migration", "assess", "notify").done().out
        assert "no notice is due" in xisuan("migration", "assess", "notify").done().out
    assert "reminded 20" in xisuan("migration", "assess", "review").done().out
    xisuan("verify").done()

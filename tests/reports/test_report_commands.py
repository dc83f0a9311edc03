"""`xisuan migration report` and `evidence` as a user runs them: on the store itself, and through a running service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pytest

from console.home import Endpoint, Home
from inventory.intake import Intake
from inventory.ledger import read_ledger
from inventory.store.ledger import kinds
from scheduler.services.migration_desk import MigrationDesk
from scheduler.store.opening import open_store
from scheduler.store.scheduler_store import SchedulerStore
from tests.console.commandline import Said, xisuan
from tests.services.ledgers import FIVE, a_workbook
from tests.services.memory import Awaitable, MemoryScheduling
from tests.services.serving import serving

_JANUARY = 1_769_000_000_000  # 2026-01-21 in China
_MARCH = 1_773_000_000_000


@pytest.fixture(params=["embedded", "service"])
def filled(request: pytest.FixtureRequest, home: Home, tmp_path: Path) -> Iterator[Path]:
    """The ledger of a district since abolished, one system moved in January. Gives a folder for files."""
    home.create()
    with ExitStack() as stack:
        store = open_store(home.store_url)
        stack.callback(store.close)
        intake = Intake(store)
        workbook = a_workbook(FIVE)  # the bytes differ from call to call: a workbook knows when it was written
        (tmp_path / "来件.xlsx").write_bytes(workbook)
        reading = read_ledger(workbook, "台账.xlsx")
        intake.import_reading(reading, filename="台账.xlsx", sender="渝北区数据局", actor="张三", now_ms=_JANUARY)
        moved = kinds.migrated("区示例局/门户网站", effective_on=date(2026, 1, 17), source="示函1号")
        intake.record([moved], actor="李四", now_ms=_JANUARY)
        if request.param == "service":
            stack.enter_context(home.writer_lock())
            desk = Awaitable(MigrationDesk(SchedulerStore(store), lambda: _MARCH))
            gateway = stack.enter_context(serving(MemoryScheduling(), migration=desk))
            home.write_endpoint(Endpoint(gateway.address, os.getpid(), _MARCH))
            stack.callback(home.remove_endpoint)
        yield tmp_path


def migration(*arguments: object) -> Said:
    return xisuan("migration", *arguments)


def test_a_month_becomes_three_files_with_the_same_figures(filled: Path) -> None:
    folder = filled / "月报"
    said = migration(
        "report", "--month", "2026-01", "--out", folder, "--target", "100@2026-12-31", "--json"
    ).done()
    assert sorted(file.suffix for file in folder.iterdir()) == [".docx", ".html", ".xlsx"]
    assert all(file.name.startswith("示例数据_上云月报_2026-01") for file in folder.iterdir())
    document = said.json
    assert document["as_of"] == "2026-01-31" and document["illustrative"]
    assert "已迁移上云2个，上云率50.0%（环比上升25.0个百分点）" in document["summary"][0]
    page = next(folder.glob("*.html")).read_text("utf-8")
    assert document["summary"][0] in page and "两江新区" in page and document["chain_hash"] in page


def test_a_district_is_found_by_the_name_it_had_and_the_one_it_has(filled: Path) -> None:
    for district, systems in (("渝北区", 5), ("两江新区", 5), ("沙坪坝区", 0)):
        told = migration("report", "--month", "2026-01", "--json", "--district", district).done()
        assert len(told.json["rows"]) == systems


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("--month", "2026-13", "--json"), ("2026-13", "YYYY-MM")),
        (("--month", "2099-01", "--json"), ("2099-01", "has not begun")),
        (("--month", "2026-01"), ("--out",)),
        (("--month", "2026-01", "--json", "--target", "99"), ("99", "99.0@2026-12-31")),
        (("--month", "2026-01", "--json", "--target", "199@2026-12-31"), ("199",)),
        (("--month", "2026-01", "--json", "--target", "99@31.12."), ("31.12.",)),
        (("--month", "2026-01", "--json", "--scope", "color=red"), ("color",)),
    ],
)
def test_a_report_that_cannot_be_made_says_why(
    filled: Path, arguments: tuple[str, ...], fragments: tuple[str, ...]
) -> None:
    migration("report", *arguments).refused(*fragments)


def test_evidence_of_a_system_is_exported_and_verified(filled: Path) -> None:
    file = filled / "证据.zip"
    told = migration("evidence", "export", "--out", file, "--system", "门户网站").done()
    assert "proven" in told.out
    assert migration("evidence", "verify", file, "--json").done().json["holds"]
    migration("evidence", "verify", file, "--head", "0" * 64).refused("1", code=3)
    content = bytearray(file.read_bytes())
    content[content.index("示函1号".encode())] ^= 1
    file.write_bytes(content)
    migration("evidence", "verify", file).refused("证据.zip", code=3)


def test_papers_come_into_the_bundle_from_the_shelf_and_from_a_folder(filled: Path, home: Home) -> None:
    """Of the ledger's workbook only the hash is known; whoever has the file names its folder."""
    file, papers = filled / "证据.zip", filled / "档案"
    papers.mkdir()
    (filled / "来件.xlsx").rename(papers / "原始台账.xlsx")
    told = migration("evidence", "export", "--out", file).done()
    assert "by hash only: 1" in told.out
    told = migration("evidence", "export", "--out", file, "--papers", papers).done()
    assert "by hash only: 0" in told.out
    assert migration("evidence", "verify", file, "--json").done().json["holds"]
    migration("evidence", "export", "--out", file, "--papers", papers / "无").refused("无")


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--system", "没有的系统"), "没有的系统"),
        (("--wave", "3"), "plan"),
        (("--from", "昨天"), "昨天"),
        (("--from", "2090-01-01"), "no event"),
    ],
)
def test_evidence_of_nothing_is_refused_and_leaves_no_file(
    filled: Path, arguments: tuple[str, ...], fragment: str
) -> None:
    migration("evidence", "export", "--out", filled / "e.zip", *arguments).refused(fragment)
    assert not (filled / "e.zip").exists()

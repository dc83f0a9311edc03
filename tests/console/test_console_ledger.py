"""`xisuan ledger` and `xisuan rates`, without a service and through one: the same words give the same answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from console.home import Home
from console.local_store import local_store
from inventory.intake import Intake
from inventory.ledger import read_ledger, reading_json
from inventory.model.system import System
from tests.console.commandline import xisuan
from tests.services.ledgers import FIVE, a_system, a_workbook
from tests.shared_inputs import shared_input


@pytest.fixture(params=["on the store", "through the service"])
def either_way(request: pytest.FixtureRequest, home: Home) -> Home:
    """The home, once without a service and once with one."""
    if request.param == "through the service":
        request.getfixturevalue("service")
    return home


@pytest.fixture
def imported(either_way: Home, workbook: Path) -> Path:
    xisuan("ledger", "import", workbook, "--sender", "示例区").done()
    return workbook


def written(path: Path, systems: tuple[System, ...]) -> Path:
    path.write_bytes(a_workbook(systems))
    return path


@pytest.mark.usefixtures("either_way")
def test_a_first_import_applies_and_says_what_it_read(workbook: Path) -> None:
    said = xisuan("ledger", "import", workbook, "--sender", "示例区").done()
    assert "示例数据" in said.out
    assert "已应用 / applied: I1" in said.out
    assert "系统 / systems\t5" in said.out


@pytest.mark.usefixtures("either_way")
def test_the_json_is_the_documented_form(workbook: Path, tmp_path: Path) -> None:
    out = tmp_path / "reading.json"
    xisuan("ledger", "import", workbook, "--json", out).done()
    expected = reading_json(read_ledger(workbook.read_bytes(), workbook.name))
    assert json.loads(out.read_text(encoding="utf-8")) == json.loads(json.dumps(expected))


@pytest.mark.usefixtures("either_way")
def test_json_on_standard_output_is_nothing_but_json(workbook: Path) -> None:
    said = xisuan("ledger", "import", workbook, "--json", "-").done()
    assert [system["name"] for system in said.json["systems"]] == [system.name for system in FIVE]


@pytest.mark.usefixtures("either_way")
def test_the_marked_up_copy_has_a_comment_where_a_finding_is(tmp_path: Path) -> None:
    book = written(tmp_path / "台账.xlsx", (*FIVE, a_system("上报系统", deps=("没有的系统",))))
    copy = tmp_path / "批注.xlsx"
    xisuan("ledger", "import", book, "--marked-up", copy).done()
    comments = [
        cell.comment.text for row in load_workbook(copy).active.iter_rows() for cell in row if cell.comment
    ]
    assert len(comments) == 1 and "没有的系统" in comments[0]


def test_the_same_file_again_changes_nothing(imported: Path) -> None:
    before = xisuan("verify", "--json").done().json["head"]
    assert "无变化 / unchanged: I1" in xisuan("ledger", "import", imported, "--sender", "示例区").done().out
    assert xisuan("verify", "--json").done().json["head"] == before


def test_a_corrected_file_waits_shows_its_diff_and_is_applied(imported: Path, tmp_path: Path) -> None:
    corrected = written(tmp_path / "改.xlsx", (replace(FIVE[0], users=4242), *FIVE[1:4], a_system("新系统")))
    said = xisuan("ledger", "import", corrected, "--sender", "示例区").done()
    assert "等待应用" in said.out and "xisuan ledger apply I2" in said.out
    shown = xisuan("ledger", "diff").done()
    assert "I2: 等待应用" in shown.out and f"users\t{FIVE[0].users}\t4242" in shown.out
    document = xisuan("ledger", "diff", "I2", "--json").done().json
    assert (document["import_id"], document["counts"]) == ("I2", {"added": 1, "changed": 1, "missing": 1})
    assert "已应用 / applied: I2" in xisuan("ledger", "apply", "i2").done().out
    names = {system["name"] for system in xisuan("ledger", "systems", "--json").done().json}
    assert names == {system.name for system in (*FIVE[:4], a_system("新系统"))}
    xisuan("ledger", "apply", "I2").refused("I2")


@pytest.mark.usefixtures("either_way")
def test_a_possible_duplicate_waits_for_a_person_with_a_name_and_a_reason(tmp_path: Path) -> None:
    book = written(tmp_path / "台账.xlsx", (*FIVE, replace(FIVE[0], name="门户网站（二期）")))
    assert "F1" in xisuan("ledger", "import", book).done().out
    (finding,) = xisuan("ledger", "findings", "--json").done().json
    assert (finding["id"], finding["kind"]) == ("F1", "possible_duplicate")
    decide = ("ledger", "resolve", "F1", "--decision", "distinct", "--by", "王工", "--reason", "两套系统")
    assert "F1 = distinct" in xisuan(*decide).done().out
    xisuan(*decide).refused("F1", "王工")
    assert xisuan("ledger", "findings", "--json").done().json == []
    assert "王工：两套系统" in xisuan("ledger", "findings", "--settled").done().out
    assert len(xisuan("ledger", "systems", "--json").done().json) == 6


@pytest.mark.usefixtures("imported")
def test_rates_print_numerator_denominator_scope_and_day() -> None:
    said = xisuan("rates", "--as-of", "2025-12-31").done()
    assert "上云率 cloud rate\t1/4\t25.0%\townership=district\t2025-12-31" in said.out
    assert "示例数据" in said.out
    assert "对账 / reconciliation" in said.out
    assert "档案系统" not in said.out


@pytest.mark.usefixtures("imported")
def test_rates_open_their_rows() -> None:
    said = xisuan("rates", "--as-of", "2025-12-31", "--rows").done()
    assert "上云率 分子 / cloud rate numerator: 1" in said.out
    assert "档案系统\t区示例局\t台账\t" in said.out


@pytest.mark.usefixtures("imported")
def test_rates_as_json_have_the_same_numbers_and_rows() -> None:
    document = xisuan("rates", "--scope", "ownership=district,zone=政务外网", "--rows", "--json").done().json
    cloud = document["rates"][0]
    assert (cloud["numerator"], cloud["denominator"], cloud["percent"]) == (1, 4, 25.0)
    assert [row["name"] for row in cloud["numerator_rows"]] == ["档案系统"]
    assert document["scope"] == "ownership=district,zone=政务外网"


@pytest.mark.usefixtures("imported")
def test_rates_before_the_first_ledger_say_why_they_are_empty() -> None:
    said = xisuan("rates", "--as-of", "2001-01-01").done()
    assert "没有数据" in said.out and "0/0" in said.out


@pytest.mark.usefixtures("imported")
def test_systems_are_listed_by_scope() -> None:
    assert "系统 / systems: 5" in xisuan("ledger", "systems").done().out
    assert (
        xisuan("ledger", "systems", "--scope", "disposition=retire", "--json").done().json[0]["name"]
        == "旧申报系统"
    )


@pytest.mark.usefixtures("imported")
@pytest.mark.parametrize("name", ["out.xlsx", "out.csv"])
def test_an_exported_ledger_can_be_imported_again(name: str, tmp_path: Path) -> None:
    out = tmp_path / name
    assert "5 个系统" in xisuan("ledger", "export", out).done().out
    read = read_ledger(out.read_bytes(), name)
    assert read.illustrative
    assert sorted(unplaced(system)["name"] for system in read.systems) == sorted(one.name for one in FIVE)
    by_name = {system.name: unplaced(system) for system in read.systems}
    assert by_name == {system.name: unplaced(system) for system in FIVE}


def unplaced(system: System) -> dict[str, Any]:
    """The system without its place in a file."""
    return {name: getattr(system, name) for name in System.__dataclass_fields__ if name not in ("sheet", "row")}


@pytest.mark.usefixtures("imported")
def test_an_export_as_json_says_that_it_is_illustrative(tmp_path: Path) -> None:
    xisuan("ledger", "export", tmp_path / "out.json").done()
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (document["illustrative"], len(document["systems"])) == (True, 5)


def test_the_importer_is_recorded_by_name(home: Home, workbook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XISUAN_ACTOR")
    xisuan("ledger", "import", workbook, "--by", "赵工").done()
    with local_store(home, writing=False) as store:
        assert Intake(store).imports()[0].received_by == "赵工"


@pytest.mark.usefixtures("either_way")
def test_district_a_through_the_command_line_matches_its_answer_key(tmp_path: Path) -> None:
    workbook = shared_input("ledger", "district-a.xlsx")
    key = json.loads(shared_input("ledger", "district-a.expected.json").read_text(encoding="utf-8"))
    out = tmp_path / "district-a.json"
    xisuan("ledger", "import", workbook, "--json", out).done()
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["totals"] == key["totals"]
    assert len(document["systems"]) == len(key["systems"])
    for found, expected in zip(document["systems"], key["systems"], strict=True):
        assert {name: found[name] for name in expected} == expected
    shown = [{name: finding.get(name) for name in expected} for finding, expected in paired(document, key)]
    assert shown == [expected for _, expected in paired(document, key)]
    assert len(document["findings"]) == len(key["findings"])
    assert all(finding["cell"] and finding["remedy"] for finding in document["findings"])
    rates = xisuan("rates", "--as-of", key["as_of"], "--json").done().json
    assert [(rate["numerator"], rate["denominator"], rate["percent"]) for rate in rates["rates"]] == [
        (34, 35, 97.1),
        (40, 67, 59.7),
    ]
    assert rates["total"] == 127
    assert (rates["reconciliation"]["remaining"], rates["reconciliation"]["should_migrate"]) == (27, 35)
    assert "并非差错" in xisuan("rates", "--as-of", key["as_of"]).done().out


def paired(document: dict[str, Any], key: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    def place(finding: dict[str, Any]) -> tuple[str, int, str]:
        return finding["sheet"], finding["row"], finding["kind"]

    return list(zip(sorted(document["findings"], key=place), sorted(key["findings"], key=place), strict=True))


@pytest.mark.postgres
@pytest.mark.usefixtures("home")
def test_the_same_commands_work_on_postgresql(
    workbook: Path, emptied_postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XISUAN_STORE", emptied_postgres_database)
    xisuan("ledger", "import", workbook, "--sender", "示例区").done()
    assert "无变化" in xisuan("ledger", "import", workbook, "--sender", "示例区").done().out
    assert "1/4" in xisuan("rates", "--as-of", "2025-12-31").done().out
    assert xisuan("verify", "--json").done().json["holds"]

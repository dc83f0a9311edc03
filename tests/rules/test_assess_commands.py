"""`xisuan migration assess` as a user runs it: on the store itself, and through a running service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from console.home import Endpoint, Home
from scheduler.services.assessment_desk import AssessmentDesk
from scheduler.services.ledger_desk import LedgerDesk
from scheduler.store.opening import open_store
from tests.console.commandline import xisuan
from tests.rules.conftest import LEDGER, NOVEMBER, utilisation_csv
from tests.services.ledgers import a_workbook
from tests.services.memory import Awaitable, MemoryScheduling
from tests.services.serving import serving


@pytest.fixture(params=["embedded", "service"])
def filled(request: pytest.FixtureRequest, home: Home, tmp_path: Path) -> Iterator[Path]:
    """The ledger is imported; commands go to the store, or to a service on it. Gives a folder for files."""
    (tmp_path / "台账.xlsx").write_bytes(a_workbook(LEDGER))
    with ExitStack() as stack:
        if request.param == "service":
            home.create()
            stack.enter_context(home.writer_lock())
            store = open_store(home.store_url)
            stack.callback(store.close)
            ledger = Awaitable(LedgerDesk(store, lambda: NOVEMBER))
            desk = Awaitable(AssessmentDesk(store, lambda: NOVEMBER))
            gateway = stack.enter_context(serving(MemoryScheduling(), ledger, assessment=desk))
            home.write_endpoint(Endpoint(gateway.address, os.getpid(), NOVEMBER))
            stack.callback(home.remove_endpoint)
        xisuan("ledger", "import", tmp_path / "台账.xlsx").done()
        yield tmp_path


_WHO = ("except", "gate-cloud", "区示例局", "--until", "2099-01-01", "--approver", "王局")
GRANT = (*_WHO, "--reason", "急", "--document", "1号")


def assess(*arguments: object):  # type: ignore[no-untyped-def]  # what the command said
    return xisuan("migration", "assess", *arguments)


def test_from_a_file_to_an_attested_case(filled: Path) -> None:
    (filled / "利用率.csv").write_bytes(utilisation_csv("公车调度系统", "不存在的系统"))
    assert "不存在的系统" in assess("utilisation", filled / "利用率.csv").done().out
    assert assess("--json").done().json["summary"]["measured"] == 2
    shown = assess("show", "公车调度系统").done().out
    assert "受阻" not in shown and "国办发〔2017〕39号" in shown and "✓" in shown
    assert assess("review", "--open", "--json").done().json["opened"] == ["R1"]
    assess("attest", "R1", "--unused").refused("--reason")
    assess("quarantine", "R1", "--reason", "停", "--document", "1号").refused("R1", "open steps")
    said = assess("attest", "R1", "--unused", "--reason", "停用", "--document", "示函1号", "--by", "张三").done()
    assert "张三" in said.out
    assert "单位同意关停" in assess("review").done().out


def test_questions_have_answers_for_people_and_programs(filled: Path) -> None:
    assert "统一认证平台" in assess("dependencies").done().out
    assert assess("dependencies", "统一认证平台", "--json").done().json["used_by"] == ["审批系统", "旧档案系统"]
    assert assess("compatible", "c86", "--json").done().json["target"] == "c86"
    assert "kept as they are: 5" in assess("rightsize").done().out
    assert assess("similar", "档案", "--json").done().json["matches"][0]["name"] == "旧档案系统"
    assert "migrate-by-default" in assess("rules").done().out
    assert assess("exceptions", "--json").done().json["exceptions"] == []
    assert "migrate-by-default" in assess().done().out


def test_a_project_that_is_refused_ends_with_3(filled: Path) -> None:
    (filled / "项目.yaml").write_text("name: 新平台\ndepartment: 区示例局\ndata_catalog: true\n", encoding="utf-8")
    assess("project", filled / "项目.yaml").refused("不能批准", code=3)
    assert assess("project", filled / "项目.yaml", "--json").json["is_refused"]


def test_decisions_exceptions_and_roles(filled: Path) -> None:
    assess("decide", "审批系统", "retain", "--reason", "专用硬件").refused("--document")
    assess("decide", "审批系统", "rehost", "--reason", "同意").done()
    assert "E1" in assess(*GRANT).done().out
    assert assess("role", "审批系统", "standby", "--reason", "备用", "--json").done().json["role"] == "standby"


@pytest.mark.parametrize(
    ("case", "arguments", "fragments"),
    [
        ("a file that is missing", ("utilisation", "无.csv"), ("无.csv",)),
        ("no such system", ("dependencies", "无此系统"), ("无此系统", "department/name")),
        ("no such architecture", ("compatible", "mips"), ("mips", "arm64")),
        ("no such case", ("release", "R7", "--reason", "x"), ("R7",)),
        ("no such role", ("role", "审批系统", "lazy", "--reason", "x"), ("lazy", "standby")),
        ("no such day", ("--as-of", "昨天"), ("--as-of", "昨天")),
        ("no such rule", (*GRANT[:1], "x-1", *GRANT[2:]), ("x-1", "gate-cloud")),
        ("nothing to look for", ("similar", " "), ("few words",)),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(
    filled: Path, case: str, arguments: tuple[str, ...], fragments: tuple[str, ...]
) -> None:
    assess(*arguments).refused(*fragments)


def test_a_file_of_other_systems_is_told_as_such(filled: Path) -> None:
    (filled / "别处.csv").write_text("系统,日期,办件量\n别处系统,2026-01-01,3\n", encoding="utf-8")
    assess("utilisation", filled / "别处.csv").refused("in common", code=3)


def test_a_measured_file_that_is_broken_names_its_line(filled: Path) -> None:
    (filled / "坏.csv").write_text("系统,日期,办件量\n审批系统,2026-01-01,很多\n", encoding="utf-8")
    assess("utilisation", filled / "坏.csv").refused("坏.csv:2", "很多")

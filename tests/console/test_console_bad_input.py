"""What a user can type wrong: each ends with exit code 2, one clear line with the value and the remedy, no crash."""

from __future__ import annotations

import os
import sqlite3
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from console.home import Endpoint, Home
from inventory.store.migrations import VERSION_TABLE
from tests.console.commandline import xisuan
from tests.services.ledgers import FIVE, a_workbook

# The first sector of an OLE2 compound file: what an encrypted .xlsx is.
_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        pytest.param(["legder"], ["legder", "--help"], id="a command that does not exist"),
        pytest.param(["ledger", "imprt"], ["imprt"], id="a subcommand that does not exist"),
        pytest.param(["rates", "--asof", "2021-01-01"], ["--asof"], id="an option that does not exist"),
        pytest.param(["ledger", "import"], ["FILE"], id="no file named"),
        pytest.param(
            ["ledger", "import", "nowhere.xlsx"], ["nowhere.xlsx", "检查路径"], id="a file that is missing"
        ),
        pytest.param(["ledger", "import", "."], ["文件夹"], id="a folder for a file"),
        pytest.param(["rates", "--as-of", "2021-13-01"], ["2021-13-01", "YYYY-MM-DD"], id="a month 13"),
        pytest.param(["rates", "--as-of", "yesterday"], ["yesterday"], id="a day in words"),
        pytest.param(["rates", "--scope", "colour=red"], ["colour", "ownership"], id="an unknown scope field"),
        pytest.param(
            ["rates", "--scope", "ownership=martian"], ["martian", "district"], id="an unknown ownership"
        ),
        pytest.param(["ledger", "systems", "--scope", "zone"], ["zone", "字段=值"], id="a scope without a value"),
        pytest.param(["ledger", "apply", "I99"], ["I99"], id="an unknown import id"),
        pytest.param(["ledger", "diff", "I99"], ["I99"], id="a diff of an unknown import"),
        pytest.param(["ledger", "diff"], ["xisuan ledger import"], id="a diff before any import"),
        pytest.param(
            ["ledger", "resolve", "F99", "--decision", "keep", "--by", "王工", "--reason", "因"],
            ["F99"],
            id="an unknown finding",
        ),
        pytest.param(
            ["ledger", "resolve", "X1", "--decision", "keep", "--by", "王工", "--reason", "因"],
            ["X1"],
            id="an id of no kind",
        ),
        pytest.param(["ledger", "resolve", "F1", "--decision", "keep"], ["--by"], id="nobody decides"),
        pytest.param(["ledger", "export", "out.pdf"], [".pdf", ".xlsx"], id="an unknown export format"),
        pytest.param(
            ["ledger", "export", "no/such/folder/out.csv"], ["no/such/folder"], id="a folder that is missing"
        ),
        pytest.param(["migration", "plan"], ["--start"], id="a plan without a first day"),
        pytest.param(
            ["migration", "plan", "--start", "soon"], ["soon", "YYYY-MM-DD"], id="a plan from a day in words"
        ),
        pytest.param(
            ["migration", "plan", "--start", "2026-03-02", "--cap", "-3"],
            ["--cap"],
            id="a plan with a negative cap",
        ),
        pytest.param(
            ["migration", "plan", "--start", "2026-03-02", "--weeks", "x"],
            ["--weeks"],
            id="weeks that are no number",
        ),
        pytest.param(
            ["migration", "plan", "--start", "2026-03-02", "--pools", "p.csv"],
            ["--node-groups"],
            id="pools without their node groups",
        ),
        pytest.param(["migration", "plan", "--start", "2026-03-02"], ["算力池"], id="a plan without any pool"),
        pytest.param(["migration", "check", "plan.json"], ["plan.json"], id="a plan file that is missing"),
        pytest.param(["migration", "waves"], ["xisuan migration plan"], id="waves before any plan"),
        pytest.param(["migration", "status"], ["xisuan migration plan"], id="progress before any plan"),
        pytest.param(["migration", "start", "0"], ["WAVE"], id="wave 0"),
        pytest.param(["migration", "start", "1"], ["migration plan"], id="a wave before there is a plan"),
        pytest.param(["workload", "ls"], ["xisuan up"], id="workloads without a service"),
        pytest.param(["workload", "ls", "--state", "asleep"], ["asleep", "queued"], id="an unknown state"),
        pytest.param(["workload", "submit", "nowhere.yaml"], ["nowhere.yaml"], id="a job file that is missing"),
        pytest.param(["workload", "logs", "w-1"], ["xisuan up"], id="logs without a service"),
        pytest.param(["pool", "ls"], ["xisuan up"], id="pools without a service"),
        pytest.param(["pool", "register"], ["--pools"], id="registering nothing"),
        pytest.param(
            ["pool", "register", "--pools", "a.csv", "--node-groups", "b.csv", "--endpoint", "x"],
            ["a.csv"],
            id="pool files that are missing",
        ),
        pytest.param(["adapter", "serve", "mainframe"], ["mainframe", "simulated"], id="an unknown technology"),
        pytest.param(["verify", "--anchor", "12"], ["--anchor", "SEQ:HASH"], id="an anchor that is none"),
    ],
)
def test_a_mistake_is_one_clear_line(
    words: Sequence[str], fragments: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = xisuan(*words)
    if words[:4] == ["pool", "register", "--pools", "a.csv"]:
        assert said.code == 2 and len(said.error_lines) == 2  # one line for each of the two files
        return
    said.refused(*fragments)


def encrypted() -> bytes:
    """A compound file with the streams of an encrypted workbook, small but real enough to be told from a .xls."""
    name = "EncryptionInfo".encode("utf-16-le")
    header = _OLE2 + b"\0" * 16 + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    return header.ljust(512, b"\0") + name.ljust(1024, b"\0")


def a_bomb() -> bytes:
    """A zip that says it is a workbook and unpacks to hundreds of megabytes."""
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(600):
                part.write(b" " * 1024 * 1024)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("台账.xlsx", b"hello, this is no workbook", id="text that is called .xlsx"),
        pytest.param("台账.xlsx", b"", id="an empty file"),
        pytest.param("台账.xlsx", a_workbook(FIVE)[:4000], id="a truncated workbook"),
        pytest.param("台账.xlsx", encrypted(), id="an encrypted workbook"),
        pytest.param("台账.csv", "甲,乙\n1,2\n".encode(), id="a table without a system name"),
        pytest.param("台账.xls", b"%PDF-1.7 ...", id="a PDF that is called .xls"),
        pytest.param("台账.xlsx", a_bomb(), id="a zip bomb"),
    ],
)
def test_a_file_that_is_no_ledger_leaves_nothing_behind(
    home: Home, tmp_path: Path, name: str, content: bytes
) -> None:
    book = tmp_path / name
    book.write_bytes(content)
    out, copy = tmp_path / "out.json", tmp_path / "copy.xlsx"
    xisuan("ledger", "import", book, "--json", out, "--marked-up", copy).refused(name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "home"])
    assert xisuan("status", "--json").done().json["events"] == 0


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("mapping", "fragment"),
    [
        pytest.param("headings: [", "YAML", id="no YAML"),
        pytest.param("headings: {甲: colour}", "colour", id="an unknown field"),
        pytest.param("colours: {}", "colours", id="an unknown key"),
    ],
)
def test_a_mapping_file_that_cannot_be_used_is_refused(
    workbook: Path, tmp_path: Path, mapping: str, fragment: str
) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(mapping, encoding="utf-8")
    xisuan("ledger", "import", workbook, "--mapping", path).refused(fragment)


@pytest.mark.usefixtures("home")
def test_an_output_that_would_replace_the_input_is_refused(workbook: Path) -> None:
    before = workbook.read_bytes()
    xisuan("ledger", "import", workbook, "--marked-up", workbook).refused(workbook.name)
    assert workbook.read_bytes() == before


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_done(home: Home, workbook: Path) -> None:
    xisuan("ledger", "import", workbook, "--json", "/proc/nowhere/out.json").refused("/proc/nowhere")
    assert not (home.folder / "xisuan.db").exists()


def test_a_locked_home_names_its_holder(home: Home, workbook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.home.LOCK_WAIT_S", 0.1)
    with home.writer_lock():
        xisuan("ledger", "import", workbook).refused(str(home.folder), str(os.getpid()))


def test_reading_goes_on_while_another_command_writes(home: Home, workbook: Path) -> None:
    xisuan("ledger", "import", workbook).done()
    with home.writer_lock():
        assert "1/4" in xisuan("rates").done().out


def test_a_home_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("XISUAN_HOME", str(tmp_path / "file" / "home"))
    xisuan("rates").refused("XISUAN_HOME")


def test_a_database_of_another_program_is_refused(home: Home) -> None:
    home.create()
    (home.folder / "xisuan.db").write_bytes(b"this is no database, whatever it is called" * 30)
    xisuan("rates").refused("xisuan.db")


def test_a_database_of_a_newer_version_is_refused(home: Home, workbook: Path) -> None:
    xisuan("ledger", "import", workbook).done()
    with sqlite3.connect(home.folder / "xisuan.db") as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for words in (["rates"], ["ledger", "import", workbook], ["verify"]):
        xisuan(*words).refused("9999")


def test_a_database_that_is_locked_is_refused_in_time(
    home: Home, workbook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xisuan("ledger", "import", workbook, "--sender", "甲").done()
    monkeypatch.setenv("XISUAN_STORE", f"sqlite:///{home.folder / 'xisuan.db'}")
    holder = sqlite3.connect(home.folder / "xisuan.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        xisuan("ledger", "import", workbook, "--sender", "乙").refused("xisuan.db")
    finally:
        holder.close()


@pytest.mark.parametrize(
    ("url", "fragment"),
    [
        pytest.param("mysql://u:s3cr3t@h/db", "mysql", id="another kind of database"),
        pytest.param("nonsense s3cr3t", "sqlite", id="no URL"),
        pytest.param("postgresql://u:s3cr3t@127.0.0.1:1/db", "127.0.0.1", id="a server that does not answer"),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_database_that_cannot_be_used_is_said_without_its_password(
    url: str, fragment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XISUAN_STORE", url)
    assert "s3cr3t" not in xisuan("rates").refused(fragment).err


def test_an_endpoint_of_a_dead_process_is_ignored(home: Home, workbook: Path) -> None:
    home.create()
    home.write_endpoint(Endpoint("127.0.0.1:1", 2**22 - 7, 0))
    xisuan("ledger", "import", workbook).done()
    xisuan("workload", "ls").refused("xisuan up")


def test_an_endpoint_that_nobody_answers_is_ignored_when_nobody_holds_the_home(home: Home, workbook: Path) -> None:
    home.create()
    home.write_endpoint(Endpoint("127.0.0.1:1", os.getpid(), 0))
    xisuan("ledger", "import", workbook).done()


def test_a_service_that_hangs_is_not_worked_around(home: Home, workbook: Path) -> None:
    home.create()
    home.write_endpoint(Endpoint("127.0.0.1:1", os.getpid(), 0))
    with home.writer_lock():
        xisuan("ledger", "import", workbook).refused("127.0.0.1:1", str(os.getpid()))


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "content", ["", "{", '{"address": 5}', "[]", '{"address": "a:1", "pid": "x", "started_ms": 0}']
)
def test_an_endpoint_file_that_makes_no_sense_is_ignored(home: Home, content: str) -> None:
    home.create()
    home.endpoint_file.write_text(content, encoding="utf-8")
    xisuan("rates").done()


@pytest.mark.usefixtures("home")
def test_a_named_service_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XISUAN_ADDRESS", "127.0.0.1:1")
    monkeypatch.setattr("console.connection.PATIENCE_S", 0.2)
    xisuan("pool", "ls").refused("没有应答")


def test_a_broken_chain_is_the_answer_no(home: Home, workbook: Path) -> None:
    xisuan("ledger", "import", workbook).done()
    with sqlite3.connect(home.folder / "xisuan.db") as connection:
        connection.execute("UPDATE events SET actor = '别人' WHERE seq = 1")
    xisuan("verify").refused("事件 1", code=3)


def test_a_projection_that_was_touched_is_the_answer_no(home: Home, workbook: Path) -> None:
    xisuan("ledger", "import", workbook).done()
    with sqlite3.connect(home.folder / "xisuan.db") as connection:
        connection.execute("UPDATE systems SET name = '改名' WHERE system_key = '区示例局/门户网站'")
    said = xisuan("verify", "--json")
    assert (said.code, said.json["holds"], said.json["differences"][0]["table"]) == (3, False, "systems")
    xisuan("verify").refused("systems", "门户网站", code=3)


@pytest.mark.usefixtures("home")
def test_a_fault_of_ours_is_one_line_that_points_to_the_log(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr("console.commands.rates.show_rates", broken)
    said = xisuan("rates").refused("ZeroDivisionError", str(home.log_file), code=1)
    assert "Traceback" not in said.err
    assert "nobody thought of this" in home.log_file.read_text(encoding="utf-8")


@pytest.mark.usefixtures("home")
def test_a_debugging_user_sees_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XISUAN_DEBUG", "1")
    assert "Traceback" in xisuan("ledger", "import", "nowhere.xlsx").err

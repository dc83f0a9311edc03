"""`xisuan` as a process: interrupts, kills, closed pipes, and an installation that has the client alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console.app import COMMANDS, GROUPS
from console.home import Home
from tests.console.commandline import ROOT, Said, finished, process, xisuan
from tests.services.ledgers import a_system, a_workbook

MANY = 800
_DEADLINE_S = 60.0

CLIENT_ALONE = """
import sys
for name in ("typer", "rich", "pydantic", "sqlalchemy", "ray"):
    sys.modules[name] = None
from console.entry import main
main()
"""


def test_the_client_alone_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLIENT_ALONE, "rates"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    Said(done.returncode, done.stdout, done.stderr).refused("xisuan[server]")


def test_help_is_printed_without_loading_what_is_slow() -> None:
    code = (
        "import sys; from console.entry import run; run(['--help']);"
        "sys.exit(sorted({'ray', 'sqlalchemy', 'grpc', 'openpyxl'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "ledger" in done.stdout and "workload" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("group", ["ledger", "migration", "pool", "workload", "adapter"])
def test_a_group_alone_lists_its_commands(group: str) -> None:
    assert "Commands" in xisuan(group).out
    assert "Commands" in xisuan(group, "--help").done().out


def test_the_documentation_names_every_command_and_no_other() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    documented = {
        (words[1],) if words[1] in COMMANDS else (words[1], words[2])
        for words in (line.split("`")[1].split() for line in page.splitlines() if line.startswith("| `xisuan "))
    }
    known = {(name,) for name in COMMANDS}
    for name, place in GROUPS.items():
        known |= {
            (name, command.name or command.callback.__name__) for command in place.load().registered_commands
        }
        known |= {(name, str(group.name)) for group in place.load().registered_groups}
    assert known - documented == set(), "give each of these commands a row in docs/command-line.md"
    assert documented - known == set(), "these rows of docs/command-line.md name no command"


def test_an_adapter_tells_its_own_arguments() -> None:
    said = finished(process("adapter", "serve", "simulated", "--help"))
    assert (said.code, "--pool-spec" in said.out) == (0, True)


def test_an_adapter_that_is_started_wrongly_ends_with_code_2() -> None:
    said = finished(process("adapter", "serve", "simulated", "--pool-spec", "nowhere.json", "--state-dir", "x"))
    assert said.code == 2 and "nowhere.json" in said.err and "Traceback" not in said.err


def test_a_reader_that_has_gone_is_no_error(home: Home, workbook: Path) -> None:
    xisuan("ledger", "import", workbook).done()
    running = process("ledger", "systems", "--json")
    assert running.stdout is not None and running.stderr is not None
    running.stdout.close()
    assert running.wait(_DEADLINE_S) == 0
    assert "Traceback" not in running.stderr.read()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workbook whose import takes long enough to be interrupted."""
    path = tmp_path_factory.mktemp("many") / "many.xlsx"
    path.write_bytes(a_workbook(a_system(f"系统{number:05d}", function=None) for number in range(MANY)))
    return path


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_an_import_that_is_cut_short_is_wholly_in_the_ledger_or_not_at_all(
    home: Home, many: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out.json"
    running = process("ledger", "import", many, "--json", out)
    deadline = time.monotonic() + _DEADLINE_S
    # It holds the home as soon as it begins to write; then it reads for a while, and then stores.
    while not home.is_locked():
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(running.pid, number)
    said = finished(running)
    assert "Traceback" not in said.err
    assert xisuan("verify").done()
    assert len(xisuan("ledger", "systems", "--json").done().json) in (0, MANY)
    if number is not signal.SIGKILL:  # who is killed cannot clean up beside the file that he writes
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    # Whoever repeats the command completes it.
    xisuan("ledger", "import", many, "--json", out).done()
    assert len(xisuan("ledger", "systems", "--json").done().json) == MANY
    assert out.exists()


def test_doctor_finds_this_machine_fit(home: Home) -> None:
    said = xisuan("doctor", "--json").done()
    assert {"Python", "Ray"} <= {check["name"] for check in said.json}
    assert all(check["good"] for check in said.json)


def test_doctor_answers_no_where_the_store_is_broken(home: Home) -> None:
    home.create()
    (home.folder / "xisuan.db").write_bytes(b"no database at all" * 100)
    xisuan("doctor").refused("xisuan.db", code=3)


INTERRUPTED_IN_A_CALLBACK = """
import os, signal, sys, time, weakref
import console.entry

class Thing:
    pass

def interrupted(arguments):
    thing = Thing()
    watched = weakref.ref(thing, lambda reference: os.kill(os.getpid(), signal.SIGINT))
    try:
        del thing
        time.sleep(30)
    except KeyboardInterrupt:
        return 7
    return 0

console.entry.run = interrupted
console.entry.main()
"""


def test_an_interruption_amid_a_callback_of_python_is_not_lost() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IN_A_CALLBACK],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (7, "")

"""The command line: its commands as an explicit map, and how every command ends.

`console.entry` calls `run_command`. A group of commands is one file below `console/commands`; adding one means to
write it and to name it here.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence

import typer
from typer.main import get_command

from console.commands import adapter, ledger, migration, pool, rates, service, up, workload
from console.faults import ExitCode, explain
from console.home import find_home

HELP = "西算：政务云迁移编排与算力调度 / Xisuan: cloud migration and compute scheduling for governments"

# Groups: `xisuan <group> <command>`.
GROUPS: Mapping[str, typer.Typer] = {
    "ledger": ledger.app,
    "migration": migration.app,
    "pool": pool.app,
    "workload": workload.app,
    "adapter": adapter.app,
}
# Commands of their own: `xisuan <command>`.
COMMANDS: Mapping[str, Callable[..., None]] = {
    "rates": rates.rates,
    "status": service.status,
    "doctor": service.doctor,
    "verify": service.verify,
}


def make_app() -> typer.Typer:
    app = typer.Typer(
        name="xisuan",
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for name, group in GROUPS.items():
        app.add_typer(group, name=name)
    for name, command in COMMANDS.items():
        app.command(name)(command)
    return app


def run_command(arguments: Sequence[str]) -> int:
    """Runs one command; whatever it raises becomes lines on standard error and an exit code."""
    try:
        code = get_command(make_app()).main(
            args=list(arguments) or ["--help"], prog_name="xisuan", standalone_mode=False
        )
        sys.stdout.flush()
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except typer.TyperException as error:
        return _usage(error)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - the edge of the program: every failure ends as clear lines
        return _failed(error)
    return code if isinstance(code, int) else ExitCode.DONE


def _usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "xisuan"
    said = " ".join(error.format_message().split())
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(f"{error.format_message()}\n")
        return ExitCode.DONE
    _complain(f"命令行有误：{said}；用法见 {command} --help / usage: see {command} --help")
    return ExitCode.USER_MISTAKE


def _failed(error: Exception) -> int:
    known = explain(error)
    if os.environ.get("XISUAN_DEBUG"):
        traceback.print_exception(error)
    if known is not None:
        for line in known.lines:
            _complain(line)
        return known.code
    where = _log(error)
    _complain(
        f"程序出错 {type(error).__name__}：{_short(error)}；详情见 {where}"
        f" / this is a fault of ours; the details are in {where}"
    )
    return ExitCode.OUR_FAULT


def _log(error: Exception) -> str:
    """Writes the traceback below the home; returns where, or where to look instead."""
    log_file = find_home().log_file
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("a", encoding="utf-8") as log:
            log.writelines(traceback.format_exception(error))
    except OSError:
        return "XISUAN_DEBUG=1"
    return str(log_file)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _complain(line: str) -> None:
    sys.stderr.write(f"错误 / error: {line}\n")

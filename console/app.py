"""The command line: its commands as an explicit map, and how every command ends.

`console.entry` calls `run_command`. A group of commands is one file below `console/commands`; adding one means to
write it and to name it here. Only the group that is asked for is loaded: `xisuan --help` must not wait for Ray.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from typer.main import get_command

from console.faults import ExitCode, explain
from console.home import find_home

HELP = "西算：政务云迁移编排与算力调度 / Xisuan: cloud migration and compute scheduling for governments"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command or a group lives, and its line in `xisuan --help`."""

    module: str
    name: str
    help: str

    def load(self) -> Any:
        return getattr(importlib.import_module(f"console.commands.{self.module}"), self.name)


# Commands of their own: `xisuan <command>`.
COMMANDS: Mapping[str, Place] = {
    "up": Place("up", "up", "启动服务 / run the service"),
    "demo": Place("up", "demo", "约一分钟的完整示例 / the whole main job on illustrative data"),
    "status": Place("service", "status", "现在的情况 / how things stand"),
    "doctor": Place("service", "doctor", "检查这台机器能否运行 / can it run on this machine"),
    "verify": Place("service", "verify", "验证事件链和投影 / is what was stored still true"),
    "login": Place("login", "login", "登录另一台机器上的服务 / log in to a service elsewhere"),
    "rates": Place("rates", "rates", "上云率、整合率 / rates with numerator, denominator, scope and day"),
}
# Groups: `xisuan <group> <command>`.
GROUPS: Mapping[str, Place] = {
    "ledger": Place("ledger", "app", "台账：导入、比对、应用、裁定、导出 / the ledger"),
    "migration": Place("migration", "app", "迁移：编排、检查、批次、进度、开始 / migration waves"),
    "pool": Place("pool", "app", "算力池：列出、登记、封锁、排空 / compute pools"),
    "workload": Place("workload", "app", "作业：提交、查看、日志、取消、解释 / workloads"),
    "queue": Place("queue", "app", "队列：应用、列出、查看 / queues, quotas and budgets"),
    "reservation": Place("reservation", "app", "预留：建立、列出、结束 / reservations of capacity"),
    "sim": Place("sim", "app", "仿真：放置策略评估 / what-if: placement policies on traces"),
    "settings": Place("settings", "app", "服务设置：检查、重新载入 / the settings of the service"),
    "store": Place("store", "app", "数据库：备份、校验、恢复 / backups of the store"),
    "access": Place("access", "app", "访问控制：令牌与证书 / tokens and certificates"),
    "adapter": Place("adapter", "app", "算力池适配器 / pool adapters"),
}


# `migration plan` with one of these alone: it promises to end in time, and the whole group takes seconds to load.
_ALONE: Mapping[str, Place] = {
    "--psplib": Place("project", "app", GROUPS["migration"].help),
    "--estate": Place("estate", "app", GROUPS["migration"].help),
}


def make_app(wanted: str = "", *, alone: Place | None = None) -> typer.Typer:
    """The whole command line, of which only the command or group `wanted` is loaded; the others have their names
    and their lines of help. `alone`: the part of the group that is loaded in its place."""
    app = typer.Typer(
        name="xisuan",
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for name, place in (*COMMANDS.items(), *GROUPS.items()):
        if name != wanted:
            app.command(name, help=place.help)(_not_loaded)
        elif name in GROUPS:
            app.add_typer((alone or place).load(), name=name)
        else:
            app.command(name)(place.load())
    return app


def _alone(words: Sequence[str]) -> Place | None:
    """What is loaded in the place of the whole group; None: the group, which says what does not go together."""
    if words[:2] != ["migration", "plan"] or "--help" in words:
        return None
    named = {word.split("=")[0] for word in words if word.startswith("--")}
    places = [place for option, place in _ALONE.items() if option in named]
    return places[0] if len(places) == 1 else None


def _not_loaded() -> None:
    """Stands for a command that was not asked for."""
    raise AssertionError("a command runs only when it is the first word, and then it is loaded")


def run_command(arguments: Sequence[str]) -> int:
    """Runs one command; whatever it raises becomes lines on standard error and an exit code."""
    try:
        words = list(arguments) or ["--help"]
        code = get_command(make_app(words[0], alone=_alone(words))).main(
            args=words, prog_name="xisuan", standalone_mode=False
        )
        sys.stdout.flush()
    except typer.Abort:
        return _interrupted()
    except typer.TyperException as error:
        return _usage(error)
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return _reader_gone()
    except BrokenPipeError:
        return _reader_gone()
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:  # noqa: BLE001 - the edge of the program: every failure ends as clear lines
        return _failed(error)
    if code == ExitCode.INTERRUPTED:
        return _interrupted()
    return code if isinstance(code, int) else ExitCode.DONE


def _reader_gone() -> int:
    """The reader of our output has gone (`| head`): nothing is wrong, and nothing more can be said."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - what is left in the old buffer goes nowhere
    return ExitCode.DONE


def _interrupted() -> int:
    sys.stderr.write("已中断 / interrupted\n")
    return ExitCode.INTERRUPTED


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

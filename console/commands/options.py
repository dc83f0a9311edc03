"""Options that several commands share, so that they read and behave the same everywhere."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from console.faults import Fault

AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON, for programs")]
By = Annotated[str | None, typer.Option("--by", help="经办人，缺省为登录名 / who does it (default: login name)")]
Scope = Annotated[
    str,
    typer.Option(
        "--scope", help="范围，如 ownership=district,zone=政务外网 / field=value,... (ownership=all: everything)"
    ),
]
AsOf = Annotated[str, typer.Option("--as-of", metavar="DAY", help="截至日期 YYYY-MM-DD / as of this day")]
PoolFile = Annotated[Path | None, typer.Option("--pools", help="算力池文件 / pool file (CSV)")]
NodeGroupFile = Annotated[Path | None, typer.Option("--node-groups", help="节点组文件 / node-group file (CSV)")]


def day(text: str, option: str) -> date:
    """The day of an ISO date. Raises Fault that names the option."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Fault(
            f"{option} {text!r} 不是日期；请写 YYYY-MM-DD，例如 2026-03-02"
            f" / {option} {text!r} is not a day; write YYYY-MM-DD, for example 2026-03-02"
        ) from None


def checked_day(text: str, option: str) -> str:
    """The text itself when it is empty or a day."""
    return day(text, option).isoformat() if text else ""

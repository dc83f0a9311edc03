"""What commands print: tables by rich on a terminal, plain lines with tabs elsewhere, always through here.

Texts come from workbooks and from other programs, so whatever could steer a terminal is taken out of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

WATERMARK = "示例数据 / illustrative data"


def is_terminal() -> bool:
    return sys.stdout.isatty()


def say(line: str = "", style: str = "") -> None:
    """One line of text; `style` shows on a terminal only."""
    if is_terminal():
        _console().print(Text(clean(line), style=style))
    else:
        sys.stdout.write(clean(line) + "\n")


def warn(line: str) -> None:
    """A remark on standard error, so that it disturbs nobody who reads the output."""
    sys.stderr.write(f"注意 / note: {clean(line)}\n")


def watermark(is_illustrative: bool) -> None:
    """Says that the numbers are invented, where they are."""
    if is_illustrative:
        say(f"【{WATERMARK}】", "bold yellow")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; elsewhere than on a terminal: title, heading and rows as lines, cells divided by tabs."""
    shown = [[clean(_cell(value)) for value in row] for row in rows]
    if not is_terminal():
        say(f"# {title}")
        for line in ([*columns], *shown):
            sys.stdout.write("\t".join(line) + "\n")
        return
    drawn = Table(title=Text(title, style="bold"), title_justify="left", header_style="bold", show_lines=False)
    for column in columns:
        drawn.add_column(Text(column), overflow="fold")
    for row in shown:
        drawn.add_row(*(Text(cell) for cell in row))
    _console().print(drawn)


def panel(title: str, lines: Sequence[str]) -> None:
    """Some lines that belong together."""
    if not is_terminal():
        say(f"# {title}")
        for line in lines:
            say(f"  {line}")
        return
    text = Text("\n".join(clean(line) for line in lines))
    _console().print(Panel(text, title=Text(title), title_align="left", expand=False))


def write_json(document: Any) -> None:
    """A document for programs, indented, on standard output."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def write_json_line(document: Any) -> None:
    """One object of a stream, on a line of its own, at once."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def clean(text: str) -> str:
    """The text without control characters (escape sequences, line breaks, tabs)."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "是/yes" if value else "否/no"
    return str(value)


def _console() -> Console:
    # Made for each print: tests and pipes exchange sys.stdout under us.
    return Console(file=sys.stdout, markup=False, highlight=False, emoji=False)

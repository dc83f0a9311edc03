"""How the demo speaks: steps, lines, tables and progress, pretty on a terminal and plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

Advance = Callable[[int], None]


class Story:
    """Tells the steps of a longer job, numbered, each in Chinese and English, with the time it took so far."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._step = 0
        self._began = time.monotonic()

    def step(self, zh: str, en: str) -> None:
        self._step += 1
        self._console.print()
        self._console.print(
            f"[bold cyan]{self._step:>2} {zh}[/]  [dim]{en}  · {self.seconds:.0f} s[/]", soft_wrap=True
        )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def say(self, text: str, style: str = "") -> None:
        self._console.print(f"   {text}", style=style or None, soft_wrap=True)

    def command(self, text: str) -> None:
        """The command that a user would type for this step."""
        self._console.print(f"   [green]$ {text}[/]", soft_wrap=True)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        if not self._console.is_terminal:
            for row in rows:
                self.say(" | ".join(row))
            return
        table = Table(*headings, box=None, pad_edge=False, header_style="dim")
        for row in rows:
            table.add_row(*row)
        self._console.print(table, width=min(self._console.width, 150))

    @contextmanager
    def progress(self, zh_en: str, total: int) -> Iterator[Advance]:
        """Gives a function to tell how many are done; without a terminal it says so at every quarter."""
        if not self._console.is_terminal:
            yield _PlainProgress(self, zh_en, total)
            return
        columns = (TextColumn("   {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(zh_en, total=total)
            yield lambda done: bar.update(task, completed=done)


class _PlainProgress:
    def __init__(self, story: Story, text: str, total: int) -> None:
        self._story, self._text, self._total = story, text, total
        self._said = 0

    def __call__(self, done: int) -> None:
        quarter = 4 * done // max(1, self._total)
        if quarter > self._said:
            self._said = quarter
            self._story.say(f"{self._text}: {done}/{self._total}")

"""Runs `xisuan` as a user does, in this process or in one of its own, and keeps what it said."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.entry import run

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Said:
    """Exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error_lines(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("错误 / error: ")]

    def refused(self, *fragments: str, code: int = 2) -> Said:
        """Asserts one clear line on standard error, with these words, and nothing that looks like a crash."""
        assert self.code == code, self
        assert len(self.error_lines) == 1 == len(self.err.splitlines()), self.err
        for fragment in fragments:
            assert fragment in self.err, self.err
        assert " / " in self.err.removeprefix("错误 / error: "), self.err
        assert "Traceback" not in self.err + self.out
        return self

    def done(self) -> Said:
        assert self.code == 0, self
        assert "错误" not in self.err, self.err
        return self


def xisuan(*arguments: object) -> Said:
    """One command in this process, with streams that are no terminal."""
    with _streams() as (out, err):
        code = run([str(argument) for argument in arguments])
        sys.stdout.flush()
        sys.stderr.flush()
        return Said(int(code), out.getvalue().decode(), err.getvalue().decode())


@contextmanager
def _streams() -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    out, err = io.BytesIO(), io.BytesIO()
    before = sys.stdout, sys.stderr
    sys.stdout = io.TextIOWrapper(out, encoding="utf-8")
    sys.stderr = io.TextIOWrapper(err, encoding="utf-8")
    try:
        yield out, err
    finally:
        sys.stdout, sys.stderr = before


def process(*arguments: object, **settings: str) -> subprocess.Popen[str]:
    """The same as a process of its own; `settings` are added to the environment."""
    return subprocess.Popen(
        [sys.executable, "-c", "from console.entry import main; main()", *(str(one) for one in arguments)],
        cwd=ROOT,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(running: subprocess.Popen[str]) -> Said:
    out, err = running.communicate(timeout=120)
    return Said(running.returncode, out, err)

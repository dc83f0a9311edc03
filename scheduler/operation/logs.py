"""Logs of the service: JSON lines in a file of the home for programs, short lines on the terminal for people.

Every process of the service calls `configure` when it starts. A record about a workload carries its ids
(`log.info("...", extra=concerning(workload_id, run_id))`), so that one search finds what happened to it. What looks like
a secret is struck out of both forms, whoever logged it: a log is read by more people than the store is.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

# Where the processes of a service put their logs; set by whoever starts them.
FOLDER_VARIABLE = "XISUAN_LOGS"
LARGEST_FILE = 50 * 1024 * 1024
KEPT_FILES = 5
FIELDS = ("workload_id", "run_id", "pool_id", "queue", "state", "exit_code", "epoch")
_STRUCK = "***"
# NAME=value, NAME: value and "NAME": "value" of whatever is called like a secret; passwords in URLs; bearer tokens.
_SECRETS = (
    re.compile(
        r"""(?ix)([\w.-]*(?:password|passwd|secret|token|api[_-]?key|credential|private[_-]?key)[\w.-]*["']?\s*[=:]\s*)
        (?:"[^"]*"|'[^']*'|[^\s,;"'}\]]+)"""
    ),
    re.compile(r"(?i)([a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)"),
    re.compile(r"(?i)(\bbearer\s+)[\w.~+/=-]+"),
)


def concerning(workload_id: str = "", run_id: str = "", **more: object) -> Mapping[str, object]:
    """The `extra` of a record: which workload and run it is about, and other fields of `FIELDS`."""
    named = {"workload_id": workload_id, "run_id": run_id, **more}
    return {name: value for name, value in named.items() if value not in ("", None)}


def without_secrets(text: str) -> str:
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{_STRUCK}", text)
    return text


class JsonLines(logging.Formatter):
    """One object a record: ts (UTC, ISO 8601), level, logger, process, message, the ids it is about, the error."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "message": without_secrets(record.getMessage()),
        }
        for name in FIELDS:
            if hasattr(record, name):
                line[name] = getattr(record, name)
        if record.exc_info:
            line["error"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class Terminal(logging.Formatter):
    """HH:MM:SS LEVEL message [ids], on one line; the error's own line without its trace, which the file has."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        ids = " ".join(str(getattr(record, name)) for name in ("workload_id", "run_id") if hasattr(record, name))
        error = record.exc_info[1] if record.exc_info else None
        said = without_secrets(f"{record.getMessage()}{f' [{ids}]' if ids else ''}{f': {error}' if error else ''}")
        return f"{at} {record.levelname} {' '.join(said.split())}"


def configure(process: str, folder: Path | None, *, on_terminal: bool) -> None:
    """Gives the loggers of Xisuan their file (`folder`/PROCESS.jsonl, turned over at 50 MiB) and, where people look on,
    the terminal. Called again, it replaces what was configured. A folder that cannot be written leaves the terminal."""
    root = logging.getLogger("xisuan")
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(logging.INFO)
    root.propagate = False
    unwritable: OSError | None = None
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = RotatingFileHandler(
                folder / f"{process}.jsonl", maxBytes=LARGEST_FILE, backupCount=KEPT_FILES, encoding="utf-8"
            )
            file.setFormatter(JsonLines(process))
            root.addHandler(file)
        except OSError as error:
            unwritable = error
    if on_terminal or not root.handlers:
        terminal = logging.StreamHandler(sys.stderr)
        terminal.setFormatter(Terminal())
        root.addHandler(terminal)
    if unwritable is not None:
        root.warning("日志目录无法写入 / the folder of logs cannot be written: %s", unwritable)


def configure_actor(process: str) -> None:
    """For a process that was started for a service: the folder stands in its environment."""
    folder = os.environ.get(FOLDER_VARIABLE, "")
    configure(process, Path(folder) if folder else None, on_terminal=False)

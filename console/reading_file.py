"""Writes a reading as the JSON document of `xisuan ledger import --json`, row by row.

A ledger of 200,000 rows is 150 MB of JSON: it is never held as one text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from inventory.ledger import LedgerReading, finding_json, reading_json, system_json, totals


def write_reading(reading: LedgerReading, file: BinaryIO) -> None:
    """The document of `inventory.ledger.reading_json`, in the same order of keys."""
    # Everything but the long lists comes from the one definition of the form.
    frame = reading_json(replace(reading, systems=(), findings=(), held=()))
    counted = totals(reading.systems)
    frame["totals"] = {name: getattr(counted, name) for name in frame["totals"]}
    long: dict[str, Iterator[Any]] = {
        "systems": (system_json(system) for system in reading.systems),
        "findings": (finding_json(finding) for finding in reading.findings),
        "held": ({**system_json(held.system), "of": held.of} for held in reading.held),
    }
    file.write(b"{")
    for number, (name, value) in enumerate(frame.items()):
        file.write((",\n " if number else "\n ").encode() + f"{json.dumps(name)}: ".encode())
        if name in long:
            write_list(long[name], file)
        else:
            file.write(json.dumps(value, ensure_ascii=False).encode())
    file.write(b"\n}\n")


def write_list(items: Iterable[Any], file: BinaryIO) -> None:
    """A JSON list with one item a line."""
    file.write(b"[")
    for number, item in enumerate(items):
        file.write((",\n  " if number else "\n  ").encode() + json.dumps(item, ensure_ascii=False).encode())
    file.write(b"\n ]")

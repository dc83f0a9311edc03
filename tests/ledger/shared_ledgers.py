"""The published district workbook and its answer key, where this machine has them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

_SHARED = Path(os.environ.get("XISUAN_SHARED", Path(__file__).resolve().parents[3] / "shared"))
WORKBOOK = _SHARED / "data" / "ledger" / "district-a.xlsx"
_KEY = _SHARED / "data" / "ledger" / "district-a.expected.json"

needs_district_a = pytest.mark.skipif(
    not (WORKBOOK.exists() and _KEY.exists()),
    reason="district-a.xlsx and its answer key are not here; set XISUAN_SHARED to the folder that holds data/ledger",
)


def answer_key() -> dict[str, Any]:
    key: dict[str, Any] = json.loads(_KEY.read_text(encoding="utf-8"))
    return key

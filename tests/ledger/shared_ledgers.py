"""The published district workbook and its answer key, where this machine has them."""

from __future__ import annotations

import json
from typing import Any

from tests.shared_inputs import needs_shared, shared_path

WORKBOOK = shared_path("ledger", "district-a.xlsx")
_KEY = shared_path("ledger", "district-a.expected.json")

needs_district_a = needs_shared("ledger", "district-a.expected.json")


def answer_key() -> dict[str, Any]:
    key: dict[str, Any] = json.loads(_KEY.read_text(encoding="utf-8"))
    return key

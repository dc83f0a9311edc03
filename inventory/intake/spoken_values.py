"""Reads back a value as a finding shows it to people: 是/否, 64, 昇腾910B*2.

When a file contradicts itself the parser keeps the first value and shows the other one in the finding's text;
`resolving` needs it as a value when a person decides to take it.
"""

from __future__ import annotations

from inventory.intake.errors import IntakeError

_YES_NO = frozenset({"classified", "zombie", "crypto_plan", "data_catalog", "should_migrate", "migrated"})
_WHOLE = frozenset({"servers", "vcpu", "users"})
_NUMBER = frozenset({"mem_gb", "disk_gb", "cpu_avg_pct", "opex_wan"})


def read_spoken(field: str, text: str) -> object:
    """The JSON value of `field` that `text` shows. Raises IntakeError when it cannot be one."""
    try:
        if field in _YES_NO:
            return {"是": True, "否": False}[text]
        if field in _WHOLE:
            return int(text)
        if field in _NUMBER:
            return int(text) if text.lstrip("-").isdigit() else float(text)
        if field == "gpu":
            model, count = text.rsplit("*", 1)
            return {"model": model, "count": int(count)}
    except (KeyError, ValueError) as error:
        raise IntakeError(
            f"“{text}”不能作为 {field} 的值；请更正原文件后重新导入",
            f"{text!r} cannot be taken as {field}; correct the file and import it again",
        ) from error
    return text

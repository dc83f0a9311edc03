"""What a user can do wrong with the stored ledger: one clear line, Chinese and English, with the remedy."""

from __future__ import annotations


class IntakeError(Exception):
    """The request contradicts what is stored (no such import, already applied, a decision that does not fit)."""

    def __init__(self, chinese: str, english: str) -> None:
        super().__init__(f"{chinese} / {english}")
        self.chinese = chinese
        self.english = english

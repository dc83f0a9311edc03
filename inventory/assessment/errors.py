"""What a user can do wrong with an assessment: one clear line, Chinese and English, with the remedy."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """What kind of refusal it is; the services map it to a status code."""

    INVALID = "invalid"  # the request itself is wrong
    NOT_FOUND = "not_found"
    PRECONDITION = "precondition"  # right, but not now


class AssessmentError(Exception):
    """The request contradicts the rules or what is stored. `reason` is a stable word."""

    def __init__(self, kind: Refusal, reason: str, chinese: str, english: str) -> None:
        super().__init__(f"{chinese} / {english}")
        self.kind = kind
        self.reason = reason
        self.chinese = chinese
        self.english = english

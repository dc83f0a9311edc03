"""Why a call is not admitted. Messages never hold a credential or a part of one."""

from __future__ import annotations


class AccessRefused(Exception):
    """One line for people, "中文 / English"; `reason` is a stable word for programs."""

    reason = "ACCESS_REFUSED"


class Unauthenticated(AccessRefused):
    """Nobody, or nobody who can be believed: no credential, or one that is forged, expired or revoked."""

    reason = "UNAUTHENTICATED"


class Denied(AccessRefused):
    """Known, and not allowed."""

    reason = "DENIED"


class KeysUnavailable(AccessRefused):
    """It cannot be told who it is, for the moment: the same call may succeed later."""

    reason = "KEYS_UNAVAILABLE"


class TooFast(AccessRefused):
    """The principal's rate is used up; `retry_after_ms` says when it is not."""

    reason = "RATE_LIMITED"

    def __init__(self, message: str, retry_after_ms: int) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms

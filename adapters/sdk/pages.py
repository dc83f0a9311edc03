"""Page tokens: opaque to callers, and nothing but a backend's key and the first page's cursor inside."""

from __future__ import annotations

import base64
import binascii

from adapters.wire.inspection import Inspection, InvalidMessage

DEFAULT_PAGE = 1000
LARGEST_PAGE = 10_000
_DIVIDER = "\n"


def page_size(asked: int) -> int:
    """The number of items to give: 0 means 1000, more than 10,000 means 10,000. Raises InvalidMessage below 0."""
    check = Inspection()
    check.whole_number("page_size", asked, 0, 2**31 - 1)
    check.close()
    return min(asked or DEFAULT_PAGE, LARGEST_PAGE)


def make_token(key: str, cursor: str = "") -> str:
    """The token of the page that begins after `key`; empty when there is no such page."""
    return base64.urlsafe_b64encode(f"{key}{_DIVIDER}{cursor}".encode()).decode("ascii") if key else ""


def cut_token(token: str) -> tuple[str, str]:
    """Key and cursor of a token; two empty texts for the first page. Raises InvalidMessage."""
    if not token:
        return "", ""
    try:
        key, divider, cursor = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(_DIVIDER)
    except (binascii.Error, ValueError) as error:
        raise unknown_token(token) from error
    if not (key and divider):
        raise unknown_token(token)
    return key, cursor


def unknown_token(token: str) -> InvalidMessage:
    check = Inspection()
    check.refuse(
        "page_token", token, "不是本服务给出的页标记，请从首页开始", "not a token of ours: begin at page one"
    )
    return InvalidMessage(check.violations)

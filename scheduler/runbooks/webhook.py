"""One HTTP call that leads nowhere else: what steps and notices speak.

Never through a proxy, and never on to where an answer points: a check that followed would find the login page well, and a
message would arrive without its text.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

_LARGEST_ANSWER = 1024 * 1024
_AT_ONCE = 64 * 1024


class _NotOn(urllib.request.HTTPRedirectHandler):
    """An answer that points elsewhere is the answer."""

    def redirect_request(self, *_: object) -> None:
        return None


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NotOn())


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent with a call: JSON, under a key by which the receiver knows repetitions."""

    document: Mapping[str, object]
    idempotency_key: str


def call(url: str, left_s: float, method: str = "GET", message: Message | None = None) -> tuple[int, str]:
    """The status and the body, within `left_s` seconds; status 0 and the reason, which never holds the address (it may
    hold a token), where there was no answer."""
    if not url.startswith(("http://", "https://")):
        return 0, "只支持 http、https / only http and https URLs"
    headers = {}
    content = None
    if message is not None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.idempotency_key}
        content = json.dumps(message.document, ensure_ascii=False).encode()
    ends_s = time.monotonic() + left_s
    try:
        request = urllib.request.Request(_in_ascii(url), data=content, headers=headers, method=method)
        try:
            with _DIRECT.open(request, timeout=left_s) as answer:
                return int(answer.status), _body_of(answer, ends_s)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _body_of(error, ends_s)
    # Refused, reset, timed out, or no HTTP at all. The text of some of these holds the address.
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return 0, type(reason if isinstance(reason, Exception) else error).__name__


def _body_of(answer: http.client.HTTPResponse | urllib.error.HTTPError, ends_s: float) -> str:
    """What the answer holds, as far as it is read in time: who sends a byte now and then does not keep a step."""
    parts: list[bytes] = []
    size = 0
    while size < _LARGEST_ANSWER and time.monotonic() < ends_s:
        part = answer.read1(_AT_ONCE)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts).decode(errors="replace")


def _in_ascii(url: str) -> str:
    """Chinese letters of the path and the query as a request line can hold them."""
    return quote(url, safe="%/:=&?~#+!$,;'@()*[]")

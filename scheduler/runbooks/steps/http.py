"""The steps that speak HTTP: `http_check`, `switch` at a gateway, `notify`. Never through a proxy, and never on to where an
answer points: a check that followed would find the login page well, and a message would arrive without its text.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from scheduler.runbooks.steps.command import run_command
from scheduler.runbooks.steps.context import StepContext, StepResult, done, failed

_CALL_S = 5.0
_LARGEST_ANSWER = 1024 * 1024
_AT_ONCE = 64 * 1024
_SHORTEST_CALL_S = 0.1


class _NotOn(urllib.request.HTTPRedirectHandler):
    """An answer that points elsewhere is the answer."""

    def redirect_request(self, *_: object) -> None:
        return None


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NotOn())


def check_http(context: StepContext) -> StepResult:
    """Asks until the answer is as wanted, or the time is up: then it tells the last answer."""
    action = context.action
    said = ["没有应答 / no answer"]

    def ask() -> StepResult | None:
        status, body = _call(context, action["url"])
        said[0] = body if status == 0 else f"HTTP {status}"
        wanted = status == action["status"] and action["contains"] in body
        return done(status=status) if wanted else None

    expected = f"HTTP {action['status']}" + (f" + {action['contains']!r}" if action["contains"] else "")
    return context.until(ask) or failed(f"{action['url']}: {said[0]}，期望 / expected {expected}")


def switch(context: StepContext) -> StepResult:
    """Points the users at `to`. Repeating it changes nothing."""
    action = context.action
    if action["argv"]:
        return run_command(
            _doing(
                context,
                {
                    "argv": [*action["argv"], action["to"]],
                    "environment": {},
                    "secrets": {},
                    "idempotent": True,
                    "value": False,
                },
            )
        )
    said = [""]

    def put() -> StepResult | None:
        status, body = _call(context, action["url"], "PUT", {"target": action["to"]})
        said[0] = body if status == 0 else f"HTTP {status}"
        return done(target=action["to"]) if 200 <= status < 300 else None

    return context.until(put) or failed(f"{action['url']}: 切换未成 / the switch did not answer well: {said[0]}")


def notify(context: StepContext) -> StepResult:
    """At least once: the receiver knows repetitions by their Idempotency-Key."""
    message = {"text": context.action["text"], "run_id": context.run.run_id, "step": context.step.step_id}
    url = context.secret(context.action["webhook"])
    said = [""]

    def post() -> StepResult | None:
        status, body = _call(context, url, "POST", message)
        said[0] = body if status == 0 else f"HTTP {status}"
        return done(status=status) if 200 <= status < 300 else None

    # The address may hold a token: it is not shown.
    return context.until(post) or failed(f"通知未送达 / the webhook did not answer well: {said[0]}")


def _call(
    context: StepContext, url: str, method: str = "GET", document: Mapping[str, object] | None = None
) -> tuple[int, str]:
    """The status and the body; status 0 and the reason, which never holds the address, where there was no answer."""
    if not url.startswith(("http://", "https://")):
        return 0, "只支持 http、https / only http and https URLs"
    headers = {}
    content = None
    if document is not None:
        # One attempt of one step of one run: the same after a restart, and nobody else's.
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": f"{context.run.run_id}/{context.attempt_key}",
        }
        content = json.dumps(document, ensure_ascii=False).encode()
    left_s = max(_SHORTEST_CALL_S, min(_CALL_S, context.seconds_left))
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


def _doing(context: StepContext, action: Mapping[str, object]) -> StepContext:
    return replace(context, action=action)

"""The steps that speak HTTP: `http_check`, `switch` at a gateway, `notify`. Never through a proxy."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace

from scheduler.runbooks.steps.command import run_command
from scheduler.runbooks.steps.context import StepContext, StepResult, done, failed

_CALL_S = 5.0
_LARGEST_ANSWER = 1024 * 1024
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def check_http(context: StepContext) -> StepResult:
    """Asks until the answer is as wanted, or the time is up: then it tells the last answer."""
    action = context.action
    said = ["没有应答 / no answer"]

    def ask() -> StepResult | None:
        status, body = _call(action["url"])
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
        status, body = _call(action["url"], "PUT", {"target": action["to"]}, context.attempt_key)
        said[0] = body if status == 0 else f"HTTP {status}"
        return done(target=action["to"]) if 200 <= status < 300 else None

    return context.until(put) or failed(f"{action['url']}: 切换未成 / the switch did not answer well: {said[0]}")


def notify(context: StepContext) -> StepResult:
    """At least once: the receiver knows repetitions by their Idempotency-Key."""
    message = {"text": context.action["text"], "run_id": context.run.run_id, "step": context.step.step_id}
    url = context.secret(context.action["webhook"])
    status = 0

    def post() -> StepResult | None:
        nonlocal status
        status, _ = _call(url, "POST", message, context.attempt_key)
        return done(status=status) if 200 <= status < 300 else None

    # The address may hold a token: it is not shown.
    return context.until(post) or failed(f"通知未送达 / the webhook did not answer well: HTTP {status}")


def _call(
    url: str, method: str = "GET", document: Mapping[str, object] | None = None, key: str = ""
) -> tuple[int, str]:
    """The status and the body; status 0 and the reason where there was no answer."""
    if not url.startswith(("http://", "https://")):
        return 0, "只支持 http、https / only http and https URLs"
    headers = {"Content-Type": "application/json"} if document is not None else {}
    if key:
        headers["Idempotency-Key"] = key
    content = None if document is None else json.dumps(document, ensure_ascii=False).encode()
    request = urllib.request.Request(url, data=content, headers=headers, method=method)
    try:
        with _DIRECT.open(request, timeout=_CALL_S) as answer:
            return int(answer.status), answer.read(_LARGEST_ANSWER).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(_LARGEST_ANSWER).decode(errors="replace")
    except (OSError, ValueError) as error:  # refused, reset, timed out, or no HTTP at all
        return 0, type(error).__name__


def _doing(context: StepContext, action: Mapping[str, object]) -> StepContext:
    return replace(context, action=action)

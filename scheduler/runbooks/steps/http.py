"""The steps that speak HTTP: `http_check`, `switch` at a gateway, `notify`. How they call stands in `webhook`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from scheduler.runbooks import webhook
from scheduler.runbooks.steps.command import run_command
from scheduler.runbooks.steps.context import StepContext, StepResult, done, failed

_CALL_S = 5.0
_SHORTEST_CALL_S = 0.1


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
    # One attempt of one step of one run: the same key after a restart, and nobody else's.
    key = f"{context.run.run_id}/{context.attempt_key}"
    message = None if document is None else webhook.Message(document, key)
    return webhook.call(url, max(_SHORTEST_CALL_S, min(_CALL_S, context.seconds_left)), method, message)


def _doing(context: StepContext, action: Mapping[str, object]) -> StepContext:
    return replace(context, action=action)

"""On whose behalf events are recorded: the authenticated principal of a request, and the request's id.

The gateway's door begins an attribution, the control plane goes on under it, the writer stamps the drafts of
each caller with his, and `Transaction.append` those of desks that append themselves. So every event that a request
causes names principal and request, whichever way it took. What the service does by itself has no attribution.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from inventory.store.chain import Draft

# Keys that an attributed event's payload has beside its own.
REQUEST_ID = "request_id"
PRINCIPAL = "principal"


@dataclass(frozen=True, slots=True)
class Attribution:
    """`principal` is the name of who was authenticated; `request_id` tells his call from every other."""

    principal: str
    request_id: str


def asked_by(draft: Draft, actor: str, attribution: Attribution) -> Draft:
    """The draft as one that a request caused: recorded by `actor`, with the request's id, and with the principal where
    that is somebody else than the actor. A draft that names its request already stays as it is."""
    if REQUEST_ID in draft.payload:
        return draft
    whose = draft.actor or actor
    payload = {**draft.payload, REQUEST_ID: attribution.request_id}
    if whose != attribution.principal:
        payload[PRINCIPAL] = attribution.principal
    return Draft(draft.kind, draft.subject, payload, draft.effective_on, whose)


_CURRENT: ContextVar[Attribution | None] = ContextVar("attribution", default=None)


def current() -> Attribution | None:
    """That of the request under way in this task or thread; None for what the service does by itself."""
    return _CURRENT.get()


def begin(attribution: Attribution | None) -> None:
    """From now on, in this task: for a task that is a request's own and ends with it."""
    _CURRENT.set(attribution)


@contextmanager
def attributed(attribution: Attribution | None) -> Iterator[None]:
    """While the block lasts, in this task or thread."""
    token = _CURRENT.set(attribution)
    try:
        yield
    finally:
        _CURRENT.reset(token)

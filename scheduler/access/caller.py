"""The caller of the RPC under way: who he is, and which subtrees this call may touch.

`door` sets it, the servicers' ports (`scheduler.services.scoped`) ask it. None: the gateway runs without access
control, which only tests ask for.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from scheduler.access.principals import Principal, covers


@dataclass(frozen=True, slots=True)
class Caller:
    """`scopes`: where he has a role that this call needs. `visible`: where he may look."""

    principal: Principal
    request_id: str
    scopes: tuple[str, ...]
    visible: tuple[str, ...]

    def may_touch(self, path: str) -> bool:
        return covers(self.scopes, path)

    def sees(self, path: str) -> bool:
        return covers(self.visible, path)

    def actor(self, claimed: str) -> str:
        """Who is recorded: the principal, not whom the call names; see `Principal.names_actors`."""
        return claimed.strip() or self.principal.name if self.principal.names_actors else self.principal.name


_CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)


def caller() -> Caller | None:
    return _CALLER.get()


def begin(one: Caller | None) -> None:
    """From now on, in this task, which is the call's own."""
    _CALLER.set(one)

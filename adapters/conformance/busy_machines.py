"""Laws that only time can show, asked on machines too busy to keep it: asked again about longer leases.

`specs.leases` and `specs.clocks` wrap their specs: a verdict of "failed" must mean that the adapter is wrong.
"""

from __future__ import annotations

from adapters.conformance.session import Session
from adapters.conformance.spec import Excused, Run

_LENGTHS_S = (1.5, 8.0, 30.0)


def too_busy(longest_s: float) -> Excused:
    """The excuse where so many seconds lay between two contacts that should have been close together."""
    return Excused(f"this machine is too busy to tell: {longest_s:.1f} s between two contacts")


def patiently(ask: Run) -> Run:
    """The same spec, asked again with longer leases (`Session.lease_s`) where it found the machine too busy."""

    async def asked(s: Session) -> None:
        for length_s in _LENGTHS_S[:-1]:
            s.lease_s = length_s
            try:
                await ask(s)
            except Excused:
                continue
            return
        s.lease_s = _LENGTHS_S[-1]
        await ask(s)

    return asked

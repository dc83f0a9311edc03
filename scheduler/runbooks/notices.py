"""Sends the notices of idle-resource cases to the webhook, durably: `console.runbook_host` and `xisuan migration assess
notify` call it.

What is due and unsent is read from the store each time, so a restart begins where the chain says. A notice is recorded when
the receiver has taken it; a process that dies in between sends it again under the same Idempotency-Key, by which the
receiver knows it. A webhook that does not answer is asked again; nothing is given up as long as the notice is due.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from inventory.assessment.notices import Notice, NoticeBook
from scheduler.runbooks import webhook

_LOG = logging.getLogger("xisuan.notices")
_CALL_S = 5.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the sending of one notice ended; `fault` is empty where the receiver took it."""

    notice: Notice
    fault: str = ""


class NoticeSender:
    """`address` tells the webhook's URL at the moment of use; `observer` is told where a process may die (tests do it
    there)."""

    def __init__(
        self,
        book: NoticeBook,
        address: Callable[[], str],
        now_ms: Callable[[], int],
        actor: str,
        observer: Callable[[str], None] = lambda point: None,
    ) -> None:
        self._book = book
        self._address = address
        self._now_ms = now_ms
        self._actor = actor
        self._observer = observer

    def send_due(self) -> tuple[Delivery, ...]:
        """Sends what is due and unsent. After a webhook that did not answer the rest waits for the next time. Raises
        StepImpossible where the address is not there, StoreError."""
        done: list[Delivery] = []
        for notice in self._book.unsent(self._now_ms()):
            delivery = self._send(notice)
            done.append(delivery)
            if delivery.fault:
                break
        return tuple(done)

    def _send(self, notice: Notice) -> Delivery:
        message = webhook.Message(
            {
                "text": f"{notice.text[0]} / {notice.text[1]}",
                "case": notice.case_id,
                "notice": notice.kind.value,
                "system": notice.system_key,
                "due": notice.due.isoformat(),
                "document": notice.document,
            },
            notice.key,
        )
        self._observer(f"sending {notice.key}")
        status, said = webhook.call(self._address(), _CALL_S, "POST", message)
        self._observer(f"sent {notice.key}")
        if not 200 <= status < 300:
            fault = f"{notice.key}: 未送达 / not delivered: {f'HTTP {status}' if status else said}"
            _LOG.warning("%s", fault)
            return Delivery(notice, fault)
        self._book.record(notice, status, actor=self._actor, now_ms=self._now_ms())
        self._observer(f"recorded {notice.key}")
        return Delivery(notice)

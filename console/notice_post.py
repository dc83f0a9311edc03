"""The thread of the runbook host that sends notices of idle-resource cases, and what `assess notify` uses without a host.

A webhook that does not answer is asked again, less and less often; it holds up no run, because runs are carried forward
elsewhere.
"""

from __future__ import annotations

import logging
import threading

from inventory.assessment.notices import NoticeBook
from inventory.rules.rulebook import read_rulebook
from inventory.store.errors import StoreError
from inventory.store.event_store import Store
from scheduler.runbooks.driver import Secrets
from scheduler.runbooks.faults import StepImpossible
from scheduler.runbooks.notices import NoticeSender
from scheduler.runbooks.order import SecretPlace
from scheduler.runbooks.record import DRIVER
from scheduler.runtime.clock import SystemClock

_LOG = logging.getLogger("xisuan.notices")
_NAME = "notices.webhook"
_EVERY_S = 15.0
_SELDOM_S = 600.0
_CLOSING_S = 6.0


def sender_of(store: Store, place: SecretPlace, actor: str) -> NoticeSender:
    """Of the notices of this store; the address is read where `place` says, at each sending."""
    secrets = Secrets({_NAME: place.model_dump()})
    book = NoticeBook(store, read_rulebook().terms)
    return NoticeSender(book, lambda: secrets.value(_NAME), SystemClock().now_ms, actor)


class NoticePost:
    """Sends from now on until it is closed."""

    def __init__(self, store: Store, place: SecretPlace) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send, args=(store, place), name="notices", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(_CLOSING_S)

    def _send(self, store: Store, place: SecretPlace) -> None:
        sender = sender_of(store, place, DRIVER)
        pause_s = _EVERY_S
        while True:
            try:
                failed = any(delivery.fault for delivery in sender.send_due())
            except (StepImpossible, StoreError) as error:
                _LOG.warning("%s", error)
                failed = True
            pause_s = min(2 * pause_s, _SELDOM_S) if failed else _EVERY_S
            if self._over.wait(pause_s):
                return

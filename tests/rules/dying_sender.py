"""A sender of notices through many lives: a program that the tests start, and that kills itself at every point once.

    python -m tests.rules.dying_sender STORE_URL WEBHOOK NOW_MS

Each life is a fork that opens the store, sends what is due, and is killed (SIGKILL) at the first point at which none was
killed before; the last one comes to the end. Prints the number of lives.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from inventory.assessment.notices import NoticeBook
from inventory.rules.rulebook import read_rulebook
from scheduler.runbooks.notices import NoticeSender
from scheduler.store.opening import open_store

_MOST_LIVES = 50


def live(store_url: str, address: str, now_ms: int, notes: Path) -> None:
    def observe(point: str) -> None:
        killed = notes.read_text(encoding="utf-8").splitlines()
        if point not in killed:
            notes.write_text("\n".join([*killed, point]), encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)

    store = open_store(store_url)
    book = NoticeBook(store, read_rulebook().terms)
    NoticeSender(book, lambda: address, lambda: now_ms, "runbook-host", observe).send_due()
    store.close()


def main(store_url: str, address: str, now_ms: int) -> None:
    with tempfile.NamedTemporaryFile() as notes:
        for number in range(1, _MOST_LIVES):
            child = os.fork()
            if child == 0:
                live(store_url, address, now_ms, Path(notes.name))
                os._exit(0)
            _, status = os.waitpid(child, 0)
            if os.WIFEXITED(status):
                sys.stdout.write(f"{number}\n")
                sys.exit(os.WEXITSTATUS(status))
    sys.exit(f"no end in {_MOST_LIVES} lives")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

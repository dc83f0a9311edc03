"""Runs that were given up because their pool was not heard, and what is known of them since.

The book keeps them as long as their workload is not finished; `scheduler.core.partition` and
`scheduler.core.lifecycle` decide with them. Lost runs themselves are loaded from the store. What is owed to those that
prove alive is not stored: pools with such a debt are listed anew by the next leader (`has_debts`), which decides
the same again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from inventory.model.workload import Run
from scheduler.core.changes import RunChanged


class LostRuns:
    def __init__(self) -> None:
        self._runs: dict[str, dict[str, Run]] = {}  # by workload, by run id
        self._waiting: dict[
            str, RunChanged
        ] = {}  # by workload: the original that goes on when its replacement ends
        self._strays: dict[str, str] = {}  # run id -> pool: it lives, and shall not
        self._woken: set[str] = set()

    def add(self, run: Run) -> None:
        self._runs.setdefault(run.workload_id, {})[run.run_id] = run

    def get(self, run_id: str) -> Run | None:
        return self._runs.get(run_id.rpartition(".")[0], {}).get(run_id)

    def take(self, run_id: str) -> Run:
        """It is lost no longer."""
        workload_id = run_id.rpartition(".")[0]
        runs = self._runs[workload_id]
        run = runs.pop(run_id)
        if not runs:
            del self._runs[workload_id]
        waiting = self._waiting.get(workload_id)
        if waiting is not None and waiting.run_id == run_id:
            del self._waiting[workload_id]
        self._strays.pop(run_id, None)
        return run

    def on(self, pool_id: str) -> Iterator[Run]:
        """Lost runs that may still live in this pool."""
        return (run for runs in self._runs.values() for run in runs.values() if run.pool_id == pool_id)

    def settle(self, workload_id: str) -> None:
        """The workload has left the book."""
        self._runs.pop(workload_id, None)
        self._waiting.pop(workload_id, None)

    # -- those that prove alive ---------------------------------------------------------------------------------

    def wait(self, workload_id: str, reported: RunChanged) -> RunChanged | None:
        """This one goes on when its replacement has ended; returns the one that did so until now."""
        before = self._waiting.get(workload_id)
        self._waiting[workload_id] = reported
        return before

    def waiting(self, workload_id: str) -> RunChanged | None:
        return self._waiting.get(workload_id)

    def stray(self, pool_id: str, run_id: str) -> None:
        """It is owed a stop."""
        self._strays[run_id] = pool_id
        self._woken.add(pool_id)

    def strays_on(self, pool_id: str) -> list[str]:
        return [run_id for run_id, where in self._strays.items() if where == pool_id]

    def wake(self, pool_id: str) -> None:
        self._woken.add(pool_id)

    def take_woken(self) -> set[str]:
        """Pools that are owed something new since this was asked."""
        woken, self._woken = self._woken, set()
        return woken

    def has_debts(self, pool_id: str) -> bool:
        """Something is known of this pool that only a new listing would tell again."""
        waits = any(
            (run := self.get(one.run_id)) is not None and run.pool_id == pool_id for one in self._waiting.values()
        )
        return waits or pool_id in self._strays.values()

    def ended(self, run_id: str) -> None:
        """It does not live any more."""
        self._strays.pop(run_id, None)
        if self.get(run_id) is not None:
            self.take(run_id)

    def listed(self, pool_id: str, remembered: Collection[str]) -> list[str]:
        """The pool has told all that it knows: those that it does not name have ended. Returns their ids."""
        known = [run.run_id for run in self.on(pool_id)] + self.strays_on(pool_id)
        gone = [run_id for run_id in dict.fromkeys(known) if run_id not in remembered]
        for run_id in gone:
            self.ended(run_id)
        return gone

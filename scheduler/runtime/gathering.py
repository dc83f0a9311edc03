"""Submissions of many callers in few calls of the control plane.

A call from actor to actor costs as much as a hundred workloads: while one is under way, what comes in meanwhile waits for
the next, as decisions wait for each other's disk flush in the writer. The gateway's actor puts it before the control plane;
who is alone waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.tracing import current_traceparent
from inventory.model.submission_batch import SubmissionBatch
from inventory.model.workload import Submission
from inventory.store import attribution
from inventory.store.attribution import Attribution
from scheduler.core.admission import Outcome

# Two: while the control plane stores one call, the next is on its way, but not so soon that hardly anybody shares it.
_MOST_CALLS: Final = 2
_GATHER_S: Final = 0.003
_MOST_WORKLOADS: Final = 4_096


@dataclass(frozen=True, slots=True)
class Asked:
    """One caller's submission, and on whose behalf it is made."""

    batch: SubmissionBatch
    on_behalf_of: Attribution | None


@dataclass(slots=True)
class _Waiting:
    asked: Asked
    answer: asyncio.Future[list[Outcome]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class GatheredSubmissions:
    """The port `Scheduling` of the control plane's actor, `remote`, which has `submit_all` as well."""

    def __init__(self, remote: Any) -> None:
        self._remote = remote
        self._waiting: deque[_Waiting] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._sent_s = float("-inf")

    def __getattr__(self, method: str) -> Any:
        return getattr(self._remote, method)

    async def submit(self, submissions: Sequence[Submission]) -> list[Outcome]:
        if current_traceparent():
            # A trace belongs to one call.
            alone: list[Outcome] = await self._remote.submit(submissions)
            return alone
        one = _Waiting(Asked(SubmissionBatch.of(submissions), attribution.current()))
        self._waiting.append(one)
        if len(self._calls) < _MOST_CALLS:
            call = asyncio.create_task(self._send())
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        return await one.answer

    async def _send(self) -> None:
        """Calls until nobody waits."""
        now_s = asyncio.get_running_loop().time
        while self._waiting:
            if (pause_s := self._sent_s + _GATHER_S - now_s()) > 0:
                await asyncio.sleep(pause_s)
                continue
            self._sent_s = now_s()
            taken = self._take()
            try:
                answers = await self._remote.submit_all([one.asked for one in taken])
            except Exception as error:  # noqa: BLE001 - it is told to every caller of the group
                answers = [error] * len(taken)
            for one, answer in zip(taken, answers, strict=True):
                if one.answer.done():
                    continue  # its caller went away; it is stored all the same
                if isinstance(answer, Exception):
                    one.answer.set_exception(answer)
                else:
                    one.answer.set_result(answer)

    def _take(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        workloads = 0
        while self._waiting and (not taken or workloads + len(self._waiting[0].asked.batch) <= _MOST_WORKLOADS):
            taken.append(self._waiting.popleft())
            workloads += len(taken[-1].asked.batch)
        return taken

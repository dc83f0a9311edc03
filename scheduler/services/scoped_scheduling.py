"""Workloads as one caller may see and touch them: what lies outside his subtrees does not exist for him.

`scheduler.services.server` puts it between servicers and control plane. Every method of the port stands here, so that a
new one is not passed on by accident. Without access control (tests) everything passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from inventory.model.maintenance import Maintenance
from inventory.model.pool import Pool
from inventory.model.submission_batch import SubmissionBatch
from inventory.model.workload import Submission, WorkloadState
from scheduler.access.caller import Caller, caller
from scheduler.access.principals import ROOT, covers
from scheduler.core.admission import Outcome, RefusalKind, Refused
from scheduler.core.placement.explain import Explanation
from scheduler.services.outlooks import Outlook, Warned
from scheduler.services.ports import (
    ChangePage,
    DryRunPlacement,
    ErrorCode,
    LogSource,
    PoolStatus,
    RequestError,
    Scheduling,
    WatchFilter,
    WorkloadPage,
    WorkloadRecord,
    unknown_workload,
)
from scheduler.services.unnamed import Hidden, unnamed_change, unnamed_explanation


class ScopedScheduling:
    """The port `Scheduling` over another one, for the caller of the RPC under way."""

    def __init__(self, scheduling: Scheduling) -> None:
        self._scheduling = scheduling

    async def submit(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Items for queues that are not the caller's are refused alone."""
        mine = _limited(caller())
        if mine is None:
            return await self._scheduling.submit(submissions)
        batch = SubmissionBatch.of(submissions)
        refusals = [await self._refusal(mine, like) for like in batch.templates]
        outcomes: dict[int, Outcome] = {
            position: refused
            for position, like in enumerate(batch.template)
            if (refused := refusals[like]) is not None
        }
        passed = [position for position in range(len(batch)) if position not in outcomes]
        if passed:
            decided = await self._scheduling.submit(batch.take(passed))
            outcomes |= dict(zip(passed, decided, strict=True))
        return [outcomes[position] for position in range(len(batch))]

    async def get(self, workload_id: str) -> WorkloadRecord:
        record = await self._scheduling.get(workload_id)
        mine = caller()
        if mine is not None and not mine.sees(record.workload.queue):
            raise unknown_workload(workload_id)
        return record

    async def list_workloads(
        self,
        queue: str,
        states: frozenset[WorkloadState],
        page_size: int,
        page_token: str,
        array_id: str = "",
        within: tuple[str, ...] = (),
    ) -> WorkloadPage:
        limits = within or _visible()
        return await self._scheduling.list_workloads(queue, states, page_size, page_token, array_id, limits)

    async def changes(self, cursor: int | None, wanted: WatchFilter, wait_ms: int) -> ChangePage:
        limits = wanted.within or _visible()
        return await self._scheduling.changes(cursor, replace(wanted, within=limits), wait_ms)

    async def cancel(self, workload_id: str, reason: str) -> WorkloadRecord:
        mine = caller()
        if mine is not None:
            record = await self.get(workload_id)
            if not mine.may_touch(record.workload.queue):
                raise _denied(mine, record.workload.queue)
        return await self._scheduling.cancel(workload_id, reason)

    async def explain(self, workload_id: str) -> Explanation:
        await self._require_visible(workload_id)
        said = await self._scheduling.explain(workload_id)
        return await unnamed_explanation(said, _sees, self._hidden()) if _visible() else said

    async def outlook(self, workload_id: str, with_changes: bool) -> Outlook:
        await self._require_visible(workload_id)
        said = await self._scheduling.outlook(workload_id, with_changes)
        if not _visible():
            return said
        # Workloads of others are spoken of without their names.
        hidden = self._hidden()
        told = [await unnamed_change(one, hidden) for one in said.counterfactuals]
        return replace(said, counterfactuals=tuple(told))

    async def warnings(self, workload_ids: Sequence[str]) -> Mapping[str, Warned]:
        """Asked by the servicer itself, of what the caller has just submitted."""
        return await self._scheduling.warnings(workload_ids)

    async def dry_run(self, submissions: Sequence[Submission]) -> list[DryRunPlacement]:
        mine = _limited(caller())
        if mine is not None:
            for submission in submissions:
                refused = await self._refusal(mine, submission)
                if refused is not None:
                    code = (
                        ErrorCode.PERMISSION_DENIED
                        if refused.kind is RefusalKind.DENIED
                        else ErrorCode.INVALID_ARGUMENT
                    )
                    raise RequestError(code, refused.message, refused.kind.name)
        answers = await self._scheduling.dry_run(submissions)
        limits = _visible()
        if not limits:
            return answers
        hidden = self._hidden()
        return [
            replace(
                answer,
                explanation=await unnamed_explanation(answer.explanation, _sees, hidden),
                victims=tuple(one for one in answer.victims if covers(limits, one.queue)),
            )
            for answer in answers
        ]

    async def log_source(self, workload_id: str, attempt: int) -> LogSource:
        await self._require_visible(workload_id)
        return await self._scheduling.log_source(workload_id, attempt)

    # Pools are the whole service's: the door lets only those pass who have a role at the root.

    async def pools(self) -> tuple[PoolStatus, ...]:
        return await self._scheduling.pools()

    async def register_pool(self, pool: Pool, endpoint: str) -> PoolStatus:
        return await self._scheduling.register_pool(pool, endpoint)

    async def cordon_pool(self, pool_id: str, cordoned: bool, reason: str) -> PoolStatus:
        return await self._scheduling.cordon_pool(pool_id, cordoned, reason)

    async def drain_pool(
        self, pool_id: str, reason: str, deadline_ms: int = 0
    ) -> tuple[PoolStatus, tuple[str, ...]]:
        return await self._scheduling.drain_pool(pool_id, reason, deadline_ms)

    async def maintain_pool(self, pool_id: str, windows: Sequence[Maintenance]) -> PoolStatus:
        return await self._scheduling.maintain_pool(pool_id, windows)

    async def leave_pool(self, pool_id: str, reason: str) -> None:
        await self._scheduling.leave_pool(pool_id, reason)

    def _hidden(self) -> Hidden:
        """Asks for each workload once."""
        known: dict[str, bool] = {}

        async def is_hidden(workload_id: str) -> bool:
            if workload_id not in known:
                try:
                    await self.get(workload_id)
                    known[workload_id] = False
                except RequestError:
                    known[workload_id] = True
            return known[workload_id]

        return is_hidden

    async def _require_visible(self, workload_id: str) -> None:
        if _visible():
            await self.get(workload_id)

    async def _refusal(self, mine: Caller, submission: Submission) -> Refused | None:
        if not mine.may_touch(submission.queue):
            return Refused(RefusalKind.DENIED, _denial(mine, submission.queue), "queue")
        for name in submission.after:
            # By id it may name a workload of anybody: one that the caller cannot see is as good as none.
            if not await self._may_follow(mine, name):
                return Refused(
                    RefusalKind.INVALID,
                    f"after: 没有名为 {name} 的作业；请填写作业编号，或同一队列中的 client_key / no workload {name}; give a "
                    f"workload id, or a client key of queue {submission.queue}",
                    "after",
                )
        return None

    async def _may_follow(self, mine: Caller, name: str) -> bool:
        try:
            record = await self._scheduling.get(name)
        except RequestError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            return True  # no id: a client key of the same queue, or nothing
        return mine.sees(record.workload.queue)


def _limited(mine: Caller | None) -> Caller | None:
    """The caller where his subtrees are less than everything."""
    return None if mine is None or ROOT in mine.scopes else mine


def _visible() -> tuple[str, ...]:
    """Where the caller may look; empty: everywhere."""
    mine = caller()
    return () if mine is None or ROOT in mine.visible else mine.visible


def _sees(queue: str) -> bool:
    return covers(_visible(), queue)


def _denial(mine: Caller, queue: str) -> str:
    allowed = "、".join(scope or "/" for scope in mine.scopes)
    return (
        f"{mine.principal.name} 不能使用队列 {queue}，范围为 {allowed} / {mine.principal.name} may not use queue {queue}; "
        f"allowed: {allowed}"
    )


def _denied(mine: Caller, queue: str) -> RequestError:
    return RequestError(ErrorCode.PERMISSION_DENIED, _denial(mine, queue), "DENIED")

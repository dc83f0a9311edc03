"""Submissions as the control plane takes them: admitted one caller after the other, looked up and stored together.

`ControlPlane` has one. What many callers ask in one call of a gateway (`gathering`) costs one look at the store and one
turn of the writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

from inventory.model.submission_batch import SubmissionBatch
from scheduler.core.admission import Known, Outcome, admit
from scheduler.core.book import Book
from scheduler.ports import Clock
from scheduler.runtime.gathering import Asked
from scheduler.runtime.writer import AskedDecision, Decision, Writer
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.store.projection import workload_id_at
from scheduler.store.scheduler_store import Leadership, SchedulerStore

Answer = list[Outcome] | Exception


class SubmissionDesk:
    """`live_limit` bounds unfinished workloads. Numbering goes on where `leadership` says."""

    def __init__(
        self, writer: Writer, store: SchedulerStore, clock: Clock, leadership: Leadership, live_limit: int
    ) -> None:
        self._writer = writer
        self._store = store
        self._clock = clock
        self._installation = leadership.installation
        self._last_number = leadership.last_number
        self._live_limit = live_limit

    def submit(self, batch: SubmissionBatch) -> Future[list[Outcome]]:
        """The outcome of each, when all are durable."""
        return self._writer.submit(self._decision(batch, _OneLook(self._store, [batch])))

    def submit_all(self, asked: Sequence[Asked]) -> Future[list[Answer]]:
        """The same for several callers, in order; the error of one is his answer alone."""
        look = _OneLook(self._store, [one.batch for one in asked])
        return self._writer.submit_apart(
            [AskedDecision(self._decision(one.batch, look), one.on_behalf_of) for one in asked]
        )

    def _decision(self, batch: SubmissionBatch, look: _OneLook) -> Callable[[Book], Decision[list[Outcome]]]:
        def decide(book: Book) -> Decision[list[Outcome]]:
            arrays = [like.array.count if like.array else 0 for like in batch.templates]
            asked = len(batch) + (sum(arrays[like] for like in batch.template) if any(arrays) else 0)
            if book.live_count + asked > self._live_limit:
                raise _too_many(book.live_count, self._live_limit)
            outcomes, changes = admit(book, look.known(book), batch, self._new_id, self._clock.now_ms())
            return Decision(outcomes, changes)

        return decide

    def _new_id(self) -> str:
        self._last_number += 1
        return workload_id_at(self._installation, self._last_number)


class _OneLook:
    """Stored workloads that any of the batches may refer to and the book has let go: looked up once, by the first decision
    that asks. Nothing is stored between the decisions of one turn, so it holds for all of them."""

    def __init__(self, store: SchedulerStore, batches: Iterable[SubmissionBatch]) -> None:
        self._store = store
        self._batches = batches
        self._known: Known | None = None

    def known(self, book: Book) -> Known:
        if self._known is None:
            keys: set[tuple[str, str]] = set()
            ids: set[str] = set()
            for batch in self._batches:
                likes = batch.templates
                own = zip(batch.template, batch.client_keys, strict=True)
                keys.update((likes[like].queue, key) for like, key in own)
                keys.update((like.queue, name) for like in likes for name in like.after)
                ids.update(name for like in likes for name in like.after)
            self._known = self._store.lookup(
                [key for key in keys if book.workload_by_key(*key) is None],
                [name for name in ids if book.workload(name) is None],
            )
        return self._known


def _too_many(live: int, limit: int) -> RequestError:
    return RequestError(
        ErrorCode.RESOURCE_EXHAUSTED,
        f"未完成作业已达 {live}，上限 {limit}；请稍后重试 / "
        f"{live} workloads are unfinished, the limit is {limit}; retry later",
        "TOO_MANY_WORKLOADS",
        retry_after_ms=1_000,
    )

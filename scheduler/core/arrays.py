"""Job arrays: one submission, many elements, and how far they have come.

An array is a workload that never runs itself; its elements are workloads of their own that name it. Its state follows
theirs: queued while none was placed, active from the first placement on, succeeded when all have, failed or cancelled
when all have ended and some did not succeed. The book keeps an `ArrayBoard` in step; `scheduler.core.lifecycle` and
`scheduler.core.admission` decide with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import islice

from inventory.model.workload import JobArray, Submission, Workload, WorkloadState

INDEX = "XISUAN_ARRAY_INDEX"
COUNT = "XISUAN_ARRAY_COUNT"


@dataclass(slots=True)
class ArrayProgress:
    """`waiting_turn` are elements that are submitted, in order of their index; `under_way` those that are queued or
    active; `ended` counts the others by their last state."""

    array: JobArray
    waiting_turn: dict[str, None] = field(default_factory=dict)
    under_way: dict[str, None] = field(default_factory=dict)
    ended: Counter[WorkloadState] = field(default_factory=Counter)

    @property
    def first_turn(self) -> Iterator[str]:
        """Those whose turn it is when nothing is under way."""
        return islice(self.waiting_turn, self.array.max_parallel or None)

    @property
    def open_ids(self) -> tuple[str, ...]:
        return (*self.waiting_turn, *self.under_way)

    def end_with(self, state: WorkloadState) -> tuple[WorkloadState, str] | None:
        """The array's own end and why, when the last element that is not finished ends like this; None while others
        are not finished."""
        if len(self.waiting_turn) + len(self.under_way) > 1:
            return None
        ended = self.ended + Counter([state])
        if not ended[WorkloadState.FAILED] and not ended[WorkloadState.CANCELLED]:
            return WorkloadState.SUCCEEDED, ""
        failed, cancelled = ended[WorkloadState.FAILED], ended[WorkloadState.CANCELLED]
        text = (
            f"{self.array.count} 个元素中 {failed} 个失败、{cancelled} 个取消 / of {self.array.count} elements {failed} "
            f"failed and {cancelled} were cancelled"
        )
        return WorkloadState.FAILED if failed else WorkloadState.CANCELLED, text


class ArrayBoard:
    """The progress of every array that is not finished, by its id."""

    def __init__(self) -> None:
        self._progress: dict[str, ArrayProgress] = {}

    def of(self, workload_id: str) -> ArrayProgress | None:
        return self._progress.get(workload_id)

    def enter(self, workload: Workload) -> None:
        """A workload has come into the book: an array before its elements."""
        if workload.array is not None:
            self._progress[workload.workload_id] = ArrayProgress(workload.array)
        progress = self._progress.get(workload.array_id)
        if progress is not None:
            self._put(progress, workload)

    def change(self, after: Workload) -> None:
        """An element has another state."""
        progress = self._progress.get(after.array_id)
        if progress is not None:
            progress.waiting_turn.pop(after.workload_id, None)
            progress.under_way.pop(after.workload_id, None)
            self._put(progress, after)

    def resume(self, array_id: str, ended: Mapping[WorkloadState, int]) -> None:
        """The elements that had ended when the book was made from the store."""
        progress = self._progress.get(array_id)
        if progress is not None:
            progress.ended = Counter({state: count for state, count in ended.items() if state.is_final})

    def leave(self, workload_id: str) -> None:
        self._progress.pop(workload_id, None)

    def ids(self) -> tuple[str, ...]:
        return tuple(self._progress)

    @staticmethod
    def _put(progress: ArrayProgress, element: Workload) -> None:
        if element.state is WorkloadState.SUBMITTED:
            progress.waiting_turn[element.workload_id] = None
        elif element.state.is_final:
            progress.ended[element.state] += 1
        else:
            progress.under_way[element.workload_id] = None


def elements(array: Workload, new_id: Callable[[], str]) -> Iterator[Workload]:
    """The elements of an array that was just accepted; those whose turn it is are queued where the array is."""
    assert array.array is not None, "only an array has elements"
    count, parallel = array.array.count, array.array.max_parallel or array.array.count
    body = {one.name: getattr(array, one.name) for one in fields(Submission)} | {"array": None, "after": ()}
    for index in range(count):
        settings = {**array.program.environment, INDEX: str(index), COUNT: str(count)}
        may_start = array.state is WorkloadState.QUEUED and index < parallel
        own = {
            "client_key": f"{array.workload_id}[{index}]",
            "name": f"{array.name}[{index}]",
            "program": replace(array.program, environment=settings),
        }
        yield Workload(
            **(body | own),
            workload_id=new_id(),
            submitted_ms=array.submitted_ms,
            state=WorkloadState.QUEUED if may_start else WorkloadState.SUBMITTED,
            array_id=array.workload_id,
            array_index=index,
        )

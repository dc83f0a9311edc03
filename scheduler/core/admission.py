"""Whether submitted workloads are accepted: idempotency, predecessors, cycles. Pure; the control plane stores it.

A batch is decided as a whole but fails item by item. `after` may name workloads by id, or by client key in the
same queue: of this batch, of the book, or of the store (`known`, which the caller looked up).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from inventory.model.evolving import evolve
from inventory.model.submission_batch import SubmissionBatch
from inventory.model.workload import Submission, Workload, WorkloadState
from scheduler.core.arrays import elements
from scheduler.core.book import Book
from scheduler.core.changes import Change, WorkloadSubmitted

_SHOWN = 80  # characters of a value in a message
_NAMED = 8  # members of a circle in a message


class RefusalKind(StrEnum):
    INVALID = "invalid"  # fix the item
    CONFLICT = "conflict"  # the client key was used with another body
    PRECONDITION = "precondition"  # a predecessor can no longer succeed
    DENIED = "denied"  # the queue is not the caller's


class Accepted(NamedTuple):
    """What a submission has become: the rest of the stored workload is as it was submitted. `after` holds ids.

    `created` is False when the same submission was accepted before; `state` and `message` are those of now.
    """

    workload_id: str
    submitted_ms: int
    state: WorkloadState
    message: str
    after: tuple[str, ...]
    created: bool

    @classmethod
    def of(cls, workload: Workload, *, created: bool) -> Accepted:
        return cls(
            workload.workload_id,
            workload.submitted_ms,
            workload.state,
            workload.message,
            workload.after,
            created,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an item was not accepted: one line with value, rule and remedy; `field` is its path in the item."""

    kind: RefusalKind
    message: str
    field: str = ""


Outcome = Accepted | Refused


@dataclass(frozen=True, slots=True)
class Known:
    """Stored workloads that a batch refers to and the book no longer holds, by client key and by id."""

    by_key: Mapping[tuple[str, str], Workload]
    by_id: Mapping[str, Workload]


def admit(
    book: Book, known: Known, submissions: Sequence[Submission], new_id: Callable[[], str], now_ms: int
) -> tuple[list[Outcome], list[Change]]:
    """One outcome for each submission, in order, and the changes that make the accepted ones true."""
    batch = _Batch(book, known, SubmissionBatch.of(submissions))
    batch.match_known()
    batch.refuse_cycles()
    return batch.accept(new_id, now_ms)


class _Batch:
    def __init__(self, book: Book, known: Known, batch: SubmissionBatch) -> None:
        self._book = book
        self._known = known
        self._items = batch
        self._outcomes: dict[int, Outcome] = {}
        # Most batches wait for nothing: then nobody looks for predecessors.
        self._waits = any(like.after for like in batch.templates)
        self._keys = [
            (batch.templates[like].queue, key) for like, key in zip(batch.template, batch.client_keys, strict=True)
        ]
        self._index: dict[tuple[str, str], int] = {}
        self._repeats: dict[int, int] = {}
        # The workloads of this batch, and those that were accepted before under the same keys.
        self._workloads: dict[int, Workload] = {}
        for position, key in enumerate(self._keys):
            first = self._index.setdefault(key, position)
            if first != position:
                self._repeats[position] = first

    def match_known(self) -> None:
        """Items whose client key exists: the same body is the same workload, another body is refused."""
        for position, key in enumerate(self._keys):
            stored = self._stored_by_key(*key)
            if stored is not None:
                self._workloads[position] = stored
                self._outcomes[position] = self._compare(self._items[position], stored)
        for position, first in self._repeats.items():
            if position not in self._outcomes and (
                difference := _difference(self._items[position], self._items[first])
            ):
                self._outcomes[position] = _conflict(self._items[position], difference)

    def refuse_cycles(self) -> None:
        """Items of this batch that wait for each other in a circle (three-colour depth-first search)."""
        if not self._waits:
            return
        done: set[int] = set(self._outcomes)
        for start in range(len(self._items)):
            if start in done or start in self._repeats:
                continue
            path: list[int] = []
            on_path: dict[int, int] = {}
            stack: list[tuple[int, list[int]]] = [(start, self._predecessors(start))]
            on_path[start] = 0
            path.append(start)
            while stack:
                node, remaining = stack[-1]
                if not remaining:
                    stack.pop()
                    path.pop()
                    del on_path[node]
                    done.add(node)
                    continue
                target = remaining.pop()
                if target in on_path:
                    self._refuse_circle(path[on_path[target] :])
                elif target not in done:
                    on_path[target] = len(path)
                    path.append(target)
                    stack.append((target, self._predecessors(target)))

    def accept(self, new_id: Callable[[], str], now_ms: int) -> tuple[list[Outcome], list[Change]]:
        changes: list[Change] = []
        bodies = [_fields(like) for like in self._items.templates]
        # One made of each template: the others are copies with their own fields, which is faster than to make them.
        made: dict[int, Workload] = {}
        for position in self._in_dependency_order():
            if position in self._outcomes:
                continue
            resolved = self._resolve_after(self._items.like(position))
            if isinstance(resolved, Refused):
                self._outcomes[position] = resolved
                continue
            after, ready = resolved
            own: dict[str, Any] = {
                "client_key": self._items.client_keys[position],
                "name": self._items.names[position],
                "after": after,
                "workload_id": new_id(),
                "submitted_ms": now_ms,
                "state": WorkloadState.QUEUED if ready else WorkloadState.SUBMITTED,
            }
            template = self._items.template[position]
            like = made.get(template)
            workload = Workload(**(bodies[template] | own)) if like is None else evolve(like, **own)
            made[template] = workload
            self._workloads[position] = workload
            self._outcomes[position] = Accepted.of(workload, created=True)
            changes.append(WorkloadSubmitted(workload))
            if workload.array is not None:
                changes += [WorkloadSubmitted(element) for element in elements(workload, new_id)]
        for position, first in self._repeats.items():
            if position not in self._outcomes:
                outcome = self._outcomes[first]
                self._outcomes[position] = (
                    outcome._replace(created=False) if isinstance(outcome, Accepted) else outcome
                )
        return [self._outcomes[position] for position in range(len(self._items))], changes

    def _stored_by_key(self, queue: str, client_key: str) -> Workload | None:
        return self._book.workload_by_key(queue, client_key) or self._known.by_key.get((queue, client_key))

    def _compare(self, item: Submission, stored: Workload) -> Outcome:
        # As `accept` did when it was new: ids for names, each once.
        resolved = dict.fromkeys(self._stored_id(item.queue, name) for name in item.after)
        difference = _difference(replace(item, after=tuple(resolved)), stored)
        return _conflict(item, difference) if difference else Accepted.of(stored, created=False)

    def _stored_id(self, queue: str, name: str) -> str:
        stored = self._stored_by_key(queue, name)
        return name if stored is None else stored.workload_id

    def _predecessors(self, position: int) -> list[int]:
        item = self._items[position]
        indices = (self._index.get((item.queue, name)) for name in item.after)
        return [index for index in indices if index is not None and index not in self._outcomes]

    def _refuse_circle(self, circle: list[int]) -> None:
        keys = [self._items[position].client_key for position in [*circle, circle[0]]]
        names = " → ".join(keys if len(keys) <= _NAMED else [*keys[: _NAMED - 2], "…", keys[-1]])
        for position in circle:
            self._outcomes.setdefault(
                position,
                Refused(
                    RefusalKind.INVALID,
                    f"after: {names} 互相等待；请去掉其中一个 / wait for each other in a circle; "
                    "remove one of them",
                    "after",
                ),
            )

    def _in_dependency_order(self) -> Sequence[int]:
        if not self._waits:
            return [position for position in range(len(self._items)) if position not in self._repeats]
        order: list[int] = []
        seen: set[int] = set()
        for start in range(len(self._items)):
            stack = [(start, False)]
            while stack:
                position, expanded = stack.pop()
                if expanded:
                    order.append(position)
                elif position not in seen and position not in self._repeats:
                    seen.add(position)
                    stack.append((position, True))
                    stack += [(before, False) for before in self._predecessors(position)]
        return order

    def _resolve_after(self, item: Submission) -> tuple[tuple[str, ...], bool] | Refused:
        """Ids of the predecessors, and whether all of them have succeeded."""
        if not item.after:
            return (), True
        ids: list[str] = []
        ready = True
        for name in item.after:
            awaited = self._awaited(item.queue, name)
            if isinstance(awaited, Refused):
                return awaited
            if awaited.state in (WorkloadState.FAILED, WorkloadState.CANCELLED):
                return Refused(
                    RefusalKind.PRECONDITION,
                    f"after: {name} 已是 {awaited.state}，不会再成功；请重新提交它或去掉该依赖 / "
                    f"{name} is {awaited.state} and will not succeed; submit it anew or remove it",
                    "after",
                )
            ready = ready and awaited.state is WorkloadState.SUCCEEDED
            if awaited.workload_id not in ids:
                ids.append(awaited.workload_id)
        return tuple(ids), ready

    def _awaited(self, queue: str, name: str) -> Workload | Refused:
        position = self._index.get((queue, name))
        if position is not None:
            if isinstance(self._outcomes[position], Accepted):
                return self._workloads[position]
            return Refused(
                RefusalKind.INVALID,
                f"after: {name} 自身未被接受；请先修正它 / {name} was itself refused; fix it first",
                "after",
            )
        stored = self._stored_by_key(queue, name) or self._book.workload(name) or self._known.by_id.get(name)
        if stored is None:
            return Refused(
                RefusalKind.INVALID,
                f"after: 没有名为 {name} 的作业；请填写作业编号，或同一队列中的 client_key / "
                f"no workload {name}; give a workload id, or a client key of queue {queue}",
                "after",
            )
        return stored


def _fields(submission: Submission) -> dict[str, Any]:
    return {field.name: getattr(submission, field.name) for field in fields(Submission)}


def _difference(mine: Submission, stored: Submission) -> str:
    """The first field in which two submissions differ, with both values; empty when they are equal."""
    for field in fields(Submission):
        difference = _differ(field.name, getattr(mine, field.name), getattr(stored, field.name))
        if difference:
            return difference
    return ""


def _differ(path: str, mine: object, stored: object) -> str:
    """Goes down to the smallest part that differs, so that the line stays readable (and fits into a gRPC status).

    Of environments and labels only the name that differs is told: their values are the submitter's own affair.
    """
    if mine == stored:
        return ""
    if is_dataclass(mine) and is_dataclass(stored):
        parts = (_differ(f"{path}.{f.name}", getattr(mine, f.name), getattr(stored, f.name)) for f in fields(mine))
        return next((part for part in parts if part), "")
    if isinstance(mine, Mapping) and isinstance(stored, Mapping):
        names = sorted(name for name in mine.keys() | stored.keys() if mine.get(name) != stored.get(name))
        return f"{path}[{_cut(names[0])}]"
    return f"{path}: {_cut(stored)} → {_cut(mine)}"


def _cut(value: object) -> str:
    if isinstance(value, frozenset):
        value = sorted(value)
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _conflict(item: Submission, difference: str) -> Refused:
    return Refused(
        RefusalKind.CONFLICT,
        f"client_key {item.client_key} 已用于另一份内容（{difference}）；请换一个 client_key / "
        f"was used with another body ({difference}); choose another client_key",
        "client_key",
    )

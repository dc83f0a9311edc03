"""Stored workloads as gateways show them: one with all its runs, pages of many, arrays with their elements counted.

The control plane calls these on a thread; they read the store, and know nothing of what is under way.
"""

from __future__ import annotations

from collections.abc import Iterable

from inventory.model.workload import Run, Workload, WorkloadState
from scheduler.services.ports import ErrorCode, RequestError, WorkloadPage, WorkloadRecord, unknown_workload
from scheduler.store.scheduler_store import SchedulerStore


def read_record(store: SchedulerStore, workload_id: str) -> WorkloadRecord:
    """RequestError NOT_FOUND for an unknown id."""
    found = store.workload(workload_id)
    if found is None:
        raise unknown_workload(workload_id)
    return _counted(store, (found,))[0]


def read_page(
    store: SchedulerStore,
    queue: str,
    states: frozenset[WorkloadState],
    page: tuple[int, str],
    array_id: str,
    within: tuple[str, ...] = (),
) -> WorkloadPage:
    """`page` is its size and the token that the page before gave. RequestError for another token."""
    size, token = page
    if token and not token.isdecimal():
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"page_token {token!r} 不是上一页给出的值 / is not one that a page before gave",
            field="page_token",
        )
    records, following = store.page(queue, states, int(token or 0), size, array_id, within)
    return WorkloadPage(tuple(_counted(store, records)), "" if following is None else str(following))


def _counted(
    store: SchedulerStore, found: Iterable[tuple[Workload, tuple[Run, ...]]]
) -> tuple[WorkloadRecord, ...]:
    found = tuple(found)
    arrays = [workload.workload_id for workload, _ in found if workload.array is not None]
    counts = store.element_counts(arrays) if arrays else {}
    return tuple(
        WorkloadRecord(workload, runs, tuple(sorted(counts.get(workload.workload_id, {}).items())))
        for workload, runs in found
    )

"""Judges the history of a round by what the contract promises, and by nothing that the scheduler computes.

Every promise is a function from a `History` to the violations that it finds, each one line. `check` tries them all.
`test_history_checker.py` shows for each that it catches a history that breaks it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.history import FAILS, Began, Call, Change, Ended, History, PoolHistory

# proto/xisuan/workload/v1/workload.proto, the comments of WorkloadState and RunState; docs/pools.md, "When a pool cannot be
# heard", for a run that was given up and goes on when its pool is heard again.
FINAL = frozenset({"succeeded", "failed", "cancelled"})
NEXT_STATES: Mapping[str, frozenset[str]] = {
    "": frozenset({"submitted", "queued"}),
    "submitted": frozenset({"queued", "failed", "cancelled"}),
    "queued": frozenset({"active", "failed", "cancelled"}),
    "active": frozenset({"queued", "succeeded", "failed", "cancelled"}),
    **dict.fromkeys(FINAL, frozenset()),
}
RUN_ENDS = frozenset({"succeeded", "failed", "stopped", "preempted", "lost"})
NEXT_RUN_STATES: Mapping[str, frozenset[str]] = {
    "": frozenset({"placed"}),
    "placed": RUN_ENDS | {"starting", "running"},
    "starting": RUN_ENDS | {"running"},
    "running": RUN_ENDS,
    **dict.fromkeys(RUN_ENDS, frozenset()),
    "lost": frozenset({"starting", "running"}),
}
# workload_service.proto: what a caller may be told while the service is in trouble, and is to try again.
FOR_THE_MOMENT = frozenset({"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"})


@dataclass(frozen=True, slots=True)
class Violation:
    """`promise` is the name of the function below that found it."""

    promise: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"


def check(history: History) -> tuple[Violation, ...]:
    """Every violation, promise by promise; none for a history that keeps them all."""
    return tuple(Violation(promise.__name__, what) for promise in PROMISES for what in promise(history))


# Submissions


def what_is_acknowledged_is_stored(history: History) -> Iterator[str]:
    stored = {one.workload_id: one.key for one in history.stored}
    for key, workload_id in history.acknowledged:
        if stored.get(workload_id) != key:
            yield f"{key} was acknowledged as {workload_id}, which is stored as {stored.get(workload_id, 'nothing')}"


def a_key_is_one_workload(history: History) -> Iterator[str]:
    """However often it was submitted, and whatever became of the answers."""
    ids = defaultdict(set)
    for key, workload_id in history.acknowledged:
        ids[key].add(workload_id)
    for one in history.stored:
        ids[one.key].add(one.workload_id)
    for key, found in ids.items():
        if len(found) > 1:
            yield f"{key} is {len(found)} workloads: {', '.join(sorted(found))}"
    for workload_id, times in Counter(one.workload_id for one in history.stored).items():
        if times > 1:
            yield f"{workload_id} is listed {times} times"


def nobody_made_a_workload_up(history: History) -> Iterator[str]:
    for one in history.stored:
        if one.key not in history.asked:
            yield f"{one.workload_id} is stored under {one.key}, which nobody submitted"


def refusals_are_for_the_moment_and_say_so(history: History) -> Iterator[str]:
    for one in history.refusals:
        if one.code not in FOR_THE_MOMENT:
            yield f"{one.call} was answered {one.code}: {one.message}"


# Endings


def every_workload_ends_as_it_must(history: History) -> Iterator[str]:
    """After the round everything has ended, and each ending has its cause outside of the scheduler."""
    states = {one.key: one.state for one in history.stored}
    ended = _endings(history)
    for one in history.stored:
        asked = history.asked.get(one.key)
        if asked is None:
            continue
        how = Counter(ended[run_id] for run_id in one.run_ids if run_id in ended)
        match one.state:
            case "succeeded" if not how["succeeded"]:
                yield f"{one.key} is said to have succeeded, and no pool ended a run of it well"
            case "failed":
                failed_before = [key for key in asked.after if states.get(key) != "succeeded"]
                if asked.course != FAILS and not failed_before:
                    yield f"{one.key} is said to have failed, and its program ends well"
            case "cancelled" if one.workload_id not in history.cancelled:
                yield f"{one.key} is cancelled, and nobody asked for that"
            case state if state not in FINAL:
                yield f"{one.key} is {state} still, after everything was quiet"


def runs_are_tried_no_more_often_than_allowed(history: History) -> Iterator[str]:
    ended = _endings(history)
    for one in history.stored:
        asked = history.asked.get(one.key)
        failures = sum(ended.get(run_id) == "failed" for run_id in one.run_ids)
        if asked is not None and failures > asked.max_attempts:
            yield f"{one.key} failed {failures} times, with {asked.max_attempts} attempts allowed"


# Runs


def no_run_takes_effect_twice(history: History) -> Iterator[str]:
    """A run begins once; runs of one workload follow each other; nothing begins after a success."""
    begun: dict[str, list[Began]] = defaultdict(list)
    ended: dict[str, Ended] = {}
    for pool in history.pools:
        for entry in pool.entries:
            if isinstance(entry, Began):
                begun[entry.workload_id].append(entry)
            elif isinstance(entry, Ended):
                ended[entry.run_id] = entry
    for workload_id, runs in begun.items():
        for run_id, times in Counter(run.run_id for run in runs).items():
            if times > 1:
                yield f"{run_id} was begun {times} times"
        runs.sort(key=lambda run: run.at_ns)
        for one, following in pairwise(runs):
            end = ended.get(one.run_id)
            if end is None or end.at_ns > following.at_ns:
                yield f"{following.run_id} began while {one.run_id} was at work"
            elif end.state == "succeeded":
                yield f"{following.run_id} began although {one.run_id} had succeeded"
        if sum(run.run_id in ended and ended[run.run_id].state == "succeeded" for run in runs) > 1:
            yield f"{workload_id} succeeded more than once"


def pools_run_only_what_was_stored(history: History) -> Iterator[str]:
    stored = {one.workload_id: frozenset(one.run_ids) for one in history.stored}
    for pool in history.pools:
        for entry in pool.entries:
            if isinstance(entry, Began) and entry.run_id not in stored.get(entry.workload_id, ()):
                yield f"{pool.pool_id} began {entry.run_id}, which is no run of a stored workload"


def nothing_is_left_running(history: History) -> Iterator[str]:
    ended = _endings(history)
    for pool in history.pools:
        for entry in pool.entries:
            if isinstance(entry, Began) and entry.run_id not in ended:
                yield f"{entry.run_id} still runs in {pool.pool_id}"


def no_node_is_ever_oversold(history: History) -> Iterator[str]:
    for pool in history.pools:
        yield from _oversold(pool)


def a_pool_obeys_no_leader_of_before(history: History) -> Iterator[str]:
    for pool in history.pools:
        highest = 0
        for entry in pool.entries:
            if not isinstance(entry, Call) or not entry.obeyed:
                continue
            if entry.epoch < highest:
                yield f"{pool.pool_id} obeyed epoch {entry.epoch} after {highest}"
            highest = max(highest, entry.epoch)


def what_waits_begins_after_what_it_waits_for(history: History) -> Iterator[str]:
    key_of = {one.workload_id: one.key for one in history.stored}
    succeeded_ns: dict[str, int] = {}
    begun: list[Began] = []
    workload_of: dict[str, str] = {}
    for pool in history.pools:
        for entry in pool.entries:
            if isinstance(entry, Began):
                begun.append(entry)
                workload_of[entry.run_id] = entry.workload_id
        for entry in pool.entries:
            if isinstance(entry, Ended) and entry.state == "succeeded" and entry.run_id in workload_of:
                succeeded_ns[key_of.get(workload_of[entry.run_id], "")] = entry.at_ns
    for run in begun:
        asked = history.asked.get(key_of.get(run.workload_id, ""))
        for key in asked.after if asked else ():
            if succeeded_ns.get(key, run.at_ns + 1) > run.at_ns:
                yield f"{run.run_id} began before {key} had succeeded"


# Watchers


def every_watcher_saw_everything_once(history: History) -> Iterator[str]:
    for watched in history.watched:
        if watched.live == watched.again:
            continue
        live, again = Counter(watched.live), Counter(watched.again)
        missing, surplus = again - live, live - again
        told = f"{watched.watcher} saw {len(watched.live)} changes of {len(watched.again)}"
        if missing:
            yield f"{told}; a gap: {_told(next(iter(missing)))}"
        if surplus:
            yield f"{told}; told twice, or never stored: {_told(next(iter(surplus)))}"
        if not missing and not surplus:
            yield f"{told}; in another order"


def states_follow_the_transition_tables(history: History) -> Iterator[str]:
    """In each stream as it is told again. A watcher of the whole round sees each workload from its beginning."""
    for watched in history.watched:
        states: dict[str, str] = {}
        runs: dict[str, str] = {}
        for change in watched.again:
            yield from _step(change, states, runs)


def the_last_change_is_the_stored_state(history: History) -> Iterator[str]:
    for watched in history.watched:
        last = {change.workload_id: change.state for change in watched.again if change.state}
        for one in history.stored:
            if last.get(one.workload_id, one.state) != one.state:
                yield f"{one.key} is stored as {one.state}, and was last told to be {last[one.workload_id]}"


PROMISES: tuple[Callable[[History], Iterator[str]], ...] = (
    what_is_acknowledged_is_stored,
    a_key_is_one_workload,
    nobody_made_a_workload_up,
    refusals_are_for_the_moment_and_say_so,
    every_workload_ends_as_it_must,
    runs_are_tried_no_more_often_than_allowed,
    no_run_takes_effect_twice,
    pools_run_only_what_was_stored,
    nothing_is_left_running,
    no_node_is_ever_oversold,
    a_pool_obeys_no_leader_of_before,
    what_waits_begins_after_what_it_waits_for,
    every_watcher_saw_everything_once,
    states_follow_the_transition_tables,
    the_last_change_is_the_stored_state,
)


def _endings(history: History) -> dict[str, str]:
    return {
        entry.run_id: entry.state for pool in history.pools for entry in pool.entries if isinstance(entry, Ended)
    }


def _oversold(pool: PoolHistory) -> Iterator[str]:
    """Entry by entry: a journal is written in the order in which things happen."""
    used: dict[str, list[int]] = {node: [0, 0] for node in pool.capacity}
    at_work: dict[str, Began] = {}
    for entry in pool.entries:
        if isinstance(entry, Began):
            at_work[entry.run_id] = entry
            for node in entry.nodes:
                if node not in used:
                    yield f"{entry.run_id} was placed on {node}, which {pool.pool_id} does not have"
                    continue
                used[node] = [taken + more for taken, more in zip(used[node], entry.load, strict=True)]
                if any(taken > has for taken, has in zip(used[node], pool.capacity[node], strict=True)):
                    yield f"{node} of {pool.pool_id} held {used[node]} of {pool.capacity[node]} with {entry.run_id}"
        elif isinstance(entry, Ended) and entry.run_id in at_work:
            run = at_work.pop(entry.run_id)
            for node in run.nodes:
                if node in used:
                    used[node] = [taken - less for taken, less in zip(used[node], run.load, strict=True)]


def _step(change: Change, states: dict[str, str], runs: dict[str, str]) -> Iterator[str]:
    if change.state:
        before = states.get(change.workload_id, "")
        if change.state not in NEXT_STATES[before]:
            yield f"{change.workload_id} went from {before or 'nothing'} to {change.state}"
        states[change.workload_id] = change.state
    if change.run_id:
        before = runs.get(change.run_id, "")
        if change.run_state not in NEXT_RUN_STATES[before]:
            yield f"{change.run_id} went from {before or 'nothing'} to {change.run_state}"
        runs[change.run_id] = change.run_state


def _told(change: Change) -> str:
    return " ".join(filter(None, (change.workload_id, change.state, change.run_id, change.run_state)))

"""The judge is judged: a sound history passes, and each way of breaking a promise is caught by its name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.checker import PROMISES, check
from tests.chaos.history import (
    FAILS,
    Asked,
    Began,
    Call,
    Change,
    Ended,
    History,
    PoolHistory,
    Refused,
    StoredWorkload,
    Watched,
)

NODE = {"n1": (4000, 100)}
STREAM = (
    Change("w1", "queued"),
    Change("w2", "submitted"),
    Change("w1", "active", "w1.1", "placed"),
    Change("w1", "", "w1.1", "running"),
    Change("w1", "", "w1.1", "lost"),
    Change("w1", "queued"),
    Change("w1", "active", "w1.2", "placed"),
    Change("w1", "", "w1.2", "succeeded"),
    Change("w1", "succeeded"),
    Change("w2", "queued"),
    Change("w2", "active", "w2.1", "placed"),
    Change("w2", "", "w2.1", "failed"),
    Change("w2", "failed"),
    Change("w3", "queued"),
    Change("w3", "cancelled"),
)
NEAR = PoolHistory(
    "near",
    NODE,
    (
        Call(1, obeyed=True),
        Began(10, "w1.1", "w1", ("n1",), (3000, 10)),
        Ended(20, "w1.1", "stopped"),
        Call(2, obeyed=True),
        Call(1, obeyed=False),
        Began(50, "w2.1", "w2", ("n1", "n1"), (2000, 10)),
        Ended(60, "w2.1", "failed"),
    ),
)
FAR = PoolHistory(
    "far",
    NODE,
    (Call(2, obeyed=True), Began(30, "w1.2", "w1", ("n1",), (4000, 100)), Ended(40, "w1.2", "succeeded")),
)
SOUND = History(
    asked={"a": Asked("a", max_attempts=2), "b": Asked("b", FAILS, ("a",)), "c": Asked("c")},
    acknowledged=(("a", "w1"), ("a", "w1"), ("b", "w2"), ("c", "w3")),
    cancelled=frozenset({"w3"}),
    refusals=(Refused("submit", "UNAVAILABLE", "the service is starting"),),
    watched=(Watched("who stays", STREAM, STREAM), Watched("who came late", STREAM[7:9], STREAM[7:9])),
    stored=(
        StoredWorkload("w1", "a", "succeeded", ("w1.1", "w1.2")),
        StoredWorkload("w2", "b", "failed", ("w2.1",)),
        StoredWorkload("w3", "c", "cancelled"),
    ),
    pools=(NEAR, FAR),
)


def stored(number: int, **changes: object) -> History:
    """With another stored workload in the place of this one."""
    rows = list(SOUND.stored)
    rows[number] = replace(rows[number], **changes)  # type: ignore[arg-type]  # fields by name
    return replace(SOUND, stored=tuple(rows))


def near(*entries: Call | Began | Ended) -> History:
    return replace(SOUND, pools=(replace(NEAR, entries=entries), FAR))


def far(*entries: Call | Began | Ended) -> History:
    return replace(SOUND, pools=(NEAR, replace(FAR, entries=entries)))


def watching(*live: Change, again: tuple[Change, ...] = STREAM) -> History:
    return replace(SOUND, watched=(Watched("who stays", live, again),))


def told(*stream: Change) -> History:
    """A stream that everybody was told in the same way."""
    return watching(*stream, again=stream)


BROKEN = {
    "an acknowledged workload is not stored": (
        replace(SOUND, stored=SOUND.stored[:2]),
        "what_is_acknowledged_is_stored",
    ),
    "an acknowledged workload is stored under another key": (
        stored(2, key="b2"),
        "what_is_acknowledged_is_stored",
    ),
    "a repeated submission made a second workload": (
        replace(SOUND, acknowledged=(*SOUND.acknowledged, ("c", "w4"))),
        "a_key_is_one_workload",
    ),
    "an unacknowledged attempt left a second workload behind": (
        replace(SOUND, stored=(*SOUND.stored, StoredWorkload("w4", "a", "succeeded"))),
        "a_key_is_one_workload",
    ),
    "a workload is listed twice": (
        replace(SOUND, stored=(*SOUND.stored, SOUND.stored[0])),
        "a_key_is_one_workload",
    ),
    "a workload that nobody submitted": (
        replace(SOUND, stored=(*SOUND.stored, StoredWorkload("w4", "z", "cancelled"))),
        "nobody_made_a_workload_up",
    ),
    "a call ends with an error that no client can handle": (
        replace(SOUND, refusals=(Refused("submit", "UNKNOWN", "OperationalError"),)),
        "refusals_are_for_the_moment_and_say_so",
    ),
    "a workload that never ends": (stored(0, state="active"), "every_workload_ends_as_it_must"),
    "a success that no pool knows of": (stored(0, run_ids=("w1.1",)), "every_workload_ends_as_it_must"),
    "a failure of what does not fail": (
        replace(SOUND, asked={**SOUND.asked, "b": Asked("b")}),
        "every_workload_ends_as_it_must",
    ),
    "a cancellation that nobody asked for": (
        replace(SOUND, cancelled=frozenset()),
        "every_workload_ends_as_it_must",
    ),
    "a failing workload is tried too often": (
        replace(
            stored(1, run_ids=("w2.1", "w2.2")),
            pools=(
                replace(
                    NEAR,
                    entries=(*NEAR.entries, Began(70, "w2.2", "w2", ("n1",), (1, 1)), Ended(80, "w2.2", "failed")),
                ),
                FAR,
            ),
        ),
        "runs_are_tried_no_more_often_than_allowed",
    ),
    "a run is begun again": (
        near(*NEAR.entries, Began(70, "w2.1", "w2", ("n1",), (1, 1))),
        "no_run_takes_effect_twice",
    ),
    "a replacement begins while the original is at work": (
        far(Began(15, "w1.2", "w1", ("n1",), (1, 1)), Ended(40, "w1.2", "succeeded")),
        "no_run_takes_effect_twice",
    ),
    "a replacement begins and the original never ends": (
        near(NEAR.entries[1]),
        "no_run_takes_effect_twice",
    ),
    "a replacement begins after a success": (
        near(NEAR.entries[1], Ended(20, "w1.1", "succeeded")),
        "no_run_takes_effect_twice",
    ),
    "a pool runs what is not stored": (stored(1, run_ids=()), "pools_run_only_what_was_stored"),
    "a run is left at work": (near(*NEAR.entries[:-1]), "nothing_is_left_running"),
    "a node is oversold by two runs": (
        near(
            NEAR.entries[1],
            Began(11, "w2.1", "w2", ("n1",), (1001, 1)),
            Ended(20, "w1.1", "stopped"),
            Ended(60, "w2.1", "failed"),
        ),
        "no_node_is_ever_oversold",
    ),
    "a node is oversold in memory alone": (
        far(Began(30, "w1.2", "w1", ("n1",), (1, 101)), Ended(40, "w1.2", "succeeded")),
        "no_node_is_ever_oversold",
    ),
    "a node is oversold by the tasks of one run": (
        near(*NEAR.entries[:-2], Began(50, "w2.1", "w2", ("n1",) * 3, (2000, 1)), Ended(60, "w2.1", "failed")),
        "no_node_is_ever_oversold",
    ),
    "a run is placed on a node that there is not": (
        far(Began(30, "w1.2", "w1", ("n7",), (1, 1)), Ended(40, "w1.2", "succeeded")),
        "no_node_is_ever_oversold",
    ),
    "a pool obeys a leader of before": (
        near(*NEAR.entries, Call(1, obeyed=True)),
        "a_pool_obeys_no_leader_of_before",
    ),
    "what waits begins too early": (
        near(*NEAR.entries[:-2], Began(35, "w2.1", "w2", ("n1",), (1, 1)), Ended(60, "w2.1", "failed")),
        "what_waits_begins_after_what_it_waits_for",
    ),
    "a watcher misses a change": (watching(*STREAM[:4], *STREAM[5:]), "every_watcher_saw_everything_once"),
    "a watcher is told a change twice": (
        watching(*STREAM[:5], STREAM[4], *STREAM[5:]),
        "every_watcher_saw_everything_once",
    ),
    "a watcher is told what was never stored": (
        watching(*STREAM, Change("w9", "queued")),
        "every_watcher_saw_everything_once",
    ),
    "a watcher is told in another order": (
        watching(STREAM[1], STREAM[0], *STREAM[2:]),
        "every_watcher_saw_everything_once",
    ),
    "a workload comes back from its end": (
        told(*STREAM, Change("w1", "queued")),
        "states_follow_the_transition_tables",
    ),
    "a workload skips the queue": (
        told(Change("w1", "submitted"), Change("w1", "active")),
        "states_follow_the_transition_tables",
    ),
    "a run comes back from its end": (
        told(*STREAM, Change("w1", "", "w1.2", "running")),
        "states_follow_the_transition_tables",
    ),
    "a run goes backwards": (
        told(*STREAM[:4], Change("w1", "", "w1.1", "starting")),
        "states_follow_the_transition_tables",
    ),
    "what was last told is not what is stored": (told(*STREAM[:8]), "the_last_change_is_the_stored_state"),
}


def test_a_sound_history_breaks_no_promise() -> None:
    late = replace(SOUND, watched=SOUND.watched[:1])
    assert check(late) == ()


def test_a_lost_run_goes_on_when_its_pool_is_heard_again() -> None:
    heard = (Change("w1", "active", "w1.1", "running"), Change("w1", "", "w1.1", "succeeded"))
    stream = (*STREAM[:6], *heard, *STREAM[8:])
    assert "states_follow_the_transition_tables" not in {one.promise for one in check(told(*stream))}


@pytest.mark.parametrize(("history", "promise"), BROKEN.values(), ids=BROKEN)
def test_each_broken_promise_is_caught(history: History, promise: str) -> None:
    assert promise in {violation.promise for violation in check(history)}


def test_every_promise_has_a_history_that_breaks_it() -> None:
    assert {promise for _, promise in BROKEN.values()} == {promise.__name__ for promise in PROMISES}

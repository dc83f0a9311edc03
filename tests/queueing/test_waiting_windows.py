"""A look over all that wait: every kind of workload is shown, and of a kind that found no place not more than one window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.queueing.waiting import Passed, WaitingRow, WaitingTable

# priority, queue, shape, estimate: few of each, so that lanes and kinds repeat
rows_asked = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 2), st.sampled_from([0, 60])), max_size=40
)


def table_of(asked: list[tuple[int, int, int, int]]) -> WaitingTable:
    table = WaitingTable()
    for number, (priority, queue, shape, estimate) in enumerate(asked):
        name = f"w-{number:03d}"
        table.add(WaitingRow(number, len(name), name, 1, shape, queue, priority, estimate, number))
    return table


def look(table: WaitingTable, limit: int, placed: frozenset[str] = frozenset()) -> tuple[list[list[str]], bool]:
    """The windows of one look in which nothing but `placed` finds a place, and whether it came to its end."""
    passed, windows = Passed(), []
    while True:
        selection = table.select(limit, passed)
        windows.append([row.workload_id for row in selection.rows])
        for name in set(windows[-1]) & placed:
            table.remove(name)
        left = [name for name in windows[-1] if name not in placed]
        if selection.is_complete or not left:
            return windows, selection.is_complete
        table.pass_over(passed, left)


@given(rows_asked, st.integers(1, 12))
def test_a_look_in_which_nothing_is_placed_shows_every_kind_and_ends(
    asked: list[tuple[int, int, int, int]], limit: int
) -> None:
    table = table_of(asked)
    windows, is_complete = look(table, limit)
    shown = [row for window in windows for name in window if (row := table.row(name)) is not None]
    assert is_complete
    assert {(row.lane, row.kind) for row in shown} == {((p, q), (s, e)) for p, q, s, e in asked}
    assert len(shown) == len({row.workload_id for row in shown})  # nobody twice


@given(rows_asked, st.integers(1, 12), st.sets(st.integers(0, 39)))
def test_whoever_could_be_placed_is_shown_though_others_of_its_lane_were_not(
    asked: list[tuple[int, int, int, int]], limit: int, lucky: set[int]
) -> None:
    """Of kinds of which all are placed none is left out."""
    kinds = {asked[number] for number in lucky if number < len(asked)}
    names = frozenset(f"w-{number:03d}" for number, kind in enumerate(asked) if kind in kinds)
    table = table_of(asked)
    windows, is_complete = look(table, limit, names)
    shown = {name for window in windows for name in window}
    if is_complete:
        assert names <= shown


def test_a_long_queue_of_one_kind_is_one_window() -> None:
    table = table_of([(0, 0, 0, 60)] * 500)
    windows, is_complete = look(table, 50)
    assert ([len(window) for window in windows], is_complete) == ([50, 0], True)


def test_who_comes_after_the_look_is_shown_by_the_next() -> None:
    table = table_of([(0, 0, 0, 60)] * 3)
    look(table, 2)
    table.remove("w-000")
    assert look(table, 2)[0][0] == ["w-001", "w-002"]


def test_those_for_whom_room_is_kept_stand_in_every_window() -> None:
    table = table_of([(0, 0, 0, 60)] * 10)
    passed = Passed(heads=["w-000"])
    table.pass_over(passed, ["w-000", "w-001"])
    assert [row.workload_id for row in table.select(2, passed).rows] == ["w-000"]


@given(rows_asked, rows_asked, st.integers(1, 12))
def test_a_look_that_is_over_has_more_to_see_only_when_newcomers_are_of_another_kind(
    asked: list[tuple[int, int, int, int]], newcomers: list[tuple[int, int, int, int]], limit: int
) -> None:
    table, passed = table_of(asked), Passed()
    seen: set[str] = set()
    while table.shows(passed):
        window = [row.workload_id for row in table.select(limit, passed).rows]
        seen.update(window)
        table.pass_over(passed, window)
    for number, (priority, queue, shape, estimate) in enumerate(newcomers, start=len(asked)):
        name = f"w-{number:03d}"
        table.add(WaitingRow(number, len(name), name, 1, shape, queue, priority, estimate, number))
    is_new = not set(newcomers) <= set(asked)
    assert table.shows(passed) is is_new
    shown: set[str] = set()
    while table.shows(passed):
        window = [row.workload_id for row in table.select(limit, passed).rows]
        shown.update(window)
        table.pass_over(passed, window)
    assert not shown & seen
    kinds = {newcomers[int(name[2:]) - len(asked)] for name in shown if int(name[2:]) >= len(asked)}
    assert kinds >= set(newcomers) - set(asked)

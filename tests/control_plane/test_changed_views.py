"""Copies of what hosts see of their pools: whatever is lost, repeated or late, the next answer makes them true."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from inventory.model.pool import PoolHealth
from inventory.model.units import Resources
from scheduler.ports import PoolView
from scheduler.runtime.changed_views import ChangedViews, ViewCopy, ViewLedger
from tests.cycle.fakes import a_pool

POOLS = ("a", "b", "c")


def view(pool_id: str, free: int) -> PoolView:
    amount = Resources(cpu_milli=free)
    return PoolView(a_pool(pool_id), PoolHealth.READY, False, amount, amount, amount)


# What happens to the host: a pool's free amount becomes another, it leaves, or the host is restarted.
happenings = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(POOLS), st.integers(0, 3)),
        st.tuples(st.sampled_from(POOLS), st.none()),
        st.just(("restart", None)),
    ),
    max_size=12,
)


@given(st.lists(st.tuples(happenings, st.booleans()), max_size=8))
def test_a_copy_is_what_the_host_sees_whatever_answers_were_lost(
    turns: list[tuple[list[tuple[str, int | None]], bool]],
) -> None:
    ledger, copy = ViewLedger(), ViewCopy()
    now: dict[str, PoolView] = {}
    for happened, is_lost in turns:
        for name, free in happened:
            if name == "restart":
                ledger = ViewLedger()
            elif free is None:
                now.pop(name, None)
            else:
                now[name] = view(name, free)
        answer = ledger.since(copy.mark, now)
        if not is_lost:
            copy.take(answer)
            assert dict(copy.views) == now


def test_what_did_not_change_does_not_travel_and_stays_the_same_object() -> None:
    ledger, copy = ViewLedger(), ViewCopy()
    now = {"a": view("a", 1), "b": view("b", 1)}
    copy.take(ledger.since(copy.mark, now))
    kept = copy.views["a"]
    answer = ledger.since(copy.mark, {"a": view("a", 1), "b": view("b", 2)})
    assert dict(answer.views) == {"b": view("b", 2)}
    copy.take(answer)
    assert copy.views["a"] is kept


def test_an_answer_that_comes_late_takes_nothing_back() -> None:
    ledger, copy = ViewLedger(), ViewCopy()
    copy.take(ledger.since(None, {"a": view("a", 1)}))
    late: ChangedViews = ledger.since(copy.mark, {"a": view("a", 2)})
    copy.take(ledger.since(copy.mark, {"a": view("a", 3)}))
    copy.take(late)
    assert dict(copy.views) == {"a": view("a", 3)}


def test_a_pool_whose_declaration_alone_changed_travels_too() -> None:
    ledger = ViewLedger()
    mark = ledger.since(None, {"a": view("a", 1)}).mark
    other = replace(view("a", 1), pool=replace(a_pool("a"), name="另一个名字"))
    assert dict(ledger.since(mark, {"a": other}).views) == {"a": other}

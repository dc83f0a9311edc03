"""Scores as tables, and that they stay integers within 0..100 whatever the pool."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.model.constraints import InputPlace
from inventory.model.pool import PoolHealth
from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.stack import SCORES, UnknownPolicy, parse_weights
from tests.cycle.fakes import BOTH_RUNTIMES, a_pool, amount


def a_view(free: Resources, whole: Resources, **pool: object) -> PoolView:
    return PoolView(a_pool("p", **pool), PoolHealth.READY, False, whole, free, whole, BOTH_RUNTIMES)


WHOLE = amount(100, 100, 10)

FLAT = {"idle_watts": 200.0, "loaded_watts": 200.0}  # draws the same when loaded
GREEN = {"carbon_g_kwh": 550.0, "green_share": 1.0}
POWER = {"idle_watts": 200.0, "loaded_watts": 1450.0, "pue": 1.0}  # of a node of 100 CPUs: 12.5 W a CPU
INPUT = (InputPlace("elsewhere", 75 * 10**12), InputPlace("p", 10**15))  # of it 600 Tbit are to be moved

TABLE = [
    ("an unknown power is not a low one", "energy", amount(4, 1), a_view(WHOLE, WHOLE), 0),
    ("the reference power scores 50", "energy", amount(4, 1), a_view(WHOLE, WHOLE, **POWER), 50),
    (
        "a node that draws the same when loaded",
        "energy",
        amount(4, 1),
        a_view(WHOLE, WHOLE, **FLAT),
        100,
    ),
    ("an unknown grid is not a clean one", "carbon", amount(4, 1), a_view(WHOLE, WHOLE, **POWER), 0),
    (
        "green power emits nothing",
        "carbon",
        amount(4, 1),
        a_view(WHOLE, WHOLE, **POWER, **GREEN),
        100,
    ),
    (
        "half green is half of the reference",
        "carbon",
        amount(4, 1),
        a_view(WHOLE, WHOLE, **POWER, carbon_g_kwh=550.0),
        75,
    ),
    ("without inputs every pool is near", "data_locality", amount(4, 1), a_view(WHOLE, WHOLE), 100),
    ("an empty pool that stays empty scores 100", "free_capacity", Resources(), a_view(WHOLE, WHOLE), 100),
    ("half taken scores 50", "free_capacity", amount(50, 1), a_view(WHOLE, WHOLE), 50),
    ("the scarcest dimension decides", "free_capacity", amount(10, 70), a_view(WHOLE, WHOLE), 30),
    ("what others hold counts as taken", "free_capacity", amount(10, 10), a_view(amount(40, 100), WHOLE), 30),
    (
        "cards that are gone do not matter without cards",
        "free_capacity",
        amount(10, 10),
        a_view(amount(100, 100), WHOLE),
        90,
    ),
    ("the last card scores 0", "free_capacity", amount(1, 1, 1), a_view(amount(100, 100, 1), WHOLE), 0),
    ("for nothing scores 100", "price", amount(4, 1), a_view(WHOLE, WHOLE, vcpu_hour_cny=0.0), 100),
    ("the reference price scores 50", "price", amount(4, 1), a_view(WHOLE, WHOLE, vcpu_hour_cny=0.1), 50),
    ("twice the reference price scores 0", "price", amount(4, 1), a_view(WHOLE, WHOLE, vcpu_hour_cny=0.2), 0),
    ("dearer than that scores 0 too", "price", amount(4, 1), a_view(WHOLE, WHOLE, vcpu_hour_cny=9.0), 0),
    (
        "cards are the larger part of the price",
        "price",
        amount(1, 1, 1),
        a_view(WHOLE, WHOLE, vcpu_hour_cny=0.2, card_hour_cny=2.5),
        74,
    ),
    ("cards without a price score 0", "price", amount(1, 1, 1), a_view(WHOLE, WHOLE, card_hour_cny=None), 0),
    ("what bills nothing scores 100", "price", Resources(), a_view(WHOLE, WHOLE), 100),
    ("next door scores 100", "latency", amount(1, 1), a_view(WHOLE, WHOLE, one_way_ms=0.0), 100),
    ("5 ms scores 75", "latency", amount(1, 1), a_view(WHOLE, WHOLE, one_way_ms=5.0), 75),
    ("the outer circle scores 0", "latency", amount(1, 1), a_view(WHOLE, WHOLE, one_way_ms=20.0), 0),
    ("beyond it scores 0 too", "latency", amount(1, 1), a_view(WHOLE, WHOLE, one_way_ms=200.0), 0),
]


@pytest.mark.parametrize(
    ("name", "per_task", "view", "expected"), [pytest.param(*row[1:], id=row[0]) for row in TABLE]
)
def test_score(name: str, per_task: Resources, view: PoolView, expected: int) -> None:
    assert SCORES[name](Shape(Requirements(per_task)), view) == expected


amounts = st.builds(Resources, *[st.integers(0, 10**12)] * 4)


@given(
    per_task=amounts,
    free=amounts,
    whole=amounts,
    vcpu=st.floats(0, 100),
    card=st.none() | st.floats(0, 100),
    latency=st.floats(0, 1e4),
)
def test_scores_are_integers_from_0_to_100(
    per_task: Resources, free: Resources, whole: Resources, vcpu: float, card: float | None, latency: float
) -> None:
    view = a_view(free, whole, vcpu_hour_cny=vcpu, card_hour_cny=card, one_way_ms=latency)
    for name, score in SCORES.items():
        value = score(Shape(Requirements(per_task)), view)
        assert type(value) is int and 0 <= value <= 100, name


@pytest.mark.parametrize(
    ("gbps", "more", "points"),
    [
        pytest.param(1000.0, {}, 50, id="ten minutes of moving score 50"),
        pytest.param(1000.0, {"region": "elsewhere"}, 100, id="data of the pool's region is near"),
        pytest.param(1000.0, {"hub": "elsewhere"}, 100, id="data of the pool's hub is near"),
        pytest.param(0.0, {}, 0, id="a pool without an uplink is never reached"),
    ],
)
def test_data_locality(gbps: float, more: dict[str, object], points: int) -> None:
    shape = Shape(Requirements(amount(1, 1)), inputs=INPUT)
    assert SCORES["data_locality"](shape, a_view(WHOLE, WHOLE, egress_gbps=gbps, **more)) == points


def test_weights_are_read_from_text() -> None:
    assert parse_weights("price:2, carbon") == {"price": 2, "carbon": 1}
    with pytest.raises(UnknownPolicy, match="unknown score speed; valid ones: carbon, data_locality"):
        parse_weights("speed:1")
    for text, rule in (("price:x", "write price:2"), ("price,price", "given twice"), ("", "write price:2")):
        with pytest.raises(ValueError, match=rule):
            parse_weights(text)

"""`xisuan pool` in operation: maintenance, drains and leaving through a running service, and what people mistype."""

from __future__ import annotations

import pytest

from tests.console.commandline import ROOT, xisuan
from tests.console.conftest import Service

POOLS = ROOT / "examples" / "pools"
WINDOW = ("--from", "2027-12-01T22:00", "--to", "2027-12-02T02:00")


@pytest.fixture(autouse=True)
def registered(service: Service) -> None:
    files = ("--pools", POOLS / "pools.csv", "--node-groups", POOLS / "node-groups.csv")
    endpoints = [f"--endpoint={name}=127.0.0.1:7700" for name in ("demo-gov-xc", "demo-gov-x86", "demo-local")]
    xisuan("pool", "register", *files, *endpoints).done()


def test_a_window_is_added_to_those_that_are_there_and_all_are_taken_back() -> None:
    first = xisuan("pool", "maintain", "demo-gov-x86", *WINDOW, "--reason", "换交换机 / switches").done().out
    assert "2027-12-01 22:00:00 – 2027-12-02 02:00:00 换交换机 / switches" in first
    later = ("--from", "2028-01-01T00:00", "--to", "2028-01-01T01:00")
    both = xisuan("pool", "maintain", "demo-gov-x86", *later).done().out
    assert "2027-12-01 22:00:00" in both and "2028-01-01 00:00:00" in both
    assert xisuan("pool", "show", "demo-gov-x86").done().out == both
    assert "2027-12-01" not in xisuan("pool", "maintain", "demo-gov-x86", "--clear").done().out


def test_a_drain_says_what_is_stopped_and_is_lifted_with_the_cordon() -> None:
    drained = xisuan("pool", "drain", "demo-local", "--deadline", "30m").done().out
    assert "排空中 draining" in drained and "1 个运行" in drained
    assert "draining" not in xisuan("pool", "cordon", "demo-local", "--undo").done().out


def test_a_pool_that_left_is_gone_and_leaves_once() -> None:
    assert "demo-local 已退出" in xisuan("pool", "leave", "demo-local").done().out
    assert "demo-local" not in xisuan("pool", "ls").done().out
    xisuan("pool", "leave", "demo-local").refused("没有算力池 demo-local", "demo-gov-x86, demo-gov-xc")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("maintain", "demo-local"), ("--from 与 --to",)),
        (("maintain", "demo-local", "--from", "2027-12-01"), ("--from 与 --to",)),
        (("maintain", "demo-local", "--clear", *WINDOW), ("--clear",)),
        (("maintain", "demo-local", "--from", "明天", "--to", "后天"), ("--from '明天'", "2026-12-01T22:00")),
        (
            ("maintain", "demo-local", "--from", "2027-12-02", "--to", "2027-12-01"),
            ("--to 2027-12-01 须晚于 --from 2027-12-02",),
        ),
        (("maintain", "demo-local", *WINDOW, "--drain-before", "5"), ("--drain-before '5'", "5m")),
        (("maintain", "demo-locla", *WINDOW), ("没有算力池 demo-locla", "demo-local")),
        (("drain", "demo-local", "--deadline", "soon"), ("--deadline 'soon'", "5m")),
        (("drain", "demo-locla"), ("demo-locla",)),
        (("leave", "demo-locla"), ("没有算力池 demo-locla", "demo-local")),
        (("show", "demo-locla"), ("没有算力池 demo-locla", "demo-local")),
    ],
)
def test_a_mistake_is_one_clear_line(words: tuple[str, ...], said: tuple[str, ...]) -> None:
    xisuan("pool", *words).refused(*said)

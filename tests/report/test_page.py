"""The page begins with the answer, ends with the assumptions, carries all it needs, and draws charts that compile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import vl_convert

from simulations.metrics.definitions import METRICS
from simulations.report import charts
from simulations.report.contest import contests, verdict
from simulations.report.explanations import explanation
from simulations.report.page import PageOptions, render_page, write_page
from simulations.report.results_table import TEXTS, read_results_table, write_results_table
from tests.report.made_results import a_result, results

WAITS = {"fifo": 200.0, "easy": 100.0, "price": 150.0}


def body(page: str) -> str:
    return page[page.index("<body>") : page.index("<noscript>")]


def test_the_answer_comes_first_and_the_assumptions_last() -> None:
    shown = body(render_page(results(WAITS), PageOptions(facts={"命令": "xisuan sim report"})))
    places = [
        shown.index(text)
        for text in ("easy 最好", "主要指标", "等待多久", "假设与来源", "a" * 64, "month: 3 rows")
    ]
    assert places == sorted(places)
    for fact in ("b" * 64, "0.1.0+abc", "0-5", "xisuan sim report", "Student"):
        assert fact in shown


def test_the_last_section_says_what_the_model_assumes() -> None:
    page = render_page(results({"a": 10.0, "b": 20.0}), PageOptions())
    assert page.index("Failures depend on neither load nor policy") > page.index('id="assumptions"')


def test_names_from_outside_cannot_become_markup() -> None:
    page = render_page(results({"<script>alert(1)</script>": 1.0, "b": 2.0}), PageOptions())
    assert "<script>alert" not in page
    assert "排队对比 &lt;b&gt;" in page


def test_the_page_names_no_file_and_no_address_to_load() -> None:
    page = render_page(results(WAITS), PageOptions())
    assert re.findall(r"<(?:link|img|iframe|script[^>]* src)\b", body(page)) == []
    assert "default-src 'none'" in page
    assert "@import" not in page and "url(" not in page[: page.index("</style>")]


def test_the_same_results_give_the_same_page_whatever_their_order_of_seeds() -> None:
    assert render_page(results(WAITS), PageOptions()) == render_page(results(WAITS), PageOptions())


def test_several_settings_get_a_table_and_a_sentence_over_all() -> None:
    page = render_page(results(WAITS) + results(WAITS, capacity="doubled"), PageOptions())
    assert "easy 在 2 种情形中的 2 种领先" in page
    assert "各情形一览" in page


def test_a_single_run_gives_a_page_too() -> None:
    shown = body(render_page([a_result("fifo", 0, 10.0)], PageOptions()))
    assert "没有可比的对象" in shown and "假设与来源" in shown


def test_illustrative_numbers_are_marked() -> None:
    assert "示例数据" in body(render_page(results(WAITS), PageOptions(illustrative=True)))


def test_an_unknown_base_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are: fifo, easy, price"):
        write_page(results(WAITS), tmp_path / "page.html", PageOptions(base="sjf"))
    assert list(tmp_path.iterdir()) == []


def test_every_chart_compiles_without_a_warning(capfd: pytest.CaptureFixture[str]) -> None:
    (contest,) = contests(results(WAITS))
    judged = verdict(contest)
    assert judged is not None
    specs = [
        charts.seeds_chart(judged),
        charts.difference_chart(contest, "fifo", "easy"),
        charts.waiting_chart(contest),
        charts.curve_chart(contest, "waiting.jobs", "waiting", is_share=False),
        charts.curve_chart(contest, "allocated.cpu", "allocated", is_share=True),
        charts.pools_chart(contest),
        charts.trade_off_chart(contest, "charge_cny", "wait_p95"),
    ]
    for spec in specs:
        assert spec is not None
        drawn = vl_convert.vegalite_to_svg(spec | {"width": 480}, vl_version="6.4")
        assert drawn.startswith("<svg")


def test_charts_with_nothing_to_see_are_left_out() -> None:
    (contest,) = contests([a_result("fifo", seed, 0.0) for seed in range(3)])
    assert charts.waiting_chart(contest) is None
    assert charts.trade_off_chart(contest, "charge_cny", "wait_p95") is None


@pytest.mark.parametrize(("low", "high"), [(0, 50), (0, 40_000), (3_000, 200_000), (0, 5_000_000)])
def test_ticks_of_durations_are_few_and_span_the_values(low: float, high: float) -> None:
    ticks = charts.duration_ticks(low, high)
    assert 3 <= len(ticks) <= 8
    assert ticks[0] <= low and high <= ticks[-1]


@pytest.mark.parametrize("key", METRICS)
def test_every_metric_is_explained_in_both_languages(key: str) -> None:
    said = explanation(key)
    assert said.zh and said.en


def test_the_table_has_a_row_a_run_and_a_row_a_pool_and_reads_back(tmp_path: Path) -> None:
    write_results_table(results(WAITS), tmp_path / "results.parquet")
    rows = read_results_table(tmp_path / "results.parquet")
    assert len(rows) == 3 * 6 * (1 + 2)
    first = rows[0]
    assert (first["policy"], first["seed"], first["pool"], first["jobs"]) == ("easy", 0, "", 100.0)
    assert "energy_kwh" not in first
    assert rows[1]["pool"] == "pool-1" and rows[1]["allocation_cpu"] == 0.7


def test_no_metric_has_the_name_of_a_label() -> None:
    assert set(METRICS) & {*TEXTS, "seed"} == set()


def test_the_table_does_not_depend_on_the_order_of_runs(tmp_path: Path) -> None:
    write_results_table(results(WAITS), tmp_path / "a.parquet")
    write_results_table(results(WAITS)[::-1], tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()

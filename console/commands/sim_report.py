"""`xisuan sim report`: what a portfolio found, as an answer on the terminal, one HTML page, and a Parquet table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console import printing
from console.commands.options import AsJson
from console.faults import Fault
from simulations.metrics.definitions import Metric
from simulations.metrics.statistics import Estimate
from simulations.report import wording
from simulations.report.contest import Contest, Verdict, contests, verdict
from simulations.report.page import PageOptions, write_page
from simulations.report.results_table import write_results_table
from simulations.result_file import ResultFileError, read_results


def report(
    results: Annotated[Path, typer.Argument(metavar="DIR", help="portfolio 的结果 / results of a portfolio")],
    html: Annotated[Path | None, typer.Option("--html", help="写成一页 HTML / write one HTML page")] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", help="写成 Parquet 表 / write a Parquet table")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="按此指标评判 / the metric that decides")] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="差异的基准 / what differences are taken from")
    ] = None,
    axis: Annotated[
        str | None, typer.Option("--axis", help="比较什么：policy、capacity、failures、trace / what is compared")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="标题，缺省为场景名 / default: the scenario's name")] = "",
    as_json: AsJson = False,
) -> None:
    """结论、把握与对比；可写成离线 HTML 与 Parquet / the answer, how sure it is, and the comparison."""
    try:
        found = read_results(results)
        held = contests(found, axis)
        judged = [(contest, verdict(contest, by)) for contest in held]
        facts = {"命令 / command": _command(by, base, axis)}
        if html is not None:
            write_page(found, html, PageOptions(title=title, by=by, base=base, axis=axis, facts=facts))
        if parquet is not None:
            write_results_table(found, parquet)
    except (ResultFileError, ValueError) as error:
        raise Fault(str(error)) from error
    except OSError as error:
        raise Fault(
            f"{error.filename}: 无法写入（{error.strerror}） / cannot be written; name another file"
        ) from error
    if as_json:
        printing.write_json([_document(contest, one) for contest, one in judged])
        return
    for contest, one in judged:
        _show(contest, one, base or next(iter(contest.entries)))
    for file in (html, parquet):
        if file is not None:
            printing.say(f"已写 / written: {file}")


def _show(contest: Contest, one: Verdict | None, base: str) -> None:
    if one is not None:
        said, sure = wording.answer(one), wording.certainty(one)
        style = "bold green" if one.is_sure else "bold yellow"
        printing.say(f"{said.zh} / {said.en}", style)
        printing.say(f"  {sure.zh} / {sure.en}")
    place = wording.setting(contest)
    columns = ("指标 / metric", *(_head(contest, entry, base) for entry in contest.entries))
    rows = [
        (f"{metric.zh} / {metric.en}", *(_cell(contest, entry, base, metric) for entry in contest.entries))
        for metric in contest.headline()
    ]
    printing.table(f"{place.zh} / {place.en}", columns, rows)


def _head(contest: Contest, entry: str, base: str) -> str:
    return f"{entry} (基准/base)" if entry == base and len(contest.entries) > 1 else entry


def _cell(contest: Contest, entry: str, base: str, metric: Metric) -> str:
    """Mean and interval; then the paired difference from the base, with a star where it is clear."""
    value = contest.value(entry, metric.key)
    if value is None:
        return "-"
    text = metric.text(value.mean, value.half_width)
    difference = contest.difference(base, entry, metric.key) if entry != base and base in contest.entries else None
    if difference is None or difference.mean == 0:
        return text
    return f"{text}  ({metric.difference(difference.mean)}{'*' if difference.is_clear else ''})"


def _document(contest: Contest, one: Verdict | None) -> dict[str, object]:
    metrics = {
        entry: {metric.key: _estimate(contest.value(entry, metric.key)) for metric in contest.headline()}
        for entry in contest.entries
    }
    answer: dict[str, object] | None = None
    if one is not None:
        answer = {
            "metric": one.metric.key,
            "best": one.best,
            "sure": one.is_sure,
            "value": _estimate(one.value),
            "rivals": [
                {"name": rival.name, "value": _estimate(rival.value), "difference": _estimate(rival.difference)}
                for rival in one.rivals
            ],
            "zh": wording.answer(one).zh,
            "en": wording.answer(one).en,
        }
    return {
        "axis": contest.axis,
        "setting": dict(contest.setting),
        "seeds": contest.seeds,
        "answer": answer,
        "metrics": metrics,
    }


def _estimate(value: Estimate | None) -> dict[str, object] | None:
    if value is None:
        return None
    return {"mean": value.mean, "half_width": value.half_width, "seeds": value.seeds}


def _command(by: str | None, base: str | None, axis: str | None) -> str:
    """The options that change what the page says."""
    given = [f"--{name} {value}" for name, value in (("by", by), ("base", base), ("axis", axis)) if value]
    return " ".join(["xisuan sim report", *given])

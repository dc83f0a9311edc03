"""One HTML page that holds everything it needs: it opens offline and asks nothing of any network.

It begins with the answer (which, by how much, how sure) and ends with the assumptions. Charts are Vega-Lite; their
script is the bundle inside the vl-convert package (0.9 MB). A content security policy in the page forbids any request,
so that "offline" is enforced by the browser and not only promised. `xisuan sim report` calls `write_page`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path

import vl_convert

from simulations.metrics.result import Result
from simulations.report import wording
from simulations.report.charts import Spec
from simulations.report.contest import Contest, Verdict, contests, verdict
from simulations.report.sections import (
    answer_card,
    assumptions_section,
    charts_section,
    figures_table,
    settings_table,
)
from simulations.whole_file import whole_file

POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:"
MOST_DETAILED = 12  # contests that get their own charts; the table above names all


@dataclass(frozen=True, slots=True)
class PageOptions:
    """`title`: what the page is called ("": the scenario's name). `by`: the metric that decides (None: the first on
    which entries differ). `base`: what differences are taken from (None: the first entry). `axis`: what is compared
    (None: what differs). `facts`: further lines for the assumptions, by name, such as the command that made the page.
    `illustrative`: say on top that the numbers are invented."""

    title: str = ""
    by: str | None = None
    base: str | None = None
    axis: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    illustrative: bool = False


@dataclass(slots=True)
class Charts:
    """Collects the specifications; each gets a place in the page by its number."""

    specs: list[Spec] = field(default_factory=list)

    def place(self, spec: Spec) -> str:
        self.specs.append(spec)
        said = escape(str(spec["description"]), quote=True)
        return f'<div class="chart" id="chart-{len(self.specs) - 1}" role="img" aria-label="{said}"></div>'


def write_page(results: Sequence[Result], path: Path, options: PageOptions) -> None:
    """Replaces the file as a whole. Raises ValueError as `contests` and `verdict` do, and for an unknown base."""
    page = render_page(results, options)
    with whole_file(path) as draft:
        draft.write_text(page, encoding="utf-8")


def render_page(results: Sequence[Result], options: PageOptions) -> str:
    """The page. The same results and options give the same text."""
    held = contests(results, options.axis)
    judged = [(contest, verdict(contest, options.by)) for contest in held]
    charts = Charts()
    body = [_top(results, options), "<main>", *_answers(judged)]
    if len(held) > 1:
        body.append(settings_table(held, [one for _, one in judged if one is not None]))
    for contest, one in judged[:MOST_DETAILED]:
        base = _base(contest, options.base)
        if len(held) > 1:
            said = wording.setting(contest)
            body.append(_heading(said.zh, said.en))
        body.append(figures_table(contest, base))
        body += charts_section(contest, one, base, charts.place)
    body += [assumptions_section(results, options.facts), _foot(), "</main>"]
    return _document(options.title or results[0].provenance.scenario, "\n".join(body), charts.specs)


def _answers(judged: Sequence[tuple[Contest, Verdict | None]]) -> list[str]:
    verdicts = [one for _, one in judged if one is not None]
    if not verdicts:
        said = wording.Sentence(
            "没有可评判的指标：没有作业被计入", "Nothing to judge by: no job counted in any run"
        )
        return [f'<section class="card answer plain"><h2>{said.zh}</h2><p class="en">{said.en}</p></section>']
    return [answer_card(verdicts)]


def _base(contest: Contest, wanted: str | None) -> str:
    if wanted is None:
        return next(iter(contest.entries))
    if wanted not in contest.entries:
        raise ValueError(
            f"没有 {wanted} 的结果 / there is no result of {wanted}; 可用 / there are: {', '.join(contest.entries)}"
        )
    return wanted


def _heading(zh: str, en: str) -> str:
    return f'<h2 class="section">{escape(zh)} <span class="en">{escape(en)}</span></h2>'


def _top(results: Sequence[Result], options: PageOptions) -> str:
    title = options.title or results[0].provenance.scenario
    mark = " · 【示例数据 / illustrative data】" if options.illustrative else ""
    runs = f"{len(results):,} 次仿真 / simulated runs"
    return f"<header><div><h1>{escape(title)}</h1><p>西算仿真报告 / Xisuan simulation report · {runs}{mark}</p></div></header>"


def _foot() -> str:
    return (
        "<footer>本页自成一体，不访问网络；同样的结果得到同样的页面。 / This page is self-contained and asks nothing of any "
        "network; the same results give the same page.</footer>"
    )


def _document(title: str, body: str, specs: Sequence[Spec]) -> str:
    style = files("simulations.report").joinpath("page.css").read_text(encoding="utf-8")
    drawing = (
        f"const specs = {_json(specs)};\n"
        "specs.forEach((spec, i) => vegaEmbed('#chart-' + i, spec, {actions: false, renderer: 'svg', logLevel: 1}));"
    )
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="zh-CN">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)} · 西算仿真报告</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            body,
            "<noscript>图表需要 JavaScript；表格与结论不需要。 / The charts need JavaScript; the answer and the tables do "
            "not.</noscript>",
            f'<script type="module">\n{_script()}\n{drawing}\n</script>',
            "</body>",
            "</html>",
            "",
        )
    )


def _script() -> str:
    """Vega, Vega-Lite and vega-embed. A closing tag inside a string of theirs must not end our script."""
    bundle: str = vl_convert.javascript_bundle(snippet=None)  # type: ignore[arg-type]  # the stub forgets the default
    return bundle.replace("</script", "<\\/script")


def _json(document: object) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")

"""The sections of the page: the answer, the tables, the charts, the assumptions. `page` puts them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from simulations.metrics.definitions import METRICS, Better, Metric
from simulations.metrics.result import Result
from simulations.metrics.statistics import CONFIDENCE, Estimate
from simulations.report import wording
from simulations.report.charts import (
    PALETTE,
    Spec,
    curve_chart,
    difference_chart,
    pools_chart,
    seeds_chart,
    trade_off_chart,
    waiting_chart,
)
from simulations.report.contest import Contest, Verdict, contests
from simulations.report.explanations import explanation

Place = Callable[[Spec], str]
MOST_DIFFERENCES = 6  # charts of differences from the base
MOST_SENTENCES = 6  # answers in words; the table has all


def answer_card(verdicts: Sequence[Verdict]) -> str:
    """The answer, how sure it is, and the figures behind it."""
    over = wording.overall(list(verdicts))
    compared = any(one.rivals for one in verdicts)
    sure = compared and all(one.is_sure for one in verdicts)
    kind = ("sure" if sure else "") if compared else "plain"
    badge = "有把握 / sure" if sure else ("把握不足 / not sure" if compared else "单一方案 / nothing compared")
    seeds = len(verdicts[0].contest.seeds)
    lines = [
        f'<section class="card answer {kind}" id="answer">',
        f'<span class="badge {kind}">{badge}</span>'
        f'<span class="badge quiet">{seeds} 个种子 / {seeds} seeds</span>'
        f'<span class="badge quiet">{CONFIDENCE:.0%} 置信 / confidence</span>',
    ]
    if over is not None:
        lines += [f"<h2>{escape(over.zh)}</h2>", f'<p class="en">{escape(over.en)}</p>']
        for one in verdicts[:MOST_SENTENCES]:
            held, said = wording.setting(one.contest), wording.answer(one)
            lines.append(f"<p>{escape(held.zh)}：{escape(said.zh)}</p>")
            lines.append(f'<p class="en">{escape(held.en)}: {escape(said.en)}</p>')
    else:
        said, sureness = wording.answer(verdicts[0]), wording.certainty(verdicts[0])
        lines += [
            f"<h2>{escape(said.zh)}</h2>",
            f'<p class="en">{escape(said.en)}</p>',
            f'<div class="certainty"><p>{escape(sureness.zh)}</p><p class="en">{escape(sureness.en)}</p></div>',
            _figures(verdicts[0]),
        ]
    return "\n".join([*lines, "</section>"])


def _figures(judged: Verdict) -> str:
    """A few figures of the best entry, with the change from the nearest rival."""
    contest, best = judged.contest, judged.best
    shown: list[str] = []
    for metric in contest.headline()[:8]:
        value = contest.value(best, metric.key)
        if value is None:
            continue
        delta = ""
        if judged.rivals:
            difference = contest.difference(judged.rivals[0].name, best, metric.key)
            if difference is not None and difference.mean:
                delta = (
                    f'<span class="delta {_judged(metric, difference)}">{escape(metric.difference(difference.mean))}'
                    f" vs {escape(judged.rivals[0].name)}</span>"
                )
        shown.append(
            f'<div class="figure"><span>{escape(metric.zh)}<br>{escape(metric.en)}</span>'
            f"<b>{escape(metric.text(value.mean))}</b>{delta}</div>"
        )
    return f'<div class="figures">{"".join(shown)}</div>'


def settings_table(held: Sequence[Contest], verdicts: Sequence[Verdict]) -> str:
    """One row a setting: what the deciding metric is under each entry, the best marked."""
    entries = list(dict.fromkeys(entry for contest in held for entry in contest.entries))
    rows = []
    for judged in verdicts:
        said = wording.setting(judged.contest)
        cells = [_setting_cell(judged, entry) for entry in entries]
        rows.append(
            f"<tr><th>{escape(said.zh)}<small>{escape(judged.metric.zh)}</small></th>{''.join(cells)}</tr>"
        )
    heads = "".join(f"<th>{escape(entry)}</th>" for entry in entries)
    return (
        '<section class="card"><h3>各情形一览 <span class="en">All settings</span></h3>'
        '<p class="hint">绿底为最好；带 ✓ 的有把握。 / Green is best; ✓ means sure.</p>'
        f'<div class="wide"><table><thead><tr><th></th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        "</section>"
    )


def _setting_cell(judged: Verdict, entry: str) -> str:
    value = judged.contest.value(entry, judged.metric.key) if entry in judged.contest.entries else None
    if value is None:
        return "<td>–</td>"
    text = _with_interval(judged.metric, value)
    if entry != judged.best:
        return f"<td>{text}</td>"
    return f'<td class="best">{text}{" ✓" if judged.is_sure else ""}</td>'


def figures_table(contest: Contest, base: str) -> str:
    """Every metric of every entry with its interval, and the paired difference from the base."""
    keys = [key for key in METRICS if any(contest.by_seed(entry, key) for entry in contest.entries)]
    headline = {metric.key for metric in contest.headline()}
    heads = "".join(
        f'<th><span class="dot" style="background:{PALETTE[i % len(PALETTE)]}"></span>{escape(entry)}'
        f"{'<small>基准 / base</small>' if entry == base and len(contest.entries) > 1 else ''}</th>"
        for i, entry in enumerate(contest.entries)
    )

    def table(shown: Sequence[str]) -> str:
        body = "".join(_metric_row(contest, base, METRICS[key]) for key in shown)
        return (
            f'<div class="wide"><table><thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
        )

    first = [key for key in keys if key in headline]
    rest = [key for key in keys if key not in headline]
    more = f"<details><summary>全部指标 / all metrics</summary>{table(rest)}</details>" if rest else ""
    return (
        '<section class="card"><h3>主要指标 <span class="en">Key figures</span></h3>'
        '<p class="hint">均值 ± 95 % 置信区间半宽；小字为与基准逐种子配对的差，绿色更好、红色更差、灰色不显著。 / '
        "mean ± half the 95 % interval; below it the paired difference from the base: green better, red worse, grey not "
        f"clear.</p>{table(first)}{more}</section>"
    )


def _metric_row(contest: Contest, base: str, metric: Metric) -> str:
    values = {entry: contest.value(entry, metric.key) for entry in contest.entries}
    means = [value.mean for value in values.values() if value is not None]
    best = {Better.LOWER: min(means), Better.HIGHER: max(means), Better.NEITHER: None}[metric.better]
    cells = []
    for entry, value in values.items():
        if value is None:
            cells.append("<td>–</td>")
            continue
        marked = ' class="best"' if value.mean == best and len(set(means)) > 1 else ""
        difference = contest.difference(base, entry, metric.key) if entry != base else None
        below = ""
        if difference is not None:
            below = f'<small class="{_judged(metric, difference)}">{_difference(metric, difference)}</small>'
        cells.append(f"<td{marked}>{_with_interval(metric, value)}{below}</td>")
    return f"<tr><th>{escape(metric.zh)}<small>{escape(metric.en)}</small></th>{''.join(cells)}</tr>"


def charts_section(contest: Contest, judged: Verdict | None, base: str, place: Place) -> list[str]:
    """The charts of one contest, each under what it shows and how to read it."""
    several = len(contest.entries) > 1
    cost = next((key for key in ("charge_cny", "energy_kwh") if _differs(contest, key)), None)
    held = "allocated.accelerator" if _has_curve(contest, "allocated.accelerator") else "allocated.cpu"
    shown: list[tuple[str, str, str, Spec | None]] = []
    if judged is not None and several:
        shown.append(
            (
                "逐种子对比",
                "Seed by seed",
                "点：每个种子；竖线：均值；浅色条：95 % 置信区间。 / Dots: seeds; tick: mean; bar: 95 % interval.",
                seeds_chart(judged),
            )
        )
    shown.append(
        (
            "等待多久",
            "How long jobs wait",
            "中位、p95、p99；越靠左越好。 / Median, p95, p99; left is better.",
            waiting_chart(contest),
        )
    )
    others = [entry for entry in contest.entries if entry != base]
    shown += [
        (
            f"{other} 相对 {base}",
            f"{other} against {base}",
            "绿色更好，红色更差，灰色不显著；横线：95 % 区间。 / Green better, red worse, grey not clear; line: 95 % interval.",
            difference_chart(contest, base, other),
        )
        for other in others[:MOST_DIFFERENCES]
    ]
    shown += [
        (
            "排队作业数",
            "Jobs waiting over time",
            "各种子的均值，色带为范围。 / Mean of the seeds; the band is their range.",
            curve_chart(contest, "waiting.jobs", "排队作业数 / jobs waiting", is_share=False),
        ),
        (
            "分配率走势",
            "Allocation over time",
            "已分配 / 在线可提供。 / Allocated, of what is offered.",
            curve_chart(contest, held, "分配率 / allocation", is_share=True),
        ),
        (
            "各池负荷",
            "Load of each pool",
            "整个仿真期的分配率。 / Allocation over the whole simulation.",
            pools_chart(contest),
        ),
    ]
    if cost is not None and several:
        shown.append(
            (
                "代价与等待",
                "Cost against waiting",
                "越靠左下越好。 / Towards the lower left is better.",
                trade_off_chart(contest, cost, "wait_p95"),
            )
        )
    cards = [
        f'<section class="card"><h3>{escape(zh)} <span class="en">{escape(en)}</span></h3>'
        f'<p class="hint">{escape(hint)}</p>{place(spec)}</section>'
        for zh, en, hint, spec in shown
        if spec is not None
    ]
    return ['<div class="grid">', *cards, "</div>"] if cards else []


# docs/simulation.md has the same list, in more words.
ASSUMED = (
    "启动、抢占与移动不花时间；调度本身不占虚拟时间。 / Launches, preemption and moves take no time, nor does scheduling itself.",
    "作业在任何池的运行时间都是轨迹给出的；数据不搬运。 / A job runs as long on any pool as its trace says; data does not move.",
    "故障与负载、策略无关：各策略遇到相同的故障。 / Failures depend on neither load nor policy: every policy meets the same.",
    "被中断的作业从最近的检查点继续；没有检查点则重来。 / What is interrupted goes on from its last checkpoint, or begins again.",
    "没有运行时间估计的作业不会越过可能被它耽误的作业。 / A job without an estimate never passes one that it could delay.",
)


def assumptions_section(results: Sequence[Result], facts: Mapping[str, str]) -> str:
    """All that must be the same for these numbers to come out again, and what the reader must know."""

    def distinct(values: Sequence[str]) -> str:
        return "<br>".join(f"<code>{escape(value)}</code>" for value in dict.fromkeys(values))

    of = [result.provenance for result in results]
    seeds = sorted({result.label.seed for result in results})
    per_contest = {len(contest.seeds) for contest in contests(results)}
    entries = [
        ("情景 / scenario", "<br>".join(escape(name) for name in dict.fromkeys(one.scenario for one in of))),
        ("情景哈希 / scenario hash", _folded([one.scenario_hash for one in of])),
        (
            "负载哈希 / trace hash",
            _folded([f"{one.label.trace} {one.provenance.trace_hash}" for one in results]),
        ),
        ("代码版本 / code version", distinct([one.code_version for one in of])),
        (
            "随机种子 / seeds",
            f"<code>{escape(_ranges(seeds))}</code>（每组 {'、'.join(map(str, sorted(per_contest)))} 个）",
        ),
        (
            "统计方法 / statistics",
            "Student t 区间，逐种子配对；“最好”的判断用 Bonferroni 修正。 / Student's t intervals, paired by seed; the claim "
            "“best” is corrected by Bonferroni.",
        ),
        (
            "同一代码 / the same code",
            "仿真运行生产中的调度循环 scheduler.cycle。 / The simulation runs the scheduling cycle of production.",
        ),
        ("模型假设 / what the model assumes", "<br>".join(ASSUMED)),
        *((escape(name), escape(value)) for name, value in facts.items()),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in entries)
    notes = list(dict.fromkeys(note for result in results for note in result.notes))
    said = "".join(f"<li>{escape(note)}</li>" for note in notes)
    kept = (
        f'<h3>输入中须知 <span class="en">Remarks on the input</span></h3><ul class="notes">{said}</ul>'
        if notes
        else ""
    )
    return (
        '<h2 class="section" id="assumptions">假设与来源 <span class="en">Assumptions and provenance</span></h2>'
        f'<section class="card"><dl>{listed}</dl></section>'
        + (f'<section class="card">{kept}</section>' if kept else "")
        + _definitions(results)
    )


def _definitions(results: Sequence[Result]) -> str:
    there = {key for result in results for key in result.measures.metrics}
    seen: dict[str, list[str]] = {}
    for key in (key for key in METRICS if key in there):
        said = explanation(key)
        seen.setdefault(f"{said.zh}\n{said.en}", []).append(METRICS[key].zh)
    rows = "".join(
        f"<dt>{escape(names[0].split(' ')[0] if len(names) > 1 else names[0])}</dt>"
        f'<dd>{escape(text.splitlines()[0])}<br><span class="en">{escape(text.splitlines()[1])}</span></dd>'
        for text, names in seen.items()
    )
    return (
        '<section class="card"><details><summary>指标定义 / definitions of the metrics</summary>'
        f"<dl>{rows}</dl></details></section>"
    )


def _folded(hashes: Sequence[str]) -> str:
    """A few hashes in full; of many only how many, and the first."""
    distinct = list(dict.fromkeys(hashes))
    if len(distinct) <= 4:
        return "<br>".join(f"<code>{escape(one)}</code>" for one in distinct)
    rest = "".join(f"<br><code>{escape(one)}</code>" for one in distinct)
    return f"<details><summary>{len(distinct)} 个，展开 / {len(distinct)}, unfold</summary>{rest}</details>"


def _ranges(numbers: Sequence[int]) -> str:
    """ "0-9, 12": runs of numbers folded."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _with_interval(metric: Metric, value: Estimate) -> str:
    return escape(metric.text(value.mean, value.half_width))


def _difference(metric: Metric, difference: Estimate) -> str:
    return escape(metric.difference(difference.mean, difference.half_width))


def _judged(metric: Metric, difference: Estimate) -> str:
    """The class that colours a difference."""
    if not difference.is_clear or metric.better is Better.NEITHER:
        return ""
    return "better" if (difference.mean < 0) == (metric.better is Better.LOWER) else "worse"


def _differs(contest: Contest, key: str) -> bool:
    return len({value.mean for entry in contest.entries if (value := contest.value(entry, key))}) > 1


def _has_curve(contest: Contest, name: str) -> bool:
    return any(name in one.measures.curves.values for results in contest.entries.values() for one in results)

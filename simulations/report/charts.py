"""The charts of the page, as Vega-Lite specifications: plain documents, drawn by the script that the page carries.

Each function gives None where there is nothing to see. Colours: one for each entry, the same in every chart, from the
palette of Okabe and Ito, which people who see colours differently can tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from simulations.metrics.definitions import METRICS, Better, Metric
from simulations.metrics.result import Result
from simulations.report.contest import Contest, Verdict

Spec = dict[str, Any]
Rows = list[dict[str, Any]]

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b6b6b", "#b8a300")
BETTER_COLOUR, WORSE_COLOUR, UNCLEAR_COLOUR = "#00805a", "#c2410c", "#94a3b8"
GRID = 160  # points of a curve
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
# Durations on axes: 90 s, 45 min, 12 h, 8 d.
DURATION = (
    "datum.value < 0 ? '' : datum.value < 120 ? datum.value + ' s' : datum.value < 7200 ? "
    "format(datum.value / 60, '.3~g') + ' min' : datum.value < 172800 ? format(datum.value / 3600, '.3~g') + ' h' : "
    "format(datum.value / 86400, '.3~g') + ' d'"
)
TICK_STEPS = (
    1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 432000, 864000, 2592000, 8640000,
)  # fmt: skip
DURATION_TICKS = [0, 10, 60, 600, 3600, 21600, 86400, 604800, 2592000]


def seeds_chart(judged: Verdict) -> Spec | None:
    """Every seed as a dot, the mean with its confidence interval as a bar: how far apart entries really are."""
    contest, metric = judged.contest, judged.metric
    dots: Rows = []
    means: Rows = []
    scale = _scale(metric)
    for entry in contest.entries:
        for seed, value in contest.by_seed(entry, metric.key).items():
            dots.append({"entry": entry, "seed": seed, "value": value * scale, "text": metric.text(value)})
        mean = contest.value(entry, metric.key)
        if mean is not None:
            low, high = (mean.mean, mean.mean) if mean.half_width is None else (mean.low or 0.0, mean.high or 0.0)
            means.append(
                {
                    "entry": entry,
                    "value": mean.mean * scale,
                    "low": low * scale,
                    "high": high * scale,
                    "text": metric.text(mean.mean),
                }
            )
    x = {"field": "value", "type": "quantitative", "title": _axis_title(metric), "scale": {"zero": False}}
    if metric.unit == "s":
        ends = [row["value"] for row in dots] + [row[end] for row in means for end in ("low", "high")]
        x["axis"] = {"labelExpr": DURATION, "values": duration_ticks(min(ends), max(ends))}
    y = {"field": "entry", "type": "nominal", "sort": list(contest.entries), "title": None}
    colour = {"field": "entry", "scale": _colours(contest), "legend": None}
    return _spec(
        f"{metric.zh} / {metric.en}",
        {
            "height": {"step": 44},
            "layer": [
                {
                    "data": {"values": means},
                    "mark": {"type": "bar", "height": 14, "opacity": 0.28, "cornerRadius": 3},
                    "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}, "y": y, "color": colour},
                },
                {
                    "data": {"values": dots},
                    "mark": {"type": "circle", "size": 42, "opacity": 0.75},
                    "encoding": {"x": x, "y": y, "color": colour, "tooltip": _tips("entry", "seed", "text")},
                },
                {
                    "data": {"values": means},
                    "mark": {"type": "tick", "thickness": 3, "size": 24},
                    "encoding": {"x": x, "y": y, "color": colour, "tooltip": _tips("entry", "text")},
                },
            ],
        },
    )


def difference_chart(contest: Contest, base: str, other: str) -> Spec | None:
    """What changes from `base` to `other`, metric by metric, in percent of the base, with 95 % intervals."""
    rows: Rows = []
    for metric in contest.headline():
        difference, own = contest.difference(base, other, metric.key), contest.value(base, metric.key)
        if difference is None or own is None or own.mean == 0:
            continue
        percent = 100 / abs(own.mean)
        half = difference.half_width or 0.0
        good = (difference.mean < 0) == (metric.better is Better.LOWER)
        rows.append(
            {
                "metric": metric.zh,
                "value": difference.mean * percent,
                "low": (difference.mean - half) * percent,
                "high": (difference.mean + half) * percent,
                "judged": ("better" if good else "worse") if difference.is_clear else "unclear",
                "text": f"{metric.en}: {metric.difference(difference.mean)}",
            }
        )
    if not rows:
        return None
    ends = [abs(row[end]) for row in rows for end in ("low", "high")]
    widest = min(150.0, max(1.0, *ends) * 1.05)
    x = {
        "field": "value",
        "type": "quantitative",
        "title": "变化 / change (%)",
        "scale": {"domain": [-widest, widest], "clamp": True},
    }
    y = {"field": "metric", "type": "nominal", "sort": None, "title": None}
    colour = {
        "field": "judged",
        "scale": {
            "domain": ["better", "worse", "unclear"],
            "range": [BETTER_COLOUR, WORSE_COLOUR, UNCLEAR_COLOUR],
        },
        "legend": None,
    }
    return _spec(
        f"{other} − {base}",
        {
            "height": {"step": 24},
            "layer": [
                {
                    "data": {"values": [{"zero": 0}]},
                    "mark": {"type": "rule", "color": "#64748b", "strokeDash": [3, 3]},
                    "encoding": {"x": x | {"field": "zero"}},
                },
                {
                    "data": {"values": rows},
                    "mark": {"type": "rule", "strokeWidth": 4, "opacity": 0.45},
                    "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}, "y": y, "color": colour},
                },
                {
                    "data": {"values": rows},
                    "mark": {"type": "circle", "size": 90, "opacity": 1},
                    "encoding": {"x": x, "y": y, "color": colour, "tooltip": _tips("metric", "text")},
                },
            ],
        },
    )


def waiting_chart(contest: Contest) -> Spec | None:
    """How long jobs wait: the median, the 95th and the 99th percentile of each entry on one line."""
    rows: Rows = []
    for entry in contest.entries:
        for key in ("wait_p50", "wait_p95", "wait_p99"):
            value = contest.value(entry, key)
            if value is not None:
                text = METRICS[key].text(value.mean)
                rows.append({"entry": entry, "part": key[5:], "value": value.mean, "text": text})
    if not any(row["value"] for row in rows):
        return None
    x = {
        "field": "value",
        "type": "quantitative",
        "title": "等待时间 / waiting time",
        "scale": {"type": "symlog", "constant": 30},
        "axis": {"labelExpr": DURATION, "values": DURATION_TICKS},
    }
    y = {"field": "entry", "type": "nominal", "sort": list(contest.entries), "title": None}
    return _spec(
        "等待时间分位数 / waiting time percentiles",
        {
            "data": {"values": rows},
            "height": {"step": 40},
            "layer": [
                {
                    "mark": {"type": "line", "strokeWidth": 3, "opacity": 0.5},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "detail": {"field": "entry"},
                        "color": {"field": "entry", "scale": _colours(contest), "legend": None},
                    },
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 130, "opacity": 1},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "shape": {
                            "field": "part",
                            "title": None,
                            "sort": ["p50", "p95", "p99"],
                            "scale": {
                                "domain": ["p50", "p95", "p99"],
                                "range": ["circle", "square", "triangle-up"],
                            },
                            "legend": {
                                "orient": "top",
                                "symbolFillColor": "#475569",
                                "symbolStrokeColor": "#475569",
                            },
                        },
                        "color": {"field": "entry", "scale": _colours(contest), "legend": None},
                        "tooltip": _tips("entry", "part", "text"),
                    },
                },
            ],
        },
    )


def curve_chart(contest: Contest, name: str, title: str, is_share: bool) -> Spec | None:
    """One quantity over time, the mean of the seeds as a line and their range as a band."""
    rows: Rows = []
    longest = max(int(one.measures.curves.at_ms[-1]) for results in contest.entries.values() for one in results)
    first = min(int(one.measures.curves.at_ms[0]) for results in contest.entries.values() for one in results)
    unit, unit_ms = ("天/days", DAY_MS) if longest - first > 3 * DAY_MS else ("小时/hours", HOUR_MS)
    grid = np.linspace(first, longest, GRID)
    for entry, results in contest.entries.items():
        sampled = [_on(grid, one, name) for one in results if name in one.measures.curves.values]
        if not sampled:
            continue
        values = np.stack(sampled)
        for column, at in enumerate(grid.tolist()):
            here = values[:, column]
            rows.append(
                {
                    "entry": entry,
                    "at": round((at - first) / unit_ms, 4),
                    "mean": _short(float(here.mean())),
                    "low": _short(float(here.min())),
                    "high": _short(float(here.max())),
                }
            )
    if not any(row["high"] for row in rows):
        return None
    x: Spec = {
        "field": "at",
        "type": "quantitative",
        "title": unit,
        "axis": {"grid": False},
        "scale": {"nice": False},
    }
    axis = {"format": ".0%"} if is_share else {"format": "~s"}
    y: Spec = {"field": "mean", "type": "quantitative", "title": None, "axis": axis}
    if is_share:
        y["scale"] = {"domain": [0, 1], "clamp": True}
    colour = {
        "field": "entry",
        "scale": _colours(contest),
        "title": None,
        "legend": {"orient": "top", "columns": 3},
    }
    return _spec(
        title,
        {
            "data": {"values": rows},
            "height": 230,
            "layer": [
                {
                    "mark": {"type": "area", "opacity": 0.14},
                    "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": colour},
                },
                {
                    "mark": {"type": "line", "strokeWidth": 1.8, "interpolate": "monotone"},
                    "encoding": {"x": x, "y": y, "color": colour},
                },
            ],
        },
    )


def pools_chart(contest: Contest) -> Spec | None:
    """How full each pool is under each entry: cards where it has any, CPU otherwise."""
    rows: Rows = []
    first = next(iter(contest.entries.values()))
    for pool in first[0].measures.pools:
        for entry, results in contest.entries.items():
            values = [_fullness(one.measures.pools[pool]) for one in results if pool in one.measures.pools]
            if values:
                mean = float(np.mean(values))
                rows.append({"pool": pool, "entry": entry, "value": mean, "text": f"{mean:.0%}"})
    if not rows:
        return None
    x = {"field": "entry", "type": "nominal", "sort": list(contest.entries), "title": None}
    y = {"field": "pool", "type": "nominal", "sort": None, "title": None}
    angle = {"axis": {"orient": "top", "labelAngle": -25 if len(contest.entries) > 3 else 0}}
    return _spec(
        "各池分配率 / allocation by pool",
        {
            "data": {"values": rows},
            "height": {"step": 28},
            "layer": [
                {
                    "mark": {"type": "rect", "stroke": "#fff", "strokeWidth": 2},
                    "encoding": {
                        "x": x | angle,
                        "y": y,
                        "color": {
                            "field": "value",
                            "type": "quantitative",
                            "scale": {"domain": [0, 1], "range": ["#eef4fa", "#9cc4e4", "#0b4f8a"]},
                            "legend": None,
                        },
                        "tooltip": _tips("pool", "entry", "text"),
                    },
                },
                {
                    "mark": {"type": "text", "fontSize": 12},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "text": {"field": "text"},
                        "color": {"condition": {"test": "datum.value > 0.6", "value": "#fff"}, "value": "#14213d"},
                    },
                },
            ],
        },
    )


def trade_off_chart(contest: Contest, cost: str, benefit: str) -> Spec | None:
    """Two metrics against each other; what lies nearer to the good corner is better in both."""
    rows: Rows = []
    across, up = METRICS[cost], METRICS[benefit]
    for entry in contest.entries:
        x_value, y_value = contest.value(entry, cost), contest.value(entry, benefit)
        if x_value is None or y_value is None:
            return None
        rows.append(
            {
                "entry": entry,
                "x": x_value.mean * _scale(across),
                "y": y_value.mean * _scale(up),
                "text": f"{across.text(x_value.mean)}, {up.text(y_value.mean)}",
            }
        )
    if len({(row["x"], row["y"]) for row in rows}) < 2:
        return None
    y: dict[str, Any] = {"field": "y", "type": "quantitative", "title": _axis_title(up), "scale": {"zero": False}}
    if up.unit == "s":
        heights = [row["y"] for row in rows]
        y |= {"axis": {"labelExpr": DURATION, "values": duration_ticks(min(heights), max(heights))}}
    x = {
        "field": "x",
        "type": "quantitative",
        "title": _axis_title(across),
        "scale": {"zero": False, "padding": 50},
        "axis": {"format": "~s", "tickCount": 5},
    }
    colour = {"field": "entry", "scale": _colours(contest), "legend": None}
    return _spec(
        f"{across.zh} × {up.zh}",
        {
            "data": {"values": rows},
            "height": 230,
            "layer": [
                {
                    "mark": {"type": "circle", "size": 190, "opacity": 0.9},
                    "encoding": {"x": x, "y": y, "color": colour, "tooltip": _tips("entry", "text")},
                },
                {
                    "mark": {"type": "text", "dy": -16, "fontWeight": 600},
                    "encoding": {"x": x, "y": y, "text": {"field": "entry"}, "color": colour},
                },
            ],
        },
    )


def duration_ticks(low: float, high: float) -> list[int]:
    """Three to eight round durations (seconds) that span low..high."""
    step = next((step for step in TICK_STEPS if high - low <= 6 * step), TICK_STEPS[-1])
    return [tick * step for tick in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _spec(description: str, body: Spec) -> Spec:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": description,
        "width": "container",
        "config": CONFIG,
    } | body


CONFIG: Mapping[str, Any] = {
    "font": '"PingFang SC","Microsoft YaHei","Noto Sans CJK SC","Source Han Sans SC",system-ui,sans-serif',
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "#475569",
        "titleColor": "#475569",
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "labelFontSize": 12,
        "labelLimit": 130,
        "gridColor": "#e7ecf2",
        "domainColor": "#cbd5e1",
        "tickColor": "#cbd5e1",
    },
    "axisY": {"labelPadding": 6},
    "legend": {"labelFontSize": 12, "labelColor": "#334155", "labelLimit": 160, "symbolStrokeWidth": 3},
}


def _colours(contest: Contest) -> dict[str, list[str]]:
    entries = list(contest.entries)
    return {"domain": entries, "range": [PALETTE[i % len(PALETTE)] for i in range(len(entries))]}


def _tips(*fields: str) -> list[dict[str, str]]:
    titles = {
        "entry": "方案",
        "seed": "种子/seed",
        "text": "值/value",
        "metric": "指标",
        "part": "分位",
        "pool": "池/pool",
    }
    return [{"field": field, "title": titles[field]} for field in fields]


def _axis_title(metric: Metric) -> str:
    unit = {"ratio": "%", "s": ""}.get(metric.unit, metric.unit)
    return f"{metric.zh} / {metric.en}" + (f" ({unit})" if unit else "")


def _scale(metric: Metric) -> float:
    """Ratios are drawn in percent."""
    return 100.0 if metric.unit == "ratio" else 1.0


def _on(grid: npt.NDArray[np.float64], result: Result, name: str) -> npt.NDArray[np.float64]:
    """The curve on the common grid; 0 after its own end."""
    curves = result.measures.curves
    return np.interp(grid, curves.at_ms.astype(np.float64), curves.values[name], right=0.0)


def _short(value: float) -> float:
    """Four figures are enough for a line, and keep the page small."""
    return float(f"{value:.4g}")


def _fullness(metrics: Mapping[str, float]) -> float:
    return metrics.get("allocation_accelerator", metrics.get("allocation_cpu", 0.0))


def all_specs(specs: Sequence[Spec | None]) -> list[Spec]:
    """Those that show something."""
    return [spec for spec in specs if spec is not None]

"""The monthly report as one HTML page that opens anywhere, offline, on a phone as on a wall.

Nothing is loaded and no script runs: style is inside, figures open their rows by plain links.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from console.monthly.texts import LABEL, WATERMARK, clean, dateline, heading, signature_lines
from inventory.reports.document import MonthlyReport, Section, Table

_STYLE = Path(__file__).with_name("page.css")
_MOST_LINKS = 200  # of one figure; the annex has all


def write_page(report: MonthlyReport) -> bytes:
    parts = [
        "<!doctype html>",
        '<html lang="zh-CN"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(report.title + report.subtitle)}</title>",
        f"<style>{_STYLE.read_text('utf-8')}</style></head>",
        f'<body class="{"illustrative" if report.illustrative else ""}">',
        *_head(report),
        "<main>",
        *(
            part
            for place, section in enumerate(report.sections, start=1)
            for part in _section(report, place, section)
        ),
        *_figures(report),
        *_rows(report),
        "</main>",
        *_foot(report),
        "</body></html>",
    ]
    return "\n".join(parts).encode()


def _head(report: MonthlyReport) -> Iterator[str]:
    yield "<header>"
    if report.illustrative:
        yield f'<p class="mark" role="note">{_text(WATERMARK)} · 本报告含示例数据，不得作为考核依据</p>'
    yield f"<h1>{_text(report.title)}</h1><p class=subtitle>{_text(report.subtitle)}</p>"
    yield f"<p class=dateline>{_text(dateline(report))}</p>"
    yield '<div class="cards">'
    for number in report.headline:
        figure = report.figure(number)
        under = f"{figure.share}" if figure.is_rate else "个系统"
        yield (
            f'<a class="card" href="#{figure.label}"><span class="name">{_text(figure.name)}</span>'
            f'<span class="value">{_text(figure.shown)}</span><span class="under">{_text(under)} · {figure.label}</span></a>'
        )
    yield "</div>"
    yield from (f"<p class=summary>{_linked(line)}</p>" for line in report.summary)
    yield '<nav aria-label="目录">'
    for place, section in enumerate(report.sections, start=1):
        yield f'<a href="#{section.code}">{_text(heading(place, section))}</a>'
    yield '<a href="#figures">指标与行</a></nav></header>'


def _section(report: MonthlyReport, place: int, section: Section) -> Iterator[str]:
    yield f'<section id="{section.code}"><h2>{_text(heading(place, section))}</h2>'
    yield from (f"<p>{_linked(line)}</p>" for line in section.paragraphs)
    for table in section.tables:
        yield f"<h3>{_text(table.title)}</h3>"
        yield from _table(table)
        if table.note:
            yield f'<p class="note">注：{_text(table.note)}</p>'
    yield "</section>"


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        yield f'<p class="empty">{_text(table.empty)}</p>'
        return
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(table.title)}"><table><thead><tr>'
    yield "".join(f'<th scope="col"{_side(at, table)}>{_text(head)}</th>' for at, head in enumerate(table.columns))
    yield "</tr></thead><tbody>"
    bar = table.columns.index("上云率") if "上云率" in table.columns else -1
    for row in table.rows:
        cells = (
            f"<td{_side(at, table)}{_bar(text) if at == bar else ''}>{_linked(text)}</td>"
            for at, text in enumerate(row)
        )
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"


def _side(at: int, table: Table) -> str:
    return ' class="number"' if at in table.numeric else ""


def _bar(text: str) -> str:
    """A cell of a rate shows it as a bar behind the number."""
    return f' style="--rate:{text}" data-rate' if text.endswith("%") else ""


def _figures(report: MonthlyReport) -> Iterator[str]:
    yield '<section id="figures"><h2>指标与行</h2>'
    yield '<p class="note">每个指标列出其分子、分母的行号；全部行与来源见附件 Excel“指标构成”“系统明细”。</p>'
    for figure in report.figures:
        yield (
            f'<details id="{figure.label}"><summary><b>{figure.label}</b> {_text(figure.name)}'
            f'<span class="value">{_text(figure.shown)}</span><span class="share">{_text(figure.share)}</span></summary>'
            f'<p class="note">范围 {_text(figure.scope)} · 截至 {figure.as_of}</p>'
        )
        yield _numbers("分子" if figure.is_rate else "行", figure.members)
        if figure.is_rate:
            counted = frozenset(figure.members)
            yield _numbers("分母其余", [number for number in figure.base if number not in counted])
        if figure.unknown:
            yield _numbers("未知", figure.unknown)
        yield "</details>"
    yield "</section>"


def _numbers(name: str, numbers: Sequence[int]) -> str:
    links = " ".join(f'<a href="#R{number:04d}">R{number:04d}</a>' for number in numbers[:_MOST_LINKS])
    more = len(numbers) - _MOST_LINKS
    rest = f" 等，另有{more}行见附件" if more > 0 else ""
    return f'<p class="members"><b>{name} {len(numbers)}</b> {links or "无"}{rest}</p>'


def _rows(report: MonthlyReport) -> Iterator[str]:
    heads = ("行号", "单位", "系统名称", "区县（原报）", "区县（重述）", "归属", "状态", "来源")
    yield '<section id="rows"><h2>系统明细</h2><div class="scroll" tabindex="0" role="region" aria-label="系统明细">'
    yield f"<table><thead><tr>{''.join(f'<th scope=col>{head}</th>' for head in heads)}</tr></thead><tbody>"
    for row in report.rows:
        source = f"{row.sender} {row.import_id} {row.sheet} 第{row.row}行"
        texts = (row.department, row.name, row.district, row.restated_district, row.ownership, row.state, source)
        yield f'<tr id="{row.label}"><td>{row.label}</td>{"".join(f"<td>{_text(text)}</td>" for text in texts)}</tr>'
    yield "</tbody></table></div></section>"


def _foot(report: MonthlyReport) -> Iterator[str]:
    yield "<footer><dl>"
    for name, value in signature_lines(report):
        yield f"<div><dt>{name}</dt><dd>{_text(value) or '＿＿＿＿'}</dd></div>"
    yield f"</dl><p class=chain>事件链 {report.chain_seq} · {report.chain_hash}</p></footer>"


def _linked(text: str) -> str:
    """The text with every label (F001, R0001) as a link to its figure or row."""
    return LABEL.sub(lambda found: f'<a href="#{found[0]}">{found[0]}</a>', _text(text))


def _text(text: str) -> str:
    return escape(clean(text))

"""The Excel annex of the monthly report: every figure by its number, the rows that it counts, where each row stands.

Sheets: 指标 (all figures, each recounted by a formula), 指标构成 (figure by row), 系统明细 (the rows and their source),
then the report's tables, and 口径与来源. Written row by row, so that ten thousand systems fit.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from console.monthly.texts import WATERMARK, clean, dateline, signature_lines
from inventory.reports.document import Figure, MonthlyReport, Row, Table

Value = str | int | float | Decimal
_NUMBERED = ("序号", "名次")  # columns of whole numbers that are no amounts
_CENTRED = frozenset({*_NUMBERED, "指标", "行号", "指标编号", "编号", "部分", "计入分母", "截至"})
_LINE_HEIGHT = 13.5  # points, of a line of the sheets' font
FIGURES, PARTS, ROWS = "指标", "指标构成", "系统明细"
_HEAD = PatternFill("solid", fgColor="E8EDF3")
_LINE = Side(style="thin", color="9AA5B1")
_BOX = Border(left=_LINE, right=_LINE, top=_LINE, bottom=_LINE)
_FONT, _BOLD = Font(name="宋体", size=10), Font(name="宋体", size=10, bold=True)
_TITLE, _MARK = Font(name="宋体", size=14, bold=True), Font(name="宋体", size=11, bold=True, color="B42318")
_HEAD_ROWS = 3  # title, dateline or watermark, column heads
_SHEET_NAME = re.compile(r"[\[\]:*?/\\]")


class _Signed(Decimal):
    """A change, shown with its sign: +2, −4.5."""

    @property
    def form(self) -> str:
        places = -int(self.as_tuple().exponent)
        plain = "0" if places <= 0 else f"0.{'0' * places}"
        return f"+{plain};−{plain};{plain}"


def write_workbook(report: MonthlyReport) -> bytes:
    book = Workbook(write_only=True)
    moment = datetime.combine(report.made_on, time(), UTC).replace(tzinfo=None)
    book.properties.title = f"{report.title}{report.subtitle}附件"
    book.properties.creator = clean(report.signature.unit) or "西算 Xisuan"
    book.properties.created = book.properties.modified = moment
    _figures(book, report)
    _parts(book, report)
    _rows(book, report)
    for section in report.sections:
        for table in section.tables:
            _table(book, report, table)
    _terms(book, report)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _figures(book: Workbook, report: MonthlyReport) -> None:
    heads = (
        *("指标编号", "指标名称", "分子（数量）", "分母", "比率", "未知", "范围", "截至"),
        *("复核：分子", "复核：分母", "单位"),
    )
    widths = (10, 34, 12, 10, 10, 8, 44, 12, 12, 12, 10)
    sheet = _Sheet(book, report, FIGURES, "指标（公式按“指标构成”重新计数、求和）", heads, widths)
    for place, figure in enumerate(report.figures, start=_HEAD_ROWS + 1):
        sheet.write(
            (
                figure.label,
                figure.name,
                _amount(figure.total) if figure.unit else figure.numerator,
                "" if not figure.is_rate else _amount(figure.base_total) if figure.unit else figure.denominator,
                _share(figure),
                len(figure.unknown),
                figure.scope,
                figure.as_of.isoformat(),
                *_recounted(figure, place),
                figure.unit or "个",
            ),
            formulas=(8, 9),
        )
    sheet.close()


def _recounted(figure: Figure, place: int) -> tuple[str, str]:
    """Formulas of numerator and denominator, from the lines of 指标构成."""
    mine = f"{PARTS}!$A:$A,$A{place}"
    if figure.unit:
        top, bottom = (f"=ROUND(SUMIFS({PARTS}!${column}:${column},{mine}),2)" for column in "HI")
    else:
        top, bottom = (f"=COUNTIFS({mine},{PARTS}!${part})" for part in ('B:$B,"分子"', 'C:$C,"是"'))
    return top, bottom if figure.is_rate else ""


def _amount(value: float) -> Decimal:
    """A sum, as its digits are read; floats are percentages in these sheets."""
    return Decimal(str(round(value, 3)))


def _parts(book: Workbook, report: MonthlyReport) -> None:
    """One line for each row of each figure. A row of the numerator stands once, and says that it is in the
    denominator too."""
    heads = ("指标编号", "部分", "计入分母", "行号", "单位", "系统名称", "指标名称", "数值", "分母数值")
    widths = (10, 8, 10, 10, 26, 40, 34, 12, 12)
    sheet = _Sheet(book, report, PARTS, "指标构成（按指标编号筛选，即得其全部行）", heads, widths)
    for figure in report.figures:
        amounts = dict(zip(figure.members, figure.amounts, strict=False))
        held = dict(zip(figure.base, figure.base_amounts, strict=False))
        for part, is_base, number in _members(figure):
            row = report.rows[number - 1]
            base = "是" if is_base else "否"
            values = (_amount(one[number]) if number in one else "" for one in (amounts, held))
            sheet.write((figure.label, part, base, row.label, row.department, row.name, figure.name, *values))
    sheet.close()


def _members(figure: Figure) -> Iterator[tuple[str, bool, int]]:
    """(part, counted in the denominator, row): numerator, the rest of the denominator, unknown."""
    base, members = frozenset(figure.base), frozenset(figure.members)
    for number in figure.members:
        yield "分子", number in base, number
    for number in figure.base:
        if number not in members:
            yield "其余", True, number
    for number in figure.unknown:
        if number not in members and number not in base:
            yield "未知", False, number


def _rows(book: Workbook, report: MonthlyReport) -> None:
    heads = (
        *("行号", "单位", "系统名称", "区县（原报）", "区县（重述）", "归属", "状态"),
        *("填报单位", "导入", "工作表", "行"),
    )
    widths = (10, 26, 40, 14, 14, 10, 14, 24, 10, 18, 8)
    sheet = _Sheet(book, report, ROWS, "系统明细（状态为截至日的状态）", heads, widths)
    for row in report.rows:
        sheet.write(_row_cells(row))
    sheet.close()


def _row_cells(row: Row) -> tuple[str | int, ...]:
    return (
        *(row.label, row.department, row.name, row.district, row.restated_district, row.ownership, row.state),
        *(row.sender, row.import_id, row.sheet, row.row),
    )


def _table(book: Workbook, report: MonthlyReport, table: Table) -> None:
    widths = [
        max(8, min(48, 2 + max(_breadth(text) for text in (head, *(row[at] for row in table.rows)))))
        for at, head in enumerate(table.columns)
    ]
    sheet = _Sheet(book, report, _sheet_name(book, table.title), table.title, table.columns, widths)
    counted = {*table.numeric, *(at for at, head in enumerate(table.columns) if head in _NUMBERED)}
    for row in table.rows:
        cells = [_number(text) if at in counted else text for at, text in enumerate(row)]
        sheet.write(cells, right=table.numeric)
    if not table.rows:
        sheet.write([table.empty])
    if table.note:
        sheet.plain(f"注：{table.note}")
    sheet.plain("　　".join(f"{name}：{value}" for name, value in signature_lines(report)))
    sheet.close()


def _terms(book: Workbook, report: MonthlyReport) -> None:
    sheet = _Sheet(book, report, "口径说明", "口径说明", ("说明",), (120,))
    for line in (*report.summary, *(line for section in report.sections for line in section.paragraphs)):
        sheet.write([line])
    sheet.close()


class _Sheet:
    """A sheet with its title, its dateline (or the watermark) and its heads; rows are written one after another."""

    def __init__(
        self,
        book: Workbook,
        report: MonthlyReport,
        name: str,
        title: str,
        heads: Sequence[str],
        widths: Sequence[int],
    ) -> None:
        self._sheet: WriteOnlyWorksheet = book.create_sheet(name)
        self._columns = len(heads)
        self._widths = tuple(widths)
        self._centred = frozenset(at for at, head in enumerate(heads) if head in _CENTRED)
        self._count = 0
        for at, width in enumerate(widths, start=1):
            self._sheet.column_dimensions[get_column_letter(at)].width = width
        self._sheet.freeze_panes = f"A{_HEAD_ROWS + 1}"
        self._sheet.page_setup.orientation = "landscape"
        self._sheet.page_setup.paperSize = 9  # A4
        self._sheet.page_setup.fitToHeight = 0
        self._sheet.sheet_properties.pageSetUpPr.fitToPage = True
        self._sheet.print_title_rows = f"1:{_HEAD_ROWS}"
        self._sheet.oddFooter.center.text = "&P / &N"
        mark = f"【{WATERMARK}】" if report.illustrative else ""
        if mark:
            self._sheet.oddHeader.center.text = mark
        self._sheet.append([self._cell(f"{mark}{report.title}{report.subtitle}　{title}", _TITLE)])
        self._sheet.append([self._cell(f"{mark}{dateline(report)}", _MARK if mark else _FONT)])
        self._sheet.append([self._head(text) for text in heads])

    def write(self, values: Iterable[Value], formulas: Sequence[int] = (), right: Collection[int] = ()) -> None:
        cells, lines = [], 1
        for at, value in enumerate(values):
            cell = self._cell(value, _FONT, is_formula=at in formulas)
            cell.border = _BOX
            is_text = isinstance(value, str) and at not in formulas
            cell.alignment = Alignment(
                horizontal="center" if at in self._centred else "right" if at in right else None,
                vertical="center",
                wrap_text=is_text,
            )
            if is_text:
                lines = max(lines, -(-_breadth(str(value)) // max(1, self._widths[at] - 1)))
            if isinstance(value, float):
                cell.number_format = "0.0%"
            elif isinstance(value, _Signed):
                cell.number_format = value.form
            elif isinstance(value, Decimal) and (places := -int(value.as_tuple().exponent)) > 0:
                cell.number_format = f"0.{'0' * places}"
            cells.append(cell)
        self._count += 1
        if lines > 1:  # programs other than Excel do not fit the height of a row that is wrapped
            rows = self._sheet.row_dimensions  # type: ignore[attr-defined]  # the stubs forget it; Worksheet._setup sets it
            rows[_HEAD_ROWS + self._count].height = _LINE_HEIGHT * lines + 2
        self._sheet.append(cells)

    def plain(self, text: str) -> None:
        self._sheet.append([self._cell(text, _FONT)])

    def close(self) -> None:
        last = get_column_letter(self._columns)
        if self._count:
            ref = f"A{_HEAD_ROWS}:{last}{_HEAD_ROWS + self._count}"
            self._sheet.auto_filter.ref = ref  # type: ignore[attr-defined]  # the stubs forget it; Worksheet._setup sets it
        self._sheet.close()

    def _head(self, text: str) -> Cell:
        cell = self._cell(text, _BOLD)
        cell.fill, cell.border = _HEAD, _BOX
        cell.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
        return cell

    def _cell(self, value: Value, font: Font, *, is_formula: bool = False) -> Cell:
        cell = WriteOnlyCell(self._sheet)
        cell.value = clean(value) if isinstance(value, str) else value
        if isinstance(value, str) and not is_formula:
            cell.data_type = "s"  # a name that begins with = stays a name
        cell.font = font
        return cell


def _breadth(text: str) -> int:
    """Half characters: a Chinese sign takes two."""
    return len(text.encode("gbk", "replace"))


def _share(figure: Figure) -> float | str:
    if not figure.is_rate:
        return ""
    return "—" if figure.percent is None else round(figure.percent / 100, 3)


def _number(text: str) -> Value:
    """A cell of a column of numbers as a number, where it is one: 34, 97.1%, 30.0 (with as many decimals), −4."""
    if re.fullmatch(r"\d+", text):
        return int(text)
    if re.fullmatch(r"\d+\.\d%", text):
        return round(float(text[:-1]) / 100, 3)
    if re.fullmatch(r"\d+\.\d+", text):
        return Decimal(text)
    if re.fullmatch(r"[+−]\d+(\.\d+)?", text):
        return _Signed(text.replace("−", "-"))
    return text


def _sheet_name(book: Workbook, title: str) -> str:
    """Excel's limits: 31 characters, some signs excluded, no name twice."""
    name = _SHEET_NAME.sub(
        "", re.sub(r"（.*?）", lambda found: found[0][:5] + "）" if len(found[0]) > 6 else found[0], title)
    )[:28]
    taken = set(book.sheetnames)
    return name if name not in taken else next(f"{name}{n}" for n in range(2, 99) if f"{name}{n}" not in taken)

"""Styles, page furniture and the raw Word XML that python-docx has no words for. `word` is the only caller."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from xml.sax.saxutils import escape

from docx.document import Document as WordDocument
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.section import Section as WordSection
from docx.shared import Length, Pt, RGBColor
from docx.styles.style import ParagraphStyle
from docx.table import Table as WordTable
from docx.table import _Cell, _Row
from docx.text.paragraph import Paragraph

from console.monthly.texts import WATERMARK, clean
from inventory.reports.document import MonthlyReport

TITLE, SUBTITLE, DATELINE = "月报标题", "月报副题", "月报题注"
WARNING, HEADING, BODY = "月报警示", "月报一级标题", "月报正文"
CAPTION, NOTE, CELL, HEAD_CELL = "月报表题", "月报表注", "月报表格", "月报表头"

_SONG, _FANGSONG, _HEI = "方正小标宋简体", "仿宋_GB2312", "黑体"
_LATIN = "Times New Roman"
_SHARED_MARKS = frozenset("“”‘’—…×·±≥≤Σ")
# What a machine without the official fonts takes instead, in this order.
_FALLBACKS = {
    _SONG: "方正小标宋_GBK,华文中宋,宋体,SimSun,Noto Serif CJK SC",
    _FANGSONG: "仿宋,FangSong,华文仿宋,STFangsong,Noto Serif CJK SC",
    _HEI: "SimHei,微软雅黑,Noto Sans CJK SC",
}
_RED = RGBColor(0xB4, 0x23, 0x18)


def install(document: WordDocument) -> None:
    """Adds the report's styles to a new document, and the fonts that stand in for missing ones."""
    centre, justified = WD_ALIGN_PARAGRAPH.CENTER, WD_ALIGN_PARAGRAPH.JUSTIFY
    _style(document, TITLE, _SONG, 22, centre)
    _style(document, SUBTITLE, _FANGSONG, 16, centre)
    _style(document, DATELINE, _FANGSONG, 12, centre).paragraph_format.space_after = Pt(10)
    _style(document, WARNING, _HEI, 14, centre).font.color.rgb = _RED
    heading = _style(document, HEADING, _HEI, 16, WD_ALIGN_PARAGRAPH.LEFT)
    heading.paragraph_format.space_before, heading.paragraph_format.space_after = Pt(14), Pt(6)
    heading.paragraph_format.keep_with_next = True
    _outline(heading, 0)
    body = _style(document, BODY, _FANGSONG, 16, justified)
    body.paragraph_format.first_line_indent = Pt(32)  # two signs
    body.paragraph_format.line_spacing = Pt(28)
    caption = _style(document, CAPTION, _HEI, 12, centre)
    caption.paragraph_format.space_before, caption.paragraph_format.space_after = Pt(10), Pt(4)
    caption.paragraph_format.keep_with_next = True
    note = _style(document, NOTE, _FANGSONG, 10.5, WD_ALIGN_PARAGRAPH.LEFT)
    note.paragraph_format.space_before = Pt(3)  # off the table's line
    for style in (
        _style(document, CELL, _FANGSONG, 10.5, WD_ALIGN_PARAGRAPH.LEFT),
        _style(document, HEAD_CELL, _HEI, 10.5, centre),
    ):
        style.paragraph_format.space_before = style.paragraph_format.space_after = Pt(2)
        style.paragraph_format.line_spacing = 1.15
    _font_table(document)


def speak_chinese(document: WordDocument) -> None:
    """The language of text and proofing, as Word 2013 and later lay it out: python-docx's template is American, opens in
    compatibility mode (兼容模式), and carries the styles of Word 2010 a second time, which contradict these."""
    defaults = document.styles.element.find(f"{qn('w:docDefaults')}/{qn('w:rPrDefault')}/{qn('w:rPr')}")
    for language in (*defaults.iter(qn("w:lang")), *document.settings.element.iter(qn("w:themeFontLang"))):
        language.set(qn("w:val"), "en-US")
        language.set(qn("w:eastAsia"), "zh-CN")
    for setting in document.settings.element.iter(qn("w:compatSetting")):
        if setting.get(qn("w:name")) == "compatibilityMode":
            setting.set(qn("w:val"), "15")
    for zoom in document.settings.element.iter(qn("w:zoom")):
        zoom.attrib.pop(qn("w:val"), None)
        zoom.set(qn("w:percent"), "100")
    for key, related in list(document.part.rels.items()):
        if related.reltype.endswith("/stylesWithEffects"):
            del document.part.rels[key]


def chinese_marks(document: WordDocument) -> None:
    """Marks that both scripts have (“ ” — … ×) are set in the Chinese font, at full width: else Word takes the Latin
    one for them."""
    for run in document.element.body.iter(qn("w:r")):
        if any(sign in _SHARED_MARKS for text in run.iter(qn("w:t")) for sign in text.text or ""):
            run.get_or_add_rPr().get_or_add_rFonts().set(qn("w:hint"), "eastAsia")


def page_furniture(page: WordSection, report: MonthlyReport) -> None:
    """The page number below; above, where data is illustrative, a line and a mark across every page."""
    footer = page.footer.paragraphs[0]
    footer.style = NOTE
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    footer.add_run("— ")
    _field(footer, "PAGE")
    footer.add_run(" / ")
    _field(footer, "NUMPAGES")
    footer.add_run(" —")
    if report.illustrative:
        header = page.header.paragraphs[0]
        header.style = NOTE
        header.alignment = WD_ALIGN_PARAGRAPH.CENTER
        run = header.add_run(f"【{WATERMARK}】{clean(report.title)}")
        run.font.color.rgb = _RED
        header.add_run()._r.append(parse_xml(_watermark()))


def repeat_on_every_page(row: _Row) -> None:
    properties = row._tr.get_or_add_trPr()
    properties.append(OxmlElement("w:tblHeader"))
    properties.append(OxmlElement("w:cantSplit"))


def append_rows(table: WordTable, count: int) -> list[list[_Cell]]:
    """Empty rows below the first: cells of each. A row may not break across pages."""
    if not count:
        return []
    blank = deepcopy(table.rows[0]._tr)
    properties = blank.get_or_add_trPr()
    for mark in properties.findall(qn("w:tblHeader")):
        properties.remove(mark)
    for paragraph in blank.iter(qn("w:p")):
        for child in list(paragraph):
            paragraph.remove(child)
    made = []
    for _ in range(count):
        row = deepcopy(blank)
        table._tbl.append(row)
        made.append([_Cell(cell, table) for cell in row.tc_lst])
    return made


def keep_together(table: WordTable) -> None:
    """On one page: every row but the last stays with the next one."""
    for row in table._tbl.tr_lst[:-1]:
        for cell in row.tc_lst:
            for paragraph in _Cell(cell, table).paragraphs:
                paragraph.paragraph_format.keep_with_next = True


def set_widths(table: WordTable, widths: Sequence[Length]) -> None:
    """Of the grid and of every cell: LibreOffice and WPS heed the one, Word the other."""
    for column, width in zip(table._tbl.tblGrid.gridCol_lst, widths, strict=True):
        column.w = width
    for row in table._tbl.tr_lst:
        for cell, width in zip(row.tc_lst, widths, strict=True):
            cell.width = width


def _style(
    document: WordDocument, name: str, font: str, size: float, alignment: WD_ALIGN_PARAGRAPH
) -> ParagraphStyle:
    made = document.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
    if not isinstance(made, ParagraphStyle):
        raise AssertionError("a paragraph style was asked for")
    made.font.name, made.font.size = _LATIN, Pt(size)
    fonts = made.element.get_or_add_rPr().get_or_add_rFonts()
    fonts.set(qn("w:eastAsia"), font)
    made.paragraph_format.alignment = alignment
    made.paragraph_format.space_before = made.paragraph_format.space_after = Pt(0)
    return made


def _outline(style: ParagraphStyle, level: int) -> None:
    """Makes the headings appear in Word's navigation."""
    mark = OxmlElement("w:outlineLvl")
    mark.set(qn("w:val"), str(level))
    style.element.get_or_add_pPr().append(mark)


def _field(paragraph: Paragraph, code: str) -> None:
    for kind, text in (("begin", ""), ("", code), ("end", "")):
        run = paragraph.add_run()
        if kind:
            mark = OxmlElement("w:fldChar")
            mark.set(qn("w:fldCharType"), kind)
        else:
            mark = OxmlElement("w:instrText")
            mark.text = text
        run._r.append(mark)


def _font_table(document: WordDocument) -> None:
    """Names what stands in for each font; Word reads it where the font itself is missing."""
    part = document.part.part_related_by(RELATIONSHIP_TYPE.FONT_TABLE)
    entries = "".join(
        f'<w:font w:name="{escape(font)}"><w:altName w:val="{escape(others)}"/><w:charset w:val="86"/></w:font>'
        for font, others in _FALLBACKS.items()
    )
    part._blob = part.blob.replace(b"</w:fonts>", entries.encode() + b"</w:fonts>")


def _watermark() -> str:
    """WordArt across the page, behind the text: the form in which Word itself writes watermarks."""
    shape = (
        "position:absolute;margin-left:0;margin-top:0;width:460pt;height:92pt;rotation:315;z-index:-251658752;"
        "mso-position-horizontal:center;mso-position-horizontal-relative:margin;"
        "mso-position-vertical:center;mso-position-vertical-relative:margin"
    )
    return (
        f'<w:pict {nsdecls("w")} xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office">'
        '<v:shapetype id="_x0000_t136" coordsize="21600,21600" o:spt="136" adj="10800" '
        'path="m@7,l@8,m@5,21600l@6,21600e"><v:formulas><v:f eqn="sum #0 0 10800"/><v:f eqn="prod #0 2 1"/>'
        '<v:f eqn="sum 21600 0 @1"/><v:f eqn="sum 0 0 @2"/><v:f eqn="sum 21600 0 @3"/><v:f eqn="if @0 @3 0"/>'
        '<v:f eqn="if @0 21600 @1"/><v:f eqn="if @0 0 @2"/><v:f eqn="if @0 @4 21600"/></v:formulas>'
        '<v:path textpathok="t" o:connecttype="rect"/><v:textpath on="t" fitshape="t"/></v:shapetype>'
        f'<v:shape id="PowerPlusWaterMarkObject1" o:spid="_x0000_s2049" type="#_x0000_t136" style="{shape}" '
        'fillcolor="#d9d9d9" stroked="f">'
        '<v:fill opacity=".45"/>'
        f'<v:textpath style="font-family:&quot;黑体&quot;;font-size:1pt" string="{escape(WATERMARK)}"/>'
        "</v:shape></w:pict>"
    )

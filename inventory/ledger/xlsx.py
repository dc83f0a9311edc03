"""Reads .xlsx as a stream of rows. Called by `workbook.open_workbook`.

Why not a ready reader: one reading path must give number formats, merges, hidden rows and columns *and* stay within
1 GB at 200,000 rows; openpyxl offers either the full model (gigabytes) or a stream without merges and hidden rows.
Source of the format: ECMA-376 part 1, 18.3 (worksheets), 18.4 (shared strings), 18.8 (styles).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from html import unescape
from xml.etree.ElementTree import Element
from xml.parsers import expat

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from inventory.ledger import errors
from inventory.ledger.archive import Archive
from inventory.ledger.grid import (
    TALL_MERGE_ROWS,
    CalendarDay,
    Row,
    Sheet,
    Unevaluated,
    Value,
    Workbook,
    column_index,
    parse_range,
)
from inventory.ledger.number_formats import PLAIN, as_shown, kind_of_format

_MERGE = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref\s*=\s*[\"']([^\"']+)[\"']")
_MARGIN = re.compile(rb"<(?:\w+:)?(?:odd|even|first)(?:Header|Footer)(?:\s[^>]*)?(?<!/)>([^<]*)(?=<)")
_END_OF_ROWS = re.compile(rb"</(?:\w+:)?sheetData\s*>|<(?:\w+:)?sheetData\s*/>")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_MAX_COLUMNS = 16_384
_MAX_ROWS = 1_048_576
_MAX_MERGED_ROWS = 3_000_000


def read_xlsx(content: bytes, filename: str) -> Workbook:
    """All sheets that hold cells (charts are left out). Raises LedgerError subclasses only."""
    archive = Archive(content, filename)
    if "xl/workbook.bin" in archive:
        raise errors.not_a_workbook(filename, " .xlsb 二进制工作簿")
    root = _relations(archive, "_rels/.rels", "") if "_rels/.rels" in archive else {}
    main = next((target for kind, target in root.values() if kind == "officeDocument"), "xl/workbook.xml")
    if main not in archive or not main.startswith("xl/"):
        raise errors.not_a_workbook(filename, "压缩包而非工作簿")
    book = _parse(archive, main)
    relations = _relations(archive, posixpath.join("xl/_rels", posixpath.basename(main) + ".rels"), "xl")
    by_kind = dict(relations.values())
    context = _Context(
        archive,
        _shared_strings(archive, by_kind["sharedStrings"]) if "sharedStrings" in by_kind else [],
        _style_kinds(archive, by_kind["styles"]) if "styles" in by_kind else [],
        any(_truth(node.get("date1904")) for node in _named(book, "workbookPr")),
    )
    sheets = []
    for node in _named(book, "sheet"):
        key = next((value for name, value in node.items() if _local(name) == "id"), "")
        kind, part = relations.get(key, ("missing", ""))
        if kind == "missing":
            raise errors.damaged(filename, f"工作表 {node.get('name')} / sheet part")
        if kind == "worksheet":
            sheets.append(_sheet(context, node.get("name") or "", part, node.get("state", "visible") != "visible"))
    return Workbook("xlsx", tuple(sheets))


@dataclass(frozen=True, slots=True)
class _Context:
    """What the cells of every sheet refer to."""

    archive: Archive
    strings: list[str]
    kinds: list[str]
    epoch_1904: bool


def _sheet(context: _Context, name: str, part: str, hidden: bool) -> Sheet:
    tail = _after_rows(context.archive, part)
    merges = []
    covered = 0
    for match in _MERGE.finditer(tail):
        merge = parse_range(match[1].decode("ascii", "replace"))
        if merge is None:
            continue
        merges.append(merge)
        covered += min(merge.bottom - merge.top, TALL_MERGE_ROWS) + 1
        if covered > _MAX_MERGED_ROWS:
            raise errors.oversized(context.archive.filename, f"{name} 合并区域过多", f"{_MAX_MERGED_ROWS} 行")
    margin = " ".join(unescape(text.decode("utf-8", "replace")) for text in _MARGIN.findall(tail))
    return Sheet(name, lambda: _rows(context, part), tuple(merges), hidden, (), margin)


def _after_rows(archive: Archive, part: str) -> bytes:
    """The bytes behind the last row, where merges and printed headers stand. Also proves that the part unpacks."""
    tail = bytearray()
    before = b""
    ended = False
    for chunk in archive.stream(part):
        if ended:
            tail += chunk
            if len(tail) > 64 * 1024**2:
                raise errors.oversized(archive.filename, f"{part} 过大", "64 MB")
            continue
        window = before + chunk
        match = _END_OF_ROWS.search(window)
        if match:
            ended = True
            tail += window[match.end() :]
        before = window[-64:]
    return bytes(tail)


def _rows(context: _Context, part: str) -> Iterator[Row]:
    """Rows in file order. The parser is fed chunk by chunk; what a chunk completed is yielded before the next."""
    assembly = _RowAssembly(context)
    parser = context.archive.parser()
    parser.StartElementHandler = assembly.start
    parser.EndElementHandler = assembly.end
    parser.CharacterDataHandler = assembly.text
    with context.archive.damage_named(part):
        for chunk in context.archive.stream(part):
            parser.Parse(chunk, False)
            yield from assembly.take()
        parser.Parse(b"", True)
    yield from assembly.take()


class _RowAssembly:
    """expat's events of one sheet, put together into rows.

    Tag names are compared without their prefix: some writers prefix every element.
    """

    def __init__(self, context: _Context) -> None:
        self._strings = context.strings
        self._kinds = context.kinds
        self._epoch_1904 = context.epoch_1904
        self._done: list[Row] = []
        self._row_number = 0
        self._hidden = False
        self._values: list[Value] = []
        self._column = -1
        self._type = "n"
        self._style = 0
        self._raw: list[str] = []
        self._formula: list[str] = []
        self._sink: list[str] | None = None
        self._phonetic = False

    def take(self) -> list[Row]:
        done, self._done = self._done, []
        return done

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag if ":" not in tag else _local(tag)
        if name == "c":
            self._start_cell(attributes)
        elif name in ("v", "t"):
            self._sink = None if self._phonetic else self._raw
        elif name == "f":
            self._sink = self._formula
        elif name == "row":
            self._row_number = int(attributes.get("r", self._row_number + 1))
            if not 1 <= self._row_number <= _MAX_ROWS:
                raise ValueError("row number out of range")
            self._hidden = _truth(attributes.get("hidden"))
            self._values = []
            self._column = -1
        elif name == "rPh":
            self._phonetic = True

    def _start_cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r")
        self._column = column_index(reference.rstrip("0123456789")) if reference else self._column + 1
        if self._column >= _MAX_COLUMNS:
            raise ValueError("column out of range")
        self._type = attributes.get("t", "n")
        self._style = int(attributes.get("s", 0))
        self._raw = []
        self._formula = []

    def text(self, data: str) -> None:
        if self._sink is not None:
            self._sink.append(data)

    def end(self, tag: str) -> None:
        name = tag if ":" not in tag else _local(tag)
        if name in ("v", "t", "f"):
            self._sink = None
        elif name == "c":
            if self._raw or self._formula:
                value = self._value()
                if value is not None:
                    missing = self._column - len(self._values)
                    if missing < 0:
                        self._values[self._column] = value
                    else:
                        self._values.extend([None] * missing)
                        self._values.append(value)
        elif name == "row":
            if self._values:
                self._done.append(Row(self._row_number, self._values, self._hidden))
        elif name == "rPh":
            self._phonetic = False

    def _value(self) -> Value:
        raw = "".join(self._raw)
        kind = self._type
        if not raw and self._formula:
            return Unevaluated("=" + "".join(self._formula))
        if kind == "s":
            return self._strings[int(raw)] or None
        if kind in ("inlineStr", "str"):
            return unescaped(raw) or None
        if kind == "b":
            return raw.strip() in ("1", "true")
        if kind == "e":
            return Unevaluated(raw)
        if kind == "d":
            return CalendarDay(date.fromisoformat(raw[:10]), "day")
        return self._number(raw)

    def _number(self, raw: str) -> Value:
        number: int | float = int(raw) if raw.isdigit() and len(raw) < 18 else float(raw)
        if number != number or number in (float("inf"), float("-inf")):
            raise ValueError("a number that is none")
        style = self._kinds[self._style] if 0 <= self._style < len(self._kinds) else PLAIN
        return as_shown(number, style, self._epoch_1904)


def unescaped(text: str) -> str:
    """_x000D_ is how the format writes characters that XML cannot hold."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _shared_strings(archive: Archive, part: str) -> list[str]:
    strings: list[str] = []
    pieces: list[str] = []
    state = {"text": False, "phonetic": False}

    def start(tag: str, _: dict[str, str]) -> None:
        name = _local(tag)
        if name == "si":
            pieces.clear()
        elif name == "rPh":
            state["phonetic"] = True
        elif name == "t":
            state["text"] = not state["phonetic"]

    def text(data: str) -> None:
        if state["text"]:
            pieces.append(data)

    def end(tag: str) -> None:
        name = _local(tag)
        if name == "si":
            strings.append(unescaped("".join(pieces)))
        elif name == "rPh":
            state["phonetic"] = False
        elif name == "t":
            state["text"] = False

    _walk(archive, part, start, end, text)
    return strings


def _walk(
    archive: Archive,
    part: str,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
) -> None:
    parser: expat.XMLParserType = archive.parser()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    with archive.damage_named(part):
        for chunk in archive.stream(part):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)


def _style_kinds(archive: Archive, part: str) -> list[str]:
    """For each cell style (cellXfs), what its number format says."""
    root = _parse(archive, part)
    codes = {node.get("numFmtId"): node.get("formatCode", "") for node in _named(root, "numFmt")}
    kinds = []
    for formats in _named(root, "cellXfs"):
        for node in formats:
            number = node.get("numFmtId", "0")
            kinds.append(kind_of_format(int(number) if number.isdigit() else 0, codes.get(number)))
    return kinds


def _relations(archive: Archive, part: str, base: str) -> dict[str, tuple[str, str]]:
    """Relation id -> (kind, part name)."""
    found = {}
    for node in _named(_parse(archive, part), "Relationship"):
        target = node.get("Target", "")
        path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(base, target))
        found[node.get("Id", "")] = (node.get("Type", "").rpartition("/")[2], path)
    return found


def _parse(archive: Archive, part: str) -> Element:
    try:
        root: Element = fromstring(archive.read(part), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise errors.damaged(archive.filename, part) from error
    return root


def _named(root: Element, name: str) -> Iterator[Element]:
    return (node for node in root.iter() if isinstance(node.tag, str) and _local(node.tag) == name)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2].rpartition(":")[2]


def _truth(text: str | None) -> bool:
    return text in ("1", "true", "on")

"""Reads delimited text (comma, tab, semicolon, bar) in the encodings that Chinese offices produce.

Called by `workbook.open_workbook`. Everything is text here: percent signs and dates are read by the cell parsers.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator

from inventory.ledger import errors
from inventory.ledger.grid import Row, Sheet, Workbook

_DELIMITERS = ",\t;|；，"
_MARKUP = re.compile(r"\s*<(?:!doctype|html|table|\?xml|mso|style|meta)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_ORDINARY = re.compile(
    r"[\t\r\n\x20-\x7e\u00b7-\u00ff\u2010-\u22ff\u2460-\u25ff\u2600-\u27bf\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
)
_FIELD_LIMIT = 1 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_delimited(content: bytes, filename: str) -> Workbook:
    """One sheet, named after the file. Raises LedgerError subclasses only."""
    text = decode(content, filename)
    if _MARKUP.match(text):
        raise errors.not_a_workbook(filename, "网页或 XML")
    if _CONTROL.search(text):
        raise errors.not_a_workbook(filename, "二进制数据")
    if not text.strip():
        raise errors.damaged(filename, "空文件 / empty")
    delimiter = delimiter_of(text)

    def rows() -> Iterator[Row]:
        csv.field_size_limit(_FIELD_LIMIT)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            for number, cells in enumerate(reader, start=1):
                if any(cells):
                    yield Row(number, [cell or None for cell in cells])
        except csv.Error as error:
            raise errors.damaged(filename, f"第 {reader.line_num} 行 / line {reader.line_num}") from error

    name = filename.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or filename
    return Workbook("csv", (Sheet(name, rows),))


def decode(content: bytes, filename: str) -> str:
    """UTF-8 (with or without BOM), UTF-16, or GB18030, which contains GBK and GB2312."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _decoded(content, encoding, filename)
    if 0 in content[:4096]:
        return _decoded_wide(content, filename)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start > 64 and error.start >= len(content) - 3:
            raise errors.damaged(filename, "末尾字符不完整 / the last character is cut") from error
    return _decoded(content, "gb18030", filename)


def _decoded(content: bytes, encoding: str, filename: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise errors.not_a_workbook(filename, "无法识别编码的数据") from error


def _decoded_wide(content: bytes, filename: str) -> str:
    """UTF-16 without a mark: the zero bytes of its delimiters and line ends stand on one side."""
    little = content[1:4096:2].count(0) > content[0:4096:2].count(0)
    text = _decoded(content, "utf-16-le" if little else "utf-16-be", filename)
    head = text[:2048]
    if 10 * len(_ORDINARY.findall(head)) < 9 * len(head):
        raise errors.not_a_workbook(filename, "二进制数据")
    return text


def delimiter_of(text: str) -> str:
    """The sign that splits the most lines of the head into the same number of cells."""
    head = [line for line in text[:65_536].splitlines() if line.strip()][:50]

    def evenness(sign: str) -> tuple[int, int]:
        counts = [line.count(sign) for line in head if sign in line]
        if not counts:
            return (0, 0)
        usual = max(set(counts), key=counts.count)
        return (sum(count for count in counts if count == usual), usual)

    return max(_DELIMITERS, key=evenness)

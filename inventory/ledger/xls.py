"""Reads .xls (BIFF) into the common grid. Called by `workbook.open_workbook`; owns xlrd."""

from __future__ import annotations

import io
from collections.abc import Iterator

import xlrd

from inventory.ledger import errors
from inventory.ledger.grid import Merge, Row, Sheet, Unevaluated, Value, Workbook
from inventory.ledger.number_formats import PLAIN, as_shown, kind_of_format

# "EncryptedPackage" is the stream in which Office keeps a password-protected .xlsx inside an OLE2 container.
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_WORD_STREAM = "WordDocument".encode("utf-16-le")


def read_xls(content: bytes, filename: str) -> Workbook:
    """All sheets with formats, merges and hidden rows. Raises LedgerError subclasses only."""
    if _ENCRYPTED_STREAM in content:
        raise errors.encrypted(filename)
    if _WORD_STREAM in content:
        raise errors.not_a_workbook(filename, " Word 文档")
    try:
        book = xlrd.open_workbook(file_contents=content, formatting_info=True, logfile=io.StringIO())
        return Workbook("xls", tuple(_sheet(book, sheet) for sheet in book.sheets()))
    except xlrd.XLRDError as error:
        if "encrypted" in str(error).lower():
            raise errors.encrypted(filename) from error
        raise errors.damaged(filename, "BIFF") from error
    # xlrd trusts the records it reads: on damaged bytes it fails with whatever its arithmetic runs into.
    except Exception as error:
        raise errors.damaged(filename, "BIFF") from error


def _sheet(book: xlrd.book.Book, sheet: xlrd.sheet.Sheet) -> Sheet:
    hidden = tuple(column for column, shape in sheet.colinfo_map.items() if shape.hidden)
    merges = tuple(Merge(top + 1, left, bottom, right - 1) for top, bottom, left, right in sheet.merged_cells)
    rows = [_row(book, sheet, index) for index in range(sheet.nrows)]

    def replay() -> Iterator[Row]:
        return iter(rows)

    return Sheet(sheet.name, replay, merges, sheet.visibility != 0, hidden, "")


def _row(book: xlrd.book.Book, sheet: xlrd.sheet.Sheet, index: int) -> Row:
    shape = sheet.rowinfo_map.get(index)
    values = [_value(book, cell) for cell in sheet.row(index)]
    return Row(index + 1, values, bool(shape is not None and shape.hidden))


def _value(book: xlrd.book.Book, cell: xlrd.sheet.Cell) -> Value:
    if cell.ctype == xlrd.XL_CELL_TEXT:
        return cell.value or None
    if cell.ctype in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
        number = int(cell.value) if float(cell.value).is_integer() else float(cell.value)
        return as_shown(number, _format_kind(book, cell.xf_index), book.datemode == 1)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return bool(cell.value)
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return Unevaluated(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    return None


def _format_kind(book: xlrd.book.Book, style: int) -> str:
    key = book.xf_list[style].format_key
    shape = book.format_map.get(key)
    return kind_of_format(key, shape.format_str if shape is not None else None) if shape else PLAIN

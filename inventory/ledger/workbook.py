"""Opens a file by what it is, not by what it is called: senders rename .csv to .xls and save .xlsx as .xls.

`read.read_ledger` and `markup.mark_up` call this; nothing else knows that there are three formats.
"""

from __future__ import annotations

from inventory.ledger import errors
from inventory.ledger.delimited import read_delimited
from inventory.ledger.grid import Workbook
from inventory.ledger.xls import read_xls
from inventory.ledger.xlsx import read_xlsx

MAX_FILE_BYTES = 256 * 1024**2
_ZIP = b"PK\x03\x04"
_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS = {
    b"%PDF": " PDF",
    b"\x89PNG": "图片",
    b"\xff\xd8\xff": "图片",
    b"Rar!": " RAR 压缩包",
    b"7z\xbc\xaf": " 7z 压缩包",
    b"\x1f\x8b": " gzip 压缩包",
    b"{\\rtf": " RTF 文档",
}


def open_workbook(content: bytes, filename: str) -> Workbook:
    """The workbook in `content`; `filename` serves messages and the sheet name of a .csv."""
    if len(content) > MAX_FILE_BYTES:
        raise errors.oversized(filename, f"文件 {len(content) // 1024**2} MB", f"{MAX_FILE_BYTES // 1024**2} MB")
    if not content.strip():
        raise errors.damaged(filename, "空文件 / empty")
    if content.startswith(_ZIP):
        return read_xlsx(content, filename)
    if content.startswith(_OLE2) or content[:2] in (b"\x09\x08", b"\x09\x04", b"\x09\x02", b"\x09\x00"):
        return read_xls(content, filename)
    for mark, seen in _OTHERS.items():
        if content.startswith(mark):
            raise errors.not_a_workbook(filename, seen)
    return read_delimited(content, filename)

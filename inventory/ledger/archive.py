"""The zip around an .xlsx, opened as if it came from an enemy: a department's mail attachment is not trusted.

Used by `xlsx` only. Every size is checked twice: as the directory declares it, before anything is unpacked, and as
it really comes out, while it streams. XML parts that declare a document type are refused, so no entity, internal or
external, is ever expanded.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from xml.parsers import expat

from inventory.ledger import errors

MAX_UNPACKED_BYTES = 2 * 1024**3
MAX_SMALL_PART_BYTES = 32 * 1024**2
MAX_RATIO = 250
RATIO_APPLIES_FROM_BYTES = 48 * 1024**2
MAX_PARTS = 5_000
_CHUNK = 1 << 18


class Archive:
    """A checked zip. Raises LedgerError subclasses only."""

    def __init__(self, content: bytes, filename: str) -> None:
        self.filename = filename
        with self.damage_named("zip"):
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        self._parts = {entry.filename.lstrip("/").lower(): entry for entry in self._zip.infolist()}
        self._check_declared(len(content))

    def _check_declared(self, packed: int) -> None:
        entries = self._zip.infolist()
        if len(entries) > MAX_PARTS:
            raise errors.oversized(self.filename, f"压缩包含 {len(entries)} 个部件", f"{MAX_PARTS} 个")
        if any(entry.flag_bits & 1 for entry in entries):
            raise errors.encrypted(self.filename)
        declared = sum(entry.file_size for entry in entries)
        if declared > MAX_UNPACKED_BYTES:
            raise self._bomb(declared)
        for entry in entries:
            self._check_ratio(entry.file_size, min(entry.compress_size, packed))

    def _check_ratio(self, unpacked: int, packed: int) -> None:
        if unpacked > RATIO_APPLIES_FROM_BYTES and unpacked > MAX_RATIO * max(packed, 1):
            raise self._bomb(unpacked)

    def _bomb(self, unpacked: int) -> errors.LedgerError:
        return errors.oversized(
            self.filename,
            f"解压后 {unpacked // 1024**2} MB，疑似压缩炸弹 (zip bomb)",
            f"{MAX_UNPACKED_BYTES // 1024**2} MB 或 {MAX_RATIO} 倍压缩",
        )

    def __contains__(self, part: str) -> bool:
        return part.lstrip("/").lower() in self._parts

    def read(self, part: str) -> bytes:
        """A small part (styles, relations) as a whole; DamagedWorkbookError where it is missing."""
        content = bytearray()
        for chunk in self.stream(part):
            content += chunk
            if len(content) > MAX_SMALL_PART_BYTES:
                raise errors.oversized(self.filename, f"{part} 过大", f"{MAX_SMALL_PART_BYTES // 1024**2} MB")
        return bytes(content)

    def stream(self, part: str) -> Iterator[bytes]:
        """The unpacked bytes of a part in chunks, stopping with an error at the size and ratio limits."""
        entry = self._parts.get(part.lstrip("/").lower())
        if entry is None:
            raise errors.damaged(self.filename, f"缺少 {part} / {part} is missing")
        unpacked = 0
        with self.damage_named(part), self._zip.open(entry) as source:
            while chunk := source.read(_CHUNK):
                unpacked += len(chunk)
                if unpacked > MAX_UNPACKED_BYTES:
                    raise self._bomb(unpacked)
                self._check_ratio(unpacked, entry.compress_size)
                yield chunk

    def parser(self) -> expat.XMLParserType:
        """An expat parser that refuses a document type, and with it every entity."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.buffer_size = 1 << 16

        def refuse(*_: object) -> None:
            raise errors.NotAWorkbookError(
                f"{self.filename}：工作簿内含 XML 实体声明 (DOCTYPE)，不予读取，请用表格软件另存后重新导入"
                f" / {self.filename} declares XML entities, which no workbook needs; save it anew and import again"
            )

        parser.StartDoctypeDeclHandler = refuse
        parser.EntityDeclHandler = refuse
        return parser

    @contextmanager
    def damage_named(self, part: str) -> Iterator[None]:
        """Turns what zip, inflate and expat say about broken input into one DamagedWorkbookError for `part`."""
        try:
            yield
        except (
            zipfile.BadZipFile,
            zlib.error,
            expat.ExpatError,
            EOFError,
            OSError,
            # Bytes in the directory can ask for an unknown method or name encoding, or for a negative offset.
            NotImplementedError,
            RuntimeError,
            ValueError,
            LookupError,
            OverflowError,
        ) as error:
            raise errors.damaged(self.filename, part) from error

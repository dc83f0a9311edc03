"""Files as they arrive: any spelling of CSV, old .xls, and everything that must be refused with one clear line."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.ledger import LedgerError, mark_up, read_ledger
from inventory.ledger.errors import (
    DamagedWorkbookError,
    EncryptedWorkbookError,
    NoLedgerHeaderError,
    NotAWorkbookError,
    OversizedWorkbookError,
)
from tests.ledger.workbooks import by_name, csv, kinds, names, xls, xlsx

HEAD = ["序号", "单位名称", "系统名称", "上线时间", "用户规模", "CPU平均利用率", "对接系统"]
ROWS: list[list[Any]] = [
    ["示例区政务信息系统台账"],
    HEAD,
    [1, "区教委", "学籍管理系统", "2021年7月", "约300", "27.0%", "预算执行系统"],
    [2, "区财政局", "预算执行系统", "20131217", "6万", "约8.0%", None],
]
OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class TestDelimitedText:
    @pytest.mark.parametrize(
        "encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be"]
    )
    @pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
    def test_every_encoding_and_delimiter_reads_the_same(self, encoding: str, delimiter: str) -> None:
        result = read_ledger(csv(ROWS, delimiter, encoding), "区级台账.csv")
        assert names(result) == ["学籍管理系统", "预算执行系统"]
        first = result.systems[0]
        assert (first.users, first.golive, first.cpu_avg_pct, first.deps) == (
            300,
            "2021-07",
            27.0,
            ("预算执行系统",),
        )
        assert (first.sheet, first.row, first.ownership) == ("区级台账", 3, "district")
        assert result.findings == ()

    def test_quoted_cells_may_hold_line_breaks_and_delimiters(self) -> None:
        text = '单位名称,系统名称,对接系统\n区教委,"甲系统","乙系统\n丙系统"\n区教委,乙系统,\n区教委,丙系统,"甲系统,乙系统"\n'
        content = text.encode()
        found = by_name(read_ledger(content, "a.csv"))
        assert found["甲系统"].deps == ("乙系统", "丙系统")
        assert found["丙系统"].deps == ("甲系统", "乙系统")

    def test_a_csv_that_is_called_xls_is_read_for_what_it_is(self) -> None:
        assert names(read_ledger(csv(ROWS, "\t", "gbk"), "台账.xls")) == ["学籍管理系统", "预算执行系统"]

    def test_text_cut_in_the_middle_of_a_character_is_damaged(self) -> None:
        content = csv([*ROWS, [3, "区民政局", "救助系统", None, None, None, "学籍管理系统"]])
        with pytest.raises(DamagedWorkbookError):
            read_ledger(content[:-1], "a.csv")


class TestOldExcel:
    def test_formats_merges_and_dates_are_read(self) -> None:
        rows = [
            HEAD,
            [1, "区教委", "学籍管理系统", ("yyyy-mm", date(2021, 7, 1)), 300, ("0.0%", 0.27), None],
            [
                2,
                None,
                "预算执行系统",
                ("yyyy-mm-dd", date(2013, 12, 17)),
                60000.0,
                ("0.00%", 0.009),
                "学籍管理系统",
            ],
        ]
        result = read_ledger(xls(rows, [(1, 2, 1, 1)]), "a.xls")
        first, second = result.systems
        assert (first.golive, first.golive_precision, first.users, first.cpu_avg_pct) == (
            "2021-07",
            "month",
            300,
            27.0,
        )
        assert (second.department, second.golive, second.users, second.cpu_avg_pct) == (
            "区教委",
            "2013-12-17",
            60000,
            0.9,
        )
        assert result.findings == ()

    def test_a_marked_up_copy_of_xls_and_csv_is_an_xlsx_with_the_same_cells(self) -> None:
        rows = [HEAD, [1, "区教委", "学籍管理系统", "2021年7月", "全体", "27.0%", None]]
        for content, filename in ((xls(rows), "a.xls"), (csv(rows), "区级系统.csv")):
            result = read_ledger(content, filename)
            copy = mark_up(content, filename, result)
            assert copy.startswith(b"PK")
            again = read_ledger(copy, "a.xlsx")
            assert again.systems == result.systems
            assert kinds(again) == kinds(result) == [("unreadable_cell", "E2")]


class TestModernExcel:
    def test_date_cells_keep_the_precision_of_their_format(self) -> None:
        rows = [
            HEAD[:4],
            [1, "区教委", "甲系统", ("yyyy年m月", date(2021, 7, 1))],
            [2, "区教委", "乙系统", ("yyyy/m/d", date(2021, 7, 5))],
            [3, "区教委", "丙系统", ("yyyy", date(2021, 1, 1))],
        ]
        result = read_ledger(xlsx(rows), "a.xlsx")
        assert [(system.golive, system.golive_precision) for system in result.systems] == [
            ("2021-07", "month"),
            ("2021-07-05", "day"),
            ("2021", "year"),
        ]

    def test_a_workbook_of_another_writer_with_prefixed_tags_and_rich_text_is_read(self) -> None:
        assert names(read_ledger(prefixed_workbook(), "a.xlsx")) == ["甲系统", "乙系统"]


def prefixed_workbook() -> bytes:
    """An .xlsx whose writer prefixes every tag, leaves out cell references and uses rich shared strings."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    texts = ["单位名称", "系统名称", "用户数", "区教委"]
    strings = "".join(f"<x:si><x:t>{text}</x:t></x:si>" for text in texts)
    strings += "<x:si><x:r><x:t>甲</x:t></x:r><x:r><x:t>系统</x:t></x:r><x:rPh sb='0' eb='1'><x:t>jia</x:t></x:rPh></x:si>"
    sheet = (
        f'<x:worksheet xmlns:x="{main}"><x:sheetData>'
        '<x:row><x:c t="s"><x:v>0</x:v></x:c><x:c t="s"><x:v>1</x:v></x:c><x:c t="s"><x:v>2</x:v></x:c></x:row>'
        '<x:row><x:c t="s"><x:v>3</x:v></x:c><x:c t="s"><x:v>4</x:v></x:c><x:c><x:v>300</x:v></x:c></x:row>'
        '<x:row r="3"><x:c r="B3" t="inlineStr"><x:is><x:t>乙系统</x:t></x:is></x:c>'
        '<x:c r="C3" t="str"><x:f>1+1</x:f><x:v>80人</x:v></x:c></x:row>'
        '</x:sheetData><x:mergeCells count="1"><x:mergeCell ref="A2:A3"/></x:mergeCells></x:worksheet>'
    )
    parts = {
        "_rels/.rels": f'<Relationships xmlns="{package}">'
        f'<Relationship Id="a" Type="{relations}/officeDocument" Target="/xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<x:workbook xmlns:x="{main}" xmlns:r="{relations}"><x:sheets>'
        '<x:sheet name="区级" sheetId="1" r:id="s1"/></x:sheets></x:workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}">'
        f'<Relationship Id="s1" Type="{relations}/worksheet" Target="worksheets/one.xml"/>'
        f'<Relationship Id="s2" Type="{relations}/sharedStrings" Target="/xl/strings.xml"/></Relationships>',
        "xl/worksheets/one.xml": sheet,
        "xl/strings.xml": f'<x:sst xmlns:x="{main}">{strings}</x:sst>',
    }
    return packed_parts(parts)


def packed_parts(parts: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def repacked(content: bytes, part: str, new: bytes) -> bytes:
    """The workbook with one part replaced."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return packed_parts({name: new if name == part else archive.read(name) for name in archive.namelist()})


def with_entities(content: bytes) -> bytes:
    sheet = (
        b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY x SYSTEM "file:///etc/passwd">]>'
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        b'<row r="1"><c r="A1" t="inlineStr"><is><t>&x;&a;</t></is></c></row></sheetData></worksheet>'
    )
    return repacked(content, "xl/worksheets/sheet1.xml", sheet)


def bomb(content: bytes) -> bytes:
    return repacked(
        content,
        "xl/worksheets/sheet1.xml",
        b"<worksheet><sheetData>" + b" " * (80 * 1024**2) + b"</sheetData></worksheet>",
    )


def lying_bomb(content: bytes) -> bytes:
    """A bomb whose directory declares a small size."""
    packed = bytearray(bomb(content))
    real = (80 * 1024**2 + 50).to_bytes(4, "little")
    with zipfile.ZipFile(io.BytesIO(bytes(packed))) as archive:
        real = archive.getinfo("xl/worksheets/sheet1.xml").file_size.to_bytes(4, "little")
    return bytes(packed).replace(real, (5000).to_bytes(4, "little"))


GOOD = xlsx(ROWS)


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (b"", DamagedWorkbookError, "空文件"),
        (b"   \n", DamagedWorkbookError, "空文件"),
        (b"%PDF-1.7 ...", NotAWorkbookError, "PDF"),
        (b"\x89PNG\r\n\x1a\n....", NotAWorkbookError, "图片"),
        (b"\x7fELF\x02\x01\x01\x00" + bytes(range(256)) * 4, NotAWorkbookError, "另存"),
        ("<html><table><tr><td>系统名称</td></tr></table></html>".encode(), NotAWorkbookError, "网页"),
        (packed_parts({"word/document.xml": "<w/>"}), NotAWorkbookError, "压缩包"),
        (packed_parts({"xl/workbook.bin": b"x"}), NotAWorkbookError, "xlsb"),
        (OLE2 + bytes(512) + "EncryptedPackage".encode("utf-16-le") + bytes(64), EncryptedWorkbookError, "加密"),
        (OLE2 + bytes(4096), DamagedWorkbookError, "损坏"),
        (GOOD[: len(GOOD) // 2], DamagedWorkbookError, "损坏"),
        (repacked(GOOD, "xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row"), DamagedWorkbookError, "损坏"),
        (repacked(GOOD, "xl/workbook.xml", b"<workbook"), DamagedWorkbookError, "损坏"),
        (with_entities(GOOD), NotAWorkbookError, "DOCTYPE"),
        (bomb(GOOD), OversizedWorkbookError, "压缩炸弹"),
        (lying_bomb(GOOD), DamagedWorkbookError, "损坏"),
        (xlsx([["姓名", "电话"], ["张三", "1"]]), NoLedgerHeaderError, "表头"),
        (csv([["a", "b"], ["c", "d"]]), NoLedgerHeaderError, "表头"),
    ],
    ids=[
        "nothing", "blank", "pdf", "picture", "program", "web page", "word document", "xlsb", "encrypted",
        "ole2 without a workbook", "cut in half", "sheet cut", "workbook part cut",
        "xml entities", "zip bomb", "zip bomb that lies", "no ledger", "no ledger csv",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line_that_names_file_rule_and_remedy(
    content: bytes, kind: type[LedgerError], says: str
) -> None:
    with pytest.raises(kind, match=says) as caught:
        read_ledger(content, "来件.xlsx")
    assert "\n" not in str(caught.value)
    assert "来件" in str(caught.value)
    assert " / " in str(caught.value)


def test_an_xls_with_an_open_password_is_refused_as_encrypted() -> None:
    # FILEPASS (0x002F) right after the workbook's BOF record is how BIFF8 says that what follows is encrypted.
    content = bytearray(xls(ROWS))
    start = content.index(b"\x09\x08\x10\x00\x00\x06\x05\x00")
    after = start + 4 + 16
    content[after : after + 10] = b"\x2f\x00\x06\x00\x00\x00\x01\x02\x03\x04"
    with pytest.raises(EncryptedWorkbookError):
        read_ledger(bytes(content), "a.xls")


class TestFuzz:
    """Damaged bytes give the same reading or a LedgerError; never another exception, never a part of the rows."""

    SOURCES = (xlsx(ROWS), xls(ROWS), csv(ROWS, ",", "gbk"))

    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(source=st.integers(0, 2), share=st.floats(0, 1))
    def test_truncated_files(self, source: int, share: float) -> None:
        content = self.SOURCES[source]
        self._read(content[: int(len(content) * share)], source)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        source=st.integers(0, 2),
        changes=st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 255)), min_size=1, max_size=12),
    )
    def test_files_with_changed_bytes(self, source: int, changes: list[tuple[float, int]]) -> None:
        content = bytearray(self.SOURCES[source])
        for place, byte in changes:
            content[int(place * len(content))] = byte
        self._read(bytes(content), source)

    @settings(max_examples=100, deadline=None)
    @given(
        st.binary(max_size=400),
        st.sampled_from([b"", b"PK\x03\x04", OLE2, b"\x09\x08", b"\xff\xfe", b"\xef\xbb\xbf"]),
    )
    def test_arbitrary_bytes(self, tail: bytes, head: bytes) -> None:
        self._read(head + tail, 2)

    @settings(max_examples=80, deadline=None)
    @given(st.data())
    def test_sheet_xml_with_changed_text(self, data: st.DataObject) -> None:
        with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
            part = data.draw(st.sampled_from(archive.namelist()))
            text = bytearray(archive.read(part))
        for _ in range(data.draw(st.integers(1, 6))):
            text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.sampled_from(b"<>/\"'=0A9&; \xff"))
        self._read(repacked(GOOD, part, bytes(text)), 2)

    def _read(self, content: bytes, source: int) -> None:
        try:
            result = read_ledger(content, "来件")
        except LedgerError as error:
            assert "\n" not in str(error)
        else:
            mark_up(content, "来件", result)
            if source < 2:
                assert len(result.systems) <= 2

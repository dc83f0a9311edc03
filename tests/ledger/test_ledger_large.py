"""A workbook of 200,000 rows is read within 1 GB, as a whole.

`make bench` reads the 200,000 (tests/benchmarks/test_ledger_bench.py); the tests read a quarter of them within a
quarter of the memory beyond what the program itself takes, which shows the same in a quarter of the time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

ROWS = 200_000
LIMIT_MB = 1024
_PROGRAM_MB = 80
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_HEADINGS = ("单位名称", "系统名称", "用户规模", "服务器配置", "对接系统")
# The reader runs in a process of its own, so that the peak is its own. The limit on address space turns a breach
# into an error at once instead of a machine that swaps.
_READ = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from inventory.ledger import read_ledger
with open(sys.argv[1], "rb") as source:
    reading = read_ledger(source.read(), "large.xlsx")
# Not ru_maxrss, which a new process inherits from the one that started it.
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024
print(json.dumps([len(reading.systems), len(reading.findings), len(reading.systems[-1].deps), reading.systems[-1].row, peak]))
"""


def write_large(path: Path, rows: int) -> None:
    """A workbook written as text, as openpyxl would need minutes for it."""
    parts = {
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}">'
        f'<Relationship Id="a" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        '<sheet name="区级系统" sheetId="1" r:id="s"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}">'
        f'<Relationship Id="s" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'<worksheet xmlns="{_MAIN}"><sheetData>{_row(1, _HEADINGS)}'.encode())
            for index in range(rows):
                cells = (
                    f"区第{index // 20}局",
                    f"第{index}号系统",
                    f"约{index % 5000}",
                    "16核32G*2台",
                    f"第{index * 7 % rows}号系统" if index % 3 else "",
                )
                sheet.write(_row(index + 2, cells).encode())
            sheet.write(b"</sheetData></worksheet>")


def _row(number: int, cells: tuple[str, ...]) -> str:
    return (
        f'<row r="{number}">'
        + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in cells)
        + "</row>"
    )


def read_large(path: Path, rows: int) -> int:
    """Reads a workbook of so many rows in a process of its own and gives its peak memory in MB."""
    write_large(path, rows)
    run = subprocess.run(
        [sys.executable, "-c", _READ, str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert run.returncode == 0, run.stderr[-2000:]
    systems, findings, deps, last_row, peak_mb = json.loads(run.stdout)
    assert (systems, findings, deps, last_row) == (rows, 0, 1, rows + 1)
    return int(peak_mb)


def test_a_quarter_of_the_largest_ledger_takes_a_quarter_of_the_memory(tmp_path: Path) -> None:
    peak_mb = read_large(tmp_path / "large.xlsx", ROWS // 4)
    assert peak_mb < _PROGRAM_MB + (LIMIT_MB - _PROGRAM_MB) / 4

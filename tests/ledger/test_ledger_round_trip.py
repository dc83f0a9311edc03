"""Random systems, written in random dialects and layouts, are read back as they were."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from inventory.ledger import read_ledger, reading_json
from inventory.ledger.lexicon import CREDENTIAL, lexicon
from tests.ledger.authoring import DIALECTS, SHEET_NAMES, Author, write_workbook
from tests.ledger.workbooks import csv

DEPARTMENTS = ("区教委", "区财政局", "区卫生健康委", "区应急管理局", "区大数据发展局")
TOPICS = (
    "学籍管理",
    "预算执行",
    "健康档案",
    "应急指挥",
    "数据交换",
    "信用公示",
    "门户",
    "办公自动化",
    "行政审批",
    "视频监控",
)
TAILS = ("系统", "平台", "移动端", "数据库（一期）")


@st.composite
def systems(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A ledger of distinct names; every value is one that a cell can say."""
    pairs = draw(
        st.lists(st.tuples(st.sampled_from(TOPICS), st.sampled_from(TAILS)), min_size=3, max_size=14, unique=True)
    )
    names = [topic + tail for topic, tail in pairs]
    made = []
    for name in names:
        owner = draw(st.sampled_from(("district", "district", "vertical", "soe")))
        servers = draw(st.sampled_from((None, 1, 2, 3, 4)))
        cores, mem = draw(st.sampled_from((2, 4, 8, 16, 32))), draw(st.sampled_from((4, 8, 16, 64)))
        golive = draw(
            st.sampled_from(
                (("2016", "year"), ("2019-07", "month"), ("2020-11", "month"), ("2013-12-17", "day"), (None, None))
            )
        )
        others = [other for other in names if other != name]
        answer = st.sampled_from((True, False, None))
        made.append(
            {
                "name": name,
                "department": draw(st.sampled_from(DEPARTMENTS)),
                "ownership": owner,
                "zone": draw(st.sampled_from(("互联网", "政务外网", "政务内网", "业务专网", None))),
                "classified": draw(answer),
                "mlps": draw(st.sampled_from(("none", "1", "2", "3", "4", None))),
                "servers": servers,
                "vcpu": cores * servers if servers else None,
                "mem_gb": mem * servers if servers else None,
                "disk_gb": draw(st.sampled_from((None, 200, 500, 1024, 2048, 1524))),
                "golive": golive[0],
                "golive_precision": golive[1],
                "arch": draw(st.sampled_from(("x86_64", "arm64", "c86", None))),
                "users": draw(st.sampled_from((None, 0, 3, 80, 1200, 60000))),
                "zombie": draw(answer),
                "cpu_avg_pct": draw(st.sampled_from((None, 0.2, 8.0, 27.0, 99.5))),
                "opex_wan": draw(st.sampled_from((None, 0.8, 12.5, 30.0, 88.6))),
                "crypto_plan": draw(answer),
                "data_catalog": draw(answer),
                "deps": draw(st.lists(st.sampled_from(others), max_size=3, unique=True)) if others else [],
                "disposition": draw(
                    st.sampled_from(
                        (None, "retire", "consolidate", "rehost", "replatform", "refactor", "repurchase", "retain")
                    )
                ),
                "merged_into": draw(st.sampled_from((None, *others))),
                "should_migrate": draw(answer) if owner == "district" else None,
                "migrated": draw(answer) if owner == "district" else None,
                "gpu": draw(
                    st.sampled_from((None, None, {"model": "昇腾910B", "count": 2}, {"model": "A800", "count": 8}))
                ),
            }
        )
    return sorted(made, key=lambda system: (list(SHEET_NAMES).index(system["ownership"]), system["department"]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(ledger=systems(), seed=st.integers(0, 10**6), one_sheet=st.booleans())
def test_what_departments_write_is_read_back_equal(
    ledger: list[dict[str, Any]], seed: int, one_sheet: bool
) -> None:
    content, expected = write_workbook(Author.of(seed, one_sheet=one_sheet), ledger, one_sheet)
    read = reading_json(read_ledger(content, "来件.xlsx"))
    got = [{name: system[name] for name in expected[0]} for system in read["systems"]]
    assert got == expected
    assert read["findings"] == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    ledger=systems(),
    seed=st.integers(0, 10**6),
    encoding=st.sampled_from(("utf-8-sig", "gb18030", "utf-16")),
    delimiter=st.sampled_from((",", "\t")),
)
def test_the_same_sheet_as_delimited_text_is_read_back_equal(
    ledger: list[dict[str, Any]], seed: int, encoding: str, delimiter: str
) -> None:
    author = Author.of(seed, one_sheet=True)
    author.department_style, author.group_headings = "first", "none"
    author.columns = author._column_order(one_sheet=True)
    content, expected = write_workbook(author, ledger, one_sheet=True)
    sheet = load_workbook(io.BytesIO(content))["系统清单"]
    rows = [[quoted(cell.value, cell.number_format) for cell in row] for row in sheet.iter_rows()]
    read = reading_json(read_ledger(csv(rows, delimiter, encoding), "系统清单.csv"))
    got = [{name: system[name] for name in expected[0]} for system in read["systems"]]
    assert got == expected
    assert read["findings"] == []


def quoted(value: Any, number_format: str) -> str:
    if value is None:
        return ""
    text = f"{value * 100:.1f}%" if number_format == "0.0%" else str(value)
    return '"' + text.replace('"', '""') + '"'


def test_every_heading_of_every_dialect_is_given_its_field() -> None:
    expected = {
        heading: {"credential": CREDENTIAL}.get(target, target)
        for dialect in DIALECTS
        for target, heading in dialect.items()
    }
    got = {heading: next(iter(fit.target for fit in lexicon().fits((), heading)), None) for heading in expected}
    assert got == expected

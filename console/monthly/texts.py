"""What the three writers of the monthly report share: file names, the watermark's words, clean text, labels."""

from __future__ import annotations

import re

from inventory.reports.document import MonthlyReport, Section
from inventory.reports.words import chinese_day, numeral

WATERMARK = "示例数据 ILLUSTRATIVE"
LABEL = re.compile(r"F\d{3,}|R\d{4,}")
# What XML 1.0 cannot hold: a cell of a sender may bring it along.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def file_stem(report: MonthlyReport) -> str:
    mark = "示例数据_" if report.illustrative else ""
    return f"{mark}上云月报_{report.month}"


def heading(place: int, section: Section) -> str:
    """一、总体情况"""
    return f"{numeral(place)}、{section.title}"


def dateline(report: MonthlyReport) -> str:
    return f"截至{chinese_day(report.as_of)}　编制日期{chinese_day(report.made_on)}　统计范围（{report.scope}）"


def signature_lines(report: MonthlyReport) -> tuple[tuple[str, str], ...]:
    signed = report.signature
    return (
        ("填报单位", signed.unit),
        ("填表人", signed.preparer),
        ("审核人", signed.reviewer),
        ("联系电话", signed.phone),
    )

"""Reading the largest ledger: 200,000 rows within 1 GB. Its peak memory stands in the benchmark's extra information."""

from __future__ import annotations

from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from tests.ledger.test_ledger_large import LIMIT_MB, ROWS, read_large


def test_two_hundred_thousand_rows_are_read_within_a_gigabyte(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    peak_mb = benchmark.pedantic(read_large, (tmp_path / "large.xlsx", ROWS), rounds=1)
    benchmark.extra_info["peak_mb"] = peak_mb
    assert peak_mb < LIMIT_MB

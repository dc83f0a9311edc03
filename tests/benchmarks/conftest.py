"""The last lines of `make bench`: work, median rate, what was asked, ratio to a naive numpy scan, and the last recorded run."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from _pytest.terminal import TerminalReporter

from tests.benchmarks.rates import table


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost, so that it writes after every other summary
def pytest_terminal_summary(terminalreporter: TerminalReporter) -> Generator[None]:
    yield
    session = terminalreporter.config._benchmarksession  # type: ignore[attr-defined]  # pytest-benchmark's own place
    now = [one.as_dict(include_data=False) for one in session.benchmarks if one and not one.has_error]
    if not any("rate_per_second" in one["extra_info"] for one in now):
        return
    recorded = session.compared_mapping or {}
    terminalreporter.section("rates")
    for line in table(now, next(iter(recorded.values()), {})):
        terminalreporter.write_line(line)
    if not recorded:
        terminalreporter.write_line("no run was recorded before this one: nothing to compare with")

"""The clock of production: the only place of the scheduler that reads the time of day."""

from __future__ import annotations

import time


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

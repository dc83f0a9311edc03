"""The labels by which a workload says that it cuts a system over.

`scheduler.services.migration_desk` puts them on the workloads of a wave; `scheduler.runtime.consequences` reads
them when such a workload succeeds. Submitting systems cannot set them: labels that begin with "xisuan." are
reserved (see `scheduler.services.workload_servicer`).
"""

from __future__ import annotations

from datetime import date

SYSTEM_LABEL = "xisuan.system"
CUTOVER_DAY_LABEL = "xisuan.cutover-day"


def cutover_labels(system_key: str, day: date) -> dict[str, str]:
    """The labels of a workload whose success means that the system is migrated on `day`."""
    return {SYSTEM_LABEL: system_key, CUTOVER_DAY_LABEL: day.isoformat()}

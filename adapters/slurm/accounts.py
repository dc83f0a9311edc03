"""Jobs as Slurm's accounting remembers them: how runs ended that slurmctld has forgotten. `engine.py` asks sacct."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.sdk.engine import Seen
from adapters.slurm.jobs import Job, report_of
from inventory.model.units import Resources

FORMAT = "JobIDRaw,State,Start,End,ExitCode"


def parse_accounts(text: str, run_ids: Mapping[str, str]) -> list[Seen]:
    """One line a job of `sacct --noheader --parsable2 --allocations --format=FORMAT`; `run_ids` by job id.

    The nodes are not told: the memory of the adapter has them.
    """
    found = []
    for line in text.splitlines():
        job_id, state, start, end, exit_code = line.split("|")
        if job_id in run_ids:
            found.append(Seen(report_of(_job(job_id, run_ids[job_id], state, (start, end, exit_code))), job_id))
    return found


def _job(job_id: str, run_id: str, state: str, fields: tuple[str, str, str]) -> Job:
    start, end, exit_code = fields
    code, _, signal = exit_code.partition(":")
    return Job(
        job_id=job_id,
        name="",
        state=state.split(" ")[0],  # "CANCELLED by 0"
        start_ms=_milliseconds(start),
        end_ms=_milliseconds(end),
        nodes=(),
        reason=state,
        exit_status=int(code or 0) * 256 + int(signal or 0),
        allocated=Resources(),
        run_id=run_id,
        tasks=1,
        are_nodes_chosen=True,
    )


def _milliseconds(text: str) -> int | None:
    return int(text) * 1000 if text.isdigit() else None

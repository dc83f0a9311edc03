"""A process that runs a control plane, to be killed: `python -m tests.control_plane.plane_process FOLDER ENDPOINT N`.

It registers the simulated pool at ENDPOINT, submits workloads in batches and prints the ids of each batch when they
are acknowledged, until N workloads are stored. Then it waits until all have ended, and prints "done".
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from adapters.client import AdapterClient
from tests.adapters.adapter_process import declared_pool
from tests.control_plane.site import Site
from tests.lifecycle.bookkeeping import submission

BATCH = 7


async def main(folder: Path, endpoint: str, wanted: int) -> None:
    site = Site(folder, AdapterClient)
    site.start()
    await site.plane.register_pool(declared_pool("simulated"), endpoint)
    stored = (await site.counts()).total()
    for first in range(0, wanted, BATCH):
        # From the beginning, as a client does that does not know what has arrived: every second waits for the
        # one before it.
        keys = range(first, min(first + BATCH, wanted))
        items = [submission(f"k{i}", *([f"k{i - 1}"] if i % 2 else []), estimated_ms=20) for i in keys]
        ids = await site.submit(*items)
        sys.stdout.write(" ".join(ids) + "\n")
        sys.stdout.flush()
    while True:
        counts = await site.counts()
        if sum(number for state, number in counts.items() if state.is_final) == wanted:
            break
        await asyncio.sleep(0.02)
    await site.close()
    sys.stdout.write(f"done {stored}\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))

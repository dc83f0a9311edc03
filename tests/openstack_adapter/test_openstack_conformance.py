"""The OpenStack adapter obeys every law of the contract that its capabilities do not excuse it from.

Asked over a Nova in memory in every run of the tests, and over a real one in the long ones.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.conformance.programs import MEBIBYTE, Asking
from adapters.conformance.report import Report, Verdict, chosen
from adapters.conformance.runner import Suite, run_suite
from adapters.conformance.session import Options
from adapters.conformance.spec import Outcome
from adapters.conformance.specs import ALL
from adapters.openstack.backend import OpenStackBackend
from adapters.openstack.engine import OpenStackEngine
from adapters.openstack.order import MachineSettings
from adapters.wire.pools import write_pool_file
from tests.conformance.adapter_in_process import Parts, asked
from tests.conformance.killed_and_started import PARTS as ALL_PARTS
from tests.conformance.killed_and_started import KilledAndStarted
from tests.openstack_adapter.conftest import cloud_pool, options
from tests.openstack_adapter.pretended_nova import PretendedNova
from tests.servers.required import free_port

DECLARED_SKIPS = {
    "exec", "checkpoints", "services", "reservations", "start_estimates", "gangs",
    "simulates", "runtimes",  # a machine does not end by itself, and its output is its console's
}  # fmt: skip
PARTS = (
    ("identity", "capabilities", "launch", "extras", "input", "limits"),
    ("idempotency", "fencing", "watch", "partition", "recovery"),
)


def conform(folder: Path, groups: Sequence[str]) -> Report:
    """Asks these groups of one adapter process, spec after spec: machines are slow to come on a small machine."""
    folder.mkdir()
    write_pool_file(folder / "pool.json", cloud_pool(f"lawful-openstack-{folder.name}"))
    port = free_port()
    command = [
        sys.executable, "-m", "adapters.openstack", "--pool-spec", str(folder / "pool.json"),
        "--state-dir", str(folder / "state"), "--port", str(port), "--exit-with-parent",
        *options("--create-flavors"),
    ]  # fmt: skip
    adapter = KilledAndStarted(command, port)
    adapter.start()
    suite = Suite(
        endpoint=adapter.endpoint,
        specs=chosen(ALL, [f"{group}." for group in groups]),
        # Nova makes a few machines a second on a small machine: the rate says that none is lost, and no more.
        options=Options(epoch=10, patience_s=120, call_s=30, load_rate=2, asking=Asking(1000, 64 * MEBIBYTE)),
        prefix=f"suite-{folder.name}",
        restart=adapter.restart,
    )
    try:
        return asyncio.run(run_suite(suite, tell))
    finally:
        adapter.end(15)


def tell(verdict: Verdict) -> None:
    """`pytest -s` shows where the suite is."""
    sys.stdout.write(f"{verdict.outcome.value} {verdict.spec.name} {verdict.message}\n")


def require_lawful(report: Report) -> None:
    failed = [f"{v.spec.name}: {v.message}" for v in report.verdicts if v.outcome is Outcome.FAILED]
    assert not failed, "\n".join(failed)
    assert {v.excused_by for v in report.verdicts if v.outcome is Outcome.SKIPPED} <= DECLARED_SKIPS
    assert report.conforms
    assert not report.left_running


@pytest.mark.parametrize("groups", PARTS, ids=" ".join)
def test_over_a_nova_in_memory_the_adapter_obeys_the_contract(groups: Sequence[str], tmp_path: Path) -> None:
    """Group beside group, each with a cloud of its own: most of them wait."""

    async def ask(group: str) -> Report:
        nova = PretendedNova(cpus=1000)

        def backend(folder: Path) -> OpenStackBackend:
            engine = OpenStackEngine(
                cloud_pool(),
                nova,  # type: ignore[arg-type]  # it answers all that the adapter asks
                MachineSettings(("none",)),
                sees_hosts=True,
                makes_flavors=True,
            )
            return OpenStackBackend(engine, folder)

        return await asked(Parts(backend=backend), tmp_path / group, [f"{group}."], patience_s=60)

    async def ask_all() -> list[Report]:
        return await asyncio.gather(*(ask(group) for group in groups))

    for report in asyncio.run(ask_all()):
        require_lawful(report)


@pytest.mark.long
@pytest.mark.faults
@pytest.mark.parametrize("groups", ALL_PARTS, ids=" ".join)
def test_openstack_conforms_and_skips_nothing_that_it_does_not_declare(
    clouds: Path, tmp_path: Path, groups: Sequence[str]
) -> None:
    """The whole suite, in parts that can be asked alone."""
    require_lawful(conform(tmp_path / groups[0], groups))

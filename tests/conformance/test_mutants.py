"""Every mutant is caught by the spec that names its fault, and the adapter that it was made from passes that spec."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from adapters.conformance.report import Verdict
from adapters.conformance.spec import Outcome
from adapters.conformance.specs import ALL
from adapters.contract import PoolBackend
from adapters.local.backend import LocalBackend
from tests.conformance.adapter_in_process import Parts, asked, local, simulated
from tests.conformance.further_mutants import FURTHER_MUTANTS
from tests.conformance.mutants import MUTANTS as MUTANTS_OF_ALL
from tests.conformance.mutants import Mutant, gather_limited
from tests.conformance.optional_mutants import OPTIONAL_MUTANTS, CheckpointingPool

MUTANTS = (*MUTANTS_OF_ALL, *FURTHER_MUTANTS, *OPTIONAL_MUTANTS)
AT_ONCE = 12
PATIENCE_S = 8.0


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Verdict]:
    """What the suite says of every mutant: they wait most of the time, so they are asked side by side."""
    folder = tmp_path_factory.mktemp("mutants")

    async def ask(number: int, mutant: Mutant) -> Verdict:
        report = await asked(mutant.parts, folder / str(number), [mutant.caught_by], patience_s=PATIENCE_S)
        (verdict,) = report.verdicts
        return verdict

    async def ask_all() -> list[Verdict]:
        return await gather_limited([ask(n, mutant) for n, mutant in enumerate(MUTANTS)], AT_ONCE)

    verdicts = asyncio.run(ask_all())
    return {mutant.fault: verdict for mutant, verdict in zip(MUTANTS, verdicts, strict=True)}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Verdict]:
    """The same specs asked of the adapters that the mutants were made from."""
    folder = tmp_path_factory.mktemp("sound")
    made_from = {mutant.caught_by: _made_from(mutant.parts) for mutant in MUTANTS}
    names = sorted(made_from)

    async def ask(name: str) -> Verdict:
        (verdict,) = (await asked(Parts(backend=made_from[name]), folder / name, [name])).verdicts
        return verdict

    async def ask_all() -> list[Verdict]:
        return await gather_limited([ask(name) for name in names], AT_ONCE)

    return dict(zip(names, asyncio.run(ask_all()), strict=True))


def _made_from(parts: Parts) -> Callable[[Path], PoolBackend]:
    kind = parts.backend if isinstance(parts.backend, type) else object
    if issubclass(kind, CheckpointingPool):
        return CheckpointingPool
    return local if issubclass(kind, LocalBackend) else simulated


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.fault for mutant in MUTANTS])
def test_an_adapter_that(mutant: Mutant, caught: Mapping[str, Verdict]) -> None:
    verdict = caught[mutant.fault]
    assert verdict.outcome is Outcome.FAILED, f"{mutant.caught_by} did not catch it"
    assert verdict.message


@pytest.mark.parametrize("name", sorted({mutant.caught_by for mutant in MUTANTS}))
def test_a_sound_adapter_passes(name: str, sound: Mapping[str, Verdict]) -> None:
    verdict = sound[name]
    if name == "extras.suspend":  # the mutant declares it falsely; the pool that it was made from does not
        assert verdict.excused_by == "suspend"
    else:
        assert verdict.outcome is Outcome.PASSED, verdict.message


def test_every_spec_has_a_name_and_a_title_of_its_own() -> None:
    assert len({spec.name for spec in ALL}) == len({spec.title for spec in ALL}) == len(ALL)

"""One adapter process of each technology for tests that need an endpoint; tests that kill start their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import settings

from tests.adapters.adapter_process import TECHNOLOGIES, AdapterProcess, running

# A machine that does other things as well must not fail a property for taking its time.
settings.register_profile("unhurried", deadline=None, max_examples=50)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def shared_adapters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], AdapterProcess]]:
    with ExitStack() as stack:
        up: dict[str, AdapterProcess] = {}

        def adapter_of(technology: str) -> AdapterProcess:
            if technology not in up:
                folder = tmp_path_factory.mktemp(technology)
                up[technology] = stack.enter_context(running(AdapterProcess(technology, folder)))
            return up[technology]

        yield adapter_of


@pytest.fixture(params=TECHNOLOGIES)
def adapter(request: pytest.FixtureRequest, shared_adapters: Callable[[str], AdapterProcess]) -> AdapterProcess:
    """Each technology in turn: what the contract says holds for all."""
    return shared_adapters(request.param)


@pytest.fixture
def local(shared_adapters: Callable[[str], AdapterProcess]) -> AdapterProcess:
    return shared_adapters("local")


@pytest.fixture
def simulated(shared_adapters: Callable[[str], AdapterProcess]) -> AdapterProcess:
    return shared_adapters("simulated")

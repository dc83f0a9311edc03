"""How tests look at a failed call: its code and the details that came with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from adapters.wire.status import Failure, details_of


def failure_of(call: Callable[[], Any]) -> Failure:
    """The failure of a call that must fail."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return details_of(raised.value)


def fields_of(failure: Failure) -> list[str]:
    return [violation.field for violation in failure.violations]

"""How the kernels are compiled: once, to disk, so that the second start of a program does not compile.

Kernels take arrays and numbers and give arrays and numbers; the object world stays in `policies/`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",  # no check for a zero divisor: the scales are at least 1
    # A kernel allocates nothing, so numba need not count references. Counting them (atomically, for every array of
    # every tuple that is passed on) would cost three quarters of the time here.
    "_nrt": False,
}
Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """The function as machine code, of the same signature. Integers wrap at 64 bits, as in numpy."""
    return cast(Function, numba.njit(**OPTIONS)(function))

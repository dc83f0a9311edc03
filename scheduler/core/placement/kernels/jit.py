"""How the kernels are compiled: once, to disk, so that the second start of a program does not compile.

Kernels take arrays and numbers and give arrays and numbers; the object world stays in `policies/`.

numba takes cached code as stale when the file of that very function has changed, and would so go on running a caller
compiled with an old callee of another file. Here every function depends on its own file and on all kernel files that
were imported before it, which is why the package imports them in one fixed order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",  # no check for a zero divisor: the scales are at least 1
    # A kernel allocates nothing, so numba need not count references. Counting them (atomically, for every array of
    # every tuple that is passed on) would cost three quarters of the time here.
    "_nrt": False,
}
Function = TypeVar("Function", bound=Callable[..., object])
_stamps: dict[str, object] = {}  # of the kernel files imported so far, by module: a hash of the source


class _KernelCache(FunctionCache):
    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]  # numba is not typed
        locator = self._impl.locator
        _stamps[function.__module__] = locator.get_source_stamp()
        self._cache_file = IndexDataCacheFile(  # type: ignore[no-untyped-call]  # numba is not typed
            cache_path=locator.get_cache_path(),
            filename_base=self._impl.filename_base,
            source_stamp=tuple(_stamps.items()),
        )


def compiled(function: Function) -> Function:
    """The function as machine code, of the same signature. Integers wrap at 64 bits, as in numpy."""
    return _compiled(function, forceinline=False)


def inlined(function: Function) -> Function:
    """As `compiled`, and copied into every compiled caller: for small functions that pass many arrays on, where a
    call would copy the arrays' descriptions to the stack, a hundred words and more."""
    return _compiled(function, forceinline=True)


def _compiled(function: Function, forceinline: bool) -> Function:
    dispatcher = numba.njit(forceinline=forceinline, **OPTIONS)(function)
    dispatcher._cache = _KernelCache(function)
    return cast(Function, dispatcher)

"""numba's side of `jit`: kernels as machine code, cached by the sources that they depend on.

`jit` loads this when a kernel is first called, and not before: loading numba takes half a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.compiler_lock import global_compiler_lock

from scheduler.core.placement.kernels.jit import Kernel

_stamps: dict[str, object] = {}  # of the kernel files so far, by module: a hash of the source


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


def make(waiting: list[Kernel], options: Mapping[str, Any]) -> None:
    """Gives all that wait, in the order of their files, their machine code (compiled when it is first called), and puts it
    in their place in those files: machine code calls what its own file names. Two threads may come at once."""
    with global_compiler_lock:
        made: dict[Kernel, Any] = {}
        for kernel in waiting:
            made[kernel] = numba.njit(forceinline=kernel.forceinline, **options)(kernel.function)
            made[kernel]._cache = _KernelCache(kernel.function)
        for kernel in waiting:
            named = kernel.function.__globals__
            named |= {name: made[one] for name, one in named.items() if isinstance(one, Kernel) and one in made}
        for kernel, machine_code in made.items():  # last: whoever sees it calls it
            kernel.machine_code = machine_code
        waiting.clear()

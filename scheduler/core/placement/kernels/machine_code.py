"""numba's side of `jit`: one kernel as machine code, cached by the sources that it depends on.

`jit` loads this when a kernel is first called, and not before: loading numba takes half a second.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile


class _KernelCache(FunctionCache):
    def __init__(self, function: Callable[..., object], files: Sequence[str]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]  # numba is not typed
        self._cache_file = IndexDataCacheFile(  # type: ignore[no-untyped-call]  # numba is not typed
            cache_path=self._impl.locator.get_cache_path(),
            filename_base=self._impl.filename_base,
            source_stamp=tuple((module, _stamp(module)) for module in files),
        )


def made(function: Callable[..., object], files: Sequence[str], **options: Any) -> Callable[..., object]:
    """The machine code of one function, which is compiled when it is first called with arguments of these types. `files`
    are the modules whose change makes cached code stale."""
    dispatcher: Any = numba.njit(**options)(function)
    dispatcher._cache = _KernelCache(function, files)
    called: Callable[..., object] = dispatcher
    return called


@cache
def _stamp(module: str) -> str:
    """A hash of the source."""
    path = sys.modules[module].__file__
    assert path is not None
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()

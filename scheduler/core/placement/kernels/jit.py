"""How the kernels are compiled: once, to disk, so that the second start of a program does not compile.

Kernels take arrays and numbers and give arrays and numbers; the object world stays in `policies/`.

numba takes cached code as stale when the file of that very function has changed, and would so go on running a caller
compiled with an old callee of another file. Here every function depends on its own file and on all kernel files that
were imported before it, which is why the package imports them in one fixed order.

numba itself takes half a second to load, and gateways and most commands place nothing: it is loaded when a kernel is
first called. Until then a `_Kernel` stands where the machine code will.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",  # no check for a zero divisor: the scales are at least 1
    # A kernel allocates nothing, so numba need not count references. Counting them (atomically, for every array of
    # every tuple that is passed on) would cost three quarters of the time here.
    "_nrt": False,
}
Function = TypeVar("Function", bound=Callable[..., object])
_modules: list[str] = []  # the kernel files imported so far, in their order
_waiting: list[_Kernel] = []
_making = threading.Lock()


class _Kernel:
    """A function that becomes machine code when it, or any other, is first called."""

    __slots__ = ("files", "forceinline", "function", "machine_code")

    def __init__(self, function: Callable[..., object], forceinline: bool) -> None:
        if function.__module__ not in _modules:
            _modules.append(function.__module__)
        self.function = function
        self.forceinline = forceinline
        self.files = tuple(_modules)  # what its cached code depends on
        self.machine_code: Callable[..., object] | None = None
        _waiting.append(self)

    def __call__(self, *arguments: object) -> object:
        if self.machine_code is None:
            _make_all()
        assert self.machine_code is not None
        return self.machine_code(*arguments)


def _make_all() -> None:
    """Puts numba's functions in the place of all kernels that wait: in the files of kernels too, because machine code calls
    what its own file names."""
    from scheduler.core.placement.kernels.machine_code import made

    with _making:
        for kernel in _waiting:
            kernel.machine_code = made(kernel.function, kernel.files, forceinline=kernel.forceinline, **OPTIONS)
        for module in _modules:
            named = vars(sys.modules[module])
            named |= {name: one.machine_code for name, one in named.items() if isinstance(one, _Kernel)}
        _waiting.clear()


def compiled(function: Function) -> Function:
    """The function as machine code, of the same signature. Integers wrap at 64 bits, as in numpy."""
    return _compiled(function, forceinline=False)


def inlined(function: Function) -> Function:
    """As `compiled`, and copied into every compiled caller: for small functions that pass many arrays on, where a
    call would copy the arrays' descriptions to the stack, a hundred words and more."""
    return _compiled(function, forceinline=True)


def _compiled(function: Function, forceinline: bool) -> Function:
    return cast(Function, _Kernel(function, forceinline))

"""How the kernels are compiled: once, to disk, so that the second start of a program does not compile.

Kernels take arrays and numbers and give arrays and numbers; the object world stays in `policies/`.

numba takes cached code as stale when the file of that very function has changed, and would so go on running a caller
compiled with an old callee of another file. Here every function depends on its own file and on all kernel files that
were imported before it, which is why the package imports them in one fixed order.

numba itself takes half a second to load, and gateways and most commands place nothing: it is loaded when a kernel is
first called. Until then a `Kernel` stands where the machine code will.
"""

from __future__ import annotations

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
_waiting: list[Kernel] = []  # in the order of their files


class Kernel:
    """A function that becomes machine code when it, or any other, is first called."""

    __slots__ = ("forceinline", "function", "machine_code")

    def __init__(self, function: Callable[..., object], forceinline: bool) -> None:
        self.function = function
        self.forceinline = forceinline
        self.machine_code: Callable[..., object] | None = None
        _waiting.append(self)

    def __call__(self, *arguments: object) -> object:
        if self.machine_code is None:
            from scheduler.core.placement.kernels.machine_code import make

            make(_waiting, OPTIONS)
        assert self.machine_code is not None
        return self.machine_code(*arguments)


def compiled(function: Function) -> Function:
    """The function as machine code, of the same signature. Integers wrap at 64 bits, as in numpy."""
    return _compiled(function, forceinline=False)


def inlined(function: Function) -> Function:
    """As `compiled`, and copied into every compiled caller: for small functions that pass many arrays on, where a
    call would copy the arrays' descriptions to the stack, a hundred words and more."""
    return _compiled(function, forceinline=True)


def _compiled(function: Function, forceinline: bool) -> Function:
    return cast(Function, Kernel(function, forceinline))

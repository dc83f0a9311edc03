"""The console script `xisuan`: runs the command line, or says in one line what the installation lacks.

It imports nothing but the standard library at first, because the bare installation (the client alone) has this
script too and lacks what the command line needs.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from console.starting import begin

_SERVER_EXTRA = frozenset(
    {"alembic", "chinese_calendar", "defusedxml", "grpc_health", "grpc_reflection", "networkx", "numpy"}
    | {"openpyxl", "psutil", "pydantic", "ray", "rich", "sqlalchemy", "typer", "xlrd", "yaml"}
)
_A_MOMENT_S = 0.01


def main() -> None:
    begin()
    # Whoever is asked to end cleans up, as after Ctrl-C; `xisuan up` puts its own, slower end in place of this.
    signal.signal(signal.SIGTERM, _interrupt)
    sys.unraisablehook = _deliver_again
    sys.exit(run(sys.argv[1:]))


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _deliver_again(unraisable: sys.UnraisableHookArgs) -> None:
    """An interruption that came while a finalizer or a callback of a weak reference ran would be printed and forgotten
    there: it comes again in a moment, when the command is where it was."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _A_MOMENT_S)
    else:
        sys.__unraisablehook__(unraisable)


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code (0 done, 1 our fault, 2 the user's mistake, 3 the answer is no)."""
    try:
        from console.app import run_command

        return run_command(arguments)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _SERVER_EXTRA:
            raise
        sys.stderr.write(
            f"错误 / error: 此安装只含客户端，缺少 {missing}；请运行 pip install 'xisuan[server]'"
            f" / this installation is the client alone and lacks {missing}; run pip install 'xisuan[server]'\n"
        )
        return 2

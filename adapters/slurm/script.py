"""The batch script of a run: its settings, its time limit to the second, and its tasks on the nodes chosen for them.

`engine.py` hands it to sbatch. Pure. The script is the only place that holds the program: nothing of it is an option
on a command line, where every user of the machine could read it.
"""

from __future__ import annotations

import shlex
from itertools import pairwise

from adapters.contract import Launch

TIMED_OUT = 124  # coreutils' timeout: the program was ended because its time was over
_KILL_AFTER_S = 10
_SURROUNDINGS_END = "# ---"


def batch_script(launch: Launch) -> str:
    """The text for sbatch. Tasks beyond one are started by srun, task i on node i."""
    lines = ["#!/bin/sh", "export SLURM_EXPORT_ENV=ALL"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(launch.program.environment.items())]
    limit = _limit(launch.max_runtime_ms)
    lines += [_SURROUNDINGS_END]
    if launch.runtime == "batch-script":
        lines += [_own_script(launch, limit)]
    elif launch.requirements.tasks == 1:
        lines += ["export XISUAN_TASK=0", f"exec {limit}{shlex.join(launch.program.command)}"]
    else:
        lines += [_gang(launch, limit)]
    return "\n".join(lines) + "\n"


def settings_of(script: str) -> dict[str, str]:
    """The environment that a script of `batch_script` gives its program."""
    head, _, _ = script.partition(f"\n{_SURROUNDINGS_END}\n")
    words = shlex.split(head, comments=True)
    return dict(word.split("=", 1) for before, word in pairwise(words) if before == "export")


def _limit(max_runtime_ms: int) -> str:
    """Slurm's own limit counts in minutes: the exact one is kept beside the program."""
    if not max_runtime_ms:
        return ""
    return f"timeout --kill-after={_KILL_AFTER_S} {max_runtime_ms / 1000:g} "


def _own_script(launch: Launch, limit: str) -> str:
    """The submitter's script, from a file: it may name its own interpreter."""
    text = shlex.quote(launch.program.command[0])
    words = shlex.join(launch.program.command[1:])
    return "\n".join(
        [
            "script=$(mktemp)",
            f"printf %s {text} >$script",
            "chmod 700 $script",
            f"{limit}$script {words}",
            "code=$?",
            "rm -f $script",
            "exit $code",
        ]
    )


def _gang(launch: Launch, limit: str) -> str:
    """`SLURM_HOSTFILE` with the distribution "arbitrary" gives task i the i-th line (srun, option -m)."""
    command = shlex.join(
        ["sh", "-c", 'export XISUAN_TASK=$SLURM_PROCID; exec "$@"', "sh", *launch.program.command]
    )
    tasks = launch.requirements.tasks
    if not launch.nodes:
        return f"exec {limit}srun --ntasks={tasks} --kill-on-bad-exit=1 {command}"
    hosts = " ".join(shlex.quote(node) for node in launch.nodes)
    return "\n".join(
        [
            "hosts=$(mktemp)",
            f"printf '%s\\n' {hosts} >$hosts",
            f"SLURM_HOSTFILE=$hosts {limit}srun --ntasks={tasks} --distribution=arbitrary --kill-on-bad-exit=1 {command}",
            "code=$?",
            "rm -f $hosts",
            "exit $code",
        ]
    )

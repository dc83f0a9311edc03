"""Examples in Node, copied with their packages: `tests/runtime` and `tests/conformance` start them from there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def with_packages(example: Path, folder: Path, what: str) -> Path:
    """Copies the example into the folder and has npm fetch its packages from wherever this machine gets packages.
    Skips visibly, naming `what`, where node, npm or the packages cannot be had."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip(f"node and npm are not installed: {what} was not tried")
    shutil.copytree(example, folder, dirs_exist_ok=True)
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm could not fetch the packages of {what}: {done.stderr.strip()[-200:]}")
    return folder

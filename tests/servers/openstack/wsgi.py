"""Serves one WSGI service of OpenStack on loopback: `python wsgi.py MODULE PORT`. `up.sh` starts it."""

from __future__ import annotations

import importlib
import sys

from waitress import serve  # type: ignore[import-untyped]  # it lives in the environment of the services

module, port = sys.argv[1], int(sys.argv[2])
sys.argv = [module]  # the services read it
serve(importlib.import_module(module).application, host="127.0.0.1", port=port, threads=8, _quiet=True)

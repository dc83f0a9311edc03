"""Node-level placement policies: each says, in one small file, which node of a pool a task should get.

A reader's tour: `shape.py` (what a task asks, what a node has free), `protocol.py` (what a policy answers), one
policy (`best_fit.py`), then `registry.py`. The numba kernels in `scheduler.core.placement.kernels` say the same
rules over flat arrays; tests hold the two equal.
"""

"""The placement policies on flat arrays: the fast twins of the files in `policies/`, and the runs that use them.

`cards` says when a task fits and moves amounts, `scoring` ranks nodes, `ledger` keeps scores and finds the best,
`batches` and `free_sums` serve a pool's state, `events` replays a trace. Everything is an exact integer, so a kernel equals its
plain twin, ties included.

What makes it fast: a score is kept for every (shape, node), and made again only for nodes that changed since the
shape last arrived: they stand in a chain from the node that changed last, and each shape remembers how many changes
it knows. The best node is found through the maxima of blocks of nodes, so a changed node costs its block and not the
cluster. Nodes that are equal and untouched are scored once a kind.

All of them are imported here, callees first: see `jit` for why the order is fixed.
"""

from scheduler.core.placement.kernels import cards, scoring, ledger, batches, events, free_sums  # noqa: F401, I001  # the order is meant

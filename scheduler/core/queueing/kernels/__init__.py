"""The cycle's inner loops as machine code. Imported in one fixed order, on which their cache depends (see
`placement.kernels.jit`)."""

from scheduler.core.queueing.kernels import (
    order,  # noqa: F401 - imported for its place in the order of stamps
    pool_choice,  # noqa: F401 - the same
)

"""When a workload that waits will start: the scheduling cycle run forward on a copy of the state, several times.

The control plane asks when people do; simulations measure whether the intervals hold. Pure: time, seeds and the budget of
seconds are arguments.
"""

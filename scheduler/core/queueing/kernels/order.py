"""The next workloads by fair share, over flat arrays: what `order.FairOrder` calls. Its plain twin is in the tests.

All functions are machine code (see `placement.kernels.jit`); they are readable Python too, and run as such when
numba is told not to compile.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from scheduler.core.placement.kernels.jit import compiled
from scheduler.core.queueing.shapes import Flags, Int32s, Int64s

# What stands in the way of a row, beside the number of the queue where it does.
FREE: Final = 0
OVER_MAXIMUM: Final = 1
LENT_OUT: Final = 2  # the queues beside keep what they do not lend
OVER_BUDGET: Final = 3

MILLION: Final = 10**6
SAFE_BITS: Final = 43  # a whole below 2 ** 43 times a million stays an int64


class Tree(NamedTuple):
    """The queues (n; position n is the root) and what they hold while rows are taken."""

    parent: Int32s
    first_child: Int32s
    children: Int32s
    weight: Int64s
    guaranteed: Int64s
    withheld: Int64s
    maximum: Int64s
    held: Int64s  # changes
    faded: Int64s
    budget_left: Int64s  # changes
    claim: Int64s  # changes: what a row that waits at a quota has claimed of it, (n, 4)
    is_claimed: Flags  # changes
    kept_back: Int64s  # changes: what the children of each queue do not lend now, (n + 1, 4)
    share: Int64s  # changes
    capacity: Int64s


class Lanes(NamedTuple):
    """The rows of one priority by queue: from `next` up to `stop` in the window. All change but `stop`."""

    next: Int32s
    stop: Int32s
    open_below: Int32s  # lanes with rows, at and below each queue; position n is all
    is_truncated: Flags
    was_refused: Flags  # some row of the lane could not be placed


class Rows(NamedTuple):
    """The window: each row's shape and card-time; and of each shape, its total and its card rate."""

    shape: Int32s
    estimated_ms: Int64s
    totals: Int64s
    card_rates: Int64s


class Taken(NamedTuple):
    """Filled: the rows, what stands in their way, and at which queue."""

    row: Int32s
    block: Int32s
    at: Int32s


@compiled
def share_of(held: int, whole: int) -> int:
    """The fraction in trillionths, rounded down; wholes of more than 43 bits are counted coarser."""
    while whole >> SAFE_BITS:
        whole >>= 1
        held >>= 1
    if whole <= 0:
        return 0
    upper = held // whole
    rest = held % whole * MILLION
    middle = rest // whole
    return (upper * MILLION + middle) * MILLION + rest % whole * MILLION // whole


@compiled
def set_share(tree: Tree, queue: int) -> None:
    """The weighted dominant share: of what it holds or of what it has used of late, whichever is more."""
    most = 0
    for d in range(4):
        most = max(most, share_of(max(tree.held[queue, d], tree.faded[queue, d]), tree.capacity[d]))
    tree.share[queue] = most // tree.weight[queue]


@compiled
def set_shares(tree: Tree) -> None:
    for queue in range(len(tree.weight)):
        set_share(tree, queue)


@compiled
def charge(tree: Tree, queue: int, amount: Int64s, sign: int) -> None:
    """The queue and all above it hold this much more, or less."""
    root = len(tree.weight)
    q = queue
    while q != root:
        above = tree.parent[q]
        for d in range(4):
            before = max(0, tree.withheld[q, d] - tree.held[q, d])
            tree.held[q, d] += sign * amount[d]
            tree.kept_back[above, d] += max(0, tree.withheld[q, d] - tree.held[q, d]) - before
        set_share(tree, q)
        q = above


@compiled
def charge_budgets(tree: Tree, queue: int, cost: int) -> None:
    q = queue
    while q != len(tree.weight):
        tree.budget_left[q] -= cost
        q = tree.parent[q]


@compiled
def is_entitled(tree: Tree, queue: int, amount: Int64s) -> bool:
    """True when some queue on the way up stays within its guarantee in all that is asked."""
    q = queue
    while q != len(tree.weight):
        inside = False
        for d in range(4):
            if amount[d] > 0:
                inside = tree.held[q, d] + amount[d] <= tree.guaranteed[q, d]
                if not inside:
                    break
        if inside:
            return True
        q = tree.parent[q]
    return False


@compiled
def is_lent_out(tree: Tree, queue: int, amount: Int64s) -> bool:
    """True when what the queue's neighbours do not lend leaves too little of what all share above it."""
    root = len(tree.weight)
    above = tree.parent[queue]
    for d in range(4):
        if amount[d] <= 0:
            continue
        kept = tree.kept_back[above, d] - max(0, tree.withheld[queue, d] - tree.held[queue, d])
        if kept <= 0:
            continue
        if above == root:
            held = 0
            for other in range(tree.first_child[root], tree.first_child[root + 1]):
                held += tree.held[tree.children[other], d]
            whole = tree.capacity[d]
        else:
            held = tree.held[above, d]
            whole = min(tree.maximum[above, d], tree.capacity[d])
        inside = tree.held[queue, d] + amount[d] <= tree.guaranteed[queue, d]
        if not inside and held + amount[d] + kept > whole:
            return True
    return False


@compiled
def blocked_by(tree: Tree, queue: int, amount: Int64s, cost: int) -> tuple[int, int]:
    """What stands in the way, and at which queue: the first on the way up."""
    q = queue
    while q != len(tree.weight):
        for d in range(4):
            if amount[d] > 0 and tree.held[q, d] + tree.claim[q, d] + amount[d] > tree.maximum[q, d]:
                return OVER_MAXIMUM, q
        if cost != 0 and (cost > tree.budget_left[q] or tree.budget_left[q] <= 0):
            return OVER_BUDGET, q
        if is_lent_out(tree, q, amount):
            return LENT_OUT, q
        q = tree.parent[q]
    return FREE, -1


@compiled
def lay_claim(tree: Tree, queue: int, amount: Int64s) -> None:
    """The first row that waits at a quota gets what becomes free of it before all behind: so it does not starve."""
    if tree.is_claimed[queue]:
        return
    for d in range(4):
        if amount[d] > tree.maximum[queue, d]:
            return  # it can never have it: nothing is kept for it
    tree.is_claimed[queue] = True
    for d in range(4):
        tree.claim[queue, d] = amount[d]


@compiled
def leave(tree: Tree, lanes: Lanes, queue: int) -> None:
    """This lane has no more rows for the present look."""
    q = queue
    while q != len(tree.weight):
        lanes.open_below[q] -= 1
        q = tree.parent[q]
    lanes.open_below[len(tree.weight)] -= 1


@compiled
def poorest_lane(tree: Tree, lanes: Lanes) -> int:
    """From the root down, always to the child of the smallest share that has rows; by name where shares are equal."""
    q = len(tree.weight)
    while tree.first_child[q] < tree.first_child[q + 1]:
        best = -1
        for position in range(tree.first_child[q], tree.first_child[q + 1]):
            child = tree.children[position]
            if lanes.open_below[child] > 0 and (best < 0 or tree.share[child] < tree.share[best]):
                best = child
        q = best
    return q


@compiled
def cost_of(rows: Rows, row: int) -> int:
    """Card-time that the row is expected to use; -1 for cards of unknown time, which need some budget left."""
    rate = rows.card_rates[rows.shape[row]]
    if rate == 0:
        return 0
    return rate * rows.estimated_ms[row] if rows.estimated_ms[row] > 0 else -1


@compiled
def take_rows(tree: Tree, lanes: Lanes, rows: Rows, within_guarantee: bool, taken: Taken) -> tuple[int, int]:
    """Fills `taken`; returns how many rows, and the truncated lane that ended the look early, or -1."""
    root = len(tree.weight)
    count = 0
    while count < len(taken.row) and lanes.open_below[root] > 0:
        queue = poorest_lane(tree, lanes)
        row = lanes.next[queue]
        amount = rows.totals[rows.shape[row]]
        if within_guarantee and not is_entitled(tree, queue, amount):
            leave(tree, lanes, queue)
            continue
        lanes.next[queue] += 1
        cost = cost_of(rows, row)
        block, at = blocked_by(tree, queue, amount, cost)
        taken.row[count] = row
        taken.block[count] = block
        taken.at[count] = at
        count += 1
        if block == FREE:
            charge(tree, queue, amount, 1)
            charge_budgets(tree, queue, max(0, cost))
        else:
            lanes.was_refused[queue] = True
            if block == OVER_MAXIMUM:
                lay_claim(tree, at, amount)
        if lanes.next[queue] == lanes.stop[queue]:
            leave(tree, lanes, queue)
            if lanes.is_truncated[queue]:
                return count, queue
    return count, -1


@compiled
def give_rows_back(tree: Tree, lanes: Lanes, rows: Rows, queues: Int32s, given: Int32s) -> None:
    """Rows that were taken and not placed: their queues hold less again. `queues` is the window's column."""
    for i in range(len(given)):
        row = given[i]
        queue = queues[row]
        charge(tree, queue, rows.totals[rows.shape[row]], -1)
        charge_budgets(tree, queue, -max(0, cost_of(rows, row)))
        lanes.was_refused[queue] = True

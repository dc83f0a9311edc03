"""The placement policies and their run on flat arrays: the fast twins of the files in `policies/`.

`kernels_run.place` calls `run`. The numbers of the policies are those of `policies.registry.KERNELS`. Everything
is an exact integer, so a kernel equals its plain twin, ties included.

What makes it fast: a score is kept for every (shape, node), and made again only for nodes that changed since the
shape last arrived: they stand in a chain from the node that changed last, and each shape remembers how many changes
it knows. The best node is found through the maxima of blocks of nodes, so a changed node costs its block and not the
cluster. Nodes that are equal when empty are scored once a kind.

All compiled code stands in this one file: numba looks only at a function's own file to see whether its cached code
is stale, so a rule in another file could change without the run noticing.
"""

from __future__ import annotations

import numpy as np

from scheduler.core.placement.kernels_arrays import CLASSES, FreeColumns, Ledger, Placed, PoolArrays, Scores, Tasks
from scheduler.core.placement.kernels_jit import compiled
from scheduler.core.placement.policies.encode import DemandTables, FillTables, Int64s, NodeColumns

RANDOM, FIRST_FIT, BEST_FIT, WORST_FIT, LEAST_ALLOCATED, DOT_PRODUCT, GPU_PACKING, GPU_CLUSTERING, FGD = range(9)
FUTURE_FILL = 9
WHOLE = 1000
MICRO, STEP, TOP = 1000, 10_000, 10_000  # see policies.future_fill
PARTS = 100_000  # see policies.dot_product
NO = np.int16(-1)  # the score of a node on which the shape does not fit


@compiled
def card_class(cards: int, milli: int) -> int:
    if cards == 1:
        return 0 if milli < WHOLE else 1
    if cards == 2:
        return 2
    return 3 if cards == 4 else 4


@compiled
def fits(shape: Int64s, n: int, nodes: NodeColumns, free: FreeColumns) -> bool:
    """`policies.shape.fits`."""
    if shape[0] > free.cpu[n] or shape[1] > free.memory[n]:
        return False
    cards = shape[2]
    if cards == 0:
        return True
    if not (shape[4] >> nodes.model[n]) & 1:
        return False
    if cards > 1 or shape[3] == WHOLE:
        return free.whole[n] >= cards
    return tightest_card(shape[3], n, nodes, free) >= 0


@compiled
def tightest_card(milli: int, n: int, nodes: NodeColumns, free: FreeColumns) -> int:
    best, least = -1, WHOLE + 1
    for g in range(nodes.cards[n]):
        left = free.cards[n, g]
        if milli <= left < least:
            best, least = g, left
    return best


@compiled
def cpu_level(cpu: int, demand: DemandTables) -> int:
    return demand.cpu_level[min(cpu, len(demand.cpu_level) - 1)]


@compiled
def usable(n: int, level: int, nodes: NodeColumns, free: FreeColumns, demand: DemandTables) -> int:
    """Idle milli that single-card typical tasks could use, weighted by their counts, at this CPU level."""
    row = demand.single[nodes.model[n], level]
    total = 0
    for g in range(nodes.cards[n]):
        left = free.cards[n, g]
        total += left * row[demand.rung[left]]
    return total


@compiled
def fragmentation(n: int, nodes: NodeColumns, free: FreeColumns, demand: DemandTables) -> int:
    """`policies.fragmentation.fragmentation` by table, see `DemandTables`."""
    level = cpu_level(free.cpu[n], demand)
    several = demand.several[nodes.model[n], level, free.whole[n]]
    return free.idle[n] * demand.total - usable(n, level, nodes, free, demand) - several


@compiled
def fgd(shape: Int64s, n: int, nodes: NodeColumns, free: FreeColumns, demand: DemandTables) -> tuple[int, int]:
    """`policies.fgd`: the cards' sums are made once, each candidate card then changes one term of them."""
    cards, milli = shape[2], shape[3]
    level = cpu_level(free.cpu[n] - shape[0], demand)
    row = demand.single[nodes.model[n], level]
    several = demand.several[nodes.model[n], level]
    whole = free.whole[n]
    before = free.fragmentation[n]
    rest = usable(n, level, nodes, free, demand)
    after_idle = (free.idle[n] - cards * milli) * demand.total
    if cards != 1 or milli == WHOLE:
        lost = cards * WHOLE * row[len(row) - 1]
        fall = before - (after_idle - (rest - lost) - several[whole - cards])
        return _step(fall, demand.steps), -1
    best, card = -(2**62), -1
    for g in range(nodes.cards[n]):
        left = free.cards[n, g]
        if left < milli:
            continue
        then = left - milli
        changed = rest - left * row[demand.rung[left]] + then * row[demand.rung[then]]
        fall = before - (after_idle - changed - several[whole - (left == WHOLE)])
        # Cards tie by score, not by fall: a later card must reach the next step to be better.
        if card < 0 or (fall > best and _step(fall, demand.steps) > _step(best, demand.steps)):
            card = g
            best = fall
    return _step(best, demand.steps), card


@compiled
def _step(fall: int, steps: Int64s) -> int:
    """`bisect_right`: how many steps `fall` reaches."""
    low, high = 0, len(steps)
    while low < high:
        middle = (low + high) >> 1
        if steps[middle] <= fall:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _capped(fill: int, cpu: int, fill_tables: FillTables) -> int:
    """No more than the free CPU can feed."""
    if fill_tables.asked_cpu > 0:
        return min(fill, cpu * fill_tables.asked_milli * MICRO // fill_tables.asked_cpu)
    return fill


@compiled
def _card_sum(n: int, row: Int64s, pool: PoolArrays, free: FreeColumns) -> int:
    total = 0
    for g in range(pool.nodes.cards[n]):
        total += row[pool.fill.place[free.cards[n, g]]]
    return total


@compiled
def worth(n: int, pool: PoolArrays, free: FreeColumns) -> int:
    """What `policies.future_fill` holds the node to be worth, in micro-cards."""
    model = pool.nodes.model[n]
    row = pool.fill.values[model, cpu_level(free.cpu[n], pool.demand)]
    fill = _capped(_card_sum(n, row, pool, free), free.cpu[n], pool.fill)
    return fill + free.idle[n] * pool.fill.scarcity[model] // 2


@compiled
def future_fill(shape: Int64s, n: int, pool: PoolArrays, free: FreeColumns) -> tuple[int, int]:
    """`policies.future_fill`: as in `fgd`, the cards are summed once and a candidate card changes one term."""
    cards, milli = shape[2], shape[3]
    model, cpu, place = pool.nodes.model[n], free.cpu[n] - shape[0], pool.fill.place
    row = pool.fill.values[model, cpu_level(cpu, pool.demand)]
    scarce = (free.idle[n] - cards * milli) * pool.fill.scarcity[model] // 2
    fill = _card_sum(n, row, pool, free)
    if cards != 1 or milli == WHOLE:
        then = _capped(fill - cards * (row[place[WHOLE]] - row[0]), cpu, pool.fill) + scarce
        return TOP + (then - free.worth[n]) // STEP, -1
    best, card, tightest = -(2**62), -1, WHOLE + 1
    for g in range(pool.nodes.cards[n]):
        left = free.cards[n, g]
        if left < milli:
            continue
        then = _capped(fill - row[place[left]] + row[place[left - milli]], cpu, pool.fill)
        if then > best or (then == best and left < tightest):
            best, card, tightest = then, g, left
    return TOP + (best + scarce - free.worth[n]) // STEP, card


@compiled
def gpu_packing(shape: Int64s, n: int, nodes: NodeColumns, free: FreeColumns) -> int:
    """`policies.gpu_packing`."""
    cards, milli = shape[2], shape[3]
    if cards == 0:
        return 0
    if free.whole[n] == nodes.cards[n]:
        return max(33 - nodes.cards[n], nodes.cards[n])
    if cards == 1 and milli < WHOLE:
        idle = free.cards[n, tightest_card(milli, n, nodes, free)]
        if idle < WHOLE:
            return max(100 - idle * 100 // WHOLE // 10, 50)
    return max(50 - cards, 33)


@compiled
def gpu_clustering(shape: Int64s, n: int, free: FreeColumns, card_scale: int) -> int:
    """`policies.gpu_clustering`."""
    if shape[2] == 0:
        return 0
    mine = free.held[n, card_class(shape[2], shape[3])]
    everyone = 0
    for k in range(CLASSES):
        everyone += free.held[n, k]
    if everyone == 0:
        base = 25
    elif mine == everyone:
        base = 75
    else:
        base = 50 if mine > 0 else 0
    return base + 25 * (card_scale - free.idle[n]) // card_scale


@compiled
def score_plain_sums(
    policy: int, shape: Int64s, n: int, nodes: NodeColumns, free: FreeColumns, scale: tuple[int, int]
) -> int:
    """The policies that look at sums only: best and worst fit, least allocated, dot product."""
    cpu_scale, card_scale = scale
    cards = shape[2] * shape[3]
    if policy == LEAST_ALLOCATED:
        cpu = 100 * (free.cpu[n] - shape[0]) // max(1, nodes.cpu[n])
        memory = 100 * (free.memory[n] - shape[1]) // max(1, nodes.memory[n])
        return (cpu + memory) // 2
    if policy == DOT_PRODUCT:
        cpu = -(-free.cpu[n] * shape[0] * PARTS // (cpu_scale * cpu_scale))
        across = -(-free.idle[n] * cards * PARTS // (card_scale * card_scale))
        return 100 * (2 * PARTS - cpu - across) // (2 * PARTS)
    left = (free.cpu[n] - shape[0]) * card_scale + (free.idle[n] - cards) * cpu_scale
    whole = 2 * cpu_scale * card_scale
    if policy == BEST_FIT:
        return 100 * (whole - left) // whole
    return 100 * left // whole


@compiled
def score_node(policy: int, shape: Int64s, n: int, pool: PoolArrays, free: FreeColumns) -> int:
    """The score of a node on which the task fits."""
    nodes, scale = pool.nodes, pool.scale
    if policy == FGD:
        return fgd(shape, n, nodes, free, pool.demand)[0]
    if policy == FUTURE_FILL:
        return future_fill(shape, n, pool, free)[0]
    if policy == GPU_PACKING:
        return gpu_packing(shape, n, nodes, free)
    if policy == GPU_CLUSTERING:
        return gpu_clustering(shape, n, free, scale[1])
    if policy in (RANDOM, FIRST_FIT):
        return 0
    return score_plain_sums(policy, shape, n, nodes, free, scale)


@compiled
def choose_card(policy: int, shape: Int64s, n: int, pool: PoolArrays, free: FreeColumns) -> int:
    """The card for a task that shares one."""
    if policy == FGD:
        return fgd(shape, n, pool.nodes, free, pool.demand)[1]
    if policy == FUTURE_FILL:
        return future_fill(shape, n, pool, free)[1]
    return tightest_card(shape[3], n, pool.nodes, free)


@compiled
def block_shift(count: int) -> int:
    """Blocks of 2**shift nodes: about as many blocks as nodes in a block, and never fewer than 64 nodes."""
    shift = 6
    while (1 << (2 * shift)) < count:
        shift += 1
    return shift


@compiled
def _highest(row: Scores, start: int, stop: int) -> np.int16:
    best = NO
    for i in range(start, stop):
        best = max(best, row[i])
    return best


@compiled
def _first(row: Scores, start: int, stop: int, wanted: np.int16) -> int:
    for i in range(start, stop):
        if row[i] == wanted:
            return i
    return -1


@compiled
def _catch_up(
    work: tuple[int, PoolArrays, FreeColumns, Ledger], s: int, shape: Int64s, written: int, freed: int
) -> None:
    """Makes the scores of shape `s` true again: walks the nodes that changed since the shape last arrived.

    `written` counts changes; `freed` is what it was after the last departure: since then, what did not fit still
    does not.
    """
    policy, pool, free, ledger = work
    scores, maxima = ledger.scores[s], ledger.maxima[s]
    shift = block_shift(len(ledger.latest))
    if ledger.read[s] < 0:
        for n in range(len(ledger.latest)):
            scores[n] = ledger.at_start[s, pool.nodes.kind[n]]
        for b in range(len(maxima)):
            maxima[b] = _highest(scores, b << shift, (b + 1) << shift)
        ledger.read[s] = 0
    still_unfit = ledger.read[s] >= freed
    n = ledger.newest[0]
    while n >= 0 and ledger.latest[n] >= ledger.read[s]:
        changed, n = n, ledger.older[n]
        before = scores[changed]
        if before == NO and still_unfit:
            continue
        score = NO
        if fits(shape, changed, pool.nodes, free):
            score = np.int16(score_node(policy, shape, changed, pool, free))
        if score == before:
            continue
        scores[changed] = score
        b = changed >> shift
        if score > maxima[b]:
            maxima[b] = score
        elif before == maxima[b]:
            maxima[b] = _highest(scores, b << shift, (b + 1) << shift)
    ledger.read[s] = written


@compiled
def _touch(n: int, written: int, ledger: Ledger) -> None:
    """Node `n` has changed: it becomes the newest of the chain."""
    newest = ledger.newest[0]
    if newest != n:
        if ledger.latest[n] >= 0:
            older, newer = ledger.older[n], ledger.newer[n]
            ledger.older[newer] = older
            if older >= 0:
                ledger.newer[older] = newer
        ledger.older[n] = newest
        if newest >= 0:
            ledger.newer[newest] = n
        ledger.newest[0] = n
    ledger.latest[n] = written


@compiled
def _best_node(s: int, ledger: Ledger) -> int:
    """The first node with the highest score; -1 when none fits."""
    maxima = ledger.maxima[s]
    best = _highest(maxima, 0, len(maxima))
    if best == NO:
        return -1
    shift = block_shift(len(ledger.latest))
    b = _first(maxima, 0, len(maxima), best)
    return _first(ledger.scores[s], b << shift, (b + 1) << shift, best)


@compiled
def _drawn_node(s: int, draw: int, ledger: Ledger) -> int:
    row = ledger.scores[s]
    fitting = 0
    for n in range(len(row)):
        fitting += row[n] >= 0
    if fitting == 0:
        return -1
    wanted = draw % fitting
    for n in range(len(row)):
        if row[n] >= 0:
            if wanted == 0:
                return n
            wanted -= 1
    return -1


@compiled
def _drawn_card(milli: int, draw: int, n: int, pool: PoolArrays, free: FreeColumns) -> int:
    fitting = 0
    for g in range(pool.nodes.cards[n]):
        fitting += free.cards[n, g] >= milli
    wanted = (draw >> 20) % fitting
    for g in range(pool.nodes.cards[n]):
        if free.cards[n, g] >= milli:
            if wanted == 0:
                return g
            wanted -= 1
    return -1


@compiled
def _cards_for(shape: Int64s, n: int, card: int, pool: PoolArrays, free: FreeColumns) -> int:
    """The mask of cards that the task takes: its shared card, or the lowest wholly free ones."""
    cards, milli = shape[2], shape[3]
    if cards == 0:
        return 0
    if cards == 1 and milli < WHOLE:
        return 1 << card
    mask, wanted = 0, cards
    for g in range(pool.nodes.cards[n]):
        if wanted > 0 and free.cards[n, g] == WHOLE:
            mask |= 1 << g
            wanted -= 1
    return mask


@compiled
def _change(shape: Int64s, n: int, mask: int, sign: int, pool: PoolArrays, free: FreeColumns) -> None:
    """Takes (sign 1) or gives back (-1) what the task holds on the node."""
    cards, milli = shape[2], shape[3]
    free.cpu[n] -= sign * shape[0]
    free.memory[n] -= sign * shape[1]
    if cards > 0:
        free.idle[n] -= sign * cards * milli
        free.held[n, card_class(cards, milli)] += sign
        whole = 0
        for g in range(pool.nodes.cards[n]):
            free.cards[n, g] -= sign * milli * ((mask >> g) & 1)
            whole += free.cards[n, g] == WHOLE
        free.whole[n] = whole


@compiled
def _start(policy: int, pool: PoolArrays, shapes: Int64s, free: FreeColumns, ledger: Ledger) -> int:
    """Fills in what depends on the empty pool: its fragmentation (returned in sum) and the scores by kind."""
    nodes, demand = pool.nodes, pool.demand
    total = 0
    for n in range(len(nodes.cpu)):
        if demand.total > 0:
            free.fragmentation[n] = fragmentation(n, nodes, free, demand)
            total += free.fragmentation[n]
        if policy == FUTURE_FILL:
            free.worth[n] = worth(n, pool, free)
    kinds = ledger.at_start.shape[1]
    for kind in range(kinds):
        for n in range(len(nodes.cpu)):
            if nodes.kind[n] == kind:
                for s in range(len(shapes)):
                    if fits(shapes[s], n, nodes, free):
                        ledger.at_start[s, kind] = score_node(policy, shapes[s], n, pool, free)
                break
    return total


@compiled
def run(
    policy: int,
    pool: PoolArrays,
    tasks: Tasks,
    free: FreeColumns,
    ledger: Ledger,
    placed: Placed,
) -> None:
    demand = pool.demand
    total = _start(policy, pool, tasks.shapes, free, ledger)
    allocated, written, freed = 0, 0, 0
    for e in range(len(tasks.events)):
        task = tasks.events[e]
        if task >= 0:
            s = tasks.shape_of[task]
            shape = tasks.shapes[s]
            _catch_up((policy, pool, free, ledger), s, shape, written, freed)
            if policy == RANDOM:
                n = _drawn_node(s, tasks.draws[task], ledger)
            else:
                n = _best_node(s, ledger)
            if n >= 0:
                card = -1
                if shape[2] == 1 and shape[3] < WHOLE:
                    if policy == RANDOM:
                        card = _drawn_card(shape[3], tasks.draws[task], n, pool, free)
                    else:
                        card = choose_card(policy, shape, n, pool, free)
                mask = _cards_for(shape, n, card, pool, free)
                placed.cards[task] = mask
                placed.node[task] = n
                _change(shape, n, mask, 1, pool, free)
                allocated += shape[2] * shape[3]
        else:
            task = ~task
            shape = tasks.shapes[tasks.shape_of[task]]
            n = placed.node[task]
            if n >= 0:
                _change(shape, n, placed.cards[task], -1, pool, free)
                placed.node[task] = -1
                placed.cards[task] = 0
                allocated -= shape[2] * shape[3]
                freed = written + 1
        if n >= 0:
            if demand.total > 0:
                now = fragmentation(n, pool.nodes, free, demand)
                total += now - free.fragmentation[n]
                free.fragmentation[n] = now
            if policy == FUTURE_FILL:
                free.worth[n] = worth(n, pool, free)
            _touch(n, written, ledger)
            written += 1
        placed.allocated[e] = allocated
        placed.fragmentation[e] = total

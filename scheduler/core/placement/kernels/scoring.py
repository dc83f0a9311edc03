"""How the policies of `policies/` rank a node, and which card they choose: their rules over arrays.

The numbers of the policies are those of `policies.registry.KERNELS`.
"""

from __future__ import annotations

from scheduler.core.placement.kernels.arrays import CARDS, CLASSES, CPU, MEMORY, MILLI, FreeColumns, PoolArrays
from scheduler.core.placement.kernels.cards import WHOLE, card_class, tightest_card
from scheduler.core.placement.kernels.jit import compiled, inlined
from scheduler.core.placement.policies.encode import DemandTables, FillTables, Int64s, NodeColumns

RANDOM, FIRST_FIT, BEST_FIT, WORST_FIT, LEAST_ALLOCATED, DOT_PRODUCT, GPU_PACKING, GPU_CLUSTERING, FGD = range(9)
FUTURE_FILL, TIGHTEST = 9, 10
MICRO, STEP, TOP = 1000, 10_000, 10_000  # see policies.future_fill
PARTS = 100_000  # see policies.dot_product
FINE = 4096  # see policies.tightest


@inlined
def cpu_level(cpu: int, demand: DemandTables) -> int:
    """A node that holds more CPU than it has (a negative `cpu`) has the level of one that has none."""
    return demand.cpu_level[max(0, min(cpu, len(demand.cpu_level) - 1))]


@inlined
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


@inlined
def _capped(fill: int, cpu: int, fill_tables: FillTables) -> int:
    """No more than the free CPU can feed."""
    if fill_tables.asked_cpu > 0:
        return min(fill, cpu * fill_tables.asked_milli * MICRO // fill_tables.asked_cpu)
    return fill


@inlined
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


@inlined
def score_plain_sums(policy: int, shape: Int64s, n: int, pool: PoolArrays, free: FreeColumns) -> int:
    """The policies that look at sums only: best and worst fit, tightest, least allocated, dot product."""
    cpu_scale, card_scale, memory_scale = pool.scale
    cards = shape[CARDS] * shape[MILLI]
    if policy == TIGHTEST:
        cpu = FINE * (free.cpu[n] - shape[CPU]) // cpu_scale
        memory = FINE * (free.memory[n] - shape[MEMORY]) // memory_scale
        return 3 * FINE - cpu - memory - FINE * (free.idle[n] - cards) // card_scale
    if policy == LEAST_ALLOCATED:
        cpu = 100 * (free.cpu[n] - shape[CPU]) // max(1, pool.nodes.cpu[n])
        memory = 100 * (free.memory[n] - shape[MEMORY]) // max(1, pool.nodes.memory[n])
        return (cpu + memory) // 2
    if policy == DOT_PRODUCT:
        cpu = -(-free.cpu[n] * shape[CPU] * PARTS // (cpu_scale * cpu_scale))
        across = -(-free.idle[n] * cards * PARTS // (card_scale * card_scale))
        return 100 * (2 * PARTS - cpu - across) // (2 * PARTS)
    left = (free.cpu[n] - shape[CPU]) * card_scale + (free.idle[n] - cards) * cpu_scale
    whole = 2 * cpu_scale * card_scale
    if policy == BEST_FIT:
        return 100 * (whole - left) // whole
    return 100 * left // whole


@inlined
def score_one(policy: int, shape: Int64s, n: int, pool: PoolArrays, free: FreeColumns) -> int:
    if policy == FGD:
        return fgd(shape, n, pool.nodes, free, pool.demand)[0]
    if policy == FUTURE_FILL:
        return future_fill(shape, n, pool, free)[0]
    if policy == GPU_PACKING:
        return gpu_packing(shape, n, pool.nodes, free)
    if policy == GPU_CLUSTERING:
        return gpu_clustering(shape, n, free, pool.scale[1])
    if policy in (RANDOM, FIRST_FIT):
        return 0
    return score_plain_sums(policy, shape, n, pool, free)


@inlined
def score_node(shape: Int64s, n: int, pool: PoolArrays, free: FreeColumns) -> int:
    """The score of a node on which the task fits: the weighted sum over the pool's policies."""
    total = 0
    for p in range(len(pool.policy)):
        total += pool.policy[p, 1] * score_one(pool.policy[p, 0], shape, n, pool, free)
    return total


@inlined
def choose_card(shape: Int64s, n: int, pool: PoolArrays, free: FreeColumns) -> int:
    """The card for a task that shares one: the first policy's choice."""
    policy = pool.policy[0, 0]
    if policy == FGD:
        return fgd(shape, n, pool.nodes, free, pool.demand)[1]
    if policy == FUTURE_FILL:
        return future_fill(shape, n, pool, free)[1]
    return tightest_card(shape[MILLI], n, pool.nodes, free)


@inlined
def uses(policy: int, pool: PoolArrays) -> bool:
    used = 0
    for p in range(len(pool.policy)):
        used += pool.policy[p, 0] == policy
    return used > 0

"""What the greedy planner says to people: why here, why then, why not earlier, and why not at all.

Who calls this: `greedy.py`. Words only, each as (Chinese, English); nothing here decides anything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from inventory.model.migration import Pair
from inventory.model.units import format_resources, total
from scheduler.core.waves.board import Board, Choice
from scheduler.core.waves.obstacles import Binding, Obstacle
from scheduler.core.waves.pool_choice import PoolRefusal
from scheduler.core.waves.problem import Item, RefusedNight, WaveProblem

SPLIT: Pair = (
    "循环依赖无法同窗迁移，在此拆开，其间跨云访问",
    "a cycle of dependencies could not move in one window and is split here; meanwhile they work across sites",
)
_SCORE_NAMES: Mapping[str, Pair] = {
    "price": ("价格", "price"),
    "latency": ("时延", "latency"),
    "purpose": ("用途", "purpose"),
    "balance": ("余量", "balance"),
    "nearness": ("邻近", "nearness"),
}
_WEEKDAYS: tuple[Pair, ...] = (
    ("周一", "Mon"),
    ("周二", "Tue"),
    ("周三", "Wed"),
    ("周四", "Thu"),
    ("周五", "Fri"),
    ("周六", "Sat"),
    ("周日", "Sun"),
)


class Explainer:
    """Explains the assignments of one finished plan. `wave_of` gives the wave of each window in use."""

    def __init__(self, problem: WaveProblem, board: Board, wave_of: Mapping[int, int]) -> None:
        self._problem = problem
        self._board = board
        self._wave_of = wave_of
        self._names = {item.key: item.name for item in problem.items}
        self._causes = dict(problem.group_causes)

    def here(self, item: Item, choice: Choice) -> Pair:
        """The pool: what was asked of it, its scores, and which pools refused, counted by reason."""
        refused_zh, refused_en = _refused(self._board.eligible(item).refused, choice.full)
        scores_zh = "、".join(f"{_SCORE_NAMES[name][0]} {score}" for name, score in choice.scores.items())
        scores_en = ", ".join(f"{_SCORE_NAMES[name][1]} {score}" for name, score in choice.scores.items())
        need = format_resources(item.need)
        return (
            f"需要 {item.zone}、等保 {item.level} 级、{item.architecture}、{need}；{choice.pool_id} 满足，"
            f"得分 {choice.score}（{scores_zh}）{refused_zh}",
            f"needs {item.zone}, level {item.level}, {item.architecture}, {need}; {choice.pool_id} offers it"
            f" and scores {choice.score} ({scores_en}){refused_en}",
        )

    def then(self, item: Item, window: int) -> Pair:
        """The window: the night, and what of the system speaks for this time."""
        slot = self._problem.windows[window]
        day_zh, day_en = _WEEKDAYS[slot.window.first_day.weekday()]
        zh = [f"{slot.window.first_day} {day_zh}夜，次日休息"]
        en = [f"the night of {day_en} {slot.window.first_day}, a day off follows"]
        if slot.window.provisional:
            zh.append("放假安排未公布，窗口暂定")
            en.append("provisional: the holidays are not announced yet")
        if slot.is_pilot:
            zh.append(f"试点窗口，风险 {item.risk} 不高于 {slot.max_risk}")
            en.append(f"a pilot window, risk {item.risk} is at most {slot.max_risk}")
        if item.group in self._causes:
            cause_zh, cause_en = self._causes[item.group]
            zh.append(f"与同批组一起（{cause_zh}）")
            en.append(f"with its move group ({cause_en})")
        for names, with_zh, with_en in self._used(item, window):
            zh.append(f"所依赖的{'、'.join(names)}{with_zh}")
            en.append(f"what it uses ({', '.join(names)}) {with_en}")
        if item.contract_end is not None:
            late = slot.window.first_day > item.contract_end
            zh.append(f"运维合同 {item.contract_end} 到期{'，已晚于到期日' if late else ''}")
            en.append(f"its contract ends on {item.contract_end}{', which is too late' if late else ''}")
        return "；".join(zh), "; ".join(en)

    def not_earlier(self, earlier: Sequence[Obstacle]) -> Pair:
        """The binding constraint of each earlier window, summed up, and the nights before it that are no
        windows."""
        if not earlier:
            head: Pair = ("已是计划期内的第一个窗口", "it is the first window of the plan's time")
        else:
            summed = _obstacles(earlier, self._problem, self._names, self._wave_of, self._board)
            head = (
                f"此前 {len(earlier)} 个窗口：{'；'.join(zh for zh, _ in summed)}",
                f"of {len(earlier)} earlier windows: {'; '.join(en for _, en in summed)}",
            )
        day = self._problem.windows[len(earlier)].window.first_day
        nights = [night for night in self._problem.refused_nights if night.day < day]
        return head[0] + _nights(nights)[0], head[1] + _nights(nights)[1]

    def _used(self, item: Item, window: int) -> list[tuple[list[str], str, str]]:
        """The names of used systems, by how they stand to this window."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for used in item.uses:
            theirs = self._board.window_of(used)
            if theirs is None:
                words = ("未能列入本计划，跨云访问", "is not placed by this plan: it works across sites")
            elif theirs == window:
                words = ("同批迁移", "moves in the same wave")
            elif theirs < window:
                words = ("已先行迁移", "has moved before")
            else:
                words = ("在其后迁移（循环依赖拆开）", "moves later (a cycle was split)")
            found[words].append(self._names[used])
        return [(sorted(names), zh, en) for (zh, en), names in found.items()]


def _refused(refused: Sequence[PoolRefusal], full: Sequence[str]) -> Pair:
    """';拒绝:…' with the pools of each reason, and nothing where no pool refused."""
    by_text: dict[Pair, list[str]] = defaultdict(list)
    for refusal in refused:
        by_text[refusal.text].append(refusal.pool_id)
    if full:
        by_text["余量不足", "too little free"] = list(full)
    if not by_text:
        return "", ""
    zh = "；".join(f"{'、'.join(pools)} {text[0]}" for text, pools in by_text.items())
    en = "; ".join(f"{', '.join(pools)}: {text[1]}" for text, pools in by_text.items())
    return f"；不选：{zh}", f"; refused: {en}"


def _obstacles(
    obstacles: Sequence[Obstacle],
    problem: WaveProblem,
    names: Mapping[str, str],
    wave_of: Mapping[int, int],
    board: Board,
) -> list[Pair]:
    """One phrase for each kind of obstacle and detail, with the number of windows."""
    phrases: list[Pair] = []
    for (binding, detail), count in Counter((each.binding, each.detail) for each in obstacles).items():
        if binding is Binding.ORDER and not detail:
            zh, en = "与前后依赖的期限冲突", "out of reach of what it depends on, or of its users' dates"
        elif binding is Binding.ORDER:
            window = board.window_of(detail)
            wave = wave_of.get(window, 0) if window is not None else 0
            zh, en = f"须等“{names[detail]}”（第 {wave} 批）", f"waits for {names[detail]} (wave {wave})"
        elif binding is Binding.FREEZE:
            zh, en = f"封网（{detail}）", f"frozen ({detail})"
        elif binding is Binding.PILOT:
            risk = problem.settings.pilot_max_risk
            zh, en = f"试点窗口只收风险不高于 {risk} 的系统", f"pilot windows take risk {risk} at most"
        elif binding is Binding.CAP:
            zh, en = f"窗口余位不足（上限 {detail}）", f"with too few places left (cap {detail})"
        else:
            zh, en = _OTHER_OBSTACLES[binding]
            zh, en = zh.format(detail), en.format(detail)
        phrases.append((f"{count} 个{zh}", f"{count} {en}"))
    return phrases


_OTHER_OBSTACLES: Mapping[Binding, Pair] = {
    Binding.USERS: ("使用它的系统届时已迁走", "whoever uses it has moved before"),
    Binding.COPY_VOLUME: ("链路在窗口内拷不完数据", "the links cannot copy the data within the window"),
    Binding.EARLIEST: ("早于就绪日 {}", "before it is ready on {}"),
    Binding.DEADLINE: ("晚于最后期限 {}", "past its deadline {}"),
    Binding.PIN: ("不是已定的窗口 {}", "not the window {} that was agreed"),
    Binding.LENGTH: ("短于割接所需的 {} 分钟", "shorter than the {} minutes that the cutover takes"),
    Binding.TEAM: ("缺少“{}”队伍的工时", "short of people for {}"),
    Binding.CONCURRENCY: ("“{}”并发已满", "with {} at its cap"),
    Binding.BUDGET: ("超出预算 {} 元", "over the budget of {} yuan"),
    Binding.POOLS: (
        "当时的池容量或数据专线不足",
        "where pools or the shared line cannot take its data and load by then",
    ),
    Binding.CHOSEN: ("可行，但整体目标更差或已给他人", "possible, but worse for the plan as a whole"),
}


def _nights(nights: Sequence[RefusedNight]) -> Pair:
    if not nights:
        return "", ""
    return (
        f"；其间 {len(nights)} 夜不设窗口（如 {nights[-1].day}：{nights[-1].reason[0]}）",
        f"; {len(nights)} nights before it are no windows (such as {nights[-1].day}: {nights[-1].reason[1]})",
    )


def no_pool(item: Item, refused: Sequence[PoolRefusal]) -> Pair:
    zh, en = _refused(refused, ())
    return (
        f"没有满足要求的算力池：需要 {item.zone}、等保 {item.level} 级、{item.architecture}"
        f"{'、' + item.accelerator if item.accelerator else ''}{zh}；请登记这样的池，或在台账中改正要求",
        f"no pool offers {item.zone}, level {item.level}, {item.architecture}"
        f"{', ' + item.accelerator if item.accelerator else ''}{en}; register such a pool, or correct the ledger",
    )


def no_capacity(items: Sequence[Item], board: Board) -> Pair:
    """Why the pools that could take the items cannot take all of them; says so where the search was cut short."""
    need = format_resources(total(item.need for item in items))
    pools = sorted({pool.pool_id for item in items for pool in board.eligible(item).pools})
    cut_zh = "（组合过多，未能穷尽搜索）" if board.gave_up else ""
    cut_en = " (too many combinations: not all were tried)" if board.gave_up else ""
    return (
        f"可用的池（{'、'.join(pools)}）余量不足，共需 {need}{cut_zh}；请扩容，或减小规模",
        f"the pools that could take it ({', '.join(pools)}) have too little free for {need}{cut_en};"
        " enlarge them, or need less",
    )


def group_too_large(items: Sequence[Item], cap: int) -> Pair:
    return (
        f"同批组有 {len(items)} 个系统，超过窗口上限 {cap}；请提高上限，或拆分同批组",
        f"its move group has {len(items)} systems, a window takes {cap}; raise the cap, or split the group",
    )


def no_window(obstacles: Sequence[Obstacle], problem: WaveProblem) -> Pair:
    """Why every window of the horizon is ruled out."""
    counts = Counter((each.binding, each.detail if each.binding is Binding.FREEZE else "") for each in obstacles)
    words: dict[Binding, Pair] = {
        Binding.ORDER: ("须等所依赖的系统", "waiting for what it uses"),
        Binding.USERS: ("使用它的系统届时已迁走", "whoever uses it has moved before"),
        Binding.FREEZE: ("封网", "frozen"),
        Binding.PILOT: ("只收低风险试点", "pilots only"),
        Binding.CAP: ("余位不足", "too few places left"),
        Binding.COPY_VOLUME: ("窗口内拷不完数据", "data cannot be copied within the window"),
        Binding.EARLIEST: ("尚未就绪", "not ready yet"),
        Binding.DEADLINE: ("晚于最后期限", "past the deadline"),
        Binding.PIN: ("不是已定的窗口", "not the agreed window"),
        Binding.LENGTH: ("短于割接所需时间", "too short for the cutover"),
        Binding.TEAM: ("队伍工时不足", "short of people"),
        Binding.CONCURRENCY: ("并发已满", "at a concurrency cap"),
        Binding.BUDGET: ("超出预算", "over the budget"),
        Binding.POOLS: ("池容量或专线不足", "pools or the shared line are short"),
    }
    zh = "、".join(f"{words[kind][0]}{f'({what})' if what else ''} {n} 个" for (kind, what), n in counts.items())
    en = ", ".join(f"{words[kind][1]}{f' ({what})' if what else ''} {n}" for (kind, what), n in counts.items())
    weeks = problem.settings.horizon_weeks
    kinds = {each.binding for each in obstacles}
    remedies = [
        ("延长计划期", "lengthen the horizon"),
        *(words for kind, words in _REMEDIES.items() if kind in kinds),
    ]
    return (
        f"{weeks} 周内没有可用窗口（共 {len(obstacles)} 个：{zh or '无'}）；可以{'，或'.join(zh for zh, _ in remedies)}",
        f"no window within {weeks} weeks ({len(obstacles)} in all: {en or 'none'});"
        f" {', or '.join(en for _, en in remedies)}",
    )


_REMEDIES: Mapping[Binding, Pair] = {
    Binding.FREEZE: ("申请封网豁免", "ask for leave to override the freeze"),
    Binding.CAP: ("提高窗口上限", "raise the cap"),
    Binding.COPY_VOLUME: ("加宽池的链路", "widen the pool's line"),
    Binding.EARLIEST: ("提前就绪", "make it ready earlier"),
    Binding.DEADLINE: ("推迟期限", "put the deadline off"),
    Binding.PIN: ("解除约定", "lift the pin"),
    Binding.LENGTH: ("缩短割接或加长窗口", "shorten the cutover or lengthen the windows"),
    Binding.TEAM: ("增加人手", "add people"),
    Binding.CONCURRENCY: ("提高并发上限", "raise the cap on its tag"),
    Binding.BUDGET: ("增加预算", "raise the budget"),
    Binding.POOLS: ("扩容池或专线", "enlarge pools or lines"),
}


def held_by(culprit: Item, reason: Pair) -> Pair:
    return (
        f"同批的“{culprit.name}”无法安置：{reason[0]}",
        f"{culprit.name}, which must move with it, has no place: {reason[1]}",
    )


def cycle_together(names: Sequence[str]) -> Pair:
    return (
        f"循环依赖，同窗迁移：{'、'.join(sorted(names))}",
        f"a cycle of dependencies moves in one window: {', '.join(sorted(names))}",
    )


def cycle_split(names: Sequence[str], why: Pair) -> Pair:
    return (
        f"循环依赖不能同窗迁移，逐组安排：{'、'.join(sorted(names))}；原因：{why[0]}",
        "a cycle of dependencies cannot move in one window and is placed group by group:"
        f" {', '.join(sorted(names))}; because {why[1]}",
    )


def cycle_too_large(names: Sequence[str], cap: int) -> Pair:
    return (
        f"循环依赖有 {len(names)} 个系统，超过窗口上限 {cap}，在代价最小的依赖处拆开：{'、'.join(sorted(names))}",
        f"a cycle of {len(names)} systems exceeds the cap of {cap} and is split at its cheapest dependencies:"
        f" {', '.join(sorted(names))}",
    )

"""What each metric means, in a sentence for people who do not read code; the page and docs/metrics.md say it."""

from __future__ import annotations

from collections.abc import Mapping

from simulations.report.wording import Sentence

# By the beginning of the metric's key; the longest beginning that fits is meant.
EXPLANATIONS: Mapping[str, Sentence] = {
    "wait": Sentence(
        "首次启动时刻减提交时刻；到仿真结束仍未启动的，按结束时刻计（下界）。百分位取最近秩。",
        "First start minus submission; until the end of the simulation for jobs that never started (a lower bound). "
        "Percentiles are nearest-rank.",
    ),
    "slowdown": Sentence(
        "max(1, (完成 − 提交) / max(运行时间, 10 秒))，Feitelson 与 Rudolph 1998；含抢占与故障造成的重做。",
        "max(1, (finished - submitted) / max(running time, 10 s)), Feitelson and Rudolph 1998; work done again after "
        "preemption and failures is in it.",
    ),
    "makespan": Sentence(
        "从首个作业提交到最后一次运行结束。", "From the first submission to the end of the last run."
    ),
    "allocation": Sentence(
        "运行所占资源 × 时间 / 在线节点可提供资源 × 时间，整个仿真期。",
        "Resources held by runs x time / resources offered by nodes that are up x time, over the whole simulation.",
    ),
    "utilisation": Sentence(
        "同上，但只计未被重做的工作：分配率减去浪费。",
        "The same, counting only work that was not done again: allocation less waste.",
    ),
    "fragmentation": Sentence(
        "典型作业用不上的空闲卡 / 在线的卡（Weng 等，ATC'23 的 F），各采样时刻的平均。",
        "Free cards that a typical task cannot use / cards offered (F of Weng et al., ATC'23), mean of the samples.",
    ),
    "jain": Sentence(
        "(Σx)² / (n Σx²)，x = 队列所占主导份额 / 其加权最大最小公平份额；1 为完全公平（Jain 1984）。",
        "(sum x)^2 / (n sum x^2) with x = dominant share held / weighted max-min fair share of the queue; 1 is fair "
        "(Jain 1984).",
    ),
    "share_deviation": Sentence(
        "所占份额中须换给别的队列才公平的部分，争用时刻的平均。",
        "The part of what is held that would have to change hands to be fair; mean over contested moments.",
    ),
    "deadline": Sentence(
        "完成晚于截止时刻、或仿真结束时已过截止而未完成的作业；占结果已定者之比。",
        "Jobs that finish after their deadline or are unfinished when it has passed; of those that are decided.",
    ),
    "preemptions": Sentence(
        "被更高优先级作业中断的运行次数。", "Runs interrupted by workloads of higher priority."
    ),
    "moves": Sentence(
        "为让别的作业放得下而在本池另一节点重新开始的运行次数。",
        "Runs that began again on another node of their pool so that another job found room.",
    ),
    "preempted": Sentence("被抢占的运行中需要重做的部分。", "The part of preempted runs that is done again."),
    "wasted": Sentence(
        "因抢占、故障、维护而需要重做的部分。",
        "The part of runs that is done again after preemption, failures and maintenance.",
    ),
    "failed_runs": Sentence("因节点或池故障而结束的运行次数。", "Runs ended by failures of nodes or pools."),
    "energy": Sentence(
        "PUE × (在线节点 × 空载功率 + 占用核 × 每核功率 + 占用卡 × 每卡功率) 对时间积分（Fan 等，ISCA 2007 的线性模型）。",
        "PUE x (nodes up x idle power + busy cores x power a core + busy cards x power a card), integrated over time "
        "(the linear model of Fan et al., ISCA 2007).",
    ),
    "carbon": Sentence(
        "用电功率 × 电网实时碳强度的积分（按所在地电网计）。",
        "Power x carbon intensity of the grid at the time, integrated (location-based).",
    ),
    "electricity": Sentence(
        "用电功率 × 实时电价的积分。", "Power x price of electricity at the time, integrated."
    ),
    "charge": Sentence(
        "占用核时 × 核时单价 + 占用卡时 × 卡时单价，按各池价目。",
        "vCPU hours held x price + card hours held x price, by each pool's price list.",
    ),
    "jobs_unplaceable": Sentence(
        "在任何池（即使为空）都放不下的作业，已排除在外。",
        "Jobs that fit into no pool, not even an empty one; left out of all figures.",
    ),
    "jobs_unstarted": Sentence(
        "仿真结束时从未启动的作业。", "Jobs that had not started when the simulation ended."
    ),
    "jobs_unfinished": Sentence("仿真结束时未完成的作业。", "Jobs not finished when the simulation ended."),
    "jobs": Sentence("计入指标的作业数。", "Jobs that the figures speak of."),
    "runs": Sentence("该池上启动的运行次数。", "Runs started in the pool."),
}


def explanation(key: str) -> Sentence:
    """Raises KeyError for a metric that nothing explains; a test holds that none is left so."""
    return EXPLANATIONS[max((start for start in EXPLANATIONS if key.startswith(start)), key=len)]

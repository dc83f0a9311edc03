"""Composes the monthly report from its facts. Pure: the same facts give the same report.

`scheduler.services.report_desk` calls `compose`.
"""

from __future__ import annotations

from inventory.reports.backlog import Schedule, next_week, not_migrated, outlook
from inventory.reports.counting import Counting, reported_district
from inventory.reports.document import MonthlyReport, Section, Table
from inventory.reports.facts import MonthFacts
from inventory.reports.oversight import exception_ledger, zombies_and_closures
from inventory.reports.overview import overview
from inventory.reports.ranking import Standing, league_table, standings, whole
from inventory.reports.resources import resource_use, savings
from inventory.reports.words import chinese_day

_TIES = "并列者名次相同，其后名次顺延空缺；按分数值比较，不按四舍五入后的百分数；无应迁移系统的不排名。"


def compose(facts: MonthFacts) -> MonthlyReport:
    counting = Counting(facts)
    schedule = Schedule(facts)
    first = overview(counting)
    sections = (
        first.section,
        _rankings(counting),
        not_migrated(counting, schedule),
        exception_ledger(counting),
        zombies_and_closures(counting),
        resource_use(counting),
        savings(counting),
        next_week(counting, schedule),
        outlook(counting, schedule, first.cloud),
        _terms(counting),
    )
    year, month = facts.month.split("-")
    return MonthlyReport(
        month=facts.month,
        title="政务信息系统上云月报",
        subtitle=f"（{year}年{int(month)}月{'·' + facts.district if facts.district else ''}）",
        as_of=facts.now.day,
        scope=counting.scope,
        illustrative=facts.illustrative,
        made_on=facts.made_on,
        chain_seq=facts.chain[0],
        chain_hash=facts.chain[1],
        summary=first.summary,
        headline=tuple(figure.number for figure in first.headline),
        sections=sections,
        figures=tuple(counting.figures),
        rows=tuple(counting.rows),
        sources=facts.sources,
        signature=facts.signature,
    )


def _rankings(counting: Counting) -> Section:
    facts = counting.facts
    pair = (facts.now, facts.before)
    restated = standings(counting, counting.restated_district, pair, "区县")
    total = whole(counting, pair)
    moved = any(row.district != row.restated_district for row in counting.rows)
    if moved:
        tables = [
            league_table(
                "区县排名（重述口径：按截至日的现行区划）",
                "区县",
                restated,
                f"{_TIES}上月末数据亦按现行区划重述，环比同口径。",
                total,
            ),
            _as_reported(counting, total),
            _successions(counting),
        ]
    else:
        tables = [league_table("区县排名", "区县", restated, _TIES, total)]
    departments = standings(counting, counting.owner, pair, "单位")
    tables.append(league_table("部门排名", "单位", departments, _TIES, total))
    return Section(code="ranking", title="区县与部门排名", paragraphs=_praise(restated), tables=tuple(tables))


def _as_reported(counting: Counting, total: Standing) -> Table:
    facts = counting.facts
    lines = standings(counting, reported_district, (facts.now, facts.before), "区县（原报）")
    return league_table(
        "区县排名（原报口径：按填报单位当时名义）",
        "区县",
        lines,
        "已撤并的区县仍按原名列示，仅供与往期月报核对；两表合计相同。",
        total,
    )


def _successions(counting: Counting) -> Table:
    facts = counting.facts
    return Table(
        title="区划调整与承接关系",
        columns=("自", "原组织", "承接组织", "范围", "涉及系统"),
        rows=tuple(
            (
                one.day.isoformat(),
                one.was,
                one.to,
                "、".join(one.units) or "其余全部",
                str(sum(row.district == one.was and row.restated_district == one.to for row in counting.rows)),
            )
            for one in facts.organisations.successions(facts.now.day)
        ),
        numeric=(4,),
        note=f"依据：{facts.organisations.source}",
    )


def _praise(lines: tuple[Standing, ...]) -> tuple[str, ...]:
    """晾晒: who leads and who is behind, where there is a difference."""
    known = [line for line in lines if line.rank is not None]
    if len(known) < 2 or known[0].rank == known[-1].rank:
        return ()
    best = "、".join(line.name for line in known if line.rank == known[0].rank)
    last = "、".join(line.name for line in known if line.rank == known[-1].rank)
    return (f"上云率居首：{best}（{known[0].cloud.shown}）；居末：{last}（{known[-1].cloud.shown}）。",)


def _terms(counting: Counting) -> Section:
    """How everything was counted, and from what."""
    facts = counting.facts
    lines = [
        f"统计范围（{counting.scope}）；数据截至{chinese_day(facts.now.day)}，编制于{chinese_day(facts.made_on)}。",
        "上云率=已迁移/应迁移，涉密及不在应迁范围的系统不计；整合率=（关停+整合）/冻结基数，基数不因关停而减少；"
        "关停率=关停/冻结基数；例外率=例外保留/在用系统。百分率保留一位小数，四舍五入。",
        "已迁移以台账记录的迁移事件或填报单位台账为准，自其生效日起计；台账缺项为“未知”，既不作“是”也不作“否”。",
        "每个指标有编号（F），每个系统有行号（R）；附件 Excel“指标构成”表按指标编号列出其分子、分母的全部行，"
        "“系统明细”表列出行的来源文件、工作表和行。",
        f"数据取至事件链第{facts.chain[0]}号事件，链尾哈希（SHA-256）为 {facts.chain[1]}。",
    ]
    if facts.illustrative:
        lines.insert(0, "本报告含示例数据，不代表任何真实单位的情况，不得作为考核依据。")
    table = Table(
        title="台账来源",
        columns=("导入", "填报单位", "文件", "数据截至", "SHA-256"),
        rows=tuple(
            (one.import_id, one.sender, one.file_name, one.effective_on.isoformat(), one.sha256)
            for one in facts.sources
        ),
        empty="截至该日没有已导入的台账",
    )
    return Section(code="terms", title="口径与来源", paragraphs=tuple(lines), tables=(table,))

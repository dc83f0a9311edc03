"""What rules may ask for: the facts of a system, and those of a project that asks for approval.

Who uses this: `rulebook` checks conditions against these lists, `facts` fills them. Units are those of
`inventory.model.system.System`; "days" are calendar days.
"""

from __future__ import annotations

from inventory.rules.condition import FieldSpec, FieldType, Vocabulary

_B, _N, _T, _S = FieldType.BOOLEAN, FieldType.NUMBER, FieldType.TEXT, FieldType.NAMES


def _listed(*specs: FieldSpec) -> Vocabulary:
    return {spec.name: spec for spec in specs}


SYSTEM_FACTS: Vocabulary = _listed(
    # What the ledger says.
    FieldSpec("name", _T, "系统名称", "name"),
    FieldSpec("department", _T, "单位", "department"),
    FieldSpec("ownership", _T, "系统归属", "ownership"),
    FieldSpec("zone", _T, "网络区域", "zone"),
    FieldSpec("classified", _B, "涉密", "classified"),
    FieldSpec("protection_level", _N, "等保级别", "protection level"),
    FieldSpec("servers", _N, "服务器数", "servers"),
    FieldSpec("vcpu", _N, "vCPU", "vCPU"),
    FieldSpec("mem_gb", _N, "内存", "memory", "GB"),
    FieldSpec("disk_gb", _N, "存储", "disk", "GB"),
    FieldSpec("age_years", _N, "上线年数", "years since going live"),
    FieldSpec("arch", _T, "CPU架构", "architecture"),
    FieldSpec("users", _N, "用户数", "users"),
    FieldSpec("zombie_claim", _B, "自报僵尸系统", "reported as a zombie"),
    FieldSpec("cpu_avg_pct", _N, "台账CPU平均利用率", "average CPU by the ledger", "%"),
    FieldSpec("opex_wan", _N, "年运维费（万元）", "yearly cost (10,000 CNY)"),
    FieldSpec("crypto_plan", _B, "有密码应用方案", "cryptography plan"),
    FieldSpec("data_catalog", _B, "已编数据资源目录", "data catalogue"),
    FieldSpec("has_accelerators", _B, "使用加速卡", "uses accelerators"),
    FieldSpec("should_migrate", _B, "应迁移", "should migrate"),
    FieldSpec("migrated", _B, "已迁移", "migrated"),
    FieldSpec("closed", _B, "已关停", "closed"),
    FieldSpec("merged", _B, "已整合", "merged"),
    FieldSpec("merge_target", _T, "整合目标", "is to be merged into"),
    FieldSpec("ledger_disposition", _T, "台账处置方式", "disposition in the ledger"),
    FieldSpec("environment", _T, "部署位置", "environment"),
    FieldSpec("os", _T, "操作系统", "operating system"),
    FieldSpec("database", _T, "数据库", "database"),
    FieldSpec("remark", _T, "备注", "remark"),
    FieldSpec("defer_reason", _T, "暂缓原因", "reason to defer"),
    FieldSpec("function", _T, "业务功能", "function"),
    # What is derived or declared: see the words in the rule file, and `assess role`.
    FieldSpec("role", _T, "特殊角色", "special role"),
    FieldSpec("is_retained", _B, "定为例外保留", "is to be retained"),
    FieldSpec("waived_rules", _S, "已批准例外的规则", "rules with an exception granted"),
    FieldSpec("channel", _T, "渠道", "channel"),
    # What the dependency graph says.
    FieldSpec("used_by", _S, "使用它的系统", "systems that use it"),
    FieldSpec("used_by_count", _N, "使用它的系统数", "number of systems that use it"),
    FieldSpec("uses_count", _N, "它使用的系统数", "number of systems that it uses"),
    FieldSpec("blast_radius", _N, "影响范围（系统数）", "systems that its failure reaches"),
    FieldSpec("shares_database_with", _S, "共用数据库的系统", "systems that share its database"),
    FieldSpec("in_cycle", _B, "处于循环依赖", "in a dependency cycle"),
    FieldSpec("unknown_dependencies", _S, "台账中没有的依赖", "dependencies that the ledger lacks"),
    # What was measured.
    FieldSpec("coverage", _T, "数据覆盖等级", "data coverage"),
    FieldSpec("coverage_pct", _N, "有数据天数占比", "share of days with data", "%"),
    FieldSpec("window_days", _N, "观测窗口（天）", "measured window (days)"),
    FieldSpec("measured_days_ago", _N, "数据截止至今（天）", "days since the last measured one"),
    FieldSpec("cpu_p95_pct", _N, "CPU p95", "CPU p95", "%"),
    FieldSpec("mem_avg_pct", _N, "内存平均利用率", "average memory", "%"),
    FieldSpec("users_active", _N, "观测期活跃用户", "active users in the window"),
    FieldSpec("cases_handled", _N, "观测期办件量", "cases in the window"),
    FieldSpec("days_unused", _N, "未使用天数", "days without use"),
    FieldSpec("is_seasonal_by_use", _B, "使用呈季节性", "use comes in seasons"),
    # What looks alike.
    FieldSpec("most_similar", _T, "功能最相近的系统", "most similar system"),
    FieldSpec("similarity_pct", _N, "功能相似度", "similarity of function", "%"),
    FieldSpec("similar_in_department", _S, "本单位功能相近的系统", "similar systems of the department"),
)

PROJECT_FACTS: Vocabulary = _listed(
    FieldSpec("name", _T, "项目名称", "project"),
    FieldSpec("department", _T, "申报单位", "department"),
    FieldSpec("zone", _T, "网络区域", "zone"),
    FieldSpec("channel", _T, "渠道", "channel"),
    FieldSpec("function", _T, "业务功能", "function"),
    FieldSpec("data_catalog", _B, "已编数据资源目录", "data catalogue"),
    FieldSpec("crypto_plan", _B, "有密码应用方案", "cryptography plan"),
    FieldSpec("builds_server_room", _B, "新建或改扩建机房", "builds or extends a server room"),
    FieldSpec("new_dedicated_network", _B, "新建或保留业务专网", "new or kept dedicated network"),
    FieldSpec("network_plan", _B, "有网络整合方案并经同意", "approved network consolidation plan"),
    FieldSpec("on_government_cloud", _B, "部署在政务云", "on the government cloud"),
    FieldSpec("classified", _B, "涉密", "classified"),
    FieldSpec("adds_systems", _N, "净增系统数", "net number of systems added"),
    FieldSpec("department_baseline", _N, "单位基数", "the department's baseline"),
    FieldSpec("department_after", _N, "建成后单位系统数", "the department's systems afterwards"),
    FieldSpec("same_channel_after", _N, "建成后同渠道系统数", "systems of this channel afterwards"),
    FieldSpec("same_channel_zone_after", _N, "建成后同网同渠道系统数", "of this channel and zone afterwards"),
    FieldSpec("unmerged", _S, "单位应整合未整合的系统", "systems the department has not merged though it should"),
    FieldSpec("similar", _S, "功能相近的现有系统", "existing systems that look alike"),
    FieldSpec("similarity_pct", _N, "最高功能相似度", "highest similarity of function", "%"),
)

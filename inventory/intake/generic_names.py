"""Names that many departments give to systems of their own, so that sharing one says nothing.

Read by `inventory.intake.identity`. Two departments that both list 门户网站 have two web sites; two departments
that both list 区数据共享交换平台 are asked whether it is one.
"""

from __future__ import annotations

_SUBJECTS = (
    "门户",
    "办公",
    "办公自动化",
    "协同办公",
    "oa",
    "oa办公",
    "公文",
    "公文流转",
    "公文交换",
    "档案",
    "电子档案",
    "财务",
    "人事",
    "人力资源",
    "考勤",
    "资产",
    "固定资产",
    "国有资产",
    "合同",
    "采购",
    "车辆",
    "食堂",
    "会议",
    "视频会议",
    "视频监控",
    "监控",
    "门禁",
    "邮件",
    "邮箱",
    "短信",
    "即时通讯",
    "党建",
    "智慧党建",
    "信访",
    "投诉举报",
    "业务",
    "业务审批",
    "审批",
    "行政审批",
    "行政执法",
    "项目",
    "数据填报",
    "数据上报",
    "统计",
    "统计分析",
    "统计报表",
    "培训",
    "在线学习",
    "网络安全",
    "运维",
    "机房",
    "备份",
    "指挥调度",
    "应急指挥",
    "监测预警",
    "地理信息",
    "物联感知",
    "信用信息",
    "综合",
)
_ENDINGS = ("", "系统", "平台", "管理系统", "管理平台", "信息系统", "信息管理系统", "服务平台", "管理信息系统")
_WHOLE = ("网站", "官网", "官方网站", "门户网站", "政府网站", "微信公众号", "公众号", "小程序", "移动端", "app")

GENERIC_NAMES = frozenset(_WHOLE) | {subject + ending for subject in _SUBJECTS for ending in _ENDINGS}

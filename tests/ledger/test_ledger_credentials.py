"""Accounts and passwords: refused wherever they stand, kept nowhere, and nothing else is refused."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from inventory.ledger import LedgerReading, mark_up, read_ledger, reading_json
from inventory.ledger.credentials import is_credential, is_withheld
from inventory.ledger.lexicon import lexicon
from tests.ledger.workbooks import csv, kinds, names, reading, xls, xlsx

SECRET = "10.12.3.4 / admin / Abc@12345"
HEAD = ["单位名称", "系统名称", "用户规模", "系统IP、账号、密码", "备注"]


@pytest.mark.parametrize(
    "text",
    [
        SECRET, "10.12.3.4:8080，root，P@ssw0rd!", "账号：admin 密码：Abc@12345", "用户名:zhangsan,口令:123456",
        "密码：888888", "pwd=Qwer1234", "password: hunter2x", "root/Admin@123",
        "admin:admin123", "sa/Sql2012!", "jdbc:mysql://user:pa55w0rd@10.1.1.1:3306/db", "ftp://gov:gov2020@10.1.2.3/",
        "token: 9f8e7d6c5b4a39281706", "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc", "访问密钥：LTAI5tQnKxExample77", "后台账号为admin",
        "登录密码是abc123", "系统已上线，后台密码：Gov#2021", "ａｄｍｉｎ／Ａｂｃ＠１２３４５",
        "-----BEGIN RSA PRIVATE KEY-----", "admin/123456", "账号admin密码Abc12345", "10.1.2.3/sysop/123456",
        "oracle/Ora@2020x", "Authorization: Bearer abcdef1234567890", "192.168.1.10 administrator Gov@2020",
    ],
)  # fmt: skip
def test_what_looks_like_an_account_or_password_is_refused(text: str) -> None:
    assert is_credential(text)


@pytest.mark.parametrize(
    "text",
    [
        "密码应用方案已编制", "商用密码：SM4", "密码应用方案：已评审", "统一身份认证系统", "账号密码另行提供",
        "密码：另行提供", "密码：***", "账号：无", "账号数：300", "10.12.3.4", "http://10.1.2.3/portal",
        "CPU32核，内存128G", "admin管理系统", "用户名密码登录，短信验证", "系统管理/用户管理/角色管理", "2021/7/5",
        "区政务服务事项管理系统;区数据共享交换平台", "联系人：张三 13800000000", "user@example.gov.cn",
        "单点登录（token）", "密码机2台", "Oracle/MySQL5.7", "CentOS/麒麟V10", "10.12.3.4 Windows Server2012",
        "密码AES256加密", "10.1.1.1/nginx/tomcat8",
        "OA system/2019v2", "x86/鲲鹏920", "Tomcat:8080", "root权限已收回", "test/demo", "Windows Server 2012/SQL Server 2012",
        "口令：请勿填写", "账号：采用统一认证",
    ],
)  # fmt: skip
def test_ordinary_text_is_not_refused(text: str) -> None:
    assert not is_credential(text)


@pytest.mark.parametrize(
    "text", [None, "", "无", "—", "/", "不涉及", "另行提供", "***", "******", "请勿填写", "线下提供"]
)
def test_a_credential_cell_that_withholds_the_secret_is_no_finding(text: str | None) -> None:
    assert is_withheld(text)
    assert reading([HEAD, ["区教委", "甲系统", 3, text, None]]).findings == ()


@pytest.mark.parametrize(
    ("heading", "asks"),
    [
        ("系统IP、账号、密码", True), ("登录账号", True), ("管理员用户名/密码", True), ("口令", True),
        ("password", True), ("访问密钥", True), ("后台登录信息", True),
        ("密码应用方案", False), ("商用密码应用情况", False), ("密码测评", False), ("账号数量", False),
        ("用户数", False), ("用户规模", False), ("是否有密码应用方案", False),
    ],
)  # fmt: skip
def test_headings_that_ask_for_credentials(heading: str, asks: bool) -> None:
    targets = [fit.target for fit in lexicon().fits((), heading)][:1]
    assert (targets == ["credential"]) is asks


def test_a_cell_under_a_credential_heading_is_refused_whatever_it_says() -> None:
    result = reading([HEAD, ["区教委", "甲系统", 3, "zhangsan", "可用"]])
    assert kinds(result) == [("credential_refused", "D2")]


def test_the_rest_of_the_row_is_kept() -> None:
    result = reading(
        [HEAD, ["区教委", "甲系统", 3, SECRET, "密码：Abc@12345"], ["区教委", "乙系统", 4, None, "正常"]]
    )
    assert names(result) == ["甲系统", "乙系统"]
    assert (result.systems[0].users, result.systems[0].remark, result.systems[1].remark) == (3, None, "正常")
    assert kinds(result) == [("credential_refused", "D2"), ("credential_refused", "E2")]


def test_a_credential_in_a_title_a_note_or_a_sheet_that_is_no_ledger_is_refused_as_well() -> None:
    result = reading(
        {
            "说明": [["登录账号：admin，密码：Gov@2020"]],
            "区级系统": [
                ["后台密码：Gov@2020"],
                HEAD,
                ["区教委", "甲系统", 3, None, None],
                ["注：密码：Gov@2020"],
            ],
        }
    )
    assert [(finding.sheet, finding.cell) for finding in result.findings] == [
        ("说明", "A1"),
        ("区级系统", "A1"),
        ("区级系统", "A4"),
    ]


def nasty_rows() -> list[list[object]]:
    return [
        ["填报单位：示例区教委", "密码：Tit1e@777"],
        HEAD,
        ["区教委", "甲系统", "密码：Us3rs@777", SECRET, "root/Rem@rk777"],
        ["密码：Dep@rt777", "口令：N@me7777", 3, None, None],
        ["区教委", "丙系统", 3, "S0le-secret777", None],
    ]


SECRETS = ("Tit1e@777", "Us3rs@777", "Abc@12345", "Rem@rk777", "Dep@rt777", "N@me7777", "S0le-secret777")


def everywhere(result: LedgerReading) -> str:
    return (
        repr(result)
        + json.dumps(reading_json(result), ensure_ascii=False)
        + "".join(str(finding) for finding in result.findings)
    )


@pytest.mark.parametrize(
    ("content", "filename"),
    [(xlsx(nasty_rows()), "a.xlsx"), (xls(nasty_rows()), "a.xls"), (csv(nasty_rows()), "a.csv"),
    (csv(nasty_rows(), encoding="gb18030"), "b.csv")],
    ids=["xlsx", "xls", "csv", "gbk csv"],
)  # fmt: skip
def test_no_secret_is_in_the_reading_its_json_its_findings_or_the_marked_up_copy(
    content: bytes, filename: str
) -> None:
    result = read_ledger(content, filename)
    assert sum(kind == "credential_refused" for kind, _ in kinds(result)) == len(SECRETS)
    shown = everywhere(result)
    copy = mark_up(content, filename, result)
    with zipfile.ZipFile(io.BytesIO(copy)) as archive:
        parts = b"\n".join(archive.read(name) for name in archive.namelist()).decode("utf-8", "replace")
    for secret in SECRETS:
        assert secret not in shown
        assert secret not in parts


def test_secrets_in_comments_and_links_of_the_sender_do_not_survive_the_copy() -> None:
    from openpyxl import Workbook
    from openpyxl.comments import Comment

    def touch(book: Workbook) -> None:
        sheet = book["区级系统"]
        sheet["B2"].comment = Comment("后台 admin/Comm3nt@777", "x")
        sheet["E2"].hyperlink = "ftp://gov:L1nk@777@10.1.2.3/"

    content = xlsx([HEAD, ["区教委", "甲系统", 3, SECRET, "见链接"]], touch=touch)
    copy = mark_up(content, "a.xlsx", read_ledger(content, "a.xlsx"))
    with zipfile.ZipFile(io.BytesIO(copy)) as archive:
        parts = b"\n".join(archive.read(name) for name in archive.namelist())
    assert b"Comm3nt@777" not in parts
    assert b"L1nk@777" not in parts
    assert b"Abc@12345" not in parts

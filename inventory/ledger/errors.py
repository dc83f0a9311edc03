"""Why a whole file was refused. Every public entry of `inventory.ledger` raises these and nothing else.

A refusal is always total: there is no half reading. Each message is one line that names the value, the rule and
the remedy, in Chinese and English; the command line prints it as it stands (exit code 2, the user's mistake).
"""

from __future__ import annotations


class LedgerError(Exception):
    """The file cannot be read as a ledger. `str(error)` is the one line for the user."""


class NotAWorkbookError(LedgerError):
    """The bytes are no .xlsx, .xls or delimited text."""


class EncryptedWorkbookError(LedgerError):
    """The workbook needs a password to open."""


class DamagedWorkbookError(LedgerError):
    """The file is truncated or corrupt: a part is missing, or a checksum or a tag does not close."""


class OversizedWorkbookError(LedgerError):
    """The file, or what it unpacks to, is larger than any ledger (a zip bomb is refused here too)."""


class NoLedgerHeaderError(LedgerError):
    """No sheet has a heading row in which a system's name can be recognised."""


class MappingFileError(LedgerError):
    """A header mapping names a field that does not exist, or is not the documented YAML."""


def not_a_workbook(filename: str, seen: str) -> NotAWorkbookError:
    return NotAWorkbookError(
        f"{filename}：内容是{seen}，台账须为 .xlsx、.xls 或 .csv，请另存后重新导入"
        f" / {filename} is not a workbook; save it as .xlsx, .xls or .csv and import again"
    )


def encrypted(filename: str) -> EncryptedWorkbookError:
    return EncryptedWorkbookError(
        f"{filename}：工作簿已加密，无法读取，请取消打开密码后重新导入"
        f" / {filename} is encrypted; remove the open password and import again"
    )


def damaged(filename: str, what: str) -> DamagedWorkbookError:
    """`what` names the broken part, never its content."""
    return DamagedWorkbookError(
        f"{filename}：文件不完整或已损坏（{what}），请向填报单位索取原文件"
        f" / {filename} is truncated or damaged ({what}); ask the sender for the original"
    )


def oversized(filename: str, what: str, limit: str) -> OversizedWorkbookError:
    return OversizedWorkbookError(
        f"{filename}：{what}，超过上限 {limit}，请删除多余内容或拆分后重新导入"
        f" / {filename}: {what}, over the limit of {limit}; remove what is no ledger or split the file"
    )


def no_header(filename: str, sheets: str) -> NoLedgerHeaderError:
    return NoLedgerHeaderError(
        f"{filename}：在 {sheets} 中没有找到含“系统名称”的表头行，请核对表头或用映射文件指明"
        f" / {filename}: no heading row with a system name in {sheets}; correct the headings or give a mapping file"
    )

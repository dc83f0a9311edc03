"""Programs between the model and protobuf: commands, images, and settings that must not be secrets."""

from __future__ import annotations

import re

from adapters.wire.inspection import Inspection
from adapters.wire.words import WordRule
from inventory.model.workload import Program
from xisuan.workload.v1 import workload_pb2

MAX_ENVIRONMENT_BYTES = 64 * 1024
MAX_COMMAND_BYTES = 64 * 1024
MAX_SECRETS = 64
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
# As Kubernetes names secrets and their keys; other stores can be mapped to it.
_REFERENCE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/[A-Za-z0-9._-]{1,253}")
_IMAGE = WordRule(
    512, re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*"), "镜像地址字符", "the characters of an image reference"
)

# Names that announce a secret. "token" counts as the end of a word only: MAX_TOKENS and TOKENIZERS_PARALLELISM
# are common settings. A name that ends in _FILE or _PATH points to where a secret lies, which is how it should be.
_SECRET_NAME = re.compile(
    r"passw|passwd|pwd$|secret|credential|api_?key|access_?key|private_?key|token($|[_.-])|密码|口令|密钥|令牌",
    re.IGNORECASE,
)
_POINTS_ELSEWHERE = re.compile(r"_(file|path)$", re.IGNORECASE)


def program_from_wire(message: workload_pb2.Program, check: Inspection, path: str) -> Program:
    """The program; violations go to `check`. The value of a setting is never repeated in one."""
    command = tuple(message.command)
    image = message.image
    if not command and not image:
        check.refuse(path, "", "须有命令 command 或镜像 image", "give a command, or an image")
    _inspect_command(command, check, f"{path}.command")
    if image:
        _IMAGE.inspect(image, check, f"{path}.image")
    environment = dict(message.environment)
    if environment:
        _inspect_environment(environment, check, f"{path}.environment")
    secrets = dict(message.secrets)
    if secrets:
        _inspect_secrets(secrets, environment, check, f"{path}.secrets")
    return Program(command, image or None, environment, secrets)


def _inspect_secrets(secrets: dict[str, str], environment: dict[str, str], check: Inspection, path: str) -> None:
    """References are shown in violations only where they look like references: what does not may be a value."""
    check.whole_number(f"{path}.length", len(secrets), 0, MAX_SECRETS)
    for name, reference in secrets.items():
        if not _SETTING.fullmatch(name):
            check.refuse(path, name, "变量名只能用字母、数字、“_”", 'a name has letters, digits and "_" only')
        elif name in environment:
            check.refuse(
                f"{path}[{name!r}]", name, "与环境变量重名，请只写一处", "is a setting as well: give it once"
            )
        if not _REFERENCE.fullmatch(reference):
            check.refuse(
                f"{path}[{name!r}]",
                "…",
                "须为算力池密钥库中的“密钥名/键”，如 db-login/password；不得写密钥本身",
                'must be "SECRET/KEY" of the pool\'s own secret store, such as db-login/password; never the value',
            )


def _inspect_command(command: tuple[str, ...], check: Inspection, path: str) -> None:
    if command and not command[0]:
        check.refuse(f"{path}[0]", "", "程序名不能为空", "the program's name must not be empty")
    whole = " ".join(command)
    if "\0" in whole:
        check.refuse(path, "\\0", "不能含 NUL 字符", "must not contain NUL characters")
    size = len(whole.encode())
    if size > MAX_COMMAND_BYTES:
        check.refuse(
            path,
            f"{size} bytes",
            f"命令最多 {MAX_COMMAND_BYTES} 字节",
            f"a command has at most {MAX_COMMAND_BYTES} bytes",
        )


def _inspect_environment(environment: dict[str, str], check: Inspection, path: str) -> None:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in environment.items())
    if size > MAX_ENVIRONMENT_BYTES:
        check.refuse(
            path,
            f"{size} bytes",
            f"环境变量合计最多 {MAX_ENVIRONMENT_BYTES} 字节",
            f"at most {MAX_ENVIRONMENT_BYTES} bytes in all: put large settings into a file",
        )
    for key, value in environment.items():
        if not key or "=" in key or "\0" in key or "\0" in value:
            check.refuse(
                path,
                key,
                "变量名不能为空，不能含“=”；名与值不能含 NUL",
                'a name must not be empty or contain "="; no NUL',
            )
        elif value and looks_secret(key):
            check.refuse(
                f"{path}[{key!r}]",
                key,
                "疑似密码或密钥，不得明文提交；请放入算力池的密钥库，并用 secrets 引用，或用 *_FILE 变量指向它",
                "looks like a secret, which is never submitted by value: keep it in the pool's secret store, "
                "and refer to it by `secrets`, or point to it with a *_FILE setting",
            )


def looks_secret(name: str) -> bool:
    """True when a setting of this name most likely holds a password, key or token."""
    if name in ("PWD", "OLDPWD"):  # the shell's working directories
        return False
    return bool(_SECRET_NAME.search(name)) and not _POINTS_ELSEWHERE.search(name)


def program_to_wire(program: Program) -> workload_pb2.Program:
    return workload_pb2.Program(
        command=program.command,
        image=program.image or "",
        environment=dict(program.environment),
        secrets=dict(program.secrets),
    )

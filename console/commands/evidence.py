"""`xisuan migration evidence export|verify`: a bundle that anyone can verify offline, and the verifier itself.

`console.commands.migration` registers them. Export works through the running service, or on the store where none runs;
verify needs neither.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console import printing
from console.commands.options import AsJson, checked_day
from console.faults import AnswerIsNo, Fault
from console.files import read_input, replacing
from console.home import find_home
from console.migration_access import open_migration
from console.papers import find_papers
from inventory.evidence.bundle import papers_wanted, with_papers
from inventory.evidence.verify import verify_archive
from scheduler.services.report_ports import EvidenceRequest

_MOST_BYTES = 1024 * 1024 * 1024

app = typer.Typer(
    no_args_is_help=True, help="佐证：导出离线证据包并验证 / evidence: offline bundles, and their verification"
)


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", metavar="FILE.zip", help="写入的文件 / the file to write")],
    system: Annotated[
        list[str] | None, typer.Option("--system", help="系统，可多次 / a system, may be repeated")
    ] = None,
    wave: Annotated[int, typer.Option("--wave", min=0, help="最新计划的批次 / a wave of the newest plan")] = 0,
    first_day: Annotated[str, typer.Option("--from", metavar="DAY", help="自该日起记录的 / recorded from")] = "",
    last_day: Annotated[str, typer.Option("--to", metavar="DAY", help="至该日止记录的 / recorded until")] = "",
    hashes_only: Annotated[
        bool,
        typer.Option("--hashes-only", help="其余事件只给哈希（证明较弱）/ other events as hashes: a weaker proof"),
    ] = False,
    papers: Annotated[
        list[Path] | None,
        typer.Option(
            "--papers", metavar="FOLDER", help="另在此文件夹中按哈希查找文件，可多次 / look for files here, too"
        ),
    ] = None,
) -> None:
    """导出证据包：事件、文件、链上证明、职责分离、验证程序 / export events and their files with proof and a verifier."""
    request = EvidenceRequest(
        systems=tuple(system or ()),
        wave=wave,
        first_day=checked_day(first_day, "--from"),
        last_day=checked_day(last_day, "--to"),
        hashes_only=hashes_only,
    )
    home = find_home()
    with replacing(out) as output:
        with open_migration(home, writing=False) as migration:
            bundle = migration.evidence(request)
        bundle = with_papers(bundle, find_papers(papers_wanted(bundle), home.papers_folder, papers or ()))
        if len(bundle) > _MOST_BYTES:
            raise Fault(
                f"证据包有 {len(bundle) >> 20} MiB，超过 {_MOST_BYTES >> 20} MiB；请缩小范围"
                f" / the bundle has {len(bundle) >> 20} MiB, more than {_MOST_BYTES >> 20}; choose less"
            )
        output.write(bundle)
    for line in verify_archive(bundle).facts:
        printing.say(line)
    printing.say(f"已写入 / written: {out}；验证 / verify: python -I -S verify.py {out.name}", "bold")


@app.command("verify")
def verify_bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="证据包 / the bundle")],
    head: Annotated[str, typer.Option("--head", help="另行记录的链尾哈希 / a head hash written down before")] = "",
    as_json: AsJson = False,
) -> None:
    """验证证据包，指出每一处改动 / verify a bundle; every change is named."""
    verdict = verify_archive(read_input(file, _MOST_BYTES), head)
    if as_json:
        printing.write_json({"holds": not verdict.faults, "facts": verdict.facts, "faults": verdict.faults})
    else:
        for line in (*verdict.facts, *verdict.faults):
            printing.say(line)
    if verdict.faults:
        raise AnswerIsNo(
            f"证据包有 {len(verdict.faults)} 处问题 / the bundle has {len(verdict.faults)} faults: {file}"
        )
    if not as_json:
        printing.say("证据成立 / the evidence holds", "bold green")

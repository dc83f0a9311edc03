"""Identity: who the adapter is, which contract it speaks, and which nodes it offers."""

from __future__ import annotations

import asyncio

from adapters.conformance.session import Session, require
from adapters.conformance.spec import Need, Spec
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

VERSION = 1
_RUNTIMES = {"process", "container", "batch-script", "ray-job", "virtual-machine"}
_ABSURD = 1 << 60


async def speaks_version(s: Session) -> None:
    said = await s.stub.GetVersion(pb.GetVersionRequest())
    require(1 <= said.oldest <= VERSION <= said.newest, f"a range of versions that holds {VERSION}", said)
    require(bool(said.technology and said.adapter_version), "technology and adapter_version", said)
    require(said.now.seconds > 0, "the adapter's clock in `now`", said)


async def says_who_it_is(s: Session) -> None:
    version = await s.stub.GetVersion(pb.GetVersionRequest())
    require(bool(s.can.pool_id) and len(s.can.pool_id) <= 63, "a pool id of 1 to 63 characters", s.can.pool_id)
    require(s.can.technology == version.technology, "the technology that GetVersion tells", s.can.technology)
    require(
        bool(s.can.instance_id) and s.can.instance_id == version.instance_id,
        "one instance_id, in GetVersion and GetCapabilities",
        (s.can.instance_id, version.instance_id),
    )
    require(s.can.contract_version == version.newest, "contract_version = newest", s.can.contract_version)


async def declares_sensibly(s: Session) -> None:
    unknown = set(s.can.runtimes) - _RUNTIMES
    require(bool(s.can.runtimes) and not unknown, f"runtimes among {sorted(_RUNTIMES)}", list(s.can.runtimes))
    require(s.can.max_batch >= 1, "max_batch of at least 1", s.can.max_batch)
    require(s.can.launches_per_second >= 0, "launches_per_second of 0 or more", s.can.launches_per_second)
    require(set(s.can.enforces) <= {"cpu", "memory", "disk"}, "enforces among cpu, memory, disk", s.can.enforces)
    for card in s.can.accelerators:
        require(bool(card.model) and 1 <= card.step_milli <= 1000, "a model and a step of 1 to 1000", card)


async def same_every_time(s: Session) -> None:
    answers = await asyncio.gather(*(s.stub.GetCapabilities(pb.GetCapabilitiesRequest()) for _ in range(10)))
    require(all(answer == s.can for answer in answers), "ten equal answers", "answers that differ")


async def nodes_are_sane(s: Session) -> None:
    require(len({node.node_id for node in s.nodes}) == len(s.nodes), "each node once", "a node listed twice")
    for node in s.nodes:
        amount = node.allocatable
        values = (amount.cpu_milli, amount.memory_bytes, amount.accelerator_milli)
        require(all(0 <= value < _ABSURD for value in values), "amounts from 0 to what can be", node)
        require(bool(node.node_id) and node.architecture != 0, "a node id and an architecture", node)


async def nodes_in_pages(s: Session) -> None:
    size = max(1, len(s.nodes) // 3)
    found: list[str] = []
    token = ""
    while True:
        page = await s.stub.ListNodes(pb.ListNodesRequest(page_size=size, page_token=token))
        require(len(page.nodes) <= size, f"at most {size} nodes in a page", len(page.nodes))
        found += [node.node_id for node in page.nodes]
        token = page.next_page_token
        if not token:
            break
        require(bool(page.nodes), "no empty page with a page after it", token)
    require(found == [node.node_id for node in s.nodes], "the same nodes in the same order", f"{len(found)} nodes")


SPECS = (
    Spec(
        "identity.version",
        "An adapter speaks this version of the contract, and tells its clock",
        "适配器支持本版契约，并报告其时钟",
        speaks_version,
    ),
    Spec(
        "identity.who",
        "An adapter says which pool it serves and which life of its process this is, the same in both answers",
        "适配器说明所服务的池和本次进程的标识，两处一致",
        says_who_it_is,
    ),
    Spec(
        "identity.sense",
        "What an adapter declares are words and numbers that the contract knows",
        "所声明的能力都是契约认得的词和数",
        declares_sensibly,
    ),
    Spec("identity.same", "Ten questions at once get one answer", "同时问十次，答案相同", same_every_time),
    Spec(
        "identity.nodes",
        "Nodes are named once, and offer amounts that can be true",
        "节点不重名，资源量合理",
        nodes_are_sane,
        (Need.LISTS_NODES,),
    ),
    Spec(
        "identity.pages",
        "Nodes come in pages, each node once, in one order",
        "节点分页列出，不重不漏，次序不变",
        nodes_in_pages,
        (Need.LISTS_NODES,),
    ),
)

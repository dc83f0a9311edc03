"""Which launches a pool's capabilities cover: asked of every item before a backend sees it.

So an author implements what he declares, and nothing more: what asks for more is refused here, item by item.
"""

from __future__ import annotations

from adapters.contract import Capabilities, Launch
from adapters.wire.inspection import Inspection
from inventory.model.partition import OnDisconnect


def is_covered(launch: Launch, can: Capabilities) -> bool:
    """True for a launch that asks for nothing special; False where `require_declared` must look."""
    return not (
        launch.runtime not in can.runtimes
        or not launch.nodes
        or launch.requirements.tasks > 1
        or launch.requirements.zone is not None
        or launch.service
        or launch.reservation_id
        or launch.restore_from
        or launch.partition.lost_after_ms
        or launch.program.secrets
    )


def require_declared(launch: Launch, can: Capabilities, path: str) -> None:
    """Raises InvalidMessage with everything that this launch asks for and the pool does not declare."""
    check = Inspection()
    needs = launch.requirements
    if launch.runtime not in can.runtimes:
        runtimes = ", ".join(can.runtimes)
        check.refuse(
            f"{path}.runtime",
            launch.runtime,
            f"本池只运行 {runtimes}",
            f"this pool runs {runtimes}: choose one, or another pool",
        )
    if not launch.nodes and not can.chooses_nodes:
        check.refuse(
            f"{path}.nodes",
            0,
            f"须给每个任务一个节点，共 {needs.tasks} 个",
            f"name one node for each of the {needs.tasks} tasks",
        )
    if needs.tasks > 1 and not can.gangs:
        check.refuse(
            f"{path}.requirements.tasks",
            needs.tasks,
            "本池一次运行只有一个任务",
            "a run has one task here: ask for one",
        )
    if needs.zone is not None and can.zones and needs.zone not in can.zones:
        zones = ", ".join(can.zones)
        check.refuse(
            f"{path}.requirements.zone",
            str(needs.zone),
            f"本池的网络区域为 {zones}",
            f"this pool's zones are {zones}: choose another pool",
        )
    _refuse_extras(launch, can, check, path)
    check.close()


def _refuse_extras(launch: Launch, can: Capabilities, check: Inspection, path: str) -> None:
    stops_alone = launch.partition.lost_after_ms > 0 and launch.partition.on_disconnect is OnDisconnect.STOP
    for asked, declared, field in (
        (launch.service, can.services, "service"),
        (launch.reservation_id, can.reservations, "reservation_id"),
        (launch.restore_from, can.checkpoints, "restore_from"),
        (stops_alone, can.leases, "partition.on_disconnect"),
        (sorted(launch.program.secrets), can.secrets, "program.secrets"),
    ):
        if asked and not declared:
            check.refuse(
                f"{path}.{field}",
                asked,
                "本池未声明此能力，请去掉或换池",
                "this pool does not declare the capability: leave it out, or choose another pool",
            )

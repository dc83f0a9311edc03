"""A nova-compute whose hypervisor only pretends: `python compute.py --config-file FILE`. `up.sh` starts it.

Nova's own fake driver never fails. Real hypervisors do: a machine whose metadata says `pretend: bad-image` cannot be
built anywhere; one that says `pretend: bad-host NAME` cannot be built on that host, so that Nova tries another.
"""

from __future__ import annotations

import sys
from typing import Any

from nova import exception  # type: ignore[import-not-found]  # it lives in the environment of the services
from nova.cmd import compute  # type: ignore[import-not-found]
from nova.virt import fake  # type: ignore[import-not-found]


class FailingDriver(fake.FakeDriverWithoutFakeNodes):  # type: ignore[misc]
    """Nova's driver that pretends, and fails where the machine asks for it."""

    def spawn(self, context: Any, instance: Any, *words: Any, **more: Any) -> None:
        pretended = instance.metadata.get("pretend", "")
        if pretended == "bad-image":
            raise exception.BuildAbortException(instance_uuid=instance.uuid, reason="the image does not boot")
        if pretended == f"bad-host {self._host}":
            raise exception.ComputeResourcesUnavailable(reason="the disk of this host is broken")
        super().spawn(context, instance, *words, **more)


# Nova looks for drivers among its own modules.
fake.FailingDriver = FailingDriver
sys.argv[0] = "nova-compute"
compute.main()

"""The TLS of an installation's own ports, from the files that `local` has made and the settings.

Gateways serve with it; pool hosts and gateways reach adapters with it.
"""

from __future__ import annotations

from pathlib import Path

from adapters.client import ClientTls
from adapters.sdk.tls import ServerTls
from scheduler.access.guard import AccessSettings
from scheduler.access.local import AccessFiles


def gateway_tls(settings: AccessSettings) -> ServerTls:
    """The gateway's certificate; whose client certificates are let in, where they are required."""
    files = settings.files
    trusted = None
    if settings.form.client_certificates == "required":
        trusted = Path(settings.form.client_ca) if settings.form.client_ca else files.authority
    return ServerTls(files.certificate("gateway"), files.key("gateway"), trusted)


def adapter_tls(files: AccessFiles) -> ServerTls:
    """An adapter's own port on this machine: the scheduler alone may call it."""
    return ServerTls(files.certificate("adapter"), files.key("adapter"), files.authority)


def to_adapters(files: AccessFiles) -> ClientTls:
    """How the scheduler shows itself to adapters."""
    return ClientTls(files.authority, files.certificate("scheduler"), files.key("scheduler"))

"""The scheduler as a running service: control plane, pool hosts, and their Ray actors.

Ray reads its environment while it is imported, so what must hold for every Ray of ours is set here, before that.
"""

import os

if "RAY_ADDRESS" not in os.environ:
    # Ray's name for this switch is historical: off, it makes a Ray on one machine listen on loopback only.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    # On one machine Ray's store of names dies only with everything: its agents need not wait a minute for it.
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "5")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Left unset, the first start writes a token file into the user's home, and other Rays begin to refuse calls.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")

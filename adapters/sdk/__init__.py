"""What every adapter shares: a gRPC server of `PoolAdapterService` around an `adapters.contract.PoolBackend`.

`journal`   the bounded event journal behind Watch      `fence`    the highest epoch seen, across restarts
`servicer`  the RPCs: validation, idempotency, pages    `server`   ports, health, reflection, signals
`command`   the command line that every adapter process has
"""

"""The discrete-event engine: a virtual clock under `scheduler.cycle`, pools in memory, and what came of it."""

"""How fast the whole service is, measured from outside: `make bench-service` (docs/service-benchmarks.md)."""

"""Scenarios: what is simulated, as people write it, checked, and turned into what the engine takes."""

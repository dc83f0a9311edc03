"""Evidence (佐证) to take away: events with the proof that they stand in the chain, and a verifier beside them.

`scheduler.services.evidence_desk` chooses the events and calls `bundle.make_bundle`; `verify` is the program that is
put into every bundle and needs nothing but Python.
"""

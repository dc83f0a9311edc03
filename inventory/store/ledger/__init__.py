"""The ledger's tables: a frozen baseline plus events, folded into the state of each system as of any day."""

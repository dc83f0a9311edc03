"""One reading a kind of cell: what people write in a ledger's cell, into what the ledger means by it.

Every reading takes a grid `Value`, gives None for a cell that says nothing (empty, "—", "不详": unknown, never "no"),
and raises `Unreadable` for a cell that says something which cannot be understood without guessing.
"""

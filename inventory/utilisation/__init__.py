"""How much systems are used: measured days, how many of them there are, and percentiles over them.

`inventory.rules` judges by it, `inventory.assessment` imports and keeps it. Pure.
"""

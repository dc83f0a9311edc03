"""A whole adapter to copy: `engine.py` is the system that you adapt, and the file that you replace.

`engine`    what a system must be able to do, and a toy that does it     `notebook`  what the adapter remembers itself
`backend`   the contract over any engine: keep it, or grow it            `__main__`  its process
docs/adapters.md leads through it.
"""

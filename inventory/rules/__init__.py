"""Rules as data: what shall become of a system, what is missing, what may be approved; each with its source.

Rules propose, people decide. Pure: texts, systems and measurements in, proposals with their traces out.
`inventory.assessment` gathers the facts from the store and keeps what people decide.
"""

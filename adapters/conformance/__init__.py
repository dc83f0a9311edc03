"""The suite that proves any adapter, in any language, by its endpoint alone: `xisuan adapter conformance`.

`proxy`    a TCP proxy that delays, cuts, and swallows      `session`  what a spec asks the adapter with
`spec`     a law with its title, its needs, its outcome     `specs`    the laws, a file a group
`runner`   asks the laws one after another and cleans up    `report`   what came of it, for people and programs
"""

"""Who may do what: authentication, roles within subtrees of the organisation, rates, and the record of who asked.

The gateway (`scheduler.services.server`) puts `door` before every call; the command line makes and revokes
credentials with `local`. docs/access.md says it for people.
"""

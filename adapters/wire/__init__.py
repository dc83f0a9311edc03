"""Converters between the model and protobuf, and errors as google.rpc.Status, for services and adapters alike.

`inspection`  what is wrong with a message, field by field      `scalars`  enums, times, durations, resources
`workloads`   submissions, requirements, programs, runs         `pools`    pools, node groups, nodes, pool files
`launches`    the adapter contract: launches, stops, reports    `opinions` reasons and what pools say
`status`      failing a call with details, and reading them
"""

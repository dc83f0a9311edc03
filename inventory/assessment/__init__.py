"""Assessment: what stands in the ledger, judged by the rules; what people decide about it, kept on the chain.

Who calls this: `scheduler.services.assessment_desk`. Reads the ledger through `inventory.intake`, judges with
`inventory.rules`, keeps through `inventory.store.assessment`.
"""

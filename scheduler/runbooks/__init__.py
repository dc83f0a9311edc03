"""Durable execution of migrations: runbooks are loaded, opened as runs, driven step by step, and rolled back.

Read in this order: `template` and `template_rules` (what a runbook file says and what is refused), `order` (who, what, when),
`expansion` (both together give the steps of a run), `record` (the run on the event chain), `driver` (the loop,
durable with DBOS), `steps/` (what each kind of step does), `desk` (what people may do). What comes next is decided
in `scheduler.core.migration`, which is pure.
"""

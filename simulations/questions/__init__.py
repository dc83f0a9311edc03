"""What planners ask: each question is one function from a scenario to a table, over simulated cells."""

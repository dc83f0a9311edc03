"""Traces: columns of jobs, and the readers of public forms. What a reader refuses it refuses with a line, a column, a
rule and a remedy."""

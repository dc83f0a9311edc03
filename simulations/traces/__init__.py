"""Readers of public traces. What a reader refuses it refuses with a line, a column, a rule and a remedy."""

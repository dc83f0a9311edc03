"""Writes the monthly report (`inventory.reports.document`) as Word, Excel and one HTML page.

`xisuan migration report` calls the three writers; each is a function from the report to bytes, without a clock, so
the same report gives the same content.
"""

"""The monthly report (上云月报): figures, rankings and lists from rows that were read before. Pure.

`scheduler.services.report_desk` gathers the rows and calls `monthly.compose`; `console.monthly` writes the result as
Word, Excel and HTML.
"""

"""The kinds of assessment events, and what their payloads hold. The subject is named first.

    assessment.measured          import id (U1 ..)   filename, sha256, measurements: {system key: measurement}
    assessment.traffic_measured  import id (T1 ..)   filename, sha256, first_day, last_day, observed: [system key],
                                                     flows: [{user, used, requests, bytes}]
    assessment.case_opened       case id (R1 ..)     number, workflow (closure | idle), system_key, rule, evidence
    assessment.case_advanced     case id             action, state (the new one), reason, document, sha256
    assessment.notice_sent       case id             key, notice (reminded | month_over | urged | workdays_over), due,
                                                     document, text, status (of the receiver's answer)
    assessment.decided           system key          disposition, proposed, rule, reason, document
    assessment.excepted          exception id (E1..) number, rule, subject, reason, document, approver, expires_on
    assessment.role_declared     system key          role, reason, document

`effective_on` is the day from which the fact holds; the actor stands in the event. A case that is closed at last is
followed by `system.closed` (see `inventory.store.ledger.kinds`) in the same transaction.
"""

from __future__ import annotations

MEASURED = "assessment.measured"
TRAFFIC_MEASURED = "assessment.traffic_measured"
CASE_OPENED = "assessment.case_opened"
CASE_ADVANCED = "assessment.case_advanced"
NOTICE_SENT = "assessment.notice_sent"
DECIDED = "assessment.decided"
EXCEPTED = "assessment.excepted"
ROLE_DECLARED = "assessment.role_declared"

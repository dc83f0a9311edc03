"""What assessment keeps: measurements, review cases, decisions, exceptions, declared roles."""

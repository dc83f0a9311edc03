"""What each kind of step does: one small file a kind, an explicit map in `registry`."""

"""Pure statistics: Sample -> Effect and Verdict."""

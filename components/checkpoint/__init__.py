"""Start of a run from a finished model."""
